//! Random conditions on the values of random spaces.

use proptest::prelude::*;
use proptest::sample::select;

/// Conditions over all axes; none of them holds everywhere.
const CONDITIONS: [&str; 20] = [
    "hidden_size >= 384",
    "hidden_size < 700",
    "layers <= 12",
    "layers > 3 and hidden_size > 300",
    "experts == none",
    "experts != none or gated == true",
    "gated == false",
    "window == none or window >= 512",
    "window != none",
    "weights != q4_0",
    "weights == q8_0 or weights == bf16",
    "kv == f16",
    "tied_embeddings == false",
    "vocabulary_size < 40000",
    "ffn > 2 * hidden_size",
    "kv_heads < heads",
    "kv_heads == heads or layers < 4",
    "heads % 2 == 0 and weights != bf16",
    "layers * heads > 36",
    "loops == none",
];

/// Exclusions over all axes.
const EXCLUSIONS: [&str; 5] = [
    "weights == q4_0 and layers > 4",
    "window != none and experts != none",
    "gated and kv_heads == heads and tied_embeddings",
    "kv == f32 and ffn > 1000",
    "experts == 4 and hidden_size > 400",
];

/// How many random cases are tried: 200, or as many as `PROPTEST_CASES` says.
pub fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").map_or(200, |cases| cases.parse().expect("`PROPTEST_CASES` is a number"))
}

/// Which value of which axis has which condition, and an exclusion.
#[derive(Debug, Clone)]
pub struct Conditions {
    of_values: Vec<(usize, usize, &'static str)>,
    exclusion: Option<&'static str>,
}

pub fn conditions() -> impl Strategy<Value = Conditions> {
    let of_value = (0_usize..64, 0_usize..64, select(CONDITIONS.to_vec()));
    (prop::collection::vec(of_value, 0..5), prop::option::weighted(0.3, select(EXCLUSIONS.to_vec())))
        .prop_map(|(of_values, exclusion)| Conditions { of_values, exclusion })
}

impl Conditions {
    /// The axes with conditions put on some of their values. `suits`: whether an axis may have a condition.
    pub fn put(&self, axes: &[(&str, Vec<String>)], suits: impl Fn(&str, &str) -> bool) -> String {
        let mut axes = axes.to_vec();
        for (axis, place, condition) in &self.of_values {
            let count = axes.len();
            let (name, values) = &mut axes[axis % count];
            let count = values.len();
            let value = &mut values[place % count];
            if value.contains("when: ") || !suits(name, condition) {
                continue;
            }
            *value = match value.strip_suffix('}') {
                Some(fields) => format!("{fields}, when: {condition}}}"),
                None => format!("{{value: {value}, when: {condition}}}"),
            };
        }
        let lists = axes.iter().map(|(name, values)| format!("  {name}: [{}]\n", values.join(", ")));
        lists.collect()
    }

    /// The exclusion as a field of the file.
    pub fn exclude(&self) -> String {
        self.exclusion.map_or_else(String::new, |exclusion| format!("\nexclude: [{exclusion}]"))
    }
}
