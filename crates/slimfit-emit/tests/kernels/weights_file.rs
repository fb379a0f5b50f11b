//! Put into emitted crates by the test that builds them: a file of weights, and what slimfit's runtime says of it.

use LIBRARY::Model;

#[test]
fn logits_are_those_of_the_runtime_bit_for_bit() {
    let mut model = Model::open("model.gguf", 2).unwrap();
    model.prefill(&[1, 5, 2, 7, 3, 3, 0]).unwrap();
    let found: Vec<u32> = model.decode_step(4).unwrap().iter().map(|value| value.to_bits()).collect();
    let bytes = std::fs::read("logits.bin").unwrap();
    let expected: Vec<u32> = bytes.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
    assert_eq!(found, expected);
}

#[test]
fn another_model_of_the_same_tensors_is_refused() {
    let error = Model::open("other.gguf", 2).err().unwrap().to_string();
    assert!(error.contains("`other.gguf` does not hold this model"), "{error}");
    assert!(error.contains("architecture"), "{error}");
}
