//! What this is not.

use super::Card;

pub(super) fn section(card: &Card<'_>) -> String {
    let mut limits = vec![if card.artefacts.given_weights {
        "The weights are those of the model that was given; slimfit only wrote them anew.".to_owned()
    } else if card.artefacts.has_weights() {
        "The weights are initial ones: the model is untrained, and its words are noise.".to_owned()
    } else {
        "No trained weights lie here.".to_owned()
    }];
    limits.push(format!(
        "No tokenizer lies here: bring one of at most {} tokens.",
        card.architecture.vocabulary_size
    ));
    let trained = card.training.sequence_length.value;
    if card.context > trained {
        limits.push(format!(
            "The config promises {} positions and the recipe trains on {trained}: what lies beyond is not trained for.",
            card.context
        ));
    }
    limits.push(
        "Quality depends on the training text more than on anything predicted here; compare predicted losses with each \
         other, not with those of models trained elsewhere."
            .to_owned(),
    );
    if card.facts.setting.iter().any(|(label, _)| label.starts_with("Device")) {
        limits.push("Times, memory and energy hold for the device named above and for no other.".to_owned());
    }
    limits.push(
        "This text and the files that slimfit wrote may be used under the MIT licence or the Apache licence 2.0, as slimfit \
         itself; the licence of trained weights is for whoever trains them to say, and to add above as `license`."
            .to_owned(),
    );
    let list: String = limits.iter().map(|limit| format!("- {limit}\n")).collect();
    format!("## Limits\n\n{list}")
}
