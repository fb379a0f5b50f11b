//! What is asked: kinds of layers, where they may stand, and which sums are wanted.

use crate::SearchError;

/// Which way a quantity is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Less is better.
    Least,
    /// More is better.
    Most,
}

/// Positions that are interchangeable: exchanging the layers of two of them changes no sum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Positions {
    /// How many there are.
    pub count: usize,
    /// Kinds that may stand there, by their place in [`Problem::kinds`].
    pub kinds: Vec<usize>,
}

/// How many layers of a set of kinds a model may have, over all its positions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CountBound {
    /// The set, by place in [`Problem::kinds`].
    pub kinds: Vec<usize>,
    /// At least so many layers.
    pub least: usize,
    /// At most so many layers.
    pub most: usize,
}

/// What the sum of one quantity may be, what every model has once included.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limit {
    /// The quantity, by its place in [`Problem::directions`].
    pub quantity: usize,
    /// At least so much.
    pub least: Option<f64>,
    /// At most so much.
    pub most: Option<f64>,
}

/// Models whose quantities are sums over their layers, where each layer is one of several kinds.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Problem {
    /// Which way each quantity is better: one to twelve of them.
    pub directions: Vec<Direction>,
    /// What one layer of each kind has of each quantity, at least 0.
    pub kinds: Vec<Vec<f64>>,
    /// What every model has once of each quantity, at least 0.
    pub fixed: Vec<f64>,
    /// Groups of interchangeable positions, 255 in all at most.
    pub positions: Vec<Positions>,
    /// Bounds of counts.
    pub count_bounds: Vec<CountBound>,
    /// Bounds of sums.
    pub limits: Vec<Limit>,
}

/// Quantities inside, with those that are there twice because a limit goes against their direction.
pub(crate) const DIMENSIONS: usize = 12;

/// One quantity as whole numbers of which less is better.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Dimension {
    pub(crate) quantity: usize,
    /// 1, or -1 where more is better.
    pub(crate) sign: f64,
    /// A power of two; values are whole multiples of it.
    pub(crate) unit: f64,
    /// The most of the signed sum of all layers, without what every model has once.
    pub(crate) limit: Option<f64>,
}

/// A problem in whole numbers (Lemma 1): sums are exact, in whatever order they are made.
#[derive(Debug, Clone)]
pub(crate) struct Scaled {
    pub(crate) dimensions: Vec<Dimension>,
    /// Signed values of each kind.
    pub(crate) kinds: Vec<Vec<f64>>,
    /// Signed values of what every model has once.
    pub(crate) fixed: Vec<f64>,
    /// All positions.
    pub(crate) layers: usize,
}

fn refused(name: &str, found: impl ToString, allowed: &str) -> SearchError {
    SearchError::Option { name: name.to_owned(), found: found.to_string(), allowed: allowed.to_owned() }
}

impl Problem {
    /// Checks it.
    ///
    /// # Errors
    /// The first thing that makes no sense, with what is allowed.
    pub fn check(&self) -> Result<(), SearchError> {
        let quantities = self.directions.len();
        if !(1..=DIMENSIONS).contains(&quantities) {
            return Err(refused("quantities", quantities, "1 to 12"));
        }
        let rows = self.kinds.iter().map(|values| ("kinds", values));
        for (name, values) in rows.chain([("fixed", &self.fixed)]) {
            if values.len() != quantities {
                return Err(refused(name, values.len(), &format!("{quantities} quantities each")));
            }
            if let Some(value) = values.iter().find(|value| !value.is_finite() || **value < 0.0) {
                return Err(refused(name, value, "finite numbers, at least 0"));
            }
        }
        let sets = self.positions.iter().map(|group| ("positions", &group.kinds));
        for (name, set) in sets.chain(self.count_bounds.iter().map(|bound| ("count_bounds", &bound.kinds))) {
            if let Some(kind) = set.iter().find(|kind| **kind >= self.kinds.len()) {
                return Err(refused(name, kind, &format!("kinds below {}", self.kinds.len())));
            }
            let mut sorted = set.clone();
            sorted.sort_unstable();
            if let Some(pair) = sorted.windows(2).find(|pair| pair[0] == pair[1]) {
                return Err(refused(name, format!("kind {} twice", pair[0]), "each kind once"));
            }
        }
        let layers: usize = self.positions.iter().map(|group| group.count).sum();
        if !(1..=255).contains(&layers) {
            return Err(refused("positions", layers, "1 to 255 in all"));
        }
        if let Some(limit) = self.limits.iter().find(|limit| limit.quantity >= quantities) {
            return Err(refused("limits", limit.quantity, &format!("quantities below {quantities}")));
        }
        let bounds = self.limits.iter().flat_map(|limit| [limit.least, limit.most]).flatten();
        if bounds.into_iter().any(f64::is_nan) {
            return Err(refused("limits", f64::NAN, "numbers"));
        }
        Ok(())
    }
}

impl Scaled {
    pub(crate) fn new(problem: &Problem) -> Result<Self, SearchError> {
        problem.check()?;
        let layers: usize = problem.positions.iter().map(|group| group.count).sum();
        let mut dimensions = Vec::new();
        for (quantity, direction) in problem.directions.iter().enumerate() {
            let values = problem.kinds.iter().map(|values| values[quantity]);
            let unit = unit(values.chain([problem.fixed[quantity]]), layers);
            let fixed = (problem.fixed[quantity] / unit).round();
            let limits = problem.limits.iter().filter(|limit| limit.quantity == quantity);
            let (mut least, mut most) = (None, None);
            for limit in limits {
                let low = limit.least.map(|value| (value / unit).ceil() - fixed);
                let high = limit.most.map(|value| (value / unit).floor() - fixed);
                least = [least, low].into_iter().flatten().reduce(f64::max);
                most = [most, high].into_iter().flatten().reduce(f64::min);
            }
            let minus_least = least.map(|value| -value);
            let (sign, along, against) = match direction {
                Direction::Least => (1.0, most, minus_least),
                Direction::Most => (-1.0, minus_least, most),
            };
            dimensions.push(Dimension { quantity, sign, unit, limit: along });
            if against.is_some() {
                dimensions.push(Dimension { quantity, sign: -sign, unit, limit: against });
            }
        }
        if dimensions.len() > DIMENSIONS {
            let allowed = "12 quantities, counting twice those with a limit against their direction";
            return Err(refused("limits", dimensions.len(), allowed));
        }
        let scale = |values: &Vec<f64>| -> Vec<f64> {
            // One zero, not two.
            let scaled = |axis: &Dimension| axis.sign * (values[axis.quantity] / axis.unit).round() + 0.0;
            dimensions.iter().map(scaled).collect()
        };
        let kinds = problem.kinds.iter().map(scale).collect();
        let fixed = scale(&problem.fixed);
        Ok(Self { dimensions, kinds, fixed, layers })
    }

    /// Whether a dimension is a quantity in its own direction, not one that a limit adds.
    pub(crate) fn is_asked(&self, place: usize) -> bool {
        place == 0 || self.dimensions[place].quantity != self.dimensions[place - 1].quantity
    }

    /// The quantities of a model from the signed sums of its layers in the dimensions asked for.
    pub(crate) fn sums(&self, layers: &[f64]) -> Vec<f64> {
        let asked = (0..self.dimensions.len()).filter(|&place| self.is_asked(place));
        let sum = |(place, layers): (usize, &f64)| {
            let axis = &self.dimensions[place];
            axis.sign * (layers + self.fixed[place]) * axis.unit + 0.0
        };
        asked.zip(layers).map(sum).collect()
    }

    /// Most that the sums of a label may be which lacks `missing` layers: what is above breaks a limit however it goes on.
    pub(crate) fn ceilings(&self, missing: usize) -> Vec<f64> {
        let least = |place: usize| self.kinds.iter().map(|kind| kind[place]).fold(f64::INFINITY, f64::min);
        let ceiling = |(place, axis): (usize, &Dimension)| match axis.limit {
            Some(limit) if missing == 0 => limit,
            Some(limit) => limit - missing as f64 * least(place),
            None => f64::INFINITY,
        };
        self.dimensions.iter().enumerate().map(ceiling).collect()
    }
}

/// The unit of a quantity: 1 where all its values are whole and their sums exact in an `f64`, else the power of two that
/// leaves 50 bits to the largest sum.
fn unit(values: impl Iterator<Item = f64> + Clone, layers: usize) -> f64 {
    let most = values.clone().fold(0.0, f64::max) * (layers + 1) as f64;
    let exact = 2.0_f64.powi(52);
    if most == 0.0 || (most < exact && values.clone().all(|value| value.fract() == 0.0)) {
        return 1.0;
    }
    2.0_f64.powi(most.log2().ceil() as i32 - 50)
}
