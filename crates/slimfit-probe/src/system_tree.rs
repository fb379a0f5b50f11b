//! The system's own files, below a root that tests replace.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Where `/sys` and `/proc` are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SystemTree {
    root: PathBuf,
    live: bool,
    forbidden: Vec<String>,
}

impl SystemTree {
    /// The running system.
    pub fn live() -> Self {
        Self { root: PathBuf::from("/"), live: true, forbidden: Vec::new() }
    }

    /// A copy or an imitation below `root`; the processor itself is not asked then.
    pub fn below(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into(), live: false, forbidden: Vec::new() }
    }

    /// The same tree, in which this user may not read the file `absolute`. Root may read any file of an imitation, so its
    /// modes cannot say this.
    pub fn forbidding(mut self, absolute: impl Into<String>) -> Self {
        self.forbidden.push(absolute.into());
        self
    }

    /// A file's text as it stands.
    ///
    /// # Errors
    /// What the system says: the file is missing, may not be read, or its device is gone.
    pub fn text(&self, absolute: &str) -> io::Result<String> {
        if self.forbidden.iter().any(|file| file == absolute) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        fs::read_to_string(self.path(absolute))
    }

    /// Whether this is the running system.
    pub fn is_live(&self) -> bool {
        self.live
    }

    /// The place of an absolute path of the system in this tree.
    pub fn path(&self, absolute: &str) -> PathBuf {
        self.root.join(absolute.trim_start_matches('/'))
    }

    /// A file's text without surrounding space; nothing when it is missing, unreadable or empty.
    pub fn read(&self, absolute: &str) -> Option<String> {
        read_trimmed(&self.path(absolute))
    }

    /// A file that holds one number.
    pub fn number(&self, absolute: &str) -> Option<u64> {
        self.read(absolute)?.parse().ok()
    }

    /// Names in a folder that begin with `prefix` and continue with a number, in the number's order.
    pub fn numbered(&self, folder: &str, prefix: &str) -> Vec<(u32, String)> {
        let mut found: Vec<(u32, String)> = self
            .names(folder)
            .into_iter()
            .filter_map(|name| Some((name.strip_prefix(prefix)?.parse().ok()?, name.clone())))
            .collect();
        found.sort();
        found
    }

    /// All names in a folder, sorted; none when it is missing.
    pub fn names(&self, folder: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.path(folder)) else { return Vec::new() };
        let mut names: Vec<String> =
            entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }
}

/// A file's text without surrounding space and zero bytes (device trees end strings with one).
pub(crate) fn read_trimmed(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_matches(|character: char| character.is_whitespace() || character == '\0');
    (!text.is_empty()).then(|| text.to_owned())
}

/// Reads the kernel's lists: `0-3,8` is 0, 1, 2, 3, 8. Nothing when a part is no number or a range runs backwards.
pub fn parse_processor_list(text: &str) -> Option<Vec<u32>> {
    let mut processors = Vec::new();
    for part in text.trim().split(',').filter(|part| !part.is_empty()) {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last): (u32, u32) = (first.trim().parse().ok()?, last.trim().parse().ok()?);
        // The kernel's own limit is 8192 processors.
        if first > last || last > 1 << 16 {
            return None;
        }
        processors.extend(first..=last);
    }
    Some(processors)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processor_lists() {
        assert_eq!(parse_processor_list("0-3,8\n"), Some(vec![0, 1, 2, 3, 8]));
        assert_eq!(parse_processor_list("5"), Some(vec![5]));
        assert_eq!(parse_processor_list(""), Some(vec![]));
        for wrong in ["3-1", "a", "0-", "0-4000000000"] {
            assert_eq!(parse_processor_list(wrong), None, "{wrong}");
        }
    }
}
