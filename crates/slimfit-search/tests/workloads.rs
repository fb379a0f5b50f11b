//! Workload files: what they say of text, and what none can say.

use slimfit_document::Document;
use slimfit_quality::{QualityModel, Recipe};
use slimfit_search::Workload;

const PLAIN: &str = "schema: slimfit/workload/v1\nname: notes\ndescription: Notes.\nprompt_bytes: 1200\ngenerated_bytes: 300\n";

fn workload(more: &str) -> Result<Workload, String> {
    let document = Document::from_str(&format!("{PLAIN}{more}\n"), "notes.yaml");
    let document = document.map_err(|error| error.to_string())?;
    Workload::from_document(&document).map_err(|error| error.to_string())
}

#[test]
fn text_that_a_tokenizer_cuts_finer_takes_more_tokens_and_keeps_its_loss_per_byte() {
    let model = QualityModel::new(Recipe::builtin("gemstones").unwrap());
    let law = |workload: &Workload| model.law(100_000_000_000, &workload.bytes());
    let plain = workload("").unwrap();
    let fine = workload("tokenizer: {vocabulary_size: 32768, bytes_per_token: 2.0}").unwrap();
    let run = fine.run_shape(&law(&fine), 32_768);
    assert_eq!((run.prompt_tokens, run.generated_tokens, run.depth_tokens), (600, 150, 600));
    let larger = fine.run_shape(&law(&fine), 65_536);
    assert!(larger.prompt_tokens < run.prompt_tokens, "{larger:?}");
    assert!(plain.run_shape(&law(&plain), 32_768).prompt_tokens < run.prompt_tokens);
    assert_eq!(law(&fine).per_byte(3.0), law(&plain).per_byte(3.0));
}

#[test]
fn a_tokenizer_that_cannot_be_is_refused_by_its_field() {
    for (more, field) in [
        ("tokenizer: {vocabulary_size: 12, bytes_per_token: 2.0}", "tokenizer.vocabulary_size"),
        ("tokenizer: {vocabulary_size: 32768, bytes_per_token: 0.5}", "tokenizer.bytes_per_token"),
        ("tokenizer: {vocabulary_size: 32768, bytes_per_token: .nan}", "finite"),
        ("tokenizer: {vocabulary_size: 32768}", "bytes_per_token"),
        ("tokenizer: {vocabulary_size: 32768, bytes_per_token: 3, text: english}", "text"),
    ] {
        let error = workload(more).unwrap_err();
        assert!(error.contains("notes.yaml") && error.contains(field), "{more}: {error}");
    }
}
