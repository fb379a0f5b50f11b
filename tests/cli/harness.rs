//! Runs the binary in a folder of its own and checks what it printed against the schemas.

use jsonschema::{Resource, Validator};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A call of the binary, not run yet.
pub struct Slimfit {
    command: Command,
    line: String,
}

/// What a call printed and how it ended.
#[derive(Debug, Clone)]
pub struct Finished {
    pub line: String,
    pub stdout: String,
    pub stderr: String,
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
}

impl Slimfit {
    pub fn new(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_slimfit"));
        command.env("COLUMNS", "110").env_remove("SLIMFIT_ISA").current_dir(scratch());
        let mut line = "slimfit".to_owned();
        for argument in arguments {
            line = format!("{line} {}", argument.as_ref().to_string_lossy());
            command.arg(argument);
        }
        Self { command, line }
    }

    /// One more argument.
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.line = format!("{} {}", self.line, argument.as_ref().to_string_lossy());
        self.command.arg(argument);
        self
    }

    /// Runs in this folder: where `hardware-profiles/local/` and `reports/` are looked for.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn spawn(mut self) -> Child {
        self.command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts")
    }

    pub fn run(mut self) -> Finished {
        let output = self.command.stdin(Stdio::null()).output().expect("the binary starts");
        Finished {
            line: self.line,
            stdout: String::from_utf8(output.stdout).expect("UTF-8 on stdout"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8 on stderr"),
            code: output.status.code().unwrap_or(-1),
        }
    }
}

impl Finished {
    /// Panics with everything that was printed unless the command did what it should.
    pub fn done(self) -> Self {
        assert_eq!(self.code, 0, "`{}`\nstdout: {}\nstderr: {}", self.line, self.stdout, self.stderr);
        self
    }

    /// The one object on stdout, which must keep the schema `kind`.
    pub fn object(&self, kind: &str) -> Value {
        let object: Value = serde_json::from_str(&self.stdout).unwrap_or_else(|error| {
            panic!("`{}`: stdout is not one JSON object: {error}\n{}", self.line, self.stdout)
        });
        let errors = validate(kind, &object);
        assert!(errors.is_empty(), "`{}` breaks schema `{kind}`:\n{}", self.line, errors.join("\n"));
        object
    }

    /// A refusal with exit code 2 and this code, in JSON; returns its `error`.
    pub fn refused(&self, code: &str) -> Value {
        assert_eq!(self.code, 2, "`{}`\nstdout: {}\nstderr: {}", self.line, self.stdout, self.stderr);
        let error = self.object("error")["error"].clone();
        assert_eq!(error["code"], code, "`{}`: {error}", self.line);
        error
    }
}

/// Names of all commands, from the help.
pub fn commands() -> Vec<String> {
    let help = Slimfit::new(["--help"]).run().done().stdout;
    let list = help.split("Commands:").nth(1).expect("the help lists commands");
    list.lines()
        .skip(1)
        .take_while(|line| !line.trim().is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .map(str::to_owned)
        .collect()
}

/// The root of the source tree.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A folder without anything, in which commands run that were given none.
fn scratch() -> &'static Path {
    static FOLDER: OnceLock<tempfile::TempDir> = OnceLock::new();
    FOLDER.get_or_init(|| tempfile::tempdir().expect("a temporary folder")).path()
}

/// Names of the schemas in `tests/schemas/`.
pub fn schema_names() -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(schemas())
        .expect("tests/schemas exists")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter_map(|name| Some(name.strip_suffix(".schema.json")?.to_owned()))
        .collect();
    names.sort();
    names
}

/// What breaks the schema `kind`; empty when nothing does.
pub fn validate(kind: &str, value: &Value) -> Vec<String> {
    let errors = validator(kind);
    errors.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

fn schemas() -> PathBuf {
    root().join("tests/schemas")
}

fn validator(kind: &str) -> Validator {
    let read = |name: &str| -> Value {
        let path = schemas().join(format!("{name}.schema.json"));
        let text =
            std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    };
    let common = read("common");
    let address = common["$id"].as_str().expect("the schema has an address").to_owned();
    jsonschema::options()
        .with_resource(address, Resource::from_contents(common))
        .build(&read(kind))
        .unwrap_or_else(|error| panic!("schema `{kind}`: {error}"))
}
