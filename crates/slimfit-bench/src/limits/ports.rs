//! What the ports of a core allow in one cycle, from its maker's optimisation guide: the bound that no measurement may pass.

use slimfit_hardware::Fingerprint;

/// Work of one core in one cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Bytes loaded from the first cache.
    pub load_bytes: u32,
    /// Bits of fused multiply-adds, over all ports that have them.
    pub multiply_bits: u32,
}

impl Ports {
    /// The ports of a core whose guide we know; an instruction set capped below 512 bits cannot fill wider ports.
    pub fn of(core: &Fingerprint) -> Option<Self> {
        let (load_bytes, multiply_bits) = match (core.vendor.as_str(), core.family, core.model) {
            // Zen and Zen+ halve 256-bit instructions; Zen 2, 3 and 4 have two multiply-add ports of 256 bits, on which Zen 4
            // takes two cycles for 512.
            ("AuthenticAMD", 23, 0..0x30) => (32, 256),
            ("AuthenticAMD", 23 | 25, _) => (64, 512),
            // Zen 5 in servers and desktops; the mobile core keeps ports of 256 bits.
            ("AuthenticAMD", 26, 0..=0x1f | 0x40..=0x4f) => (128, 1024),
            ("AuthenticAMD", 26, 0x20..=0x2f | 0x60..=0x7f) => (64, 512),
            // Haswell to Comet Lake.
            ("GenuineIntel", 6, 0x3c | 0x3f | 0x45 | 0x46 | 0x3d | 0x47 | 0x4f | 0x56) => (64, 512),
            ("GenuineIntel", 6, 0x4e | 0x5e | 0x8e | 0x9e | 0xa5 | 0xa6) => (64, 512),
            // Skylake-X, Ice Lake-SP, Sapphire and Emerald Rapids, Granite Rapids.
            ("GenuineIntel", 6, 0x55 | 0x6a | 0x6c | 0x8f | 0xcf | 0xad | 0xae) => (128, 1024),
            // Alder and Raptor Lake load three times 256 bits.
            ("GenuineIntel", 6, 0x97 | 0x9a | 0xb7 | 0xba | 0xbf) => (96, 512),
            _ => return None,
        };
        // Ports of 512 bits are half empty below AVX-512.
        let wide = core.isa.iter().any(|tier| tier.starts_with("avx512"));
        let filled = if multiply_bits == 1024 && !wide { 2 } else { 1 };
        Some(Self { load_bytes: load_bytes / filled, multiply_bits: multiply_bits / filled })
    }

    /// Operations in one cycle on factors of a type, a multiply-add counting 2; nothing for a type that no instruction
    /// multiplies at once. `multiplies` are the instructions on multiplying ports that a loop needs for a vector of
    /// products.
    pub fn ops(self, type_name: &str, multiplies: u32) -> Option<f64> {
        let bits = match type_name {
            "f64" => 64,
            "f32" => 32,
            "bf16" => 16,
            "int8" => 8,
            _ => return None,
        };
        Some(2.0 * f64::from(self.multiply_bits / bits) / f64::from(multiplies))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn core(vendor: &str, family: u32, model: u32, isa: &str) -> Fingerprint {
        Fingerprint {
            vendor: vendor.to_owned(),
            family,
            model,
            stepping: 0,
            cores: 1,
            isa: vec![isa.to_owned()],
            caches: vec![],
        }
    }

    #[test]
    fn known_cores_and_caps() {
        let zen4 = Ports::of(&core("AuthenticAMD", 25, 17, "avx512_bf16")).unwrap();
        assert_eq!(zen4.ops("f32", 1), Some(32.0));
        assert_eq!((zen4.ops("f64", 1), zen4.ops("int8", 1)), (Some(16.0), Some(128.0)));
        assert_eq!(zen4.ops("int8", 2), Some(64.0), "two multiplies for each product");
        let skylake = Ports::of(&core("GenuineIntel", 6, 0x55, "avx512")).unwrap();
        let capped = Ports::of(&core("GenuineIntel", 6, 0x55, "avx2")).unwrap();
        assert_eq!((skylake.multiply_bits, capped.multiply_bits), (1024, 512));
        assert_eq!((skylake.load_bytes, capped.load_bytes), (128, 64));
        assert_eq!(Ports::of(&core("ARM", 0x41, 0xd0b, "neon")), None);
    }
}
