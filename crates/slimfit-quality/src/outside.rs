//! What of a model lies outside the box in which the law was fitted.

use crate::recipe::Validity;
use crate::{QualityModel, Shape};
use slimfit_quantity::format_count;

impl QualityModel {
    /// What of a shape and its training lies outside the recipe's box, in words; empty where all of it lies inside. It is
    /// what sets [`Flags::EXTRAPOLATED`](crate::Flags::EXTRAPOLATED).
    pub fn outside(&self, shape: &Shape, tokens: u64) -> Vec<String> {
        let Validity {
            non_embedding,
            tokens: lengths,
            tokens_per_parameter,
            width_over_depth,
            ffn_over_width,
        } = &self.recipe().validity;
        let stored = shape.non_embedding as f64;
        let count = |value: f64| format_count(value);
        let ratio = |value: f64| format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned();
        let mut outside = Vec::new();
        let mut check = |what: &str, value: f64, [low, high]: [f64; 2], spell: &dyn Fn(f64) -> String| {
            if !(low..=high).contains(&value) {
                outside.push(format!(
                    "{what} {}, fitted from {} to {}",
                    spell(value),
                    spell(low),
                    spell(high)
                ));
            }
        };
        check("non-embedding parameters", stored, *non_embedding, &count);
        check("training tokens", tokens as f64, *lengths, &count);
        check("training tokens per parameter", tokens as f64 / stored, *tokens_per_parameter, &ratio);
        let aspect = shape.hidden_size as f64 / shape.layers as f64;
        check("width over depth", aspect, *width_over_depth, &ratio);
        check("feed-forward over width", shape.ffn_low, *ffn_over_width, &ratio);
        if shape.ffn_high > shape.ffn_low {
            check("feed-forward over width", shape.ffn_high, *ffn_over_width, &ratio);
        }
        if shape.per_layer {
            outside.push("layers of unlike shape, valued by their sum and mean".to_owned());
        }
        outside
    }
}

#[cfg(test)]
mod tests {
    use crate::{Flags, QualityModel, Recipe, Shape, WorkloadText};
    use slimfit_arch::Architecture;
    use slimfit_document::Document;

    fn shape(layers: &str) -> Shape {
        let text = format!("{{hidden_size: 576, vocabulary_size: 50304, layers: {layers}}}");
        let architecture: Architecture = Document::from_str(&text, "test.yaml").unwrap().parse().unwrap();
        Shape::of(&architecture).unwrap()
    }

    fn layer(repeat: u64, kv_heads: u64, ffn: u64) -> String {
        format!(
            "{{repeat: {repeat}, attention: {{heads: 9, kv_heads: {kv_heads}, head_size: 64}}, ffn: {{kind: dense, size: {ffn}}}}}"
        )
    }

    #[test]
    fn what_is_outside_is_named_exactly_where_the_law_flags_it() {
        let model = QualityModel::new(Recipe::builtin("gemstones").unwrap());
        let text = WorkloadText::new(1200, 400);
        let billion = 1_000_000_000;
        for (layers, tokens, words) in [
            (format!("[{}]", layer(30, 9, 1536)), 100 * billion, vec![]),
            (
                format!("[{}]", layer(30, 9, 1536)),
                400 * billion,
                vec!["training tokens 400B, fitted from 10"],
            ),
            (format!("[{}]", layer(30, 9, 1536)), 9 * billion, vec!["training tokens 9.00B"]),
            (format!("[{}]", layer(4, 9, 1536)), 100 * billion, vec!["non-embedding parameters"]),
            (format!("[{}]", layer(250, 9, 1536)), 100 * billion, vec!["width over depth 2.3"]),
            (format!("[{}]", layer(60, 9, 512)), 100 * billion, vec!["feed-forward over width 0.89"]),
            (
                format!("[{}, {}]", layer(15, 9, 1536), layer(15, 9, 5000)),
                100 * billion,
                vec!["feed-forward over width 8.68", "layers of unlike shape"],
            ),
            (
                format!("[{}, {}]", layer(15, 9, 1536), layer(15, 3, 1536)),
                100 * billion,
                vec!["unlike shape"],
            ),
        ] {
            let shape = shape(&layers);
            let outside = model.outside(&shape, tokens);
            assert_eq!(outside.len(), words.len(), "{layers}: {outside:?}");
            for (found, word) in outside.iter().zip(words) {
                assert!(found.contains(word), "{found}");
            }
            let flags = model.law(tokens, &text).base(&shape).unwrap().flags;
            assert_eq!(flags.contains(Flags::EXTRAPOLATED), !outside.is_empty(), "{layers}");
        }
    }
}
