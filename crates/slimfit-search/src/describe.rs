//! From numbers to records: the front as files, tables and reports show it.

use crate::archive::Found;
use crate::exact::{PointTimes, times};
use crate::layered::{LayeredOutcome, Model};
use crate::table::{Entry, MeasuredValue};
use crate::{
    Appraiser, Metric, ModelEvaluator, ModelFormats, Outcome, Point, SearchError, SearchOptions, Space,
    Values, picks, ties,
};
use slimfit_arch::Architecture;
use slimfit_cost::Prediction;
use slimfit_plan::WeightFormats;
use slimfit_quality::{QualityError, QualityEstimate, TrainingCost};
use slimfit_quantity::{Figure, NumberFormat, Predicted, Source, Warning};
use slimfit_study::{
    BoundCount, BrokenLimit, Candidates, CloudPoint, Constraint, DevicePoint, Front, FrontPoint, Interval,
    Natural, NearestMiss, ParameterCounts, ProfileRef, PublishedScore, ReasonCount, RecipeRef,
    ReferenceModel, SearchHead,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::Duration;

pub use slimfit_study::FRONT_SCHEMA;

/// A model that exists, to be priced beside the points of a front.
#[derive(Debug, Clone)]
pub struct Candidate<'a> {
    /// Its name.
    pub name: &'a str,
    /// What it is.
    pub architecture: &'a Architecture,
    /// Tokens it was trained on, where published.
    pub training_tokens: Option<f64>,
    /// Published scores.
    pub scores: Vec<PublishedScore>,
}

/// Everything that can be said about one model on the devices of a search.
#[derive(Debug)]
pub(crate) struct Description {
    /// On each device.
    pub(crate) predictions: Vec<Prediction>,
    pub(crate) estimate: Option<QualityEstimate>,
    /// Why there is no estimate, where one was asked for.
    pub(crate) refusal: Option<QualityError>,
    pub(crate) bytes_per_token: Predicted,
    pub(crate) training: Option<TrainingCost>,
    pub(crate) file_bytes: u64,
}

/// Where every point of a space went.
struct Census {
    space_size: Natural,
    invalid: Natural,
    invalid_by: Vec<ReasonCount>,
    evaluated: Natural,
    pruned: Vec<BoundCount>,
    unvisited: Natural,
    /// Models that a search took for valid by their sums.
    refused_answers: Vec<ReasonCount>,
    epsilon: Option<f64>,
    duration: Duration,
}

/// A point of a front before it is described.
struct Modelled<'m> {
    architecture: Architecture,
    weights: NumberFormat,
    kv: NumberFormat,
    values: &'m Values,
    /// On each device.
    times: Vec<PointTimes>,
    measured: Option<&'m Entry>,
}

impl ModelEvaluator<'_> {
    /// The front as it is recorded, and the cloud under it. `profile` names the first device.
    ///
    /// # Errors
    /// When a point of the front can be searched but not predicted: a fault of this program.
    pub fn front(
        &self,
        space: &Space,
        outcome: &Outcome,
        options: &SearchOptions<'_>,
        profile: ProfileRef,
    ) -> Result<(Front, Vec<CloudPoint>), SearchError> {
        let points = self.points(space, &outcome.front, &options.objectives)?;
        let columns: Vec<usize> = options.objectives.iter().map(|metric| metric.column()).collect();
        let cloud = outcome.sample.iter().map(|found| cloud_point(&found.values, &columns)).collect();
        let nearest_miss = outcome.nearest_miss.map(|found| {
            let Point { architecture, weights, kv, .. } = searched(space, &found)?;
            Ok::<_, SearchError>(nearest_miss((&architecture, weights, kv), &found.values, options))
        });
        let census = Census {
            space_size: outcome.space_size.into(),
            invalid: outcome.invalid.into(),
            invalid_by: outcome.invalid_by.clone(),
            evaluated: outcome.evaluated.into(),
            pruned: outcome.pruned.clone(),
            unvisited: outcome.unvisited.into(),
            refused_answers: Vec::new(),
            epsilon: outcome.epsilon,
            duration: outcome.duration,
        };
        Ok((self.recorded(space, points, census, nearest_miss.transpose()?, options, profile), cloud))
    }

    /// The same of models whose layers may differ.
    ///
    /// # Errors
    /// When a model of the front can be searched but not predicted: a fault of this program.
    pub fn front_of_layers(
        &self,
        space: &Space,
        outcome: LayeredOutcome,
        options: &SearchOptions<'_>,
        profile: ProfileRef,
    ) -> Result<(Front, Vec<CloudPoint>), SearchError> {
        let columns: Vec<usize> = options.objectives.iter().map(|metric| metric.column()).collect();
        let cloud = outcome.sample.iter().map(|values| cloud_point(values, &columns)).collect();
        let miss = outcome.nearest_miss.as_ref();
        let nearest_miss = miss.map(|model| {
            nearest_miss((&model.architecture, model.weights, model.kv), &model.values, options)
        });
        let describe = |model: Model| {
            let point = Modelled {
                architecture: model.architecture,
                weights: model.weights,
                kv: model.kv,
                values: &model.values,
                times: vec![model.times],
                measured: None,
            };
            self.described_point(point, &options.objectives)
        };
        let points = outcome.front.into_iter().map(describe).collect::<Result<_, _>>()?;
        let census = Census {
            space_size: outcome.space_size,
            invalid: outcome.invalid,
            invalid_by: outcome.invalid_by,
            evaluated: outcome.evaluated,
            pruned: outcome.pruned,
            unvisited: outcome.unvisited,
            refused_answers: outcome.refused_answers,
            epsilon: outcome.epsilon,
            duration: outcome.duration,
        };
        Ok((self.recorded(space, points, census, nearest_miss, options, profile), cloud))
    }

    /// The record of a front.
    fn recorded(
        &self,
        space: &Space,
        mut points: Vec<FrontPoint>,
        census: Census,
        nearest_miss: Option<NearestMiss>,
        options: &SearchOptions<'_>,
        profile: ProfileRef,
    ) -> Front {
        ties::group(&mut points, &options.objectives);
        picks::pick(&mut points, &options.objectives, !options.limits.is_empty());
        let mut warnings = self.anchor_warnings();
        let exact = census.epsilon == Some(0.0);
        for ReasonCount { reason, count } in &census.refused_answers {
            let message = format!(
                "{count} models that the search found by their sums turned out to be refused ({reason}): nothing is proven about the models that they stood for, {} of {} points are unvisited; please report it with the space, the profile and the command",
                census.unvisited, census.space_size
            );
            warnings.push(Warning::new("refused-answers", message));
        }
        if !census.unvisited.is_zero() && census.refused_answers.is_empty() {
            let message = format!(
                "the search was stopped with {} of {} points unvisited: the front holds only what was seen, and `epsilon` is null, because nothing is proven about the rest; give it more time",
                census.unvisited, census.space_size
            );
            warnings.push(Warning::new("search-stopped", message));
        }
        if let Some(epsilon) = census.epsilon.filter(|epsilon| *epsilon > 0.0) {
            let message = format!(
                "the front is proven to within {}: no model of the space is better than one of these by more than that in every objective (the loss counted above what no size and no data remove)",
                percent(epsilon)
            );
            warnings.push(Warning::new("search-within-epsilon", message));
        }
        if points.is_empty() {
            let message = if nearest_miss.is_none() {
                "no point of the space is valid: `invalid_by` says why".to_owned()
            } else {
                "no point keeps all limits: `nearest_miss` comes nearest".to_owned()
            };
            warnings.push(Warning::new("empty-front", message));
        }
        let peak_memory_bytes = peak_memory_bytes();
        if peak_memory_bytes.is_none() {
            let message =
                "this system does not tell the peak memory of a process: `peak_memory_bytes` is null";
            warnings.push(Warning::new("peak-memory-unknown", message));
        }
        let head = SearchHead {
            space: space.named_hash(),
            profile,
            profiles: Vec::new(),
            engine: self.cost().engine().to_owned(),
            workload: self.workload.name.clone(),
            recipe: RecipeRef { name: self.quality.recipe().name.clone(), tokens: self.tokens },
            objectives: options.objectives.iter().map(|metric| metric.objective()).collect(),
            assume: Vec::new(),
            portable: Some(space.portable().iter().map(|loader| loader.name().to_owned()).collect()),
            existing: Candidates::default(),
            constraints: options
                .limits
                .iter()
                .map(|(metric, limit)| Constraint { name: metric.name().to_owned(), limit: *limit })
                .collect(),
            quality: Some(self.quality_notes()),
            quality_table: None,
            anchors: self.anchor_refs(),
            training: self.training_ref(options),
            measured_search: None,
            space_size: census.space_size,
            invalid: census.invalid,
            invalid_by: census.invalid_by,
            evaluated: census.evaluated,
            pruned: census.pruned,
            unvisited: census.unvisited,
            exact,
            // Nothing is proven about points that were not visited.
            epsilon: census.epsilon,
            seconds: census.duration.as_secs_f64(),
            peak_memory_bytes,
            front_size: points.len() as u64,
            tie_groups: Some(points.iter().map(|point| point.tie_group).max().unwrap_or_default()),
            nearest_miss,
            study: None,
            warnings,
        };
        Front { schema: FRONT_SCHEMA.to_owned(), head, points }
    }

    /// Describes points on all cores: planning each of tens of thousands takes a while.
    fn points(
        &self,
        space: &Space,
        found: &[Found],
        objectives: &[Metric],
    ) -> Result<Vec<FrontPoint>, SearchError> {
        let times: Vec<Vec<PointTimes>> = (0..self.devices.len())
            .map(|device| times(space, &self.only(device), found))
            .collect::<Result<_, _>>()?;
        let workers = std::thread::available_parallelism().map_or(1, usize::from);
        let share = found.len().div_ceil(workers).max(64);
        let parts: Vec<Result<Vec<FrontPoint>, SearchError>> = std::thread::scope(|scope| {
            let workers: Vec<_> = found
                .chunks(share)
                .enumerate()
                .map(|(part, points)| {
                    let times = &times;
                    scope.spawn(move || {
                        let each = points.iter().enumerate().map(|(place, found)| {
                            let times = times.iter().map(|times| times[part * share + place]).collect();
                            self.point(space, found, times, objectives)
                        });
                        each.collect()
                    })
                })
                .collect();
            workers
                .into_iter()
                .map(|worker| worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
                .collect()
        });
        let mut points = Vec::with_capacity(found.len());
        for part in parts {
            points.extend(part?);
        }
        Ok(points)
    }

    fn point(
        &self,
        space: &Space,
        found: &Found,
        times: Vec<PointTimes>,
        objectives: &[Metric],
    ) -> Result<FrontPoint, SearchError> {
        let Point { architecture, weights, kv, .. } = searched(space, found)?;
        let measured = self.table.of_point(found.index);
        let values = &found.values;
        self.described_point(Modelled { architecture, weights, kv, values, times, measured }, objectives)
    }

    fn described_point(
        &self,
        Modelled { architecture, weights, kv, values, times, measured }: Modelled<'_>,
        objectives: &[Metric],
    ) -> Result<FrontPoint, SearchError> {
        let run = self.workload.run_shape(&self.law, architecture.vocabulary_size);
        let on = self.devices.iter().zip(&times);
        let predictions = on
            .map(|(device, times)| device.cost.predict_time(times.usual, times.elsewhere, run))
            .collect::<Result<_, _>>()?;
        let formats =
            ModelFormats { weights, others: &WeightFormats::default(), judged: None, kv, file_bytes: None };
        let description =
            self.appraiser().described(&architecture, formats, Some(self.tokens), predictions)?;
        let parameters = architecture.parameters();
        let measured = |metric: Metric| measured.and_then(|entry| entry.of(metric));
        let flags =
            description.estimate.as_ref().map(|estimate| estimate.flags.names().map(str::to_owned).collect());
        Ok(FrontPoint {
            id: architecture.id(weights, kv),
            weights,
            kv,
            parameters: ParameterCounts {
                total: parameters.total,
                non_embedding: parameters.non_embedding,
                embedding: parameters.embedding,
                active: parameters.active,
            },
            threads: description.threads(),
            by_device: self.by_device(&times, architecture.vocabulary_size, objectives),
            objectives: objectives
                .iter()
                .map(|metric| (metric.name().to_owned(), values[metric.column()]))
                .collect(),
            intervals: objectives
                .iter()
                .filter_map(|metric| {
                    let interval = match measured(*metric) {
                        Some(MeasuredValue { value, half_width, .. }) => {
                            Interval { low: value - half_width, high: value + half_width }
                        }
                        None => {
                            let predicted = description.metric(*metric, parameters.total)?;
                            Interval { low: predicted.low, high: predicted.high }
                        }
                    };
                    Some((metric.name().to_owned(), interval))
                })
                .collect(),
            relative_noise: objectives
                .iter()
                .filter(|metric| measured(**metric).is_none())
                .filter_map(|metric| Some((metric.name().to_owned(), description.relative_noise(*metric)?)))
                .collect(),
            sources: objectives
                .iter()
                .filter(|metric| measured(**metric).is_some())
                .map(|metric| (metric.name().to_owned(), Source::Measured))
                .collect(),
            architecture,
            tie_group: 0,
            representative: true,
            picks: Vec::new(),
            flags: flags.unwrap_or_default(),
        })
    }

    /// What a point takes on each device, where there are several.
    fn by_device(&self, times: &[PointTimes], vocabulary: u64, objectives: &[Metric]) -> Vec<DevicePoint> {
        if self.devices.len() == 1 {
            return Vec::new();
        }
        let bytes_per_token = self.law.bytes_per_token(vocabulary);
        let asked =
            || objectives.iter().map(|metric| metric.quantity()).filter(|metric| metric.is_of_device());
        let each = self.devices.iter().zip(times).map(|(device, times)| {
            let mut values = Metric::UNKNOWN;
            device.write(&times.usual, bytes_per_token, &mut values);
            let value = |metric: Metric| (metric.name().to_owned(), values[metric.column()]);
            DevicePoint { threads: times.usual.threads, objectives: asked().map(value).collect() }
        });
        each.collect()
    }

    /// Prices a model that exists. Its loss is what it would have after the training of the search: only so does its
    /// architecture compare with the points of the front. What cannot be predicted is left out.
    ///
    /// # Errors
    /// When the model cannot be planned or priced on this device.
    pub fn reference_model(
        &self,
        candidate: &Candidate<'_>,
        weights: NumberFormat,
        kv: NumberFormat,
    ) -> Result<ReferenceModel, SearchError> {
        let description = self.description(candidate.architecture, weights, kv)?;
        let parameters = candidate.architecture.parameters().total;
        let mut objectives = BTreeMap::new();
        let scores = Metric::scores(self.quality.recipe());
        for metric in Metric::FIXED.into_iter().chain(scores).chain(self.on_devices()) {
            if let Some(predicted) = description.metric(metric, parameters) {
                objectives.insert(metric.name().to_owned(), predicted.value);
            }
        }
        Ok(ReferenceModel {
            name: candidate.name.to_owned(),
            parameters,
            weights: weights.name().to_owned(),
            threads: description.threads(),
            objectives,
            training_tokens: candidate.training_tokens,
            scores: candidate.scores.clone(),
        })
    }

    fn description(
        &self,
        architecture: &Architecture,
        weights: NumberFormat,
        kv: NumberFormat,
    ) -> Result<Description, SearchError> {
        let formats =
            ModelFormats { weights, others: &WeightFormats::default(), judged: None, kv, file_bytes: None };
        self.appraiser().description(architecture, formats, Some(self.tokens))
    }

    /// What appraises models that are no points of the space.
    pub fn appraiser(&self) -> Appraiser<'_> {
        Appraiser {
            costs: self.devices.iter().map(|device| device.cost).collect(),
            quality: self.quality,
            workload: self.workload,
            training: self.training,
            law: Cow::Borrowed(&self.law),
        }
    }
}

impl Description {
    /// Threads it runs best with, on the first device.
    pub(crate) fn threads(&self) -> u32 {
        self.predictions[0].threads
    }

    /// What is predicted; of what depends on the device, the worst over the devices.
    pub(crate) fn metric(&self, metric: Metric, parameters: u64) -> Option<Predicted> {
        if let Some(place) = metric.device() {
            return self.on(self.predictions.get(place)?, metric.quantity());
        }
        match metric {
            Metric::Loss => self.estimate.as_ref().map(|estimate| estimate.loss),
            Metric::LossPerByte => self.estimate.as_ref().map(|estimate| estimate.loss_per_byte),
            Metric::Parameters => Some(exactly(parameters as f64)),
            Metric::FileBytes => Some(exactly(self.file_bytes as f64)),
            Metric::TrainingFlops => self.training.map(|training| exactly(training.flops)),
            Metric::TrainingSeconds => self.training?.seconds.map(exactly),
            Metric::TrainingCost => self.training?.money.map(exactly),
            Metric::Score(task) => Some(self.estimate.as_ref()?.scores.get(task.name())?.percent),
            of_device => {
                let each: Option<Vec<Predicted>> =
                    self.predictions.iter().map(|prediction| self.on(prediction, of_device)).collect();
                each?.into_iter().reduce(worse)
            }
        }
    }

    /// What is predicted on one device.
    fn on(&self, prediction: &Prediction, quantity: Metric) -> Option<Predicted> {
        match quantity {
            Metric::TtftSeconds => prediction.ttft_seconds,
            Metric::TpotSeconds => Some(prediction.tpot_seconds),
            Metric::SecondsPerByte => {
                let (seconds, bytes) = (prediction.tpot_seconds, self.bytes_per_token);
                Some(Predicted {
                    value: seconds.value / bytes.value,
                    low: seconds.low / bytes.high,
                    high: seconds.high / bytes.low,
                })
            }
            Metric::MemoryBytes => Some(prediction.memory_bytes),
            Metric::JoulesPerToken => predicted(&prediction.joules_per_token),
            Metric::TtftP95Seconds => predicted(&prediction.ttft_percentiles.p95),
            Metric::TpotP95Seconds => predicted(&prediction.tpot_percentiles.p95),
            _ => None,
        }
    }

    /// Half of the 90 % interval against candidates of the same recipe, where it is not that of the value itself.
    pub(crate) fn relative_noise(&self, metric: Metric) -> Option<f64> {
        let Metric::Score(task) = metric else { return None };
        Some(self.estimate.as_ref()?.scores.get(task.name())?.same_recipe_points)
    }
}

/// A count, which has no noise.
fn exactly(value: f64) -> Predicted {
    Predicted { value, low: value, high: value }
}

/// The worse of a cost on two devices. Where the errors of both go together, so do the ends of their intervals.
fn worse(a: Predicted, b: Predicted) -> Predicted {
    Predicted { value: a.value.max(b.value), low: a.low.max(b.low), high: a.high.max(b.high) }
}

/// A modelled figure's value and interval.
fn predicted(figure: &Figure) -> Option<Predicted> {
    Some(Predicted { value: figure.value?, low: figure.low?, high: figure.high? })
}

fn searched(space: &Space, found: &Found) -> Result<Point, SearchError> {
    space.point(found.index).map_err(|invalid| SearchError::Option {
        name: format!("point {} of the space", found.index),
        found: invalid.reason().to_owned(),
        allowed: "a valid point".to_owned(),
    })
}

fn cloud_point(values: &Values, columns: &[usize]) -> CloudPoint {
    CloudPoint {
        parameters: values[Metric::Parameters.column()],
        objectives: columns.iter().map(|&column| values[column]).collect(),
    }
}

fn nearest_miss(
    (architecture, weights, kv): (&Architecture, NumberFormat, NumberFormat),
    values: &Values,
    options: &SearchOptions<'_>,
) -> NearestMiss {
    let breaks = options.limits.iter().filter_map(|(metric, limit)| {
        let value = values[metric.column()];
        (!metric.keeps(value, *limit)).then(|| BrokenLimit {
            name: metric.name().to_owned(),
            limit: *limit,
            value,
        })
    });
    NearestMiss { id: architecture.id(weights, kv), breaks: breaks.collect() }
}

/// The high-water mark of this process, where the system tells it.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// A share as people write it.
fn percent(share: f64) -> String {
    format!("{} %", (1e6 * share).round() / 1e4)
}
