//! One model's predicted time: what each kind of operation takes, and where it stands under the device's roofline.

use super::axis::{Axis, Frame, short};
use super::canvas::{Canvas, Drawing};
use super::groups::{Group, groups, shortened};
use super::labels::{Rectangle, along_level, free_place};
use super::pen::Pen;
use super::{COLOURS, INK, LINE, MUTED};
use crate::ReportError;
use crate::roofline::{Place, place};
use crate::section::device::type_name;
use crate::staircase::{rate, staircase};
use crate::unit::{Unit, digits};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, VPos};
use slimfit_hardware::{BandwidthKind, HardwareProfile, Peak, PeakType};
use slimfit_study::Explanation;

/// The sheet.
const WIDTH: u32 = 1280;
const HEIGHT: u32 = 800;
/// What the title and its lines take.
const HEAD: f64 = 104.0;
/// What the shares of time take, of the width.
const SHARES: f64 = 580.0;
/// Lines of a phase's shares.
const MOST_LINES: usize = 11;
/// Operations below this share of a step's time are left out of the roofline.
const LEAST_SHARE: f64 = 0.003;
/// Those from this share on are named in it.
const NAMED_SHARE: f64 = 0.02;

/// Words, and a rate per second.
type Limit = (String, f64);

/// What is drawn.
#[derive(Debug, Clone)]
pub struct ExplainedModel<'a> {
    /// What it is, on which device.
    pub title: String,
    /// What it takes as a whole, in one line.
    pub subtitle: String,
    /// The device.
    pub profile: &'a HardwareProfile,
    /// A step of decoding, a prompt, or both.
    pub phases: &'a [Explanation],
}

/// The picture in both forms.
#[derive(Debug, Clone)]
pub struct ExplainedPicture {
    /// An SVG file.
    pub svg: String,
    /// A PNG file.
    pub png: Vec<u8>,
}

impl ExplainedModel<'_> {
    /// Draws it.
    ///
    /// # Errors
    /// When nothing can be placed, or the drawing library refuses.
    pub fn draw(&self) -> Result<ExplainedPicture, ReportError> {
        let failed = |reason: String| ReportError::Chart { chart: "explained", reason };
        let canvas = Canvas::sized(WIDTH, HEIGHT);
        Ok(ExplainedPicture {
            svg: canvas.svg(self).map_err(failed)?,
            png: canvas.png(self).map_err(failed)?,
        })
    }

    /// Decoding first: it is what most of an answer's time goes to.
    fn phases(&self) -> Vec<&Explanation> {
        let mut phases: Vec<&Explanation> = self.phases.iter().collect();
        phases.sort_by_key(|phase| phase.phase != "decode");
        phases
    }

    /// Read bandwidth near the core and far from it, and peaks, with the threads of the prediction where they were
    /// measured.
    fn limits(&self) -> (Vec<Limit>, Vec<Limit>) {
        let threads = self.phases.first().map_or(1, |phase| phase.threads);
        let steps = staircase(self.profile);
        let step = steps.iter().find(|step| step.threads == threads).or(steps.last());
        let ends = step.map(|step| [step.points.first(), step.points.last()]).unwrap_or_default();
        let mut bandwidths: Vec<Limit> = ends
            .into_iter()
            .flatten()
            .map(|point| {
                let (rate, set) = (rate(point), short(&Unit::Bytes.show(point.working_set_bytes as f64)));
                (format!("{} of {set}", Unit::BytesPerSecond.show(rate)), rate)
            })
            .collect();
        bandwidths.dedup();
        if bandwidths.is_empty() {
            let theoretical =
                self.profile.bandwidth.iter().filter(|point| point.kind == BandwidthKind::Theoretical);
            bandwidths.extend(
                theoretical.filter(|point| rate(point) > 0.0).map(|point| {
                    (format!("{} in theory", Unit::BytesPerSecond.show(rate(point))), rate(point))
                }),
            );
        }
        let mut peaks: Vec<Limit> = Vec::new();
        // No model multiplies in f64.
        let of_models = |peak: &&Peak| peak.threads == threads && peak.number != PeakType::F64;
        for peak in self.profile.peak.iter().filter(of_models) {
            let Some(rate) = peak.ops_per_s.value.filter(|rate| rate.is_finite() && *rate > 0.0) else {
                continue;
            };
            let name = type_name(peak.number).to_owned();
            match peaks.iter_mut().find(|(known, _)| *known == name) {
                Some((_, known)) => *known = known.max(rate),
                None => peaks.push((name, rate)),
            }
        }
        peaks.sort_by(|a, b| b.1.total_cmp(&a.1));
        (bandwidths, peaks)
    }
}

impl Drawing for ExplainedModel<'_> {
    fn draw<B: DrawingBackend>(&self, sheet: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let (width, height) = sheet.dim_in_pixel();
        let pen = Pen { sheet, scale };
        pen.text(&self.title, (24.0, 28.0), 23.0, &INK, (HPos::Left, VPos::Center))?;
        pen.text(&self.subtitle, (24.0, 56.0), 15.5, &MUTED, (HPos::Left, VPos::Center))?;
        let mut across = 24.0;
        for (bound, words) in [
            ("memory", "bound by memory"),
            ("compute", "bound by compute"),
            ("overhead", "bound by overhead: barriers, starting, hand-over"),
        ] {
            pen.rectangle((across, 76.0), (12.0, 12.0), &colour(bound))?;
            pen.text(words, (across + 18.0, 82.0), 14.0, &INK, (HPos::Left, VPos::Center))?;
            across += 18.0 + pen.width(words, 14.0)? + 26.0;
        }
        let phases = self.phases();
        let room = (f64::from(height) / scale - HEAD - 16.0) / phases.len().max(1) as f64;
        for (place, phase) in phases.iter().enumerate() {
            shares(&pen, phase, HEAD + room * place as f64, room)?;
        }
        let left = (SHARES * scale) as i32;
        let top = ((HEAD - 14.0) * scale) as i32;
        let area = sheet.clone().shrink((left, top), (width - left as u32, height - top as u32));
        self.roofline(&area, scale)
    }
}

/// The bars of one phase, in `room` below `top`.
fn shares<B: DrawingBackend>(
    pen: &Pen<'_, B>,
    phase: &Explanation,
    top: f64,
    room: f64,
) -> Result<(), String> {
    const NAMES: f64 = 168.0;
    const VALUES: f64 = 128.0;
    let what = match phase.phase.as_str() {
        "decode" => format!("One token with {} before it", phase.depth_tokens),
        _ => format!("A prompt of {} tokens", phase.tokens),
    };
    let title = format!("{what}: {}", Unit::Seconds.show(phase.seconds));
    pen.text(&title, (24.0, top + 14.0), 17.0, &INK, (HPos::Left, VPos::Center))?;
    // An engine whose steps are priced by their matrices alone gives other operations no time.
    let timed = groups(phase).into_iter().filter(|group| group.seconds > 0.0).collect();
    let lines = shortened(timed, MOST_LINES);
    let pitch = ((room - 46.0) / lines.len().max(1) as f64).min(30.0);
    let longest = lines.iter().map(|group| group.share).fold(0.0, f64::max);
    let full = SHARES - NAMES - VALUES - 24.0;
    for (place, group) in lines.iter().enumerate() {
        let middle = top + 34.0 + pitch * (place as f64 + 0.5);
        pen.text(&group.label(), (NAMES - 10.0, middle), 14.0, &INK, (HPos::Right, VPos::Center))?;
        let length = (full * group.share / longest.max(f64::MIN_POSITIVE)).max(1.0);
        let thickness = (pitch * 0.68).max(4.0);
        pen.rectangle((NAMES, middle - thickness / 2.0), (length, thickness), &colour(&group.bound))?;
        let words = format!("{} · {}", percent(group.share), Unit::Seconds.show(group.seconds));
        pen.text(&words, (NAMES + length + 8.0, middle), 14.0, &MUTED, (HPos::Left, VPos::Center))?;
    }
    let bottom = top + 34.0 + pitch * lines.len() as f64;
    pen.line(&[(NAMES, top + 32.0), (NAMES, bottom + 2.0)], &LINE, 1.5)
}

fn percent(share: f64) -> String {
    if share < 0.001 { "< 0.1 %".to_owned() } else { format!("{:.1} %", share * 100.0) }
}

/// The colour of what binds.
fn colour(bound: &str) -> RGBColor {
    match bound {
        "memory" => COLOURS[0],
        "compute" => COLOURS[1],
        "overhead" => COLOURS[3],
        _ => MUTED,
    }
}

/// A group of operations in the roofline.
struct Mark {
    group: Group,
    place: Place,
    decode: bool,
}

impl Mark {
    /// In units of the sheet: its area grows with its share of the time.
    fn radius(&self) -> f64 {
        4.0 + 7.0 * self.group.share.sqrt()
    }
}

/// The words beside marks, the largest first, with the place and the radius of the mark they belong to. Marks of one phase
/// that lie on each other share theirs.
fn named(marks: &[Mark], places: &[(f64, f64)], scale: f64) -> Vec<(String, (f64, f64), f64)> {
    /// Words, place, radius, and whether the mark is one token's.
    type Name = (String, (f64, f64), f64, bool);
    const TOGETHER: f64 = 9.0;
    let mut names: Vec<Name> = Vec::new();
    for (mark, place) in marks.iter().zip(places).filter(|(mark, _)| mark.group.share >= NAMED_SHARE) {
        let name = mark.group.name.replace('_', " ");
        let on = |known: &&mut Name| {
            known.3 == mark.decode && (known.1.0 - place.0).hypot(known.1.1 - place.1) < TOGETHER * scale
        };
        match names.iter_mut().find(on) {
            Some((words, ..)) if words.split(", ").any(|known| known == name) => {}
            Some((words, ..)) => *words = format!("{words}, {name}"),
            None => names.push((name, *place, mark.radius(), mark.decode)),
        }
    }
    names.into_iter().map(|(words, place, radius, _)| (words, place, radius)).collect()
}

impl ExplainedModel<'_> {
    fn marks(&self) -> Vec<Mark> {
        let mut marks: Vec<Mark> = self
            .phases()
            .into_iter()
            .flat_map(|phase| groups(phase).into_iter().map(move |group| (group, phase.phase == "decode")))
            .filter(|(group, _)| group.share >= LEAST_SHARE)
            .filter_map(|(group, decode)| {
                let place = place(group.flops, group.bytes, group.seconds)?;
                Some(Mark { group, place, decode })
            })
            .collect();
        marks.sort_by(|a, b| b.group.share.total_cmp(&a.group.share));
        marks
    }

    fn roofline<B: DrawingBackend>(&self, area: &DrawingArea<B, Shift>, scale: f64) -> Result<(), String> {
        let (bandwidths, peaks) = self.limits();
        let marks = self.marks();
        let fastest = bandwidths.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let slowest = bandwidths.iter().map(|(_, rate)| *rate).fold(f64::INFINITY, f64::min);
        let highest = peaks.iter().map(|(_, rate)| *rate).fold(0.0, f64::max);
        let ridge = if fastest > 0.0 && highest > 0.0 { 3.0 * highest / slowest } else { 1.0 };
        let across = marks.iter().map(|mark| mark.place.operations_per_byte).chain([0.25, ridge]);
        let up = marks.iter().map(|mark| mark.place.operations_per_second);
        // Without peaks the bandwidth's line ends above the operations.
        let most = marks.iter().map(|mark| mark.place.operations_per_byte).fold(0.0, f64::max);
        let ceiling = if highest > 0.0 { highest * 1.25 } else { fastest * most };
        let floor = up.clone().fold(f64::INFINITY, f64::min) / 2.0;
        let up = up.chain([ceiling, floor].into_iter().filter(|end| *end > 0.0));
        let x = Axis::over("Operations per byte moved", across, true, false, digits);
        let y = Axis::over("Operations per second", up, true, false, |value| {
            Unit::OperationsPerSecond.show(value)
        });
        let (Some(x), Some(y)) = (x, y) else { return Err("no operation can be placed".to_owned()) };
        let ((left, right), (bottom, top)) = (x.ends(), y.ends());
        let frame = Frame::draw(area, "Under the device’s roofline", (x, y), 0.0, scale)?;
        let pen = Pen { sheet: area, scale };
        let mut taken = Vec::new();
        let places: Vec<(f64, f64)> = marks
            .iter()
            .map(|mark| frame.at(mark.place.operations_per_byte, mark.place.operations_per_second))
            .collect();
        for (mark, place) in marks.iter().zip(&places) {
            let half = mark.radius() * scale;
            taken
                .push(Rectangle { corner: (place.0 - half, place.1 - half), size: (2.0 * half, 2.0 * half) });
        }
        for (label, rate) in &bandwidths {
            let (from, to) =
                (left.max(bottom / rate), right.min((if highest > 0.0 { highest } else { top }) / rate));
            if from >= to {
                continue;
            }
            let ends = (frame.at(from, from * rate), frame.at(to, to * rate));
            frame.line(area, &[ends.0, ends.1], &MUTED, 1.8)?;
            taken.extend(Rectangle::along(ends.0, ends.1, scale));
            // Along the upper part of the line, on its left, where no operation can stand.
            let place = frame.at((from * to).sqrt(), (from * to).sqrt() * rate);
            let size = (pen.width(label, 13.0)? * scale, 16.0 * scale);
            let corner = (place.0 - size.0 - 8.0 * scale, place.1 - size.1);
            let corner = (corner.0.max(frame.across(left) + 6.0 * scale), corner.1);
            frame.text(area, label, corner, 13.0, &MUTED, (HPos::Left, VPos::Top))?;
            taken.push(Rectangle { corner, size });
        }
        let mut levels = Vec::new();
        for (label, rate) in &peaks {
            let start = if fastest > 0.0 { left.max(rate / fastest) } else { left };
            let ends = (frame.at(start, *rate), frame.at(right, *rate));
            frame.line(area, &[ends.0, ends.1], &INK, 1.6)?;
            taken.extend(Rectangle::along(ends.0, ends.1, scale));
            levels.push((label, *rate, ends));
        }
        for (label, rate, (start, end)) in levels {
            let words = format!("{label} {}", Unit::OperationsPerSecond.show(rate));
            let size = (pen.width(&words, 13.0)? * scale, 16.0 * scale);
            let corner = along_level((start.0, end.0), end.1, size, scale, &taken);
            frame.text(area, &words, corner, 13.0, &INK, (HPos::Left, VPos::Top))?;
            taken.push(Rectangle { corner, size });
        }
        let bounds = Rectangle {
            corner: (frame.across(left), frame.top()),
            size: (frame.right() - frame.across(left), frame.bottom() - frame.top()),
        };
        // The words first, so that marks lie on their lines.
        for (words, place, radius) in named(&marks, &places, scale) {
            let size = (pen.width(&words, 13.0)? * scale, 15.0 * scale);
            let Some(corner) = free_place(place, radius * scale, size, scale, &bounds, &taken) else {
                continue;
            };
            let near =
                (place.0.clamp(corner.0, corner.0 + size.0), place.1.clamp(corner.1, corner.1 + size.1));
            if (near.0 - place.0).hypot(near.1 - place.1) > (radius + 8.0) * scale {
                frame.line(area, &[place, near], &MUTED.mix(0.7), 0.8)?;
            }
            frame.text(area, &words, corner, 13.0, &INK, (HPos::Left, VPos::Top))?;
            taken.push(Rectangle { corner, size });
        }
        for (mark, place) in marks.iter().zip(&places) {
            let colour = colour(&mark.group.bound);
            if mark.decode {
                frame.disc(area, *place, mark.radius(), &colour.mix(0.85))?;
            } else {
                frame.diamond(area, *place, mark.radius() + 1.0, &colour.mix(0.85))?;
            }
        }
        self.legend(&frame, area, scale)
    }

    /// What the marks are, above the frame.
    fn legend<B: DrawingBackend>(
        &self,
        frame: &Frame,
        area: &DrawingArea<B, Shift>,
        scale: f64,
    ) -> Result<(), String> {
        let pen = Pen { sheet: area, scale };
        let mut right = frame.right();
        let up = 24.0 * scale;
        for (phase, words) in [("prefill", "prompt"), ("decode", "one token")] {
            if !self.phases.iter().any(|known| known.phase == phase) {
                continue;
            }
            right -= pen.width(words, 14.0)? * scale;
            frame.text(area, words, (right, up), 14.0, &INK, (HPos::Left, VPos::Center))?;
            right -= 14.0 * scale;
            if phase == "decode" {
                frame.disc(area, (right, up), 5.5, &MUTED)?;
            } else {
                frame.diamond(area, (right, up), 6.5, &MUTED)?;
            }
            right -= 24.0 * scale;
        }
        Ok(())
    }
}
