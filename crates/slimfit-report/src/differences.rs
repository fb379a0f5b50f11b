//! What two studies differ in, in words: the same sentences on the page and on a terminal.

use crate::unit::{Unit, digits, objective_label};
use slimfit_quantity::{Figure, Source};
use slimfit_study::{
    Change, ComparedDevices, ComparedError, ComparedFronts, ComparedPick, ComparedRun, Comparison, Side,
};

/// What moved from the first study to the second, by how much, and whether that is more than noise; a sentence each, the
/// reasons first.
pub fn comparison_sentences(comparison: &Comparison) -> Vec<String> {
    let labels = Labels { first: &comparison.first.label, second: &comparison.second.label };
    let mut sentences = vec![conditions(comparison, &labels)];
    if let Some(fronts) = &comparison.fronts {
        sentences.extend(of_fronts(comparison, fronts, &labels));
    } else {
        sentences.push(missing("a front", comparison.first.front_size.is_none(), &labels));
    }
    if let Some(devices) = &comparison.devices {
        sentences.extend(of_devices(devices, &labels));
    }
    sentences.extend(comparison.runs.iter().map(|run| of_run(run, &labels)));
    sentences.extend(comparison.errors.iter().map(|error| of_error(error, &labels)));
    sentences
}

/// What the two are called.
struct Labels<'a> {
    first: &'a str,
    second: &'a str,
}

fn missing(what: &str, of_first: bool, labels: &Labels<'_>) -> String {
    format!("`{}` has not {what} to compare.", if of_first { labels.first } else { labels.second })
}

fn conditions(comparison: &Comparison, labels: &Labels<'_>) -> String {
    if comparison.conditions.is_empty() {
        return format!("`{}` and `{}` asked the same of the same device.", labels.first, labels.second);
    }
    let differs = |condition: &slimfit_study::Condition| {
        format!("{}: {} and {}", condition.what, condition.first, condition.second)
    };
    let all: Vec<String> = comparison.conditions.iter().map(differs).collect();
    format!("`{}` and `{}` differ in what they were given. {}.", labels.first, labels.second, all.join("; "))
}

fn of_fronts(comparison: &Comparison, fronts: &ComparedFronts, labels: &Labels<'_>) -> Vec<String> {
    let sizes = [comparison.first.front_size, comparison.second.front_size].map(Option::unwrap_or_default);
    let mut sentences = vec![format!(
        "{} of the {} models on the front of `{}` are among the {} on that of `{}`.",
        fronts.on_both, sizes[0], labels.first, sizes[1], labels.second
    )];
    for left_out in &fronts.left_out {
        sentences.push(format!(
            "{} is not compared: {}.",
            objective_label(&left_out.objective),
            left_out.reason
        ));
    }
    if fronts.objectives.is_empty() {
        return sentences;
    }
    sentences.push(match (fronts.first_beaten, fronts.second_beaten) {
        (0, 0) => "No model of either front beats one of the other.".to_owned(),
        (first, second) => format!(
            "{first} models of `{}` are beaten by one of `{}`, and {second} the other way round.",
            labels.first, labels.second
        ),
    });
    for shift in &fronts.shifts {
        if let (Some(factor), Some(low), Some(high)) = (shift.factor, shift.low, shift.high)
            && (low, high) != (1.0, 1.0)
        {
            sentences.push(format!(
                "For the models on both fronts, {} in `{}` is {} times that in `{}` in the middle, {} to {}.",
                lower(&objective_label(&shift.objective)),
                labels.second,
                digits(factor),
                labels.first,
                digits(low),
                digits(high)
            ));
        }
    }
    let (same, different): (Vec<&Change>, Vec<&Change>) =
        fronts.best.iter().partition(|change| change.first.value == change.second.value);
    for change in different {
        sentences.push(format!("Best {}: {}.", lower(&objective_label(&change.name)), moved(change, labels)));
    }
    if !same.is_empty() {
        let names: Vec<String> = same.iter().map(|change| lower(&objective_label(&change.name))).collect();
        sentences.push(format!("The same in both at best: {}.", names.join(", ")));
    }
    // One model often carries several names.
    let mut told: Vec<&ComparedPick> = Vec::new();
    for pick in &fronts.picks {
        if !told.iter().any(|known| (&known.first, &known.second) == (&pick.first, &pick.second)) {
            told.push(pick);
        }
    }
    for pick in told {
        let same = |other: &&ComparedPick| (&other.first, &other.second) == (&pick.first, &pick.second);
        let names: Vec<&str> = fronts.picks.iter().filter(same).map(|pick| pick.pick.as_str()).collect();
        sentences.push(of_pick(pick, &names.join(", "), labels));
    }
    sentences
}

fn of_pick(pick: &ComparedPick, names: &str, labels: &Labels<'_>) -> String {
    let who = if pick.first == pick.second {
        format!("The same model in both, {} ({names})", pick.first)
    } else {
        format!(
            "Another model: {} in `{}`, {} in `{}` ({names})",
            pick.first, labels.first, pick.second, labels.second
        )
    };
    let changes: Vec<String> = pick
        .changes
        .iter()
        .filter(|change| change.first.value != change.second.value)
        .map(|change| format!("{} {}", lower(&objective_label(&change.name)), moved(change, labels)))
        .collect();
    if changes.is_empty() {
        return format!("{who}, with the same figures.");
    }
    format!("{who}: {}.", changes.join("; "))
}

fn of_devices(devices: &ComparedDevices, labels: &Labels<'_>) -> Vec<String> {
    let part = |part: &slimfit_study::DevicePart| {
        if part.n == 1 {
            return format!(
                "Device, {}: the one figure of both is {} times as much in `{}` as in `{}`, {}.",
                part.part,
                digits(part.ratio),
                labels.second,
                labels.first,
                noise(Some(part.beyond_noise == 1))
            );
        }
        format!(
            "Device, {}: {} of {} figures differ by more than the noise; `{}` is at {} times `{}` in the middle, {} to {}.",
            part.part,
            part.beyond_noise,
            part.n,
            labels.second,
            digits(part.ratio),
            labels.first,
            digits(part.low),
            digits(part.high)
        )
    };
    let mut sentences: Vec<String> = devices.parts.iter().map(part).collect();
    if let (Some(drift), false) = (devices.drift, sentences.is_empty()) {
        sentences.push(format!(
            "Of two figures of a device, a difference below {} counts as noise: so far a machine moved by itself while it was measured.",
            Unit::Fraction.show(drift)
        ));
    }
    sentences
}

fn of_run(run: &ComparedRun, labels: &Labels<'_>) -> String {
    let changes: Vec<String> = run
        .changes
        .iter()
        .map(|change| format!("{} {}", lower(&figure_label(&change.name)), moved(change, labels)))
        .collect();
    format!("{}, run with {}: {}.", run.name.as_ref().unwrap_or(&run.id), run.conditions, changes.join("; "))
}

fn of_error(error: &ComparedError, labels: &Labels<'_>) -> String {
    format!(
        "Predictions of {} were off by {} on average in `{}` and by {} in `{}`, {}.",
        error.phase,
        Unit::Fraction.show(error.first.mape),
        labels.first,
        Unit::Fraction.show(error.second.mape),
        labels.second,
        noise(error.beyond_noise)
    )
}

/// What a figure of a run is called.
pub(crate) fn figure_label(name: &str) -> String {
    match name {
        "prefill_tokens_per_s" => "Prefill".to_owned(),
        "decode_tokens_per_s" => "Decode".to_owned(),
        "peak_memory_bytes" => "Peak memory".to_owned(),
        "joules_per_token" => "Energy per token".to_owned(),
        other => objective_label(other),
    }
}

/// What a quantity of a comparison is counted in.
pub(crate) fn unit_of(name: &str) -> Unit {
    if name.ends_with("_tokens_per_s") { Unit::TokensPerSecond } else { Unit::of_objective(name) }
}

/// `12.3 ms in a, 10.1 ms in b: 18 % less, better, more than the noise`.
fn moved(change: &Change, labels: &Labels<'_>) -> String {
    let unit = unit_of(&change.name);
    let show =
        |figure: &Figure| figure.value.map_or_else(|| "unavailable".to_owned(), |value| unit.show(value));
    let values = format!(
        "{} in `{}`, {} in `{}`",
        show(&change.first),
        labels.first,
        show(&change.second),
        labels.second
    );
    if change.first.value == change.second.value {
        return format!("{values}: the same");
    }
    let by = change.ratio.map_or_else(|| "different".to_owned(), by);
    match change.better {
        Some(side) => {
            let label = if side == Side::First { labels.first } else { labels.second };
            format!("{values}: {by}, more than the noise, better in `{label}`")
        }
        None => format!("{values}: {by}, {}", against_noise(change)),
    }
}

/// Whether a difference passes what its two figures are uncertain by, in words.
pub(crate) fn against_noise(change: &Change) -> &'static str {
    if change.first.value == change.second.value {
        return "the same";
    }
    match (change.beyond_noise, change.first.source, change.second.source) {
        (Some(false), Source::Modelled, Source::Modelled) => "within the intervals of both predictions",
        (beyond, _, _) => noise(beyond),
    }
}

/// `18 % less`, `3.2 times as much`.
pub(crate) fn by(ratio: f64) -> String {
    if (0.5..2.0).contains(&ratio) {
        let word = if ratio < 1.0 { "less" } else { "more" };
        format!("{} {word}", Unit::Fraction.show((ratio - 1.0).abs()))
    } else {
        format!("{} times as much", digits(ratio))
    }
}

const fn noise(beyond: Option<bool>) -> &'static str {
    match beyond {
        Some(true) => "more than the noise",
        Some(false) => "within the noise",
        None => "how much of it is noise is not known",
    }
}

fn lower(label: &str) -> String {
    let mut characters = label.chars();
    match (characters.next(), characters.clone().next()) {
        // `KV cache` and the like stay as they are.
        (Some(first), Some(second)) if !second.is_uppercase() => {
            first.to_lowercase().chain(characters).collect()
        }
        _ => label.to_owned(),
    }
}
