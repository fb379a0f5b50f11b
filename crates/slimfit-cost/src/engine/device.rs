//! What an engine's speed depends on of a device.

use crate::CostError;
use slimfit_hardware::{BandwidthCurve, Cluster, HardwareProfile};
use slimfit_kernels::Isa;

/// Share of the highest clock that a core must have to take an even share of the work without the others waiting.
const PACE: f64 = 0.8;

/// What is known of a device's memory.
#[derive(Debug, Clone, PartialEq)]
pub enum EngineMemory {
    /// The data sheet's bytes per second.
    Theoretical(f64),
    /// One sustained read rate of all cores, bytes per second.
    Sustained(f64),
    /// Measured read rates by thread count.
    Measured(Vec<(u32, BandwidthCurve)>),
}

/// A device as an engine sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct EngineDevice {
    /// Its kind: `x86_client`, `arm_laptop`, `apple`, `board`, `phone`, `server`, or another, which `any` answers for.
    pub class: String,
    /// Its instructions: `avx2`, `avx512`, `neon`, `neon_dotprod`, `neon_i8mm`, or another, which `any` answers for.
    pub isa: String,
    /// Cores of its fastest kind: more threads than these slow an engine that shares work out evenly.
    pub cores: u32,
    /// Their highest clock, where known.
    pub hertz: Option<f64>,
    /// Its memory.
    pub memory: EngineMemory,
}

/// The instructions that decide a kernel's rate.
pub(crate) const fn isa_class(isa: Isa) -> &'static str {
    match isa {
        Isa::Scalar | Isa::Portable => "scalar",
        Isa::Avx2 | Isa::AvxVnni => "avx2",
        Isa::Avx512 | Isa::Avx512Bf16 => "avx512",
        Isa::Neon => "neon",
        Isa::NeonDotprod => "neon_dotprod",
        Isa::NeonI8mm | Isa::NeonBf16 => "neon_i8mm",
    }
}

impl EngineDevice {
    /// The device that a profile describes.
    ///
    /// # Errors
    /// When the profile names no instructions or holds no bandwidth.
    pub fn new(profile: &HardwareProfile, isa: Isa) -> Result<Self, CostError> {
        let arm = matches!(isa, Isa::Neon | Isa::NeonDotprod | Isa::NeonI8mm | Isa::NeonBf16);
        let class = match profile.device_class.as_str() {
            _ if profile.fingerprint.vendor == "Apple" => "apple",
            "laptop" | "desktop" if arm => "arm_laptop",
            "laptop" | "desktop" => "x86_client",
            other => other,
        };
        let topology = &profile.topology;
        let fastest = topology.clusters.first();
        let hertz = fastest.and_then(|cluster| cluster.maximum_hz).map(|hertz| hertz as f64);
        let keeps_pace = |cluster: &&Cluster| match (cluster.maximum_hz, hertz) {
            (Some(own), Some(best)) => own as f64 >= PACE * best,
            _ => Some(*cluster) == fastest,
        };
        let kept = topology.clusters.iter().filter(keeps_pace);
        let cores = kept.map(|cluster| cluster.processors.len() as u32).sum::<u32>();
        let cores = if cores == 0 { topology.cores } else { cores };
        let measured: Vec<(u32, BandwidthCurve)> = profile
            .thread_counts()
            .into_iter()
            .filter_map(|threads| Some((threads, profile.read_curve(threads)?)))
            .collect();
        let memory = if measured.is_empty() {
            let missing = || CostError::Missing { what: "bandwidth".to_owned() };
            EngineMemory::Theoretical(profile.theoretical_bandwidth().ok_or_else(missing)?)
        } else {
            EngineMemory::Measured(measured)
        };
        Ok(Self {
            class: class.to_owned(),
            isa: isa_class(isa).to_owned(),
            cores: cores.clamp(1, topology.cores.max(1)),
            hertz,
            memory,
        })
    }

    /// Thread counts worth considering: those measured, or 1, 2, 4 … and all cores of the fastest kind.
    pub fn thread_counts(&self) -> Vec<u32> {
        if let EngineMemory::Measured(curves) = &self.memory {
            return curves.iter().map(|(threads, _)| *threads).collect();
        }
        let mut counts: Vec<u32> =
            (0..).map(|power| 1 << power).take_while(|&count| count < self.cores).collect();
        counts.push(self.cores);
        counts
    }
}
