//! What is fitted: logarithms of what holds for all, and of how classes, instructions and formats depart from it.

use super::form::Form;
use slimfit_cost::{Coefficient, EngineCoefficients};
use std::collections::BTreeMap;

/// How strongly a class or format with few devices is drawn to what holds for all.
const SHRINKAGE: f64 = 0.1;
/// The same for numbers that one would know roughly beforehand.
const PRIOR: f64 = 0.05;

/// Seconds that a front end may take for a token without surprise; its number counts in them, since a logarithm would be
/// nearly flat where they are few.
const FRONT_END_UNIT: f64 = 0.01;

/// A number that holds for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Common {
    Share,
    BytesPerCycle,
    LayerSeconds,
    MeasuredShare,
    Falloff,
    FrontEnd,
}

impl Common {
    pub const ALL: [Self; 6] = [
        Self::Share,
        Self::BytesPerCycle,
        Self::LayerSeconds,
        Self::MeasuredShare,
        Self::Falloff,
        Self::FrontEnd,
    ];

    /// Where it lies before any row was seen (all but falloff and front ends a logarithm), and how strongly it is drawn there.
    fn prior(self) -> (f64, f64) {
        match self {
            Self::Share => (0.5_f64.ln(), 0.0),
            Self::BytesPerCycle => (4_f64.ln(), 0.0),
            Self::LayerSeconds => (3e-5_f64.ln(), PRIOR),
            Self::MeasuredShare => (0.9_f64.ln(), 0.0),
            // It moves less than a logarithm.
            Self::Falloff => (0.2, 20.0 * PRIOR),
            Self::FrontEnd => (0.0, PRIOR),
        }
    }
}

/// A coordinate.
#[derive(Debug, Clone)]
pub enum Place {
    Common(Common),
    Class(String),
    Falloff(String),
    Instructions(String),
    Format(String),
}

/// A point in the space of what is fitted.
#[derive(Debug, Clone)]
pub struct Point {
    form: Form,
    common: [f64; Common::ALL.len()],
    pub classes: BTreeMap<String, f64>,
    pub falloffs: BTreeMap<String, f64>,
    pub instructions: BTreeMap<String, f64>,
    pub formats: BTreeMap<String, f64>,
}

impl Point {
    /// Where a fit starts, with no class or format seen.
    pub fn start(form: Form) -> Self {
        Self {
            form,
            common: Common::ALL.map(|common| common.prior().0),
            classes: BTreeMap::new(),
            falloffs: BTreeMap::new(),
            instructions: BTreeMap::new(),
            formats: BTreeMap::new(),
        }
    }

    /// The coordinates that its form moves.
    pub fn places(&self) -> Vec<Place> {
        let free = |common: &Common| *common != Common::FrontEnd || self.form == Form::FrontEnds;
        let common = Common::ALL.into_iter().filter(free).map(Place::Common);
        common
            .chain(self.classes.keys().cloned().map(Place::Class))
            .chain(self.falloffs.keys().cloned().map(Place::Falloff))
            .chain(self.instructions.keys().cloned().map(Place::Instructions))
            .chain(self.formats.keys().cloned().map(Place::Format))
            .collect()
    }

    fn of(&self, common: Common) -> f64 {
        self.common[common as usize]
    }

    /// The value of a coordinate.
    pub fn get(&self, place: &Place) -> f64 {
        match place {
            Place::Common(common) => self.of(*common),
            Place::Class(key) => self.classes[key],
            Place::Falloff(key) => self.falloffs[key],
            Place::Instructions(key) => self.instructions[key],
            Place::Format(key) => self.formats[key],
        }
    }

    /// Moves a coordinate, in the point and in what it makes of `coefficients`, which [`Point::write`] has filled.
    pub fn set(&mut self, place: &Place, value: f64, coefficients: &mut EngineCoefficients) {
        let (map, key) = match place {
            Place::Common(common) => {
                self.common[*common as usize] = value;
                return self.write(coefficients);
            }
            Place::Class(key) => (&mut self.classes, key),
            Place::Falloff(key) => (&mut self.falloffs, key),
            Place::Instructions(key) => (&mut self.instructions, key),
            Place::Format(key) => (&mut self.formats, key),
        };
        *map.get_mut(key).expect("a place of this point") = value;
        let written = match place {
            Place::Class(_) => &mut coefficients.bandwidth_share,
            Place::Falloff(_) => &mut coefficients.bandwidth_falloff,
            Place::Instructions(_) => &mut coefficients.bytes_per_cycle,
            Place::Format(_) | Place::Common(_) => &mut coefficients.format_factor,
        };
        written.get_mut(key).expect("`write` has filled it").value = match place {
            Place::Class(_) => self.share(value),
            Place::Falloff(_) => self.falloff(value),
            Place::Instructions(_) => self.bytes_per_cycle(value),
            Place::Format(_) | Place::Common(_) => Self::format_factor(key, value),
        };
    }

    fn share(&self, apart: f64) -> f64 {
        (self.of(Common::Share) + apart).exp()
    }

    fn falloff(&self, apart: f64) -> f64 {
        (self.of(Common::Falloff) + apart).max(0.0)
    }

    fn bytes_per_cycle(&self, apart: f64) -> f64 {
        (self.of(Common::BytesPerCycle) + apart).exp()
    }

    fn format_factor(key: &str, apart: f64) -> f64 {
        prior_format_factor(key) * apart.exp()
    }

    /// Sets the values of `coefficients`; what was not seen gets what holds for all.
    pub fn write(&self, coefficients: &mut EngineCoefficients) {
        fill(&mut coefficients.bandwidth_share, &self.classes, |_, apart| self.share(apart));
        fill(&mut coefficients.bandwidth_falloff, &self.falloffs, |_, apart| self.falloff(apart));
        fill(&mut coefficients.bytes_per_cycle, &self.instructions, |_, apart| self.bytes_per_cycle(apart));
        fill(&mut coefficients.format_factor, &self.formats, Self::format_factor);
        coefficients.layer_seconds.value = self.of(Common::LayerSeconds).exp();
        coefficients.measured_share.value = self.of(Common::MeasuredShare).exp();
        coefficients.front_end_seconds.value = match self.form {
            Form::Plain => 0.0,
            Form::FrontEnds => FRONT_END_UNIT * self.of(Common::FrontEnd).max(0.0),
        };
    }

    /// Moves the mean departure of classes, instructions and formats into what holds for all: predictions stay, departures
    /// cost less, and no single coordinate could go that way.
    pub fn centre(&mut self) {
        for (map, common) in [
            (&mut self.classes, Common::Share),
            (&mut self.instructions, Common::BytesPerCycle),
            (&mut self.formats, Common::BytesPerCycle),
        ] {
            let mean = map.values().sum::<f64>() / map.len().max(1) as f64;
            map.values_mut().for_each(|apart| *apart -= mean);
            self.common[common as usize] += mean;
        }
    }

    /// What `place` at `value` costs: departing from the common values, or from what one knows beforehand.
    pub fn cost_at(place: &Place, value: f64) -> f64 {
        let (at, weight) = match place {
            Place::Common(common) => common.prior(),
            _ => (0.0, SHRINKAGE),
        };
        weight * (value - at) * (value - at)
    }

    /// What all its coordinates cost.
    pub fn cost(&self) -> f64 {
        self.places().iter().map(|place| Self::cost_at(place, self.get(place))).sum()
    }
}

/// Bytes of a format per cycle relative to four-bit ones, before any row was seen: where a value is a whole number of
/// bytes, there is less to unpack for each byte.
fn prior_format_factor(format: &str) -> f64 {
    match format {
        "f32" => 2.5,
        "f16" | "bf16" => 2.0,
        "q8_0" => 1.5,
        _ => 1.0,
    }
}

/// Sets what was seen from its departure from the common value, and everything else to that.
fn fill(
    map: &mut BTreeMap<String, Coefficient>,
    apart: &BTreeMap<String, f64>,
    value: impl Fn(&str, f64) -> f64,
) {
    for key in apart.keys().filter(|key| !map.contains_key(*key)).cloned().collect::<Vec<_>>() {
        map.insert(key, Coefficient { value: 1.0, low: 1.0, high: 1.0, n: 0, fitted: String::new() });
    }
    for (key, entry) in map.iter_mut() {
        entry.value = value(key, apart.get(key).copied().unwrap_or(0.0));
    }
}
