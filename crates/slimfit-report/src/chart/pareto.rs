//! The front: time per token across, loss up, with picks, public models and the dominated cloud.

use super::axis::{Axis, Frame, Mark};
use super::canvas::Drawing;
use super::{COLOURS, DUST, INK, MUTED, TIED};
use crate::ReportInput;
use crate::section::picks;
use crate::unit::{Unit, devices, is_maximised, objective_label, quantity};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use slimfit_study::{Front, Objective};

/// What is drawn.
pub(crate) struct Pareto<'a> {
    input: &'a ReportInput,
    front: &'a Front,
    x: &'a Objective,
    y: &'a Objective,
}

impl<'a> Pareto<'a> {
    /// Nothing when the front has no point with two finite objectives.
    pub(crate) fn of(input: &'a ReportInput) -> Option<Self> {
        let front = input.front.as_ref()?;
        let objectives = &front.head.objectives;
        let named =
            |names: &[&str]| objectives.iter().find(|objective| names.contains(&quantity(&objective.name)));
        let y = named(&["loss", "loss_per_byte"])
            .or_else(|| objectives.iter().find(|objective| is_maximised(&objective.name)))
            .or_else(|| objectives.first())?;
        let x = named(&["tpot_seconds", "seconds_per_byte"])
            .or_else(|| objectives.iter().find(|objective| objective.name != y.name))?;
        let pareto = Self { input, front, x, y };
        pareto.points().next()?;
        Some(pareto)
    }

    fn points(&self) -> impl Iterator<Item = (&'a slimfit_study::FrontPoint, f64, f64)> + '_ {
        self.front.points.iter().filter_map(|point| {
            let value = |objective: &Objective| {
                point.objectives.get(&objective.name).copied().filter(|value| value.is_finite())
            };
            Some((point, value(self.x)?, value(self.y)?)).filter(|(_, x, _)| *x > 0.0)
        })
    }

    fn references(&self) -> impl Iterator<Item = (&'a str, f64, f64)> + '_ {
        self.input.references.iter().filter_map(|model| {
            let value = |objective: &Objective| {
                model.objectives.get(&objective.name).copied().filter(|value| value.is_finite())
            };
            Some((model.name.as_str(), value(self.x)?, value(self.y)?)).filter(|(_, x, _)| *x > 0.0)
        })
    }

    fn cloud(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        let index =
            |wanted: &Objective| self.front.head.objectives.iter().position(|objective| objective == wanted);
        let places = index(self.x).zip(index(self.y));
        self.input.cloud.iter().filter_map(move |point| {
            let (x, y) = places?;
            let place = (*point.objectives.get(x)?, *point.objectives.get(y)?);
            (place.0.is_finite() && place.1.is_finite() && place.0 > 0.0).then_some(place)
        })
    }
}

impl Drawing for Pareto<'_> {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let (unit_x, unit_y) = (Unit::of_objective(&self.x.name), Unit::of_objective(&self.y.name));
        let shown = |axis: fn(&(f64, f64)) -> f64| {
            self.points()
                .map(|(_, x, y)| (x, y))
                .chain(self.references().map(|(_, x, y)| (x, y)))
                .map(move |place| axis(&place))
        };
        let title = |objective: &Objective| {
            let unit = if Unit::of_objective(&objective.name) == Unit::Plain {
                format!(", {}", objective.unit)
            } else {
                String::new()
            };
            let better = if is_maximised(&objective.name) { ", more is better" } else { "" };
            format!("{}{unit} (predicted{better})", objective_label(&objective.name))
        };
        let x = Axis::over(title(self.x), shown(|place| place.0), true, unit_x == Unit::Bytes, |value| {
            unit_x.show(value)
        });
        let y = Axis::over(title(self.y), shown(|place| place.1), false, false, |value| match unit_y {
            Unit::Plain => format!("{value:.2}"),
            unit => unit.show(value),
        });
        let (Some(x), Some(y)) = (x, y) else { return Err("no point can be placed".to_owned()) };
        let ends = (x.ends(), y.ends());
        let heading =
            format!("Pareto front: {} on {}", self.front.head.space.name, devices(&self.front.head));
        let frame = Frame::draw(sheet, &heading, (x, y), 170.0, scale)?;
        let inside = |x: f64, y: f64| x >= ends.0.0 && x <= ends.0.1 && y >= ends.1.0 && y <= ends.1.1;
        let stride = self.input.cloud.len().div_ceil(CLOUD).max(1);
        for (x, y) in self.cloud().step_by(stride).filter(|(x, y)| inside(*x, *y)) {
            frame.disc(sheet, frame.at(x, y), 1.2, &DUST.mix(0.7))?;
        }
        for (point, x, y) in self.points() {
            let (radius, strength) = if point.representative { (3.6, 0.95) } else { (2.2, 0.45) };
            frame.disc(sheet, frame.at(x, y), radius, &COLOURS[0].mix(strength))?;
        }
        let mut labelled: Vec<(f64, f64)> = Vec::new();
        for (name, x, y) in self.references() {
            let place = frame.at(x, y);
            frame.diamond(sheet, place, 5.5, &COLOURS[4])?;
            let right = place.0 > frame.right() - 150.0 * scale;
            let (side, anchor) = if right { (-9.0, HPos::Right) } else { (9.0, HPos::Left) };
            let near = |other: &(f64, f64)| {
                (other.0 - place.0).abs() < 150.0 * scale && (other.1 - place.1).abs() < 15.0 * scale
            };
            if labelled.iter().any(near) {
                continue;
            }
            labelled.push(place);
            frame.text(
                sheet,
                name,
                (place.0 + side * scale, place.1),
                12.5,
                &MUTED,
                (anchor, VPos::Center),
            )?;
        }
        for pick in picks(self.front) {
            let Some((_, x, y)) = self.points().find(|(point, _, _)| point.id == pick.id) else { continue };
            let place = frame.at(x, y);
            frame.ring(sheet, place, 8.0, &COLOURS[1])?;
            let right = place.0 > frame.right() - 110.0 * scale;
            let (side, anchor) = if right { (-11.0, HPos::Right) } else { (11.0, HPos::Left) };
            let words = pick.picks.join(", ");
            frame.text(
                sheet,
                &words,
                (place.0 + side * scale, place.1 - 11.0 * scale),
                14.0,
                &INK,
                (anchor, VPos::Center),
            )?;
        }
        let mut entries =
            vec![(Mark::Disc, COLOURS[0], "front".to_owned()), (Mark::Ring, COLOURS[1], "picks".to_owned())];
        if self.points().any(|(point, _, _)| !point.representative) {
            entries.insert(1, (Mark::Disc, TIED, "tied with another".to_owned()));
        }
        if self.references().next().is_some() {
            entries.push((Mark::Diamond, COLOURS[4], "public models".to_owned()));
        }
        if self.cloud().next().is_some() {
            entries.push((Mark::Disc, DUST, "dominated (sample)".to_owned()));
        }
        frame.legend(sheet, &entries)
    }
}

/// Dominated points drawn at most: more add bytes to the SVG and nothing to the picture.
const CLOUD: usize = 3000;
