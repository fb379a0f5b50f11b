//! The records as the page carries them: one JSON value in `script#slimfit-data`.

use crate::cloud::{PackedCloud, packed};
use crate::differences::comparison_sentences;
use crate::roofline::{bandwidths, peaks, placed};
use crate::shape::shape_cells;
use crate::staircase::staircase;
use crate::unit::{Unit, objective_label};
use crate::{ReportError, ReportInput};
use serde::Serialize;
use serde_json::{Value, json};
use slimfit_hardware::{Bandwidth, HardwareProfile};
use slimfit_study::{Candidates, Explanation, Front, FrontPoint, Objective, OperationCost, RunningSearch};
use std::collections::{BTreeMap, HashMap};

/// The schema of the page's records.
pub(crate) const REPORT_SCHEMA: &str = "slimfit/report/v1";
/// What draws the page's charts, with its licence.
pub(crate) const CHART_LIBRARY: &str = "Apache ECharts 6.1.0, Apache-2.0";

/// Bytes that the parts of the records may take which grow with the study.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    /// Full records of front points; further points are kept as columns.
    full: usize,
    /// Front points as columns; further points are left out, those that tie with others first.
    columns: usize,
    /// The dominated cloud.
    cloud: usize,
}

impl Budget {
    /// A share of what fits a page that holds little else.
    pub(crate) fn share(part: f64) -> Self {
        let of = |bytes: f64| (bytes * part) as usize;
        Self { full: of(600e3), columns: of(450e3), cloud: of(400e3) }
    }

    /// The bytes of all parts.
    pub(crate) fn bytes(self) -> usize {
        self.full + self.columns + self.cloud
    }
}

/// The JSON of `input`, safe inside a `<script>` element whatever the names hold, and how many points of the front it
/// leaves out.
pub(crate) fn embedded(input: &ReportInput, budget: Budget) -> Result<(String, usize), ReportError> {
    let objectives: Vec<Value> =
        input.front.iter().flat_map(|front| &front.head.objectives).map(objective).collect();
    let cloud: Option<PackedCloud> = input
        .front
        .as_ref()
        .and_then(|front| packed(&input.cloud, front.head.objectives.len(), budget.cloud));
    let front = input.front.as_ref().map(|front| front_value(front, budget)).transpose()?;
    let left_out = front.as_ref().and_then(|front| front["left_out"].as_u64()).unwrap_or_default() as usize;
    let data = json!({
        "schema": REPORT_SCHEMA,
        "version": input.tool_version,
        "command": input.command,
        "created": input.created,
        "objectives": objectives,
        "front": front,
        "profile": input.profile,
        "measurements": input.measurements,
        "verification": input.verification,
        "explanations": input.explanations.iter().map(explanation_value).collect::<Vec<_>>(),
        "references": input.references,
        "comparison": input.comparison,
        "sentences": input.comparison.as_ref().map(comparison_sentences),
        "running": input.running.as_ref().map(running_value).transpose()?,
        "cloud": cloud,
        "roofline": input.profile.as_ref().map(roofline_value),
        "staircase": input.profile.as_ref().map(staircase_value),
        "kv_cache": input.front.iter().flat_map(crate::section::picks).map(kv_value).collect::<Vec<_>>(),
        "existing": input.front.as_ref().map(|front| existing_value(&front.head.existing)),
        "counts": counts(input),
        "chart_library": CHART_LIBRARY,
    });
    Ok((script_safe(&serde_json::to_string(&data)?), left_out))
}

fn objective(objective: &Objective) -> Value {
    json!({
        "name": objective.name, "label": objective_label(&objective.name), "direction": objective.direction,
        "unit": Unit::of_objective(&objective.name).key(), "unit_text": objective.unit,
    })
}

/// A search that is not finished, with what its objectives are called and counted in.
pub(crate) fn running_value(running: &RunningSearch) -> Result<Value, ReportError> {
    let mut value = serde_json::to_value(running)?;
    let all = |of: &dyn Fn(&str) -> Value| -> Value {
        running.objectives.iter().map(|name| (name.clone(), of(name))).collect()
    };
    value["labels"] = all(&|name| json!(objective_label(name)));
    value["units"] = all(&|name| json!(Unit::of_objective(name).key()));
    Ok(value)
}

/// Contexts at which the page says what the KV cache takes.
const CONTEXTS: [u64; 6] = [512, 2048, 4096, 8192, 16_384, 32_768];

/// Tokens and bytes of a point's KV cache; nothing where its format does not fit its shape.
pub(crate) fn kv_cache(point: &FrontPoint) -> Vec<(u64, u64)> {
    let bytes = |tokens: u64| Some((tokens, point.architecture.kv_cache_bytes(point.kv, tokens).ok()?));
    CONTEXTS.into_iter().filter_map(bytes).collect()
}

fn kv_value(point: &FrontPoint) -> Value {
    let contexts =
        kv_cache(point).into_iter().map(|(tokens, bytes)| json!({ "tokens": tokens, "bytes": bytes }));
    json!({ "id": point.id, "contexts": contexts.collect::<Vec<_>>() })
}

/// What the page counts itself in longer records, by the names its paths use.
fn counts(input: &ReportInput) -> Value {
    let points = input.front.as_ref().map_or(&[][..], |front| &front.points);
    let kernels = input.profile.iter().flat_map(|profile| &profile.kernels);
    json!({
        "points": points.len(),
        "broken": input.front.as_ref().map(crate::section::front::broken),
        "extrapolated": points.iter().filter(|point| point.flags.iter().any(|flag| flag == "extrapolated")).count(),
        "tied": points.iter().filter(|point| !point.representative && point.picks.is_empty()).count(),
        "kernels_without_place": kernels.filter(|kernel| placed(kernel).is_none()).count(),
    })
}

/// The models that exist as far as the page lists them, each in its recommended format.
fn existing_value(existing: &Candidates) -> Value {
    let listed: Vec<Value> = crate::section::existing::listed(existing)
        .into_iter()
        .map(|(place, model)| {
            let mut value = json!(model);
            value["place"] = json!(place + 1);
            value["formats"] = json!(&model.formats[..1]);
            value
        })
        .collect();
    json!({
        "count": existing.candidates.len(),
        "listed": listed.len(),
        "candidates": listed,
        "candidates_ranked_by": existing.candidates_ranked_by,
        "candidates_skipped": existing.candidates_skipped,
    })
}

/// The roof, and the place of every kernel that has one.
fn roofline_value(profile: &HardwareProfile) -> Value {
    let kernels: Vec<Value> = profile
        .kernels
        .iter()
        .enumerate()
        .filter_map(|(index, kernel)| Some(json!({ "place": placed(kernel)?, "index": index })))
        .collect();
    json!({ "kernels": kernels, "peaks": peaks(profile), "bandwidths": bandwidths(profile) })
}

/// The lines of the bandwidth chart.
fn staircase_value(profile: &HardwareProfile) -> Value {
    let index = |point: &Bandwidth| profile.bandwidth.iter().position(|known| std::ptr::eq(known, point));
    let steps = staircase(profile).into_iter().map(|step| {
        let places: Vec<Option<usize>> = step.points.iter().map(|point| index(point)).collect();
        json!({ "threads": step.threads, "points": step.points, "index": places })
    });
    steps.collect()
}

/// Escapes what could end the element or start a comment in it; JSON reads the same.
pub(crate) fn script_safe(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        match character {
            '<' => safe.push_str("\\u003c"),
            '>' => safe.push_str("\\u003e"),
            '&' => safe.push_str("\\u0026"),
            '\u{2028}' => safe.push_str("\\u2028"),
            '\u{2029}' => safe.push_str("\\u2029"),
            other => safe.push(other),
        }
    }
    safe
}

/// The front's points in the order in which they deserve space: picks, then those with measured
/// scores, then the cheapest of each tie, then the others.
pub(crate) fn by_weight(front: &Front) -> Vec<&FrontPoint> {
    let mut points: Vec<&FrontPoint> = front.points.iter().collect();
    points.sort_by_key(|point| (point.picks.is_empty(), point.sources.is_empty(), !point.representative));
    points
}

/// How many other points tie with each group's representative.
pub(crate) fn tied(front: &Front) -> BTreeMap<u64, u64> {
    let mut tied = BTreeMap::new();
    for point in &front.points {
        *tied.entry(point.tie_group).or_insert(0) += u64::from(!point.representative);
    }
    tied
}

/// The head as `front.json` has it; `points` in full as far as they fit, `more` as columns, the rest counted.
fn front_value(front: &Front, budget: Budget) -> Result<Value, ReportError> {
    let mut value = serde_json::to_value(&front.head)?;
    if let Some(head) = value.as_object_mut() {
        // `existing` holds what the page shows of them, `front.json` holds them all.
        for part in ["candidates", "candidates_ranked_by", "candidates_skipped"] {
            head.remove(part);
        }
    }
    let mut points = Vec::new();
    let mut more = Columns::default();
    let (mut bytes, mut left_out) = (0, 0);
    let tied = tied(front);
    for point in by_weight(front) {
        // Rows that the page writes itself show intervals, which columns leave out.
        if bytes < budget.full || points.len() < crate::section::front::WRITTEN_ROWS {
            let mut full = serde_json::to_value(point)?;
            full["shape"] = json!(shape_cells(&point.architecture));
            full["tied"] = json!(if point.representative { tied[&point.tie_group] } else { 0 });
            bytes += full.to_string().len();
            points.push(full);
        } else if more.bytes < budget.columns {
            more.push(front, point, &tied);
        } else {
            left_out += 1;
        }
    }
    value["schema"] = json!(front.schema);
    value["points"] = Value::Array(points);
    value["left_out"] = json!(left_out);
    if !more.id.is_empty() {
        value["more"] = serde_json::to_value(&more)?;
    }
    Ok(value)
}

/// Points of a large front, column by column. Texts that many points share stand once, and points hold their places.
#[derive(Default, Serialize)]
struct Columns {
    id: Vec<String>,
    texts: Texts,
    shape: Vec<[usize; 4]>,
    weights: Vec<usize>,
    kv: Vec<usize>,
    parameters: Vec<u64>,
    threads: Vec<u32>,
    tie_group: Vec<u64>,
    /// For the cheapest of a tie how many others there are, for those others -1.
    tied: Vec<i64>,
    flags: Vec<Vec<usize>>,
    /// In the order of the head's objectives, one row for each point, to six digits.
    objectives: Vec<Vec<Option<f64>>>,
    #[serde(skip)]
    bytes: usize,
}

/// Distinct texts in the order in which they came.
#[derive(Default)]
struct Texts {
    all: Vec<String>,
    places: HashMap<String, usize>,
}

impl Texts {
    fn place(&mut self, text: &str) -> usize {
        match self.places.get(text) {
            Some(place) => *place,
            None => {
                self.all.push(text.to_owned());
                self.places.insert(text.to_owned(), self.all.len() - 1);
                self.all.len() - 1
            }
        }
    }
}

impl Serialize for Texts {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.all.serialize(serializer)
    }
}

impl Columns {
    fn push(&mut self, front: &Front, point: &FrontPoint, tied: &BTreeMap<u64, u64>) {
        let texts = &mut self.texts;
        self.id.push(point.id.clone());
        self.shape.push(shape_cells(&point.architecture).map(|text| texts.place(&text)));
        self.weights.push(texts.place(point.weights.name()));
        self.kv.push(texts.place(point.kv.name()));
        self.parameters.push(point.parameters.total);
        self.threads.push(point.threads);
        self.tie_group.push(point.tie_group);
        self.tied.push(if point.representative { tied[&point.tie_group] as i64 } else { -1 });
        self.flags.push(point.flags.iter().map(|flag| texts.place(flag)).collect());
        let values = front.head.objectives.iter();
        let short = |value: f64| format!("{value:.5e}").parse().unwrap_or(value);
        self.objectives.push(
            values.map(|objective| point.objectives.get(&objective.name).copied().map(short)).collect(),
        );
        // What a point takes beside its objectives (id, places of texts, counts) is about this many bytes.
        self.bytes += 75 + 10 * front.head.objectives.len();
    }
}

/// The operations of an explanation, those that differ only in their layer as one with the layers they stand in. What
/// stands in no layer has none.
pub(crate) fn folded(explanation: &Explanation) -> Vec<(OperationCost, Vec<u64>)> {
    let mut folded: Vec<(OperationCost, Vec<u64>)> = Vec::new();
    for operation in &explanation.operations {
        let bare = OperationCost { layer: None, ..operation.clone() };
        let place = folded
            .iter_mut()
            .find(|(known, layers)| *known == bare && layers.is_empty() == operation.layer.is_none());
        match (place, operation.layer) {
            (Some((_, layers)), Some(layer)) => layers.push(layer),
            (_, layer) => folded.push((bare, layer.into_iter().collect())),
        }
    }
    folded
}

/// The explanation with its operations folded.
fn explanation_value(explanation: &Explanation) -> Value {
    let operations: Vec<Value> = folded(explanation)
        .into_iter()
        .map(|(operation, layers)| {
            let mut value = json!(operation);
            if !layers.is_empty() {
                value["layers"] = json!(layers);
            }
            value
        })
        .collect();
    json!({
        "id": explanation.id, "phase": explanation.phase, "tokens": explanation.tokens,
        "depth_tokens": explanation.depth_tokens, "threads": explanation.threads, "seconds": explanation.seconds,
        "operations": operations,
    })
}

#[cfg(test)]
mod tests {
    use super::script_safe;

    #[test]
    fn no_text_can_end_the_script_element() {
        let hostile = serde_json::to_string("</script><!-- <script>\u{2028}&amp;").unwrap();
        let safe = script_safe(&hostile);
        assert!(!safe.contains('<') && !safe.contains('>') && !safe.contains('\u{2028}'), "{safe}");
        assert_eq!(serde_json::from_str::<String>(&safe).unwrap(), "</script><!-- <script>\u{2028}&amp;");
    }
}
