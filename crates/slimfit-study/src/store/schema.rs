//! The tables of a study, and the version of their layout.

/// The version that this program writes.
pub(super) const VERSION: i64 = 2;

/// `slft`: says that a SQLite file is a study.
pub(super) const APPLICATION: i64 = 0x736c_6674;

/// Every table of this version.
pub(super) const TABLES: &str = "
CREATE TABLE input (
    id INTEGER PRIMARY KEY,
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    sha256 TEXT NOT NULL,
    text TEXT NOT NULL,
    kept TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now')),
    UNIQUE (kind, name, sha256)
) STRICT;

CREATE TABLE search (
    id INTEGER PRIMARY KEY,
    digest TEXT NOT NULL,
    request TEXT NOT NULL,
    began TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX search_digest ON search (digest);

CREATE TABLE search_input (
    search INTEGER NOT NULL REFERENCES search,
    input INTEGER NOT NULL REFERENCES input,
    PRIMARY KEY (search, input)
) STRICT, WITHOUT ROWID;

CREATE TABLE finding (
    id INTEGER PRIMARY KEY,
    search INTEGER NOT NULL REFERENCES search,
    complete INTEGER NOT NULL CHECK (complete IN (0, 1)),
    head TEXT NOT NULL,
    written TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX finding_search ON finding (search);

CREATE TABLE part (
    id INTEGER PRIMARY KEY,
    json TEXT NOT NULL UNIQUE
) STRICT;

CREATE TABLE front_point (
    finding INTEGER NOT NULL REFERENCES finding,
    place INTEGER NOT NULL,
    point BLOB,
    id TEXT NOT NULL,
    architecture BLOB NOT NULL,
    weights TEXT NOT NULL,
    kv TEXT NOT NULL,
    parameters INTEGER NOT NULL,
    non_embedding INTEGER NOT NULL,
    embedding INTEGER NOT NULL,
    active INTEGER NOT NULL,
    threads INTEGER NOT NULL,
    objectives BLOB NOT NULL,
    intervals BLOB NOT NULL,
    tie_group INTEGER NOT NULL,
    representative INTEGER NOT NULL CHECK (representative IN (0, 1)),
    more TEXT,
    PRIMARY KEY (finding, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE sample_point (
    finding INTEGER NOT NULL REFERENCES finding,
    place INTEGER NOT NULL,
    parameters REAL NOT NULL,
    objectives BLOB NOT NULL,
    PRIMARY KEY (finding, place)
) STRICT, WITHOUT ROWID;

CREATE TABLE evaluation (
    sequence INTEGER PRIMARY KEY,
    search INTEGER NOT NULL REFERENCES search,
    point BLOB,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    written TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX evaluation_search ON evaluation (search);

CREATE TABLE worker (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    search INTEGER NOT NULL REFERENCES search,
    process INTEGER NOT NULL,
    expires REAL NOT NULL
) STRICT;

CREATE TABLE claim (
    search INTEGER NOT NULL REFERENCES search,
    worker INTEGER NOT NULL REFERENCES worker,
    first INTEGER NOT NULL,
    after INTEGER NOT NULL,
    PRIMARY KEY (search, first)
) STRICT, WITHOUT ROWID;

CREATE TABLE progress (
    id INTEGER PRIMARY KEY,
    search INTEGER NOT NULL REFERENCES search,
    worker INTEGER NOT NULL REFERENCES worker,
    done BLOB NOT NULL,
    counts TEXT NOT NULL,
    miss BLOB,
    saved TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;

CREATE TABLE progress_points (
    progress INTEGER NOT NULL REFERENCES progress,
    name TEXT NOT NULL CHECK (name IN ('archive', 'sample')),
    place INTEGER NOT NULL,
    points BLOB NOT NULL,
    PRIMARY KEY (progress, name, place)
) STRICT;

CREATE TABLE record (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    finding INTEGER REFERENCES finding,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    json TEXT NOT NULL,
    written TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))
) STRICT;
CREATE INDEX record_kind ON record (kind, key, sequence);
CREATE INDEX record_finding ON record (finding);
";

/// Tables whose rows say what was found.
const APPEND_ONLY: [&str; 9] = [
    "input",
    "search",
    "search_input",
    "finding",
    "part",
    "front_point",
    "sample_point",
    "evaluation",
    "record",
];

/// Triggers that refuse to change or remove what was found.
pub(super) fn append_only() -> String {
    let mut statements = String::new();
    for table in APPEND_ONLY {
        for what in ["update", "delete"] {
            statements.push_str(&format!(
                "CREATE TRIGGER {table}_no_{what} BEFORE {what} ON {table}
                 BEGIN SELECT raise(ABORT, 'rows of `{table}` are only ever added'); END;\n"
            ));
        }
    }
    statements
}

/// Marks the file as a study of this version.
pub(super) fn mark() -> String {
    format!("PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {VERSION};")
}
