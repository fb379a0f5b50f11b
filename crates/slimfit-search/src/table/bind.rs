//! Which point of a space each row of a table names.

use super::read::{Naming, Row, Wanted};
use super::{BoundTable, Entry, ExtraRows, Level, MeasuredValue, QualityTable};
use crate::space::{Axis, Block};
use crate::{Evaluator, Invalid, Metric, ModelEvaluator, SearchError, Space, Values};
use slimfit_quality::Z90;
use std::collections::{BTreeMap, HashMap};

/// The points that a row names: an ambiguous one needs only two to be refused.
#[derive(Debug, Clone, Default)]
struct Named {
    first: Option<u64>,
    count: u64,
}

impl Named {
    fn add(&mut self, index: u64) {
        self.first.get_or_insert(index);
        self.count += 1;
    }
}

impl QualityTable {
    /// Finds the points of `space` that the rows name. `evaluator` must predict them: it has no table yet.
    ///
    /// Rows that name points by axes are found at once; ids cannot be read backwards, so that a table of ids looks at
    /// every point of the space.
    ///
    /// # Errors
    /// With the line of the row: when it names no valid point (unless those are ignored), several points, or one that
    /// another row named; when it measures nothing that is asked for, or a loss per token where vocabularies differ.
    pub fn bind(
        &self,
        space: &Space,
        evaluator: &ModelEvaluator<'_>,
        extra: ExtraRows,
    ) -> Result<BoundTable, SearchError> {
        if self.measured.contains(&Metric::Loss) && space.vocabulary_is_axis() {
            let sizes: Vec<String> = space.vocabularies().iter().map(u64::to_string).collect();
            return Err(SearchError::Tokenizers {
                found: Metric::Loss.name().to_owned(),
                vocabularies: sizes.join(", "),
                allowed: Metric::LossPerByte.name().to_owned(),
            });
        }
        let named = match &self.naming {
            Naming::Id => self.named_by_id(space),
            Naming::Axes(_) => self.named_by_axes(space),
        };
        let mut bound = BoundTable::default();
        let mut lines: BTreeMap<u64, u64> = BTreeMap::new();
        let mut differences = vec![0.0; self.measured.len()];
        for (row, named) in self.rows.iter().zip(named) {
            let index = match self.point(space, row, &named)? {
                Some(index) => index,
                None if extra == ExtraRows::Ignore => {
                    bound.ignored += 1;
                    continue;
                }
                None => return Err(self.extra(row, "the row names no point of the space").into()),
            };
            let predicted = match predicted(space, evaluator, index) {
                Ok(values) => values,
                Err(_) if extra == ExtraRows::Ignore => {
                    bound.ignored += 1;
                    continue;
                }
                Err(invalid) => {
                    let message = format!("the row names a point that is no candidate: {}", invalid.reason());
                    return Err(self.extra(row, message).into());
                }
            };
            if let Some(earlier) = lines.insert(index, row.line) {
                let error = self.error(row, "duplicate-row", "the point stands in the table twice");
                return Err(error.found(format!("line {} and line {earlier}", row.line)).into());
            }
            for (place, metric) in self.measured.iter().enumerate() {
                differences[place] += row.values[place] - predicted[metric.column()];
            }
            bound.entries.push(Entry { index, values: self.values(row, evaluator) });
        }
        if bound.entries.is_empty() {
            let error =
                self.error(&self.rows[0], "quality-table", "no row of the table names a point of the space");
            return Err(error.found(format!("{} rows", self.rows.len())).into());
        }
        bound.entries.sort_by_key(|entry| entry.index);
        let count = bound.entries.len() as f64;
        let levels = self.measured.iter().zip(differences);
        bound.levels = levels.map(|(&metric, sum)| Level { metric, mean_difference: sum / count }).collect();
        Ok(bound)
    }

    fn extra(&self, row: &Row, message: impl Into<String>) -> slimfit_document::DocumentError {
        let error = self.error(row, "no-such-point", message);
        let error = if let Some(id) = &row.id { error.field("id").found(format!("`{id}`")) } else { error };
        error.hint("`--quality-table-extra ignore` leaves such rows out")
    }

    fn point(&self, space: &Space, row: &Row, named: &Named) -> Result<Option<u64>, SearchError> {
        if named.count <= 1 {
            return Ok(named.first);
        }
        let Naming::Axes(given) = &self.naming else { return Ok(named.first) };
        let missing: Vec<&str> =
            space.varied_axes().into_iter().filter(|axis| !given.iter().any(|known| known == axis)).collect();
        let error = self.error(row, "ambiguous-row", "the row names several points of the space");
        let allowed = if missing.is_empty() {
            "a window as `512/4`: its size, and which layers see all".to_owned()
        } else {
            format!("also columns for {}", missing.join(", "))
        };
        Err(error.found(format!("{} points", named.count)).allowed(allowed).into())
    }

    /// Measured values with the half-widths of their intervals. A loss per token is the same per byte.
    fn values(&self, row: &Row, evaluator: &ModelEvaluator<'_>) -> Vec<MeasuredValue> {
        let mut values = Vec::new();
        let per_byte = evaluator.law().per_byte(1.0);
        for ((&metric, &value), sigma) in self.measured.iter().zip(&row.values).zip(&row.sigmas) {
            let sigma = sigma.unwrap_or_else(|| evaluator.evaluation_sigma(metric));
            let half_width = Z90 * sigma;
            values.push(MeasuredValue { metric, value, half_width });
            let twin = match metric {
                Metric::Loss => Some((Metric::LossPerByte, per_byte)),
                Metric::LossPerByte => Some((Metric::Loss, 1.0 / per_byte)),
                _ => None,
            };
            if let Some((metric, factor)) = twin {
                values.push(MeasuredValue { metric, value: factor * value, half_width: factor * half_width });
            }
        }
        values
    }

    fn named_by_axes(&self, space: &Space) -> Vec<Named> {
        let mut named = vec![Named::default(); self.rows.len()];
        // Rows by the numbers they give for a block, so that a block meets only those that may name it.
        let mut by_numbers: HashMap<[Option<u64>; 5], Vec<usize>> = HashMap::new();
        for (place, row) in self.rows.iter().enumerate() {
            by_numbers
                .entry(Axis::BLOCK.map(|axis| row.axes.numbers[axis as usize]))
                .or_default()
                .push(place);
        }
        // All rows have the same columns.
        let given = Axis::BLOCK.map(|axis| self.rows[0].axes.numbers[axis as usize].is_some());
        for index in 0..space.blocks() {
            let Ok(block) = space.block(index) else { continue };
            let numbers = [block.hidden_size, block.head_size, block.heads, block.kv_heads, block.ffn];
            let key = std::array::from_fn(|place| given[place].then_some(numbers[place]));
            for &place in by_numbers.get(&key).into_iter().flatten() {
                let axes = &self.rows[place].axes;
                if axes.holds_block(&block) {
                    axes.each_inner(space, |inner| named[place].add(index * space.inner_size() + inner));
                }
            }
        }
        named
    }

    fn named_by_id(&self, space: &Space) -> Vec<Named> {
        let mut wanted: HashMap<&str, Vec<usize>> = HashMap::new();
        for (place, row) in self.rows.iter().enumerate() {
            wanted.entry(row.id.as_deref().unwrap_or_default()).or_default().push(place);
        }
        let (blocks, inner_size) = (space.blocks(), space.inner_size());
        let workers = std::thread::available_parallelism().map_or(1, usize::from) as u64;
        let wanted = &wanted;
        let parts: Vec<Vec<(usize, u64)>> = std::thread::scope(|scope| {
            let workers: Vec<_> = (0..workers)
                .map(|worker| {
                    scope.spawn(move || {
                        let mut found = Vec::new();
                        for block in (worker..blocks).step_by(workers as usize) {
                            if space.block(block).is_err() {
                                continue;
                            }
                            for index in block * inner_size..(block + 1) * inner_size {
                                let Ok(point) = space.point(index) else { continue };
                                let id = point.architecture.id(point.weights, point.kv);
                                let places = wanted.get(id.as_str()).into_iter().flatten();
                                found.extend(places.map(|&place| (place, index)));
                            }
                        }
                        found
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut named = vec![Named::default(); self.rows.len()];
        for (place, index) in parts.into_iter().flatten() {
            named[place].add(index);
        }
        named
    }
}

/// What would be predicted for a point.
fn predicted(space: &Space, evaluator: &ModelEvaluator<'_>, index: u64) -> Result<Values, Invalid> {
    let block = space.block(index / space.inner_size())?;
    let mut prepared = evaluator.prepare(space, &block)?;
    let mut values = Metric::UNKNOWN;
    evaluator.evaluate(&mut prepared, space.inner(index % space.inner_size()), &mut values)?;
    Ok(values)
}

impl Wanted {
    /// Whether a block has the given values, its numbers aside.
    fn holds_block(&self, block: &Block) -> bool {
        let (experts, top_k) = block.experts.map_or((1, 1), |experts| (experts.count, experts.top_k));
        self.gated.is_none_or(|gated| gated == block.gated)
            && self.experts.is_none_or(|wanted| wanted == experts)
            && self.top_k.is_none_or(|wanted| wanted == top_k)
            && self.window.is_none_or(|window| window.holds(block.window))
    }

    /// Calls `visit` with every choice within a block that has the given values.
    fn each_inner(&self, space: &Space, mut visit: impl FnMut(u64)) {
        let (layers, passes, vocabularies) = (space.depths(), space.passes(), space.vocabularies());
        let (wanted_layers, wanted_vocabulary) =
            (self.numbers[Axis::Layers as usize], self.numbers[Axis::VocabularySize as usize]);
        let wanted_passes = self.numbers[Axis::Loops as usize];
        for index in 0..space.inner_size() {
            let inner = space.inner(index);
            let holds = self.weights.is_none_or(|format| format == space.weights()[inner.weights])
                && self.kv.is_none_or(|format| format == space.kv()[inner.kv])
                && self.tied.is_none_or(|tied| tied == space.tyings()[inner.tied])
                && wanted_layers.is_none_or(|wanted| wanted == layers[inner.layers])
                && wanted_passes.is_none_or(|wanted| wanted == passes[inner.loops])
                && wanted_vocabulary.is_none_or(|wanted| wanted == vocabularies[inner.vocabulary]);
            if holds {
                visit(index);
            }
        }
    }
}
