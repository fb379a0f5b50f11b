//! Files mix weight formats: the tensors that are stored otherwise than the rest.

use slimfit_arch::TensorRole;
use slimfit_quantity::NumberFormat;
use std::collections::HashMap;

/// Formats of single matrices; the others have the plan's weight format.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WeightFormats {
    others: HashMap<(TensorRole, Option<u64>), NumberFormat>,
}

impl WeightFormats {
    /// The matrix of this role in this layer is stored in `format`.
    pub fn set(&mut self, role: TensorRole, layer: Option<u64>, format: NumberFormat) {
        self.others.insert((role, layer), format);
    }

    /// Whether every matrix has the plan's weight format.
    pub fn is_uniform(&self) -> bool {
        self.others.is_empty()
    }

    /// The format of matrices that are computed as one: the finest of theirs, so that none loses more than its own did.
    pub(crate) fn of(
        &self,
        roles: impl Iterator<Item = TensorRole>,
        layer: Option<u64>,
        rest: NumberFormat,
    ) -> NumberFormat {
        let own = roles.map(|role| self.others.get(&(role, layer)).copied().unwrap_or(rest));
        own.reduce(finer).unwrap_or(rest)
    }
}

/// The format with more bits; f32 where f16 and bf16 meet, which only it can hold both of.
fn finer(one: NumberFormat, other: NumberFormat) -> NumberFormat {
    let bits = |format: NumberFormat| format.block_bytes() * 256 / format.block_values();
    match bits(one).cmp(&bits(other)) {
        std::cmp::Ordering::Less => other,
        std::cmp::Ordering::Equal if one != other && !one.is_quantised() => NumberFormat::F32,
        _ => one,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matrices_that_are_one_take_the_finest_format() {
        let mut formats = WeightFormats::default();
        formats.set(TensorRole::Value, Some(1), NumberFormat::Q6_K);
        let of =
            |layer, roles: &[TensorRole]| formats.of(roles.iter().copied(), Some(layer), NumberFormat::Q4_K);
        let fused = [TensorRole::Query, TensorRole::Key, TensorRole::Value];
        assert_eq!(of(0, &fused), NumberFormat::Q4_K);
        assert_eq!(of(1, &fused), NumberFormat::Q6_K);
        assert_eq!(of(1, &fused[..2]), NumberFormat::Q4_K);
        assert_eq!(finer(NumberFormat::F16, NumberFormat::Bf16), NumberFormat::F32);
        assert_eq!(finer(NumberFormat::Q8_0, NumberFormat::Bf16), NumberFormat::Bf16);
    }
}
