//! The instruction-set tiers that kernels are written for, and which of them this machine may run.
//!
//! A tier is a *set* of CPU features that a kernel relies on. Tiers of one architecture are ordered from plain to
//! rich, and a cap (`SLIMFIT_ISA`) admits every available tier up to it. The order is a ranking, not inclusion: a
//! CPU with `avx512` need not have `avx_vnni`, so a table of variants is always filtered by
//! [`Isa::is_available`] and never by rank alone.

use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

/// The environment variable that caps the tier.
pub const ISA_VARIABLE: &str = "SLIMFIT_ISA";

/// A tier of instructions. `Ord` ranks tiers of one architecture; tiers of two architectures never meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Isa {
    /// Plain loops: the specification of each operation.
    Scalar,
    /// Vectors that the compiler's baseline for the architecture has.
    Portable,
    /// x86-64: AVX2, FMA and F16C.
    Avx2,
    /// x86-64: `avx2` and the 256-bit VNNI instructions in their VEX form.
    AvxVnni,
    /// x86-64: `avx2` and AVX-512 F, BW, VL, DQ, VNNI.
    Avx512,
    /// x86-64: `avx512` and AVX-512 BF16.
    Avx512Bf16,
    /// AArch64: Advanced SIMD, with fused multiply-add.
    Neon,
    /// AArch64: `neon` and the int8 dot product.
    NeonDotprod,
    /// AArch64: `neon_dotprod` and the int8 matrix product.
    NeonI8mm,
    /// AArch64: `neon_i8mm` and the bf16 products.
    NeonBf16,
}

/// A tier that cannot be had by its name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IsaError {
    /// No tier has this name.
    #[error("unknown instruction set `{name}`; known are {known}")]
    Unknown {
        /// The name given.
        name: String,
        /// All names, quoted and separated by commas.
        known: String,
    },
    /// The tier exists, but this machine lacks it.
    #[error("instruction set `{name}` is not available on this machine; available are {available}")]
    Unavailable {
        /// The name given.
        name: String,
        /// Available names, quoted and separated by commas.
        available: String,
    },
}

impl Isa {
    /// Every tier of every architecture, in rank order.
    pub const ALL: [Self; 10] = [
        Self::Scalar,
        Self::Portable,
        Self::Avx2,
        Self::AvxVnni,
        Self::Avx512,
        Self::Avx512Bf16,
        Self::Neon,
        Self::NeonDotprod,
        Self::NeonI8mm,
        Self::NeonBf16,
    ];

    /// The tier's name in tables, variables, profiles and logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scalar => "scalar",
            Self::Portable => "portable",
            Self::Avx2 => "avx2",
            Self::AvxVnni => "avx_vnni",
            Self::Avx512 => "avx512",
            Self::Avx512Bf16 => "avx512_bf16",
            Self::Neon => "neon",
            Self::NeonDotprod => "neon_dotprod",
            Self::NeonI8mm => "neon_i8mm",
            Self::NeonBf16 => "neon_bf16",
        }
    }

    /// Whether this program's architecture has it, whatever this machine has.
    pub const fn is_of_this_architecture(self) -> bool {
        match self {
            Self::Scalar | Self::Portable => true,
            Self::Avx2 | Self::AvxVnni | Self::Avx512 | Self::Avx512Bf16 => cfg!(target_arch = "x86_64"),
            Self::Neon | Self::NeonDotprod | Self::NeonI8mm | Self::NeonBf16 => cfg!(target_arch = "aarch64"),
        }
    }

    /// Whether what is written for the tier itself rounds the activations of many tokens to bf16, as its instructions want.
    pub const fn rounds_activations(self) -> bool {
        matches!(self, Self::Avx512Bf16 | Self::NeonBf16)
    }

    /// Whether this machine has every feature of the tier. No variable is consulted.
    pub fn is_available(self) -> bool {
        static DETECTED: OnceLock<u16> = OnceLock::new();
        let detected = DETECTED.get_or_init(|| {
            Self::ALL.into_iter().filter(|tier| tier.detect()).fold(0, |bits, tier| bits | 1 << tier as u16)
        });
        detected & (1 << self as u16) != 0
    }

    /// The tiers this machine has, in rank order.
    pub fn available() -> Vec<Self> {
        Self::ALL.into_iter().filter(|tier| tier.is_available()).collect()
    }

    /// The tiers this machine has up to and including `self`.
    pub fn available_up_to(self) -> Vec<Self> {
        Self::ALL.into_iter().filter(|&tier| tier <= self && tier.is_available()).collect()
    }

    /// The richest tier this machine has.
    pub fn best() -> Self {
        Self::ALL.into_iter().rfind(|tier| tier.is_available()).unwrap_or(Self::Scalar)
    }

    /// The cap that holds for this process: the value of `SLIMFIT_ISA`, or the best tier where it is unset or empty.
    ///
    /// # Errors
    /// The variable names no tier, or one that this machine lacks.
    pub fn selected() -> Result<Self, IsaError> {
        Ok(Self::named()?.unwrap_or_else(Self::best))
    }

    /// The tier that `SLIMFIT_ISA` names; none where it is unset or empty.
    ///
    /// # Errors
    /// As [`Isa::selected`].
    pub fn named() -> Result<Option<Self>, IsaError> {
        let value = std::env::var_os(ISA_VARIABLE).filter(|value| !value.is_empty());
        value.map(|value| Self::capped(&value.to_string_lossy())).transpose()
    }

    /// The tier of that name, if this machine has it.
    ///
    /// # Errors
    /// No tier has the name, or this machine lacks it.
    pub fn capped(name: &str) -> Result<Self, IsaError> {
        let tier: Self = name.parse()?;
        if tier.is_available() {
            Ok(tier)
        } else {
            Err(IsaError::Unavailable { name: name.to_owned(), available: quoted(&Self::available()) })
        }
    }

    #[cfg(target_arch = "x86_64")]
    fn detect(self) -> bool {
        let avx2 = || {
            is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("fma")
                && is_x86_feature_detected!("f16c")
        };
        let avx512 = || {
            avx2()
                && is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512dq")
                && is_x86_feature_detected!("avx512vnni")
        };
        match self {
            Self::Scalar | Self::Portable => true,
            Self::Avx2 => avx2(),
            Self::AvxVnni => avx2() && is_x86_feature_detected!("avxvnni"),
            Self::Avx512 => avx512(),
            Self::Avx512Bf16 => avx512() && is_x86_feature_detected!("avx512bf16"),
            Self::Neon | Self::NeonDotprod | Self::NeonI8mm | Self::NeonBf16 => false,
        }
    }

    #[cfg(target_arch = "aarch64")]
    fn detect(self) -> bool {
        use std::arch::is_aarch64_feature_detected;
        match self {
            Self::Scalar | Self::Portable => true,
            Self::Neon => is_aarch64_feature_detected!("neon"),
            Self::NeonDotprod => Self::Neon.detect() && is_aarch64_feature_detected!("dotprod"),
            Self::NeonI8mm => Self::NeonDotprod.detect() && is_aarch64_feature_detected!("i8mm"),
            Self::NeonBf16 => Self::NeonI8mm.detect() && is_aarch64_feature_detected!("bf16"),
            Self::Avx2 | Self::AvxVnni | Self::Avx512 | Self::Avx512Bf16 => false,
        }
    }

    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    fn detect(self) -> bool {
        matches!(self, Self::Scalar | Self::Portable)
    }
}

impl fmt::Display for Isa {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for Isa {
    type Err = IsaError;

    fn from_str(name: &str) -> Result<Self, IsaError> {
        Self::ALL
            .into_iter()
            .find(|tier| tier.name() == name)
            .ok_or_else(|| IsaError::Unknown { name: name.to_owned(), known: quoted(&Self::ALL) })
    }
}

fn quoted(tiers: &[Isa]) -> String {
    tiers.iter().map(|tier| format!("`{tier}`")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_and_are_ranked() {
        for (rank, tier) in Isa::ALL.into_iter().enumerate() {
            assert_eq!(tier.name().parse::<Isa>(), Ok(tier));
            assert_eq!(tier as usize, rank);
        }
        assert!(Isa::Avx2 < Isa::Avx512 && Isa::AvxVnni < Isa::Avx512Bf16 && Isa::Neon < Isa::NeonBf16);
    }

    #[test]
    fn scalar_and_portable_are_always_there_and_best_is_available() {
        let available = Isa::available();
        assert_eq!(available[..2], [Isa::Scalar, Isa::Portable]);
        assert_eq!(available.last(), Some(&Isa::best()));
        assert_eq!(Isa::Portable.available_up_to(), [Isa::Scalar, Isa::Portable]);
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let message = Isa::capped("avx3").unwrap_err().to_string();
        assert!(message.contains("`avx3`") && message.contains("`avx512_bf16`"), "{message}");
    }

    #[test]
    fn a_tier_of_another_architecture_is_unavailable_and_the_available_are_listed() {
        let foreign = if cfg!(target_arch = "aarch64") { "avx2" } else { "neon_i8mm" };
        let error = Isa::capped(foreign).unwrap_err();
        assert!(matches!(&error, IsaError::Unavailable { name, .. } if name == foreign));
        assert!(error.to_string().contains("`portable`"), "{error}");
    }
}
