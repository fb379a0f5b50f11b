//! A line of the table: a protocol's figure beside its goal and its baselines.

use super::goal::Goal;
use slimfit_quality::fit::bootstrap;
use std::collections::BTreeMap;

/// Draws of an interval.
const SAMPLES: usize = 1000;

/// The baseline that says the same of everything.
pub const CONSTANT: &str = "constant";

/// Whether a figure sees order alone.
fn is_rank(figure: &str) -> bool {
    ["Spearman", "Kendall", "discordant"].iter().any(|rank| figure.starts_with(rank))
}

/// A prediction beside what was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// What is drawn together: the shape, the size, the family.
    pub group: String,
    /// Models that compete with each other: only they are ranked against each other.
    pub class: String,
    /// By a fit that has not seen it.
    pub predicted: f64,
    /// As published.
    pub measured: f64,
    /// Half of the interval that was promised, where one was.
    pub promised: Option<f64>,
}

/// A figure of many predictions; nothing where it means nothing.
pub type Statistic = fn(&[Judged]) -> Option<f64>;

/// A figure with its goal.
#[derive(Debug, Clone)]
pub struct Row {
    /// The protocol: `Q1` …
    pub id: &'static str,
    /// What was fitted on what.
    pub what: String,
    /// What the figure is, with its unit.
    pub figure: &'static str,
    /// What it should reach.
    pub goal: Option<Goal>,
    /// The figure.
    pub value: f64,
    /// 5 and 95 % bounds: groups drawn with replacement.
    pub interval: Option<[f64; 2]>,
    /// Predictions.
    pub n: usize,
    /// The same figure for plainer predictions.
    pub baselines: Vec<(&'static str, Option<f64>)>,
    /// What a reader should know.
    pub remark: String,
}

impl Row {
    /// The `statistic` of some predictions, and of the baselines'.
    pub fn new(
        id: &'static str,
        what: impl Into<String>,
        figure: (&'static str, Statistic),
        goal: Option<Goal>,
        judged: &[Judged],
        baselines: &[(&'static str, Vec<Judged>)],
    ) -> Option<Self> {
        let (figure, statistic) = figure;
        Some(Self {
            id,
            what: what.into(),
            figure,
            goal,
            value: statistic(judged)?,
            interval: interval(judged, statistic),
            n: judged.len(),
            baselines: baselines
                .iter()
                // A mean ranks nothing; the means of the other groups even rank backwards.
                .map(|(name, judged)| {
                    (*name, statistic(judged).filter(|_| *name != CONSTANT || !is_rank(figure)))
                })
                .collect(),
            remark: String::new(),
        })
    }

    /// With something that a reader should know.
    pub fn remark(mut self, remark: impl Into<String>) -> Self {
        self.remark = remark.into();
        self
    }
}

fn interval(judged: &[Judged], statistic: Statistic) -> Option<[f64; 2]> {
    let mut groups: BTreeMap<&str, Vec<&Judged>> = BTreeMap::new();
    for row in judged {
        groups.entry(&row.group).or_default().push(row);
    }
    let groups: Vec<Vec<&Judged>> = groups.into_values().collect();
    bootstrap(groups.len(), SAMPLES, 1, |places| {
        let drawn = places.iter().flat_map(|place| groups[*place].iter().map(|row| (*row).clone()));
        statistic(&drawn.collect::<Vec<Judged>>()).map(|value| vec![value])
    })
    .map(|bounds| bounds[0])
}

/// Mean absolute error.
pub fn mean_absolute(judged: &[Judged]) -> Option<f64> {
    errors(judged).map(|errors| errors.iter().sum::<f64>() / errors.len() as f64)
}

/// 0.9 quantile of the absolute errors.
pub fn quantile_90(judged: &[Judged]) -> Option<f64> {
    errors(judged).map(|errors| slimfit_quantity::quantile(&errors, 0.9))
}

/// Spearman's rank correlation over all.
pub fn spearman(judged: &[Judged]) -> Option<f64> {
    let (predicted, measured) = columns(judged);
    slimfit_quantity::spearman(&predicted, &measured)
}

/// Kendall's τ over all.
pub fn kendall_tau(judged: &[Judged]) -> Option<f64> {
    let (predicted, measured) = columns(judged);
    slimfit_quantity::kendall_tau(&predicted, &measured)
}

/// Kendall's τ within each class, the mean over classes of two or more.
pub fn kendall_within(judged: &[Judged]) -> Option<f64> {
    let taus: Vec<f64> = classes(judged).iter().filter_map(|rows| kendall_tau(rows)).collect();
    (!taus.is_empty()).then(|| taus.iter().sum::<f64>() / taus.len() as f64)
}

/// Pairs within a class that are ordered the wrong way.
pub fn discordant_pairs(judged: &[Judged]) -> Option<f64> {
    let wrong = |rows: &Vec<Judged>| {
        let pairs = (0..rows.len()).flat_map(|i| (0..i).map(move |j| (i, j)));
        pairs
            .filter(|(i, j)| {
                let predicted = rows[*i].predicted - rows[*j].predicted;
                predicted * (rows[*i].measured - rows[*j].measured) < 0.0
            })
            .count()
    };
    (!judged.is_empty()).then(|| classes(judged).iter().map(wrong).sum::<usize>() as f64)
}

/// Share of what was measured that lies in the promised interval.
pub fn coverage(judged: &[Judged]) -> Option<f64> {
    let inside = judged.iter().filter_map(|row| Some((row.predicted - row.measured).abs() <= row.promised?));
    let inside: Vec<bool> = inside.collect();
    (!inside.is_empty()).then(|| inside.iter().filter(|hit| **hit).count() as f64 / inside.len() as f64)
}

/// Mean absolute error of e^loss, in percent of what was measured.
pub fn perplexity_error(judged: &[Judged]) -> Option<f64> {
    let shares: Vec<f64> =
        judged.iter().map(|row| 100.0 * ((row.predicted - row.measured).exp() - 1.0).abs()).collect();
    (!shares.is_empty()).then(|| shares.iter().sum::<f64>() / shares.len() as f64)
}

fn errors(judged: &[Judged]) -> Option<Vec<f64>> {
    let errors: Vec<f64> = judged.iter().map(|row| (row.predicted - row.measured).abs()).collect();
    (!errors.is_empty()).then_some(errors)
}

fn columns(judged: &[Judged]) -> (Vec<f64>, Vec<f64>) {
    judged.iter().map(|row| (row.predicted, row.measured)).unzip()
}

fn classes(judged: &[Judged]) -> Vec<Vec<Judged>> {
    let mut classes: BTreeMap<&str, Vec<Judged>> = BTreeMap::new();
    for row in judged {
        classes.entry(&row.class).or_default().push(row.clone());
    }
    classes.into_values().collect()
}
