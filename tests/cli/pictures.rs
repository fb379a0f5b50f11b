//! `explain` as a picture.

use crate::harness::Slimfit;
use crate::measured::machine;

#[test]
fn a_long_model_is_drawn_by_kind_of_operation_in_both_forms() {
    let machine = machine();
    let arguments = ["explain", "smollm2-135m", "--svg", "a.svg", "--png", "a.png", "--json"];
    let object = Slimfit::new(arguments).folder(machine.folder()).run().done().object("explain");
    let files = object["files"].as_array().unwrap();
    assert_eq!(files.iter().map(|file| file["kind"].as_str().unwrap()).collect::<Vec<_>>(), ["svg", "png"]);
    let svg = std::fs::read_to_string(machine.folder().join("a.svg")).unwrap();
    for words in
        ["smollm2-135m in q8_0", "gate up ×30", "One token with", "A prompt of 128 tokens", "bound by memory"]
    {
        assert!(svg.contains(words), "`{words}` is not in the picture");
    }
    assert!(svg.matches("<text").count() < 100, "30 blocks are drawn one by one");
    let png = std::fs::read(machine.folder().join("a.png")).unwrap();
    assert_eq!(png[..8], *b"\x89PNG\r\n\x1a\n");
    assert_eq!(
        (png[16..20].to_vec(), png[20..24].to_vec()),
        (2560_u32.to_be_bytes().to_vec(), 1600_u32.to_be_bytes().to_vec())
    );
}

#[test]
fn a_published_device_is_drawn_under_its_theoretical_bandwidth() {
    let folder = tempfile::tempdir().unwrap();
    let arguments = ["explain", "qwen2.5-0.5b", "--profile", "raspberry-pi-5", "--svg", "pi.svg"];
    let finished = Slimfit::new(arguments).folder(folder.path()).run().done();
    assert!(finished.stderr.contains("pi.svg"), "{}", finished.stderr);
    let svg = std::fs::read_to_string(folder.path().join("pi.svg")).unwrap();
    assert!(svg.contains("in theory") && svg.contains("as llama.cpp runs it"), "{svg}");
    assert!(!svg.contains("A prompt of"), "nothing predicts its prefill");
}

#[test]
fn a_picture_that_cannot_be_written_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("taken"), "").unwrap();
    let arguments =
        ["explain", "qwen2.5-0.5b", "--profile", "raspberry-pi-5", "--png", "taken/a.png", "--json"];
    let finished = Slimfit::new(arguments).folder(folder.path()).run();
    assert_eq!(finished.code, 2, "{} {}", finished.stdout, finished.stderr);
    assert!(finished.stdout.contains("taken"), "{}", finished.stdout);
}
