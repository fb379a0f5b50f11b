//! A space file: from text to axes, with the place of everything that is wrong.

use super::axes::{AXIS_NAMES, Axis, EXPERTS, LOOPS};
use super::expression::{Expression, Fault};
use super::{Choice, Condition, LayerAxis, MOST_LAYERS, Mixture, Numbers, Space, Window};
use crate::SearchError;
use serde::Deserialize;
use serde_json::Value;
use slimfit_arch::{Activation, AttentionBias, Norm, NormPlacement, QkNorm, Rope};
use slimfit_document::{Document, DocumentError, suggestion};
use slimfit_formats::Loader;
use slimfit_quality::Assumption;
use slimfit_quantity::{NumberFormat, parse_count};
use std::collections::{BTreeMap, BTreeSet};

/// The schema name that space files carry.
pub const SPACE_SCHEMA: &str = "slimfit/space/v1";
/// Values that one axis may offer.
const MAXIMUM_VALUES: usize = 10_000;
/// Passes through the layers of a point: far past what any law reaches.
const MAXIMUM_PASSES: u64 = 1000;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SpaceFile {
    #[expect(dead_code, reason = "checked before the file is parsed")]
    schema: String,
    pub(super) name: String,
    pub(super) description: String,
    axes: BTreeMap<String, Value>,
    #[serde(default)]
    pub(super) fixed: Fixed,
    #[serde(default)]
    per_layer: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    constraints: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    assume: BTreeMap<String, BTreeMap<String, Value>>,
    #[serde(default)]
    pub(super) portable: Option<Vec<String>>,
}

/// What every point of a space shares.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Fixed {
    /// The non-linearity of the feed-forward part.
    pub activation: Activation,
    /// Kind and epsilon of the norms.
    pub norm: Norm,
    /// Where they stand.
    pub norm_placement: NormPlacement,
    /// Rotary positions.
    pub rope: Rope,
    /// Norm of queries and keys.
    pub qk_norm: QkNorm,
    /// Biases of the attention's projections.
    pub attention_bias: AttentionBias,
    /// Biases of the feed-forward part.
    pub ffn_bias: bool,
}

impl Default for Fixed {
    fn default() -> Self {
        Self {
            activation: Activation::default(),
            norm: Norm::default(),
            norm_placement: NormPlacement::default(),
            rope: Rope { base: 10_000.0, rotated: None, interleaved: false, scaling: None },
            qk_norm: QkNorm::None,
            attention_bias: AttentionBias::default(),
            ffn_bias: false,
        }
    }
}

pub(super) fn read(document: &Document, assume: &BTreeSet<Assumption>) -> Result<Space, SearchError> {
    document.schema(&[SPACE_SCHEMA])?;
    let file: SpaceFile = document.parse()?;
    let reader = Reader { document };
    for name in file.axes.keys() {
        if !AXIS_NAMES.contains(&name.as_str()) {
            return Err(reader.unknown(&format!("axes.{name}"), "unknown axis", name, &AXIS_NAMES).into());
        }
    }
    for name in AXIS_NAMES {
        if ![EXPERTS, LOOPS].contains(&name) && !file.axes.contains_key(name) {
            let error = document.error_at("axes", format!("missing axis `{name}`")).code("missing-field");
            return Err(error.allowed(format!("the axes {}", AXIS_NAMES.join(", "))).into());
        }
    }
    for name in file.assume.keys() {
        let names = Assumption::ALL.map(Assumption::name);
        if !names.contains(&name.as_str()) {
            return Err(reader.unknown(&format!("assume.{name}"), "unknown assumption", name, &names).into());
        }
    }
    // Values of one axis: its own list, then what the assumptions in force add.
    let sources = |axis: &str| -> Vec<(String, &Value)> {
        let own = file.axes.get(axis).map(|value| (format!("axes.{axis}"), value));
        let added = file
            .assume
            .iter()
            .filter(|(name, _)| assume.iter().any(|assumption| assumption.name() == *name))
            .filter_map(|(name, axes)| axes.get(axis).map(|value| (format!("assume.{name}.{axis}"), value)));
        own.into_iter().chain(added).collect()
    };
    for (name, axes) in &file.assume {
        for axis in axes.keys() {
            if !AXIS_NAMES.contains(&axis.as_str()) {
                let field = format!("assume.{name}.{axis}");
                return Err(reader.unknown(&field, "unknown axis", axis, &AXIS_NAMES).into());
            }
        }
    }
    let mut numbers: [Numbers; Axis::COUNT] = std::array::from_fn(|_| Vec::new());
    if !file.axes.contains_key(LOOPS) {
        numbers[Axis::Loops as usize].push(Choice::Number(1));
    }
    for axis in Axis::ALL {
        for (field, value) in sources(axis.name()) {
            reader.numbers(&field, value, axis, &mut numbers[axis as usize])?;
        }
        reader.distinct(axis, &numbers[axis as usize])?;
    }
    let order = reader.order(&numbers)?;
    let truths = |axis: &str| -> Result<Vec<bool>, DocumentError> {
        let mut found = Vec::new();
        for (field, value) in sources(axis) {
            reader.list(&field, value, &mut found, |field, value| match value {
                Value::Bool(truth) => Ok(*truth),
                other => Err(reader.wrong(field, other, "true, false or a list of them")),
            })?;
        }
        Ok(found)
    };
    let formats = |axis: &str, allowed: &[NumberFormat]| -> Result<Vec<NumberFormat>, DocumentError> {
        let names: Vec<&str> = allowed.iter().map(|format| format.name()).collect();
        let mut found = Vec::new();
        for (field, value) in sources(axis) {
            reader.list(&field, value, &mut found, |field, value| {
                let text = value.as_str().unwrap_or_default();
                let known = text.parse().ok().filter(|format| allowed.contains(format));
                known.ok_or_else(|| reader.unknown(field, "number format not searchable", text, &names))
            })?;
        }
        Ok(found)
    };
    let mut windows = Vec::new();
    for (field, value) in sources("window") {
        reader.list(&field, value, &mut windows, |field, value| reader.window(field, value))?;
    }
    let mut experts = Vec::new();
    if !file.axes.contains_key(EXPERTS) {
        experts.push(None);
    }
    for (field, value) in sources(EXPERTS) {
        reader.list(&field, value, &mut experts, |field, value| reader.mixture(field, value))?;
    }
    let (mut parameters, mut non_embedding) = (None, None);
    for (name, bounds) in &file.constraints {
        let target = match name.as_str() {
            "parameters" => &mut parameters,
            "non_embedding" => &mut non_embedding,
            other => {
                let field = format!("constraints.{other}");
                return Err(reader
                    .unknown(&field, "unknown constraint", other, &["parameters", "non_embedding"])
                    .into());
            }
        };
        *target = Some(reader.bounds(&format!("constraints.{name}"), bounds)?);
    }
    let mut exclude = Vec::new();
    for (index, text) in file.exclude.iter().enumerate() {
        let field = format!("exclude[{index}]");
        let expression = reader.expression(&field, text)?;
        exclude.push(Condition::new(text.clone(), expression));
    }
    let portable = file.portable.as_deref().map(|names| reader.loaders(names)).transpose()?;
    if let Some(Choice::Number(passes)) = numbers[Axis::Loops as usize]
        .iter()
        .find(|choice| matches!(choice, Choice::Number(passes) if *passes > MAXIMUM_PASSES))
    {
        let error = document.error_at("axes.loops", "too many passes through the layers");
        return Err(error.found(passes).allowed(format!("`none`, or at most {MAXIMUM_PASSES}")).into());
    }
    let space = Space {
        name: file.name,
        description: file.description,
        text: document.text().to_owned(),
        numbers,
        order,
        gated: truths("gated")?,
        tied: truths("tied_embeddings")?,
        weights: formats("weights", &NumberFormat::SEARCHABLE_WEIGHTS)?,
        kv: formats("kv", &NumberFormat::SEARCHABLE_KV)?,
        windows,
        experts,
        fixed: file.fixed,
        per_layer: reader.per_layer(&file.per_layer)?,
        exclude,
        parameters,
        non_embedding,
        portable,
        assume: assume.clone(),
        listed: Assumption::ALL
            .into_iter()
            .filter(|assumption| file.assume.contains_key(assumption.name()))
            .collect(),
    };
    if space.checked_size().is_none() {
        return Err(document.error_at("axes", "the space has more than 2^63 points").into());
    }
    if space.is_layered() {
        reader.check_layers(&space)?;
    }
    Ok(space)
}

struct Reader<'a> {
    document: &'a Document,
}

impl Reader<'_> {
    fn wrong(&self, field: &str, found: &Value, allowed: &str) -> DocumentError {
        self.document
            .error_at(field, "wrong value")
            .code("wrong-type")
            .found(format!("`{found}`"))
            .allowed(allowed)
    }

    fn unknown(&self, field: &str, message: &str, found: &str, known: &[&str]) -> DocumentError {
        let error = self.document.error_at(field, message).code("unknown-name").found(format!("`{found}`"));
        error.allowed(known.join(", ")).maybe_hint(suggestion(found, known.iter().copied()))
    }

    /// Loaders that points are held to.
    fn loaders(&self, names: &[String]) -> Result<Vec<Loader>, DocumentError> {
        let mut loaders = Vec::new();
        for (index, name) in names.iter().enumerate() {
            let field = format!("portable[{index}]");
            let Some(loader) = Loader::named(name) else {
                return Err(self.unknown(&field, "unknown loader", name, &Loader::ALL.map(Loader::name)));
            };
            if loaders.contains(&loader) {
                let error = self.document.error_at(&field, "the value stands twice");
                return Err(error.found(format!("`{name}`")));
            }
            loaders.push(loader);
        }
        Ok(loaders)
    }

    /// One value, or a list of distinct ones.
    fn list<T: PartialEq>(
        &self,
        field: &str,
        value: &Value,
        into: &mut Vec<T>,
        read: impl Fn(&str, &Value) -> Result<T, DocumentError>,
    ) -> Result<(), DocumentError> {
        let one = std::slice::from_ref(value);
        let values = value.as_array().map_or(one, Vec::as_slice);
        if values.is_empty() {
            return Err(self.document.error_at(field, "an empty list leaves no point").code("empty-axis"));
        }
        for (index, value) in values.iter().enumerate() {
            let field = if value_is_list(one) { format!("{field}[{index}]") } else { field.to_owned() };
            let item = read(&field, value)?;
            if into.contains(&item) {
                return Err(self
                    .document
                    .error_at(&field, "the value stands twice")
                    .found(format!("`{value}`")));
            }
            into.push(item);
        }
        Ok(())
    }

    fn numbers(
        &self,
        field: &str,
        value: &Value,
        axis: Axis,
        into: &mut Numbers,
    ) -> Result<(), DocumentError> {
        let one = std::slice::from_ref(value);
        let values = value.as_array().map_or(one, Vec::as_slice);
        if values.is_empty() {
            return Err(self.document.error_at(field, "an empty list leaves no point").code("empty-axis"));
        }
        for (index, value) in values.iter().enumerate() {
            let field = if value_is_list(one) { format!("{field}[{index}]") } else { field.to_owned() };
            match value {
                Value::Null if axis == Axis::Loops => into.push(Choice::Number(1)),
                Value::String(text) if axis == Axis::Loops => {
                    if text != "none" {
                        return Err(self.wrong(
                            &field,
                            value,
                            "`none`, a number of passes, a range or a list of them",
                        ));
                    }
                    into.push(Choice::Number(1));
                }
                Value::Number(_) => into.push(Choice::Number(self.whole(&field, value)?)),
                Value::String(text) => {
                    let expression = self.expression(&field, text)?;
                    let mut refers = false;
                    expression.each_axis(&mut |_| refers = true);
                    if refers && !Axis::BLOCK.contains(&axis) {
                        let error = self
                            .document
                            .error_at(&field, format!("`{}` may not depend on axes", axis.name()));
                        return Err(error.found(format!("`{text}`")).allowed("numbers and ranges"));
                    }
                    into.push(Choice::Expression(expression));
                }
                Value::Object(range) => self.range(&field, range, axis, into)?,
                other => {
                    return Err(self.wrong(
                        &field,
                        other,
                        "a whole number, an expression, a range or a list of them",
                    ));
                }
            }
            if into.len() > MAXIMUM_VALUES {
                let error = self.document.error_at(&field, "too many values").code("axis-too-long");
                return Err(error.allowed(format!("at most {MAXIMUM_VALUES} in one axis")));
            }
        }
        Ok(())
    }

    /// `{from, to, step}`, and with `times: axis` and `round: n` a range of ratios.
    fn range(
        &self,
        field: &str,
        range: &serde_json::Map<String, Value>,
        axis: Axis,
        into: &mut Numbers,
    ) -> Result<(), DocumentError> {
        const KEYS: [&str; 5] = ["from", "to", "step", "times", "round"];
        for key in range.keys() {
            if !KEYS.contains(&key.as_str()) {
                return Err(self.unknown(&format!("{field}.{key}"), "unknown field of a range", key, &KEYS));
            }
        }
        let number = |key: &str| -> Result<f64, DocumentError> {
            let place = format!("{field}.{key}");
            match range.get(key) {
                Some(value) => match value.as_f64().filter(|number| number.is_finite() && *number > 0.0) {
                    Some(number) => Ok(number),
                    None => Err(self.wrong(&place, value, "a number above 0")),
                },
                None => Err(self
                    .document
                    .error_at(field, format!("missing field `{key}` of a range"))
                    .code("missing-field")),
            }
        };
        let (from, to, step) = (number("from")?, number("to")?, number("step")?);
        if from > to {
            let error = self.document.error_at(field, "the range is empty").code("empty-axis");
            return Err(error.found(format!("from {from} to {to}")).allowed("`from` at most `to`"));
        }
        let count = ((to - from) / step + 1e-9).floor();
        if count >= MAXIMUM_VALUES as f64 {
            let error = self.document.error_at(field, "too many values").code("axis-too-long");
            return Err(error.allowed(format!("at most {MAXIMUM_VALUES} in one axis")));
        }
        let base = match range.get("times") {
            None => None,
            Some(Value::String(text)) => Some(self.expression(&format!("{field}.times"), text)?),
            Some(other) => {
                return Err(self.wrong(&format!("{field}.times"), other, "an axis or an expression"));
            }
        };
        if base.is_some() && !Axis::BLOCK.contains(&axis) {
            return Err(self.document.error_at(field, format!("`{}` may not depend on axes", axis.name())));
        }
        let round = if range.contains_key("round") { Some(number("round")?) } else { None };
        for index in 0..=count as usize {
            let value = from + step * index as f64;
            match &base {
                Some(base) => {
                    // Ratios are rounded to a millionth, so that 2.0000000004 never appears.
                    let ratio = Expression::Number((value * 1e6).round() / 1e6);
                    let product = Expression::times(ratio, base.clone());
                    into.push(Choice::Expression(match round {
                        Some(unit) => Expression::Round(Box::new(product), unit),
                        None => product,
                    }));
                }
                None => {
                    let value = Value::from((value * 1e6).round() / 1e6);
                    into.push(Choice::Number(self.whole(field, &value)?));
                }
            }
        }
        Ok(())
    }

    fn whole(&self, field: &str, value: &Value) -> Result<u64, DocumentError> {
        let number = value.as_f64().unwrap_or(f64::NAN);
        if number.fract() == 0.0 && number >= 1.0 && number <= (1_u64 << 53) as f64 {
            return Ok(number as u64);
        }
        Err(self.wrong(field, value, "a whole number, 1 or more"))
    }

    fn expression(&self, field: &str, text: &str) -> Result<Expression, DocumentError> {
        Expression::parse(text).map_err(|fault| match fault {
            Fault::Name(name) => {
                let known: Vec<&str> = Axis::ALL.iter().map(|axis| axis.name()).collect();
                self.unknown(field, "unknown name in an expression", &name, &known)
            }
            Fault::Syntax { found, expected } => {
                let error =
                    self.document.error_at(field, format!("`{text}` is no expression")).code("syntax");
                error.found(format!("`{found}`")).allowed(expected)
            }
        })
    }

    /// Plain numbers of one axis must differ: a value that stands twice would count every point twice.
    fn distinct(&self, axis: Axis, numbers: &Numbers) -> Result<(), DocumentError> {
        let mut seen = BTreeSet::new();
        for option in numbers {
            if let Choice::Number(value) = option
                && !seen.insert(*value)
            {
                let field = format!("axes.{}", axis.name());
                return Err(self.document.error_at(&field, "the value stands twice").found(value));
            }
        }
        Ok(())
    }

    /// The axes that each layer chooses for itself, in one order.
    fn per_layer(&self, names: &[String]) -> Result<Vec<LayerAxis>, DocumentError> {
        let known = LayerAxis::ALL.map(LayerAxis::name);
        let mut found = BTreeSet::new();
        for (index, name) in names.iter().enumerate() {
            let field = format!("per_layer[{index}]");
            let Some(axis) = LayerAxis::ALL.into_iter().find(|axis| axis.name() == name) else {
                let message = if AXIS_NAMES.contains(&name.as_str()) {
                    "all layers of a model share this axis"
                } else {
                    "unknown axis"
                };
                return Err(self.unknown(&field, message, name, &known));
            };
            if !found.insert(axis) {
                return Err(self
                    .document
                    .error_at(&field, "the axis stands twice")
                    .found(format!("`{name}`")));
            }
        }
        Ok(found.into_iter().collect())
    }

    /// What layers of their own cannot be combined with.
    fn check_layers(&self, space: &Space) -> Result<(), DocumentError> {
        if let Some(passes) = space.passes().into_iter().find(|passes| *passes > 1) {
            let own = self.document.has("axes.loops");
            let field = if own { "axes.loops" } else { "assume.loops.loops" };
            let error = self.document.error_at(field, "layers of their own choice run once");
            return Err(error
                .found(format!("{passes} passes beside `per_layer`"))
                .allowed("`none`, or no `per_layer`"));
        }
        if let Some(layers) = space.depths().into_iter().find(|layers| *layers > MOST_LAYERS) {
            let error = self.document.error_at("axes.layers", "too many layers of their own choice");
            return Err(error.found(layers).allowed(format!("at most {MOST_LAYERS} beside `per_layer`")));
        }
        let own: Vec<&str> = space.per_layer.iter().map(|axis| axis.name()).collect();
        for axis in Axis::BLOCK.into_iter().filter(|axis| !own.contains(&axis.name())) {
            for option in &space.numbers[axis as usize] {
                let mut named = None;
                if let Choice::Expression(expression) = option {
                    expression.each_axis(&mut |other| {
                        named = named.or(own.contains(&other.name()).then_some(other));
                    });
                }
                if let Some(other) = named {
                    let error = self.document.error_at(
                        &format!("axes.{}", axis.name()),
                        "what all layers share cannot depend on what each chooses for itself",
                    );
                    let hint = format!("put `{}` into `per_layer`, too", axis.name());
                    return Err(error.found(format!("an expression of `{}`", other.name())).hint(hint));
                }
            }
        }
        let patterned = space.windows.iter().flatten().any(|window| window.full_every.is_some());
        if space.per_layer.contains(&LayerAxis::Window) && patterned {
            let error = self.document.error_at("axes.window", "a layer's own window has no `full_every`");
            let hint = "take `window` out of `per_layer` for windows in a fixed order";
            return Err(error.allowed("`none` and numbers of tokens beside `per_layer`").hint(hint));
        }
        if space.is_portable() {
            let error = self.document.error_at("portable", "no loader holds layers that differ");
            let names: Vec<&str> = space.portable().iter().map(|loader| loader.name()).collect();
            let found = if space.says_portable() {
                format!("`{}` beside `per_layer`", names.join(", "))
            } else {
                format!("`per_layer`, and nothing that leaves out {}", names.join(" and "))
            };
            return Err(error.found(found).allowed("`portable: []`, or no `per_layer`"));
        }
        Ok(())
    }

    /// The axes of a block such that each stands after those it names.
    fn order(&self, numbers: &[Numbers; Axis::COUNT]) -> Result<[Axis; 5], DocumentError> {
        let mut order = Vec::with_capacity(Axis::BLOCK.len());
        while order.len() < Axis::BLOCK.len() {
            let free = |axis: &Axis| {
                let mut waits = false;
                for option in &numbers[*axis as usize] {
                    if let Choice::Expression(expression) = option {
                        expression.each_axis(&mut |named| waits |= !order.contains(&named));
                    }
                }
                !order.contains(axis) && !waits
            };
            match Axis::BLOCK.into_iter().find(free) {
                Some(axis) => order.push(axis),
                None => {
                    let left: Vec<&str> = Axis::BLOCK
                        .iter()
                        .filter(|axis| !order.contains(axis))
                        .map(|axis| axis.name())
                        .collect();
                    let error = self.document.error_at(
                        &format!("axes.{}", left[0]),
                        "axes depend on each other in a circle, or on `layers` or `vocabulary_size`",
                    );
                    return Err(error
                        .code("cyclic-axes")
                        .found(left.join(", "))
                        .allowed("at least one of them without the others"));
                }
            }
        }
        Ok(order.try_into().expect("all five axes of a block were placed"))
    }

    fn window(&self, field: &str, value: &Value) -> Result<Option<Window>, DocumentError> {
        const ALLOWED: &str = "`none`, a number of tokens or `{size, full_every}`";
        match value {
            Value::Null => Ok(None),
            Value::String(text) if text == "none" => Ok(None),
            Value::Number(_) => Ok(Some(Window { size: self.whole(field, value)?, full_every: None })),
            Value::Object(parts) => {
                for key in parts.keys() {
                    if key != "size" && key != "full_every" {
                        let field = format!("{field}.{key}");
                        return Err(self.unknown(
                            &field,
                            "unknown field of a window",
                            key,
                            &["size", "full_every"],
                        ));
                    }
                }
                let size = parts
                    .get("size")
                    .ok_or_else(|| self.document.error_at(field, "missing field `size` of a window"))?;
                let size = self.whole(&format!("{field}.size"), size)?;
                let full_every = match parts.get("full_every") {
                    None => None,
                    Some(every) => Some(self.whole(&format!("{field}.full_every"), every)?),
                };
                Ok(Some(Window { size, full_every }))
            }
            other => Err(self.wrong(field, other, ALLOWED)),
        }
    }

    fn mixture(&self, field: &str, value: &Value) -> Result<Option<Mixture>, DocumentError> {
        const KEYS: [&str; 2] = ["count", "top_k"];
        let parts = match value {
            Value::Null => return Ok(None),
            Value::String(text) if text == "none" => return Ok(None),
            Value::Object(parts) => parts,
            other => return Err(self.wrong(field, other, "`none` or `{count, top_k}`")),
        };
        for key in parts.keys() {
            if !KEYS.contains(&key.as_str()) {
                let field = format!("{field}.{key}");
                return Err(self.unknown(&field, "unknown field of a mixture of experts", key, &KEYS));
            }
        }
        let number = |key: &str| match parts.get(key) {
            Some(value) => self.whole(&format!("{field}.{key}"), value),
            None => Err(self
                .document
                .error_at(field, format!("missing field `{key}` of a mixture of experts"))
                .code("missing-field")),
        };
        let (count, top_k) = (number("count")?, number("top_k")?);
        if top_k > count {
            let error = self.document.error_at(&format!("{field}.top_k"), "more experts than there are");
            return Err(error.found(top_k).allowed(format!("1 to `count`, which is {count}")));
        }
        Ok(Some(Mixture { count, top_k }))
    }

    /// `{min, max}`, each a number or a text such as `50M`.
    fn bounds(&self, field: &str, bounds: &BTreeMap<String, Value>) -> Result<(u64, u64), DocumentError> {
        let mut range = (0, u64::MAX);
        for (key, value) in bounds {
            let place = format!("{field}.{key}");
            let target = match key.as_str() {
                "min" => &mut range.0,
                "max" => &mut range.1,
                other => return Err(self.unknown(&place, "unknown bound", other, &["min", "max"])),
            };
            let found = match value {
                Value::String(text) => parse_count(text).ok(),
                number => number
                    .as_f64()
                    .filter(|number| number.fract() == 0.0 && *number >= 0.0)
                    .map(|number| number as u64),
            };
            *target = found.ok_or_else(|| self.wrong(&place, value, "a count such as 50M"))?;
        }
        if range.0 > range.1 {
            let error = self.document.error_at(field, "nothing lies between the bounds").code("empty-axis");
            return Err(error.found(format!("min {} above max {}", range.0, range.1)));
        }
        Ok(range)
    }
}

fn value_is_list(one: &[Value]) -> bool {
    one[0].is_array()
}
