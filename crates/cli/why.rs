//! `slimfit why`: what keeps a model off the front of a study.

use crate::Outcome;
use crate::failure::Failure;
use crate::front_text::{label, spoken};
use crate::output::Output;
use crate::table::table;
use slimfit_document::DocumentError;
use slimfit_quantity::{NumberFormat, format_count};
use slimfit_study::{Better, IntervalOf, ObjectiveDifference, Opponent, Study, StudyError, Verdict, Why};
use slimfit_workflow::{AskedFormats, why};
use std::fmt::Write as _;
use std::path::PathBuf;

/// Arguments of `why`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example:\n  slimfit why --study study smollm2-135m\n  slimfit why --study study ./my-model/config.json --weights q4_0 --json"
)]
pub struct Arguments {
    /// A built-in name, a `config.json` or its folder, a `.gguf`, a slimfit architecture file, or the id of a point of the study.
    model: String,
    /// The study whose front is asked.
    #[arg(long)]
    study: PathBuf,
    /// Weight format; unless said, that of its file or, of those that the space offers, the one in which it does best.
    #[arg(long)]
    weights: Option<NumberFormat>,
    /// Format of the KV cache; unless said, of those that the space offers the one in which it does best.
    #[arg(long)]
    kv: Option<NumberFormat>,
    /// Count the model's own published training instead of the study's: whether to use it as it is, not whether its shape is
    /// good.
    #[arg(long)]
    as_trained: bool,
}

pub fn run(arguments: &Arguments, output: &Output) -> Result<Outcome, Failure> {
    let study = Study::open(&arguments.study).map_err(|error| match error {
        StudyError::Missing(folder) => {
            let error = DocumentError::new("study", "no study lies there: `study.sqlite` is missing");
            let error = error.file(folder.display().to_string());
            Failure::from(error.hint("`slimfit search --out DIR` makes one; `--study DIR` names it"))
        }
        other => other.into(),
    })?;
    let formats =
        AskedFormats { weights: arguments.weights, kv: arguments.kv, as_trained: arguments.as_trained };
    let found = why(&study, &arguments.model, &formats)?;
    if output.is_json() {
        let mut fields =
            serde_json::to_value(&found).map_err(|error| Failure::internal(error.to_string()))?;
        fields["study"] = serde_json::json!(arguments.study);
        output.object("why", "why", fields)?;
    } else {
        output.text(&text(&found))?;
    }
    Ok(Outcome::Done)
}

fn text(why: &Why) -> String {
    let mut text = String::new();
    let model = &why.model;
    let tried = match model.formats_tried {
        1 => String::new(),
        count => format!(" (of {count} pairs of formats the one in which it does best)"),
    };
    let trained =
        if model.as_trained { "as its makers trained it" } else { "trained as the study's points are" };
    let _ = writeln!(
        text,
        "{}: {} parameters in {}, cache {}{tried}; {trained}, {} tokens",
        model.name,
        format_count(model.parameters.total as f64),
        model.weights,
        model.kv,
        format_count(model.tokens as f64)
    );
    let _ = writeln!(text, "{}", sentence(why));
    for excess in &why.breaks {
        let (value, limit) = (spoken(&excess.name, excess.value), spoken(&excess.name, excess.limit));
        let noise = if excess.within_noise { ", within the noise of the prediction" } else { "" };
        let _ = writeln!(
            text,
            "  {}: {value}, limit {limit}: {}{noise}",
            label(&excess.name),
            by(&excess.name, excess.ratio, excess.difference)
        );
    }
    for point in &why.points {
        opponent(&mut text, point);
    }
    if !why.pushed_out.is_empty() && why.verdict == Verdict::WouldBeOnFront {
        for point in &why.pushed_out {
            opponent(&mut text, point);
        }
    }
    if let Some(reason) = &why.not_predicted {
        let _ = writeln!(text, "  {reason}");
    }
    if !why.outside.is_empty() {
        let _ = writeln!(text, "\nthe space does not hold it:");
        let mut rows = table(&["", "its own", "nearest", "the space offers"]);
        for outside in &why.outside {
            let nearest = outside.nearest.clone().unwrap_or_else(|| "–".to_owned());
            rows.add_row(vec![outside.axis.clone(), outside.found.clone(), nearest, outside.allowed.clone()]);
        }
        let _ = writeln!(text, "{}", rows.trim_fmt());
    }
    text
}

fn sentence(why: &Why) -> String {
    let points = |count: u64| if count == 1 { "1 point".to_owned() } else { format!("{count} points") };
    let shown = |count: u64, shown: usize| {
        if count > shown as u64 { format!("; the {shown} that do so by the most:") } else { ":".to_owned() }
    };
    match why.verdict {
        Verdict::OnFront if why.points.is_empty() => {
            "it is on the front, and ties with no other point".to_owned()
        }
        Verdict::OnFront => "it is on the front; points that it ties with:".to_owned(),
        Verdict::Dominated => format!(
            "{} of the front {} at least as good in everything{}",
            points(why.dominated_by),
            if why.dominated_by == 1 { "is" } else { "are" },
            shown(why.dominated_by, why.points.len())
        ),
        Verdict::BreaksLimits if why.dominated_by == 0 => {
            "it breaks a limit of the study, and no point of the front dominates it:".to_owned()
        }
        Verdict::BreaksLimits => format!(
            "it breaks a limit of the study, and {} of the front {} at least as good in everything{}",
            points(why.dominated_by),
            if why.dominated_by == 1 { "is" } else { "are" },
            shown(why.dominated_by, why.points.len())
        ),
        Verdict::WouldBeOnFront if why.pushes_out == 0 => {
            "it would be on the front, and push out no point of it".to_owned()
        }
        Verdict::WouldBeOnFront => format!(
            "it would be on the front, and push out {} of it{}",
            points(why.pushes_out),
            shown(why.pushes_out, why.pushed_out.len())
        ),
        Verdict::NotPredicted => {
            "it compares with nothing, since an objective cannot be predicted for it:".to_owned()
        }
    }
}

fn opponent(text: &mut String, point: &Opponent) {
    let picks = if point.picks.is_empty() { String::new() } else { format!(" ({})", point.picks.join(", ")) };
    let tied = if point.tied { "; all of it within the noise: they cannot be told apart" } else { "" };
    let _ = writeln!(
        text,
        "\n  point {}{picks}, {} parameters in {}, cache {}{tied}",
        point.id,
        format_count(point.parameters.total as f64),
        point.weights,
        point.kv
    );
    let mut rows = table(&["  ", "model", "point", "the model is", "90 % interval", ""]);
    for difference in &point.differences {
        let name = &difference.name;
        let words = match (name.as_str(), difference.per_byte) {
            ("joules_per_token", true) => "energy per byte of text".to_owned(),
            ("seconds_per_byte", _) => "per byte of text".to_owned(),
            (name, true) => format!("{}, per byte of text", label(name)),
            (name, false) => label(name),
        };
        rows.add_row(vec![
            format!("    {words}"),
            spoken(name, difference.model),
            spoken(name, difference.point),
            against(difference),
            interval(difference),
            if difference.within_noise { "within the noise" } else { "" }.to_owned(),
        ]);
    }
    let _ = writeln!(text, "{}", rows.trim_fmt());
}

/// `2.3× as much`, or `+0.12` where the difference counts.
fn by(name: &str, ratio: f64, difference: f64) -> String {
    if is_quality(name) { format!("{difference:+.3}") } else { format!("{ratio:.3}× as much") }
}

fn is_quality(name: &str) -> bool {
    name.starts_with("loss") || name.starts_with("score_")
}

fn against(difference: &ObjectiveDifference) -> String {
    let amount = by(&difference.name, difference.ratio, difference.difference);
    match difference.better {
        Better::Equal => "equal".to_owned(),
        Better::Model => format!("better: {amount}"),
        Better::Point => format!("worse: {amount}"),
    }
}

fn interval(difference: &ObjectiveDifference) -> String {
    match difference.interval_of {
        IntervalOf::Ratio => format!("{:.3}× – {:.3}×", difference.low, difference.high),
        IntervalOf::Difference => format!("{:+.3} – {:+.3}", difference.low, difference.high),
    }
}
