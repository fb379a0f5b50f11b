//! Times of the passes after the first, where the layers of a sheet run several times.
//!
//! A later pass reads a matrix from what still holds it after the bytes of one whole pass. So the regime of its weights is
//! that of those bytes, not of the working set, and differs within one regime of the latter. What a sheet holds for a regime
//! of the working set is therefore the least over the regimes of the weights that a point of the sheet may have there: a
//! lower bound of the time of every point, and its time where there is but one.

use super::catalogue::Width;
use super::sheet::DeviceSheet;
use super::unit::UnitParts;
use crate::Invalid;
use crate::model::Mixing;
use crate::parts::{LayerCounts, Part};
use slimfit_cost::{BusyTime, CostError, CostModel, RegimeId};

/// A row or column: its working set, and the bytes that later passes read, by place.
type Read = (f64, Vec<f64>);

/// How far the bytes of one pass and the working set of a sheet's points reach.
#[derive(Debug)]
pub(super) struct PassSpans {
    /// The working set.
    set: (f64, f64),
    /// By place in a part's `read_bytes`: bytes that one pass reads, and by how much they exceed the working set.
    places: Vec<[(f64, f64); 2]>,
}

/// The least and the largest of some values, none of nothing.
fn ends(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values.fold(None, |ends: Option<(f64, f64)>, value| {
        Some(ends.map_or((value, value), |(least, most)| (least.min(value), most.max(value))))
    })
}

/// What sums may lose to rounding where they are formed in another order.
const SLACK: f64 = 1e-9;

impl PassSpans {
    /// Of the parts that can be priced; nothing where no pair of them can. `sheet`: its working sets are filled.
    pub(super) fn new(
        sheet: &DeviceSheet,
        width: &Width,
        counts: LayerCounts,
        unit: &UnitParts,
        pool: &[Result<Mixing, Invalid>],
        mixing: &[usize],
    ) -> Option<Self> {
        let (layers, full, windowed) = (counts.layers() as f64, counts.full as f64, counts.windowed as f64);
        let rows: Vec<Read> = (0..width.attentions.len())
            .filter_map(|row| {
                let (projections, mixing) =
                    (unit.projections[row].as_ref().ok()?, pool[mixing[row]].as_ref().ok()?);
                let of = |part: &Option<Part>, place: usize| {
                    part.as_ref().map_or(0.0, |part| part.read_bytes[place])
                };
                let read = (0..projections.read_bytes.len()).map(|place| {
                    layers * projections.read_bytes[place]
                        + full * of(&mixing.full, place)
                        + windowed * of(&mixing.windowed, place)
                });
                Some((sheet.working_set.rows.values[row], read.collect()))
            })
            .collect();
        let columns: Vec<Read> = (0..width.feed_forwards.len())
            .filter_map(|column| {
                let part = unit.feed_forwards[column].as_ref().ok()?;
                let read = part.read_bytes.iter().map(|bytes| layers * bytes).collect();
                Some((sheet.working_set.columns.values[column], read))
            })
            .collect();
        let both = |of: &dyn Fn(&Read) -> f64| {
            let (rows, columns) = (ends(rows.iter().map(of))?, ends(columns.iter().map(of))?);
            Some((rows.0 + columns.0, rows.1 + columns.1))
        };
        let places = 0..rows.first()?.1.len();
        Some(Self {
            set: both(&|(set, _)| *set)?,
            places: places
                .map(|place| Some([both(&|(_, read)| read[place])?, both(&|(set, read)| read[place] - set)?]))
                .collect::<Option<_>>()?,
        })
    }

    /// The regimes, by place in a part's `read_bytes`, that weights of later passes may have where the working set is in
    /// `regime`. `last`: whether the working set of no point of the sheet is in a later one.
    pub(super) fn reach(
        &self,
        cost: &CostModel,
        regime: RegimeId,
        last: bool,
    ) -> Result<Vec<Vec<RegimeId>>, CostError> {
        let conditions = &cost.regimes()[regime.index()];
        let least_set = conditions.above_bytes.max(self.set.0);
        let most_set = if last { self.set.1 } else { conditions.up_to_bytes.min(self.set.1) };
        let of_place = |[read, excess]: &[(f64, f64); 2]| {
            let least = read.0.max(least_set + excess.0) * (1.0 - SLACK);
            let most = (read.1.min(most_set + excess.1) * (1.0 + SLACK)).max(least);
            let regimes = cost.regimes_between(conditions.threads, least, most)?;
            let mut nearer: Vec<RegimeId> = regimes.map(|near| near.min(regime)).collect();
            nearer.dedup();
            Ok(nearer)
        };
        self.places.iter().map(of_place).collect()
    }
}

/// What one later pass through one part takes at least.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LaterPass {
    pub(super) decode_seconds: f64,
    pub(super) prefill_seconds: f64,
    pub(super) joules: f64,
}

impl LaterPass {
    /// Where the working set is in `regime` and weights are in one that `reach` names.
    pub(super) fn least(
        part: &mut Part,
        cost: &CostModel,
        thread_place: usize,
        regime: RegimeId,
        reach: &[Vec<RegimeId>],
        joules: impl Fn(BusyTime) -> f64,
    ) -> Self {
        let mut pass = Self::default();
        for (place, nearer) in reach.iter().enumerate() {
            let others = part.pass_times(cost, thread_place, regime)[place].others;
            let (mut seconds, mut energy) = (f64::INFINITY, f64::INFINITY);
            for near in nearer {
                let weights = part.pass_times(cost, thread_place, *near)[place].weights;
                seconds = seconds.min(weights.seconds);
                energy = if place == 0 { energy.min(joules(weights)) } else { energy };
            }
            if place == 0 {
                pass.decode_seconds = others.seconds + seconds;
                pass.joules = joules(others) + energy;
            } else {
                pass.prefill_seconds += others.seconds + seconds;
            }
        }
        pass
    }
}

impl std::ops::Add for LaterPass {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            decode_seconds: self.decode_seconds + other.decode_seconds,
            prefill_seconds: self.prefill_seconds + other.prefill_seconds,
            joules: self.joules + other.joules,
        }
    }
}

impl std::ops::Mul<f64> for LaterPass {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self {
            decode_seconds: self.decode_seconds * times,
            prefill_seconds: self.prefill_seconds * times,
            joules: self.joules * times,
        }
    }
}
