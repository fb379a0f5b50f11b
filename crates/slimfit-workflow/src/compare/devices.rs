//! Two profiles.

use slimfit_hardware::HardwareProfile;
use slimfit_quantity::{Source, median};
use slimfit_study::{ComparedDevices, DeviceFigure, DevicePart};

pub(super) fn compared(first: &HardwareProfile, second: &HardwareProfile) -> ComparedDevices {
    let drifts = [first, second].map(|profile| profile.noise.drift.value);
    let drift = drifts.into_iter().flatten().reduce(f64::max);
    // What moved less than the machine did while it was measured is no difference between two machines.
    let least = (1.0 + drift.unwrap_or(0.0)).ln();
    let figures: Vec<DeviceFigure> = first
        .differences(second)
        .into_iter()
        .map(|difference| DeviceFigure {
            part: difference.part.to_owned(),
            first: difference.before,
            second: difference.after,
            ratio: difference.ratio(),
            source: difference.source,
            beyond_noise: difference.beyond_noise && difference.ratio().ln().abs() > least,
            what: difference.what,
        })
        .collect();
    let mut names: Vec<&str> = Vec::new();
    for figure in &figures {
        if !names.contains(&figure.part.as_str()) {
            names.push(&figure.part);
        }
    }
    let parts = names.iter().map(|name| part(name, &figures)).collect();
    ComparedDevices { drift, parts, figures }
}

fn common(one: Source, other: Source) -> Source {
    if one == other { one } else { Source::Modelled }
}

fn part(name: &str, figures: &[DeviceFigure]) -> DevicePart {
    let of: Vec<&DeviceFigure> = figures.iter().filter(|figure| figure.part == name).collect();
    let ratios: Vec<f64> = of.iter().map(|figure| figure.ratio).collect();
    DevicePart {
        part: name.to_owned(),
        n: of.len() as u64,
        source: of.iter().map(|figure| figure.source).reduce(common).unwrap_or(Source::Modelled),
        beyond_noise: of.iter().filter(|figure| figure.beyond_noise).count() as u64,
        ratio: median(&ratios),
        low: ratios.iter().copied().fold(f64::INFINITY, f64::min),
        high: ratios.iter().copied().fold(0.0, f64::max),
    }
}
