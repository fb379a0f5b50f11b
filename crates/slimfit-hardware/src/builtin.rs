//! The profiles that are compiled in: devices described from publications.

use crate::{HardwareError, HardwareProfile};
use slimfit_document::Document;

/// `(name, text)`, by name.
const PROFILES: [(&str, &str); 24] = [
    ("amd-epyc-7763", include_str!("../../../hardware-profiles/amd-epyc-7763.yaml")),
    ("amd-epyc-9654", include_str!("../../../hardware-profiles/amd-epyc-9654.yaml")),
    ("amd-ryzen-7-7840u", include_str!("../../../hardware-profiles/amd-ryzen-7-7840u.yaml")),
    ("amd-ryzen-9-7950x", include_str!("../../../hardware-profiles/amd-ryzen-9-7950x.yaml")),
    ("apple-m1", include_str!("../../../hardware-profiles/apple-m1.yaml")),
    ("apple-m2", include_str!("../../../hardware-profiles/apple-m2.yaml")),
    ("apple-m2-max", include_str!("../../../hardware-profiles/apple-m2-max.yaml")),
    ("apple-m3", include_str!("../../../hardware-profiles/apple-m3.yaml")),
    ("apple-m4", include_str!("../../../hardware-profiles/apple-m4.yaml")),
    ("aws-graviton3", include_str!("../../../hardware-profiles/aws-graviton3.yaml")),
    ("aws-graviton4", include_str!("../../../hardware-profiles/aws-graviton4.yaml")),
    ("intel-core-i5-12400", include_str!("../../../hardware-profiles/intel-core-i5-12400.yaml")),
    ("intel-core-i7-1165g7", include_str!("../../../hardware-profiles/intel-core-i7-1165g7.yaml")),
    ("intel-n100", include_str!("../../../hardware-profiles/intel-n100.yaml")),
    ("jetson-agx-orin", include_str!("../../../hardware-profiles/jetson-agx-orin.yaml")),
    ("jetson-orin-nano", include_str!("../../../hardware-profiles/jetson-orin-nano.yaml")),
    ("raspberry-pi-3-b-plus", include_str!("../../../hardware-profiles/raspberry-pi-3-b-plus.yaml")),
    ("raspberry-pi-4", include_str!("../../../hardware-profiles/raspberry-pi-4.yaml")),
    ("raspberry-pi-5", include_str!("../../../hardware-profiles/raspberry-pi-5.yaml")),
    ("raspberry-pi-zero-2-w", include_str!("../../../hardware-profiles/raspberry-pi-zero-2-w.yaml")),
    ("rockchip-rk3588", include_str!("../../../hardware-profiles/rockchip-rk3588.yaml")),
    ("snapdragon-8-gen-2", include_str!("../../../hardware-profiles/snapdragon-8-gen-2.yaml")),
    ("snapdragon-8-gen-3", include_str!("../../../hardware-profiles/snapdragon-8-gen-3.yaml")),
    ("snapdragon-x-elite", include_str!("../../../hardware-profiles/snapdragon-x-elite.yaml")),
];

impl HardwareProfile {
    /// Names of the compiled-in profiles, sorted.
    pub fn builtin_names() -> impl Iterator<Item = &'static str> {
        PROFILES.iter().map(|(name, _)| *name)
    }

    /// The compiled-in profile of that name; nothing where there is none.
    ///
    /// # Errors
    /// A fault of this program: a test reads every one of them.
    pub fn builtin(name: &str) -> Option<Result<Self, HardwareError>> {
        let (name, text) = PROFILES.iter().find(|(known, _)| *known == name)?;
        let origin = format!("hardware-profiles/{name}.yaml");
        Some(
            Document::from_str(text, &origin)
                .map_err(HardwareError::from)
                .and_then(|document| Self::from_document(&document)),
        )
    }
}
