//! The nearest known name, for "did you mean".

/// The candidate that `name` most probably means: within a third of its length in edits (at least 2), or one that
/// begins with it or ends with it. Case, `-` and `_` do not count.
pub fn nearest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let wanted = plain(name);
    let limit = (wanted.chars().count() / 3).max(2);
    candidates
        .into_iter()
        .filter_map(|candidate| {
            let known = plain(candidate);
            let distance = strsim::damerau_levenshtein(&wanted, &known);
            let contained = wanted.len() >= 3
                && known.len() >= 3
                && (known.starts_with(&wanted) || known.ends_with(&wanted) || wanted.starts_with(&known));
            // A short name is within two edits of every other short name.
            let close = distance <= limit && distance < wanted.chars().count().max(known.chars().count());
            (close || contained).then_some((if close { distance } else { limit + 1 }, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// "did you mean `…`?", where a known name is near.
pub fn suggestion<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<String> {
    nearest(name, candidates).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_and_parts_are_recognised() {
        let known = ["hidden_size", "depth", "heads", "kv_heads", "ffn_size"];
        assert_eq!(nearest("hiden_size", known), Some("hidden_size"));
        assert_eq!(nearest("hidden", known), Some("hidden_size"));
        assert_eq!(nearest("KV-heads", known), Some("kv_heads"));
        assert_eq!(nearest("dpeth", known), Some("depth"));
        assert_eq!(nearest("colour", known), None);
        assert_eq!(nearest("ab", ["cd"]), None);
    }
}
