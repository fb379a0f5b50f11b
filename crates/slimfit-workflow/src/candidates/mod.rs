//! Existing models: found where the user says, priced on a device, ranked.

mod beaten;
mod format;
mod gather;
mod known;
mod rank;
mod ranking;
mod stored;
#[cfg(test)]
mod tests;

pub use gather::{ExistingModel, ExistingModels, PUBLIC, gather, gather_one};
pub use rank::{Competitors, RankingOptions, rank};
pub use ranking::{Ranking, RankingInputs, rank_existing};
pub use stored::StoredWeights;

pub(crate) use beaten::per_byte;
pub(crate) use gather::scores;
