//! The formula: seconds of one decoded token.

use super::coefficients::{EngineCoefficients, entry};
use super::device::{EngineDevice, EngineMemory};
use super::prediction::EnginePrediction;
use slimfit_quantity::Predicted;

/// Bandwidth at which [`EngineCoefficients::bandwidth_share`] is stated.
const REFERENCE_BANDWIDTH: f64 = 50e9;

/// What one decoded token asks for.
#[derive(Debug, Clone, PartialEq)]
pub struct DecodeWork {
    /// Bytes of weights read, by format name.
    pub weights: Vec<(String, f64)>,
    /// Bytes of the KV cache read.
    pub cache_bytes: f64,
    /// Executed layers.
    pub layers: f64,
}

/// Where the seconds of a token go.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DecodeTerms {
    /// Weight bytes over bandwidth.
    pub memory_seconds: f64,
    /// Weight bytes over what the threads' kernels process.
    pub compute_seconds: f64,
    /// Cache bytes over their own rate.
    pub cache_seconds: f64,
    /// Fixed cost of the layers.
    pub fixed_seconds: f64,
    /// The p-norm of the first two, and the others.
    pub seconds: f64,
}

/// An engine on a device.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EngineModel<'a> {
    coefficients: &'a EngineCoefficients,
    device: &'a EngineDevice,
}

impl<'a> EngineModel<'a> {
    /// The engine of `coefficients` on `device`.
    pub const fn new(coefficients: &'a EngineCoefficients, device: &'a EngineDevice) -> Self {
        Self { coefficients, device }
    }

    /// Bytes of weights per second that the memory gives to `threads` threads which touch `working_set_bytes`.
    pub fn read_bytes_per_s(&self, threads: u32, working_set_bytes: f64) -> f64 {
        let coefficients = self.coefficients;
        match &self.device.memory {
            EngineMemory::Theoretical(bandwidth) => bandwidth * self.bandwidth_share(*bandwidth),
            EngineMemory::Sustained(rate) => rate * coefficients.measured_share.value,
            EngineMemory::Measured(curves) => {
                let nearest = curves.iter().min_by_key(|(count, _)| count.abs_diff(threads));
                let (_, curve) = nearest.expect("a measured device has a curve");
                curve.rate(working_set_bytes) * coefficients.measured_share.value
            }
        }
    }

    fn bandwidth_share(&self, bandwidth: f64) -> f64 {
        let share = entry(&self.coefficients.bandwidth_share, &self.device.class).value;
        let falloff = entry(&self.coefficients.bandwidth_falloff, &self.device.class).value;
        (share * (bandwidth / REFERENCE_BANDWIDTH).powf(-falloff)).min(1.0)
    }

    /// Bytes of weights in `format` per second that the kernels of `threads` threads process when memory costs nothing.
    pub fn kernel_bytes_per_s(&self, threads: u32, format: &str) -> f64 {
        let coefficients = self.coefficients;
        let per_cycle = entry(&coefficients.bytes_per_cycle, &self.device.isa).value;
        let factor = entry(&coefficients.format_factor, format).value;
        f64::from(self.useful(threads)) * self.hertz() * per_cycle * factor
    }

    /// Bytes of the KV cache per second, given the rate for weights.
    pub fn cache_bytes_per_s(&self, read_bytes_per_s: f64) -> f64 {
        read_bytes_per_s * self.coefficients.cache_share.value
    }

    /// Fixed seconds of one executed layer.
    pub fn layer_seconds(&self, threads: u32) -> f64 {
        let coefficients = self.coefficients;
        let growth = f64::from(self.useful(threads)).powf(coefficients.layer_thread_growth.value);
        coefficients.layer_seconds.value * growth
    }

    /// p of the norm.
    pub fn exponent(&self) -> f64 {
        self.coefficients.exponent.value
    }

    /// Factor of the 90 % interval of a decode time.
    pub fn interval_factor(&self) -> f64 {
        match self.device.memory {
            EngineMemory::Theoretical(_) => {
                entry(&self.coefficients.interval_factor, &self.device.class).value
            }
            EngineMemory::Sustained(_) | EngineMemory::Measured(_) => {
                self.coefficients.measured_interval_factor.value
            }
        }
    }

    /// Multiply-adds per second in prefill: a class figure.
    pub fn prefill_multiply_adds_per_s(&self, threads: u32) -> f64 {
        let per_cycle = entry(&self.coefficients.prefill_multiply_adds_per_cycle, &self.device.isa).value;
        f64::from(self.useful(threads)) * self.hertz() * per_cycle
    }

    /// The terms of one token.
    pub fn decode_terms(&self, work: &DecodeWork, threads: u32) -> DecodeTerms {
        let weights: f64 = work.weights.iter().map(|(_, bytes)| bytes).sum();
        let bandwidth = self.read_bytes_per_s(threads, weights + work.cache_bytes);
        let mut terms = DecodeTerms {
            memory_seconds: 0.0,
            compute_seconds: 0.0,
            cache_seconds: work.cache_bytes / self.cache_bytes_per_s(bandwidth),
            fixed_seconds: work.layers * self.layer_seconds(threads),
            seconds: 0.0,
        };
        let mut joined = 0.0;
        for (format, bytes) in &work.weights {
            let (memory, compute) = (bytes / bandwidth, bytes / self.kernel_bytes_per_s(threads, format));
            terms.memory_seconds += memory;
            terms.compute_seconds += compute;
            joined += join(memory, compute, self.exponent());
        }
        terms.seconds = joined + terms.cache_seconds + terms.fixed_seconds;
        terms
    }

    /// Seconds of one token with their 90 % interval; `threads`: a count, or none for the best (on a tie the fewer).
    pub fn predict(&self, work: &DecodeWork, threads: Option<u32>) -> EnginePrediction {
        let counts = threads.map_or_else(|| self.device.thread_counts(), |threads| vec![threads]);
        let priced = counts.into_iter().map(|threads| (threads, self.decode_terms(work, threads)));
        let best = priced.reduce(|best, next| if next.1.seconds < best.1.seconds { next } else { best });
        let (threads, terms) = best.expect("a device has a core");
        EnginePrediction {
            engine: self.coefficients.engine.clone(),
            threads,
            terms,
            tpot_seconds: Predicted::within_factor(terms.seconds, self.interval_factor()),
            citation: self.coefficients.citation.clone(),
        }
    }

    /// Threads that add anything: an engine that shares work out evenly waits for its slowest core.
    fn useful(&self, threads: u32) -> u32 {
        threads.clamp(1, self.device.cores)
    }

    fn hertz(&self) -> f64 {
        self.device.hertz.unwrap_or(self.coefficients.usual_hertz.value)
    }
}

/// The p-norm of two times.
pub(crate) fn join(memory: f64, compute: f64, exponent: f64) -> f64 {
    if exponent == 2.0 {
        return memory.hypot(compute);
    }
    let (large, small) = if memory > compute { (memory, compute) } else { (compute, memory) };
    if small <= 0.0 {
        return large;
    }
    large * (1.0 + (small / large).powf(exponent)).powf(1.0 / exponent)
}
