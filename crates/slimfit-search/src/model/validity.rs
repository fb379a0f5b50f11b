//! Which points are valid, before and beside their number formats.

use super::Counted;
use crate::space::Mixture;
use crate::{Invalid, ModelEvaluator, Space};
use slimfit_formats::Loader;
use slimfit_quality::{Base, Flags, Refusal, Shape, TrainingCost};
use slimfit_quantity::NumberFormat;

/// What number formats leave as it is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Valued {
    pub(crate) base: Base,
    pub(super) training: Option<TrainingCost>,
}

impl ModelEvaluator<'_> {
    /// Values a point before its number formats.
    ///
    /// # Errors
    /// The first limit of the law that it breaks, or what it would have to assume. Bounds on parameters and the rules of the
    /// space come before.
    pub(crate) fn valued(&self, space: &Space, point: &Counted) -> Result<Valued, Invalid> {
        let base = self.law.base(&self.shape(point)).map_err(|refusal| Invalid::of(refusal.reason()))?;
        self.allowed(base.flags)?;
        let training = if self.counts_training {
            let architecture = self.architecture(space, point);
            let cost = self.training.cost(self.quality.recipe(), &architecture, self.tokens);
            Some(cost.map_err(|error| Invalid::owned(error.to_string()))?)
        } else {
            None
        };
        Ok(Valued { base, training })
    }

    /// The loader of the space's that does not hold a point, where there is one.
    pub(crate) fn refusing_loader(&self, space: &Space, point: &Counted) -> Option<Loader> {
        if !space.is_portable() {
            return None;
        }
        space.refusing_loader(&self.architecture(space, point))
    }

    /// Why no point of a sheet is valid whose parameters lie in `allowed`, where the law refuses it whatever its layers.
    /// `shape`: that of a dense point without shared key heads.
    pub(crate) fn refusal_whatever_the_layers(
        &self,
        shape: Shape,
        allowed: (f64, f64),
        (weights, kv): (NumberFormat, NumberFormat),
        is_portable: bool,
    ) -> Option<Invalid> {
        let size = allowed.0.max(1.0).ceil() as u64;
        let base = match self.law.base(&shape.resized(size, size)) {
            Ok(base) => base,
            Err(Refusal::TooSmall | Refusal::TooLarge | Refusal::TooFewTokens) => return None,
            Err(refusal) => return Some(Invalid::of(refusal.reason())),
        };
        // Those of heads are asked of each layer.
        if let Err(reason) = self.allowed(base.flags) {
            return Some(reason);
        }
        // Whether loaders hold a point is asked before its formats are.
        let refused = self.law.finish(&base, weights, kv).err().filter(|_| !is_portable);
        refused.map(|refusal| Invalid::of(refusal.reason()))
    }

    /// Whether a layer's heads rest on nothing that has to be assumed, or that was let in.
    pub(crate) fn allows_heads(&self, heads: u64, kv_heads: u64) -> bool {
        self.may_assume.0 || !self.law.assumes_heads(heads / kv_heads, heads > 1 && kv_heads == 1)
    }

    /// Whether the law reaches so many experts.
    pub(crate) fn allows_experts(&self, experts: Option<Mixture>) -> bool {
        experts.is_none_or(|experts| experts.count <= self.law.most_experts())
    }

    /// Refuses what rests on an assumption that was not let in.
    ///
    /// # Errors
    /// The option that lets it in.
    pub(crate) fn allowed(&self, flags: Flags) -> Result<(), Invalid> {
        let (mqa, vocabularies, loops) = self.may_assume;
        if flags.contains(Flags::ASSUMED_MQA) && !mqa {
            return Err(Invalid::of("rests on an assumption: needs --assume mqa"));
        }
        if flags.contains(Flags::ASSUMED_VOCABULARY) && !vocabularies {
            return Err(Invalid::of("rests on an assumption: needs --assume vocab"));
        }
        if flags.contains(Flags::ASSUMED_LOOPS) && !loops {
            return Err(Invalid::of("rests on an assumption: needs --assume loops"));
        }
        Ok(())
    }
}
