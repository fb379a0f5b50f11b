//! Keeps folders of the user out of pages that are sent around.

/// Every absolute path below a home or temporary folder, shortened to its last part: `/home/ann/study/front.json`
/// becomes `front.json`. System paths (`/sys/…`, `/proc/…`), which say where a value was read, stay.
pub(crate) fn without_user_paths(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut word = String::new();
    for character in text.chars() {
        if character.is_whitespace() || "`'\"=,;()<>".contains(character) {
            result.push_str(shortened(&word));
            word.clear();
            result.push(character);
        } else {
            word.push(character);
        }
    }
    result.push_str(shortened(&word));
    result
}

fn shortened(word: &str) -> &str {
    let windows = word.as_bytes().get(1..3) == Some(b":\\");
    let kept = ["/sys/", "/proc/", "/dev/", "/usr/", "/etc/"].iter().any(|root| word.starts_with(root));
    let absolute = word.len() > 1 && word.starts_with('/') && !word.starts_with("//");
    if windows || word.starts_with("~/") || (absolute && !kept) {
        let trimmed = word.trim_end_matches(['/', '\\']);
        return trimmed.rsplit(['/', '\\']).next().unwrap_or(trimmed);
    }
    word
}

#[cfg(test)]
mod tests {
    use super::without_user_paths;

    #[test]
    fn folders_of_the_user_are_shortened_and_system_paths_stay() {
        for (given, expected) in [
            ("slimfit report --study /home/ann/work/study-3", "slimfit report --study study-3"),
            ("--out=/root/x/", "--out=x"),
            ("cannot read `/Users/ann/profile.yaml`: missing", "cannot read `profile.yaml`: missing"),
            (r"C:\Users\ann\study", "study"),
            ("~/study", "study"),
            ("reports/2026-01-31-run", "reports/2026-01-31-run"),
            ("/sys/devices/system/cpu", "/sys/devices/system/cpu"),
            ("tokens / second and a/b", "tokens / second and a/b"),
            ("https://example.org/paper", "https://example.org/paper"),
        ] {
            assert_eq!(without_user_paths(given), expected);
        }
    }
}
