//! Whatever the text, reading it ends without a panic.

use proptest::prelude::*;
use slimfit_document::Document;

fn read(text: &str) {
    for origin in ["a.yaml", "a.json", "text"] {
        match Document::from_str(text, origin) {
            Ok(document) => {
                let _ = document.value();
                let _ = document.schema(&["slimfit/space/v1"]);
                let _ = document.error_at("a.b[3]", "x").to_string();
            }
            Err(error) => {
                assert_eq!(error.file.as_deref(), Some(origin));
                assert!(!error.to_string().is_empty());
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in any::<String>()) {
        read(&text);
    }

    #[test]
    fn any_bytes_in_a_file(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.yaml");
        std::fs::write(&path, bytes).unwrap();
        let _ = Document::read(&path);
    }

    #[test]
    fn text_of_the_syntax_s_own_signs(text in "[-a1:{}\\[\\]\"', \n\t&*!|>#%@?.<~é]{0,80}") {
        read(&text);
    }

    #[test]
    fn json_of_any_shape_has_every_position(depth in 0_usize..5, width in 0_usize..4, key in "[a-z.\\[\"é]{1,6}") {
        let mut value = serde_json::json!(1.5);
        for _ in 0..depth {
            value = serde_json::json!({ &key: vec![value; width], "other": null });
        }
        let text = serde_json::to_string_pretty(&value).unwrap();
        let document = Document::from_str(&text, "a.json").unwrap();
        prop_assert_eq!(document.value().unwrap(), value);
    }
}
