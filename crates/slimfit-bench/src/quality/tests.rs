use super::data::Data;
use super::goal::{Goal, Verdict};
use super::row::{self, Judged};

fn judged(group: &str, class: &str, predicted: f64, measured: f64) -> Judged {
    Judged { group: group.to_owned(), class: class.to_owned(), predicted, measured, promised: Some(0.5) }
}

#[test]
fn goals_are_judged_exactly_and_in_their_own_decimals() {
    assert_eq!(Goal::at_most(0.0131, 4).verdict(0.0131), Verdict::Met);
    assert_eq!(Goal::at_most(0.0131, 4).verdict(0.013_14), Verdict::MetAsRounded);
    assert_eq!(Goal::at_most(0.0131, 4).verdict(0.013_16), Verdict::Missed);
    assert_eq!(Goal::at_least(0.999, 3).verdict(0.998_87), Verdict::MetAsRounded);
    assert_eq!(Goal::between(0.82, 0.97, 2).verdict(0.98), Verdict::Missed);
    assert_eq!(Goal::between(0.82, 0.97, 2).text(), "0.82 … 0.97");
}

#[test]
fn ranks_are_counted_within_classes_alone() {
    let rows = [
        judged("a", "small", 3.0, 3.1),
        judged("b", "small", 2.9, 3.2),
        judged("c", "large", 2.0, 2.0),
        judged("d", "large", 2.2, 2.1),
    ];
    assert_eq!(row::discordant_pairs(&rows), Some(1.0));
    assert_eq!(row::kendall_within(&rows), Some(0.0));
    assert_eq!(row::coverage(&rows), Some(1.0));
    assert!((row::mean_absolute(&rows).unwrap() - 0.125).abs() < 1e-12);
    assert!((row::perplexity_error(&rows[..1]).unwrap() - 100.0 * (1.0 - (-0.1_f64).exp())).abs() < 1e-9);
}

#[test]
fn a_folder_that_is_not_there_is_said_by_its_option() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("nowhere");
    let error = Data::read(&missing, folder.path()).err().unwrap().to_string();
    assert!(error.contains("--data") && error.contains("nowhere"), "{error}");
    let error = Data::read(folder.path(), &missing).err().unwrap().to_string();
    assert!(error.contains("--lts"), "{error}");
    let error = format!("{:#}", Data::read(folder.path(), folder.path()).err().unwrap());
    assert!(error.contains("gemstones.csv"), "{error}");
}
