//! Published devices and decode rates, and which of the rates an efficiency may be fitted on.

use super::csv::{Csv, Row};
use anyhow::Result;
use slimfit_cost::{DecodeWork, EngineDevice, EngineMemory};
use std::collections::BTreeMap;
use std::path::Path;

/// Remarks on a row that say how it was run, not that its figure is doubtful.
const PLAIN_REMARKS: [&str; 3] = ["", "single process, single stream", "2 threads (P-cores only)"];
/// The KV cache of every row: f16.
const CACHE_VALUE_BYTES: f64 = 2.0;

/// A published device.
#[derive(Debug, Clone)]
pub struct Device {
    /// Its identifier.
    pub id: String,
    /// As engines see it, with the data sheet's bandwidth.
    pub engine: EngineDevice,
    /// The data sheet's bytes per second.
    pub theoretical: f64,
    /// Measured bytes per second, where published.
    pub measured: Option<f64>,
    /// Watts under High-Performance Linpack, where published.
    pub loaded_watts: Option<f64>,
}

/// A published decode rate.
#[derive(Debug, Clone)]
pub struct Rate {
    /// Place of its device.
    pub device: usize,
    /// Model and format.
    pub model: String,
    /// The same and what ran it, for tables.
    pub label: String,
    /// Whether it ran llama.cpp itself rather than a front end of it.
    pub direct: bool,
    /// Threads; all fast cores where the source does not say.
    pub threads: u32,
    /// What a token asks for.
    pub work: DecodeWork,
    /// Published seconds per token.
    pub seconds: f64,
    /// Published joules per token.
    pub joules: Option<f64>,
}

/// A published prefill rate.
#[derive(Debug, Clone)]
pub struct PrefillRate {
    /// Place of its device.
    pub device: usize,
    /// Threads.
    pub threads: u32,
    /// Multiply-adds per second.
    pub multiply_adds_per_s: f64,
}

/// Everything that was read, and why rows were left out.
#[derive(Debug, Default)]
pub struct Data {
    /// Devices with bandwidth and instructions.
    pub devices: Vec<Device>,
    /// Rates to fit on and to judge by.
    pub rates: Vec<Rate>,
    /// Prefill rates of the same kind.
    pub prefill: Vec<PrefillRate>,
    /// Rows left out, by reason.
    pub left_out: BTreeMap<&'static str, usize>,
    /// Rows that are faster than the data sheet allows: device, model, share of the data sheet's bandwidth.
    pub impossible: Vec<(String, String, f64)>,
}

impl Data {
    /// Reads `devices.csv` and `device-inference.csv`.
    ///
    /// # Errors
    /// A file or a column is missing.
    pub fn read(folder: &Path) -> Result<Self> {
        let devices = Csv::read(
            &folder.join("devices.csv"),
            &[
                "device_id",
                "class",
                "cores_total",
                "p_cores",
                "boost_GHz",
                "simd_isa",
                "bw_theory_GBs",
                "bw_meas_GBs",
                "bw_meas_method",
                "HPL_W",
            ],
        )?;
        let rates = Csv::read(
            &folder.join("device-inference.csv"),
            &[
                "device_id",
                "backend",
                "engine",
                "threads",
                "model",
                "params_B",
                "n_layer",
                "n_kv",
                "head_dim",
                "quant",
                "weight_bytes_per_token_GB",
                "pp_tps",
                "tg_tokens",
                "tg_start_ctx",
                "tg_tps",
                "J_per_token",
                "flags",
            ],
        )?;
        let mut data = Self { devices: devices.rows().filter_map(device).collect(), ..Self::default() };
        for row in rates.rows() {
            if let Err(reason) = data.add(row) {
                *data.left_out.entry(reason).or_insert(0) += 1;
            }
        }
        Ok(data)
    }

    /// Places of the devices that have rates, ascending.
    pub fn devices_with_rates(&self) -> Vec<usize> {
        let mut devices: Vec<usize> = self.rates.iter().map(|rate| rate.device).collect();
        devices.sort_unstable();
        devices.dedup();
        devices
    }

    fn add(&mut self, row: Row<'_>) -> Result<(), &'static str> {
        if row.text("backend") != "CPU" {
            return Err("not on the CPU");
        }
        let engine = row.text("engine");
        let direct = engine.starts_with("llama.cpp") && !engine.contains(" PR");
        let front_end = engine.starts_with("Ollama") || engine == "llama.rn";
        let device = self.devices.iter().position(|device| device.id == row.text("device_id"));
        let bytes = row.number("weight_bytes_per_token_GB").map(|gigabytes| gigabytes * 1e9);
        let rate = row.number("tg_tps");
        let model = format!("{} {}", row.text("model"), row.text("quant"));
        let label = format!("{model} ({engine})");
        // Whatever ran it: no engine reads faster than the memory can.
        if let (Some(device), Some(bytes), Some(rate)) = (device, bytes, rate) {
            let share = bytes * rate / self.devices[device].theoretical;
            let excused = row.text("flags").contains("fits in L3");
            if share > 1.0 && !excused {
                self.impossible.push((row.text("device_id").to_owned(), label, share));
                return Err("impossible: faster than the data sheet's bandwidth");
            }
        }
        if !direct && !front_end {
            return Err("another engine");
        }
        if !PLAIN_REMARKS.contains(&row.text("flags")) {
            return Err("flagged");
        }
        let format = format_key(row.text("quant")).ok_or("below 4 bits, or a format of its own")?;
        let device = device.ok_or("its device has no bandwidth or instructions")?;
        let cores = self.devices[device].engine.cores;
        let threads = row.number("threads").map_or(cores, |threads| threads as u32);
        let layers = row.number("n_layer").ok_or("no size")?;
        if let (Some(rate), Some(parameters)) = (row.number("pp_tps"), row.number("params_B")) {
            let multiply_adds_per_s = rate * parameters * 1e9;
            self.prefill.push(PrefillRate { device, threads, multiply_adds_per_s });
        }
        let rate = rate.ok_or("no decode rate")?;
        let bytes = bytes.ok_or("no size")?;
        let depth = row.number("tg_start_ctx").unwrap_or(0.0) + row.number("tg_tokens").unwrap_or(0.0) / 2.0;
        let kv_values = row.number("n_kv").unwrap_or(0.0) * row.number("head_dim").unwrap_or(0.0);
        self.rates.push(Rate {
            device,
            model,
            label,
            direct,
            threads,
            work: DecodeWork {
                weights: vec![(format.to_owned(), bytes)],
                cache_bytes: 2.0 * layers * kv_values * CACHE_VALUE_BYTES * depth,
                layers,
            },
            seconds: 1.0 / rate,
            joules: row.number("J_per_token"),
        });
        Ok(())
    }
}

fn device(row: Row<'_>) -> Option<Device> {
    let theoretical = row.number("bw_theory_GBs")? * 1e9;
    let cores = row.number("p_cores").or_else(|| row.number("cores_total"))? as u32;
    let class = match row.text("class") {
        "x86-client" => "x86_client",
        "arm-laptop" => "arm_laptop",
        "sbc" | "embedded" => "board",
        "workstation" => "server",
        other => other,
    };
    Some(Device {
        id: row.text("device_id").to_owned(),
        engine: EngineDevice {
            class: class.to_owned(),
            isa: instructions(row.text("simd_isa"))?.to_owned(),
            cores: cores.max(1),
            hertz: row.number("boost_GHz").map(|gigahertz| gigahertz * 1e9),
            memory: EngineMemory::Theoretical(theoretical),
        },
        theoretical,
        // What a device stores at is not what it reads at.
        measured: row
            .number("bw_meas_GBs")
            .filter(|_| !row.text("bw_meas_method").contains("store"))
            .map(|rate| rate * 1e9),
        loaded_watts: row.number("HPL_W"),
    })
}

/// The class of instructions that a data sheet's list means.
fn instructions(list: &str) -> Option<&'static str> {
    let has = |name: &str| list.contains(name);
    match () {
        () if has("AVX-512") => Some("avx512"),
        () if has("AVX2") => Some("avx2"),
        () if has("i8mm") => Some("neon_i8mm"),
        () if has("no dotprod") => Some("neon"),
        () if has("dotprod") => Some("neon_dotprod"),
        () => None,
    }
}

/// The format whose kernel runs most of a file's bytes; nothing below 4 bits.
fn format_key(quant: &str) -> Option<&'static str> {
    let quant = quant.to_ascii_lowercase();
    let starts = |name: &str| quant.starts_with(name);
    match () {
        () if starts("bf16") => Some("bf16"),
        () if starts("f16") => Some("f16"),
        () if starts("q8_0") => Some("q8_0"),
        () if starts("q6_k") => Some("q6_k"),
        () if starts("q5_k") => Some("q5_k"),
        () if starts("q5_0") || starts("q5_1") => Some("q5_0"),
        () if starts("q4_k") => Some("q4_k"),
        () if starts("q4_0") || starts("q4_1") => Some("q4_0"),
        () if starts("iq4_nl") => Some("iq4_nl"),
        () if starts("iq4_xs") => Some("iq4_xs"),
        () => None,
    }
}
