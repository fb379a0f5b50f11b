//! A device made up for tests: two threads, three bandwidth levels, kernel times from a formula.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should panic")]

use slimfit_document::Document;
use slimfit_hardware::{
    Bandwidth, BandwidthKind, HandOver, HardwareProfile, KernelTime, LoadedPower, Streaming, Tail,
};
use slimfit_quantity::{Figure, Measured, NumberFormat};

fn measured(value: f64) -> Figure {
    Measured::new(vec![value; 3]).unwrap().figure()
}

pub fn synthetic(power: bool) -> HardwareProfile {
    let text = include_str!("../../../slimfit-hardware/tests/example.yaml");
    let mut profile =
        HardwareProfile::from_document(&Document::from_str(text, "example.yaml").unwrap()).unwrap();
    profile.bandwidth.clear();
    for threads in [1_u32, 2] {
        // Falls from cache to memory; two threads gain nearly twofold, less in cache where they share.
        for (exponent, rate) in
            (20..31).zip([90e9, 88e9, 80e9, 70e9, 55e9, 45e9, 34e9, 28e9, 25e9, 24e9, 24e9])
        {
            profile.bandwidth.push(Bandwidth {
                kind: BandwidthKind::Read,
                pattern: "sequential".to_owned(),
                streams: 4,
                working_set_bytes: 1 << exponent,
                threads,
                huge_pages: false,
                bytes_per_s: measured(rate * if threads == 1 { 1.0 } else { 1.7 }),
            });
        }
    }
    for threads in [1_u32, 2] {
        // Longer steps scatter less, reading from memory more.
        for (working_set_bytes, scatter) in [(1 << 20, 0.2), (1 << 27, 0.5)] {
            for seconds in [1e-4_f64, 4e-4, 1.6e-3, 6.4e-3] {
                let excess = scatter / f64::from(threads) * (1e-4 / seconds).powf(0.4);
                profile.noise.tails.push(Tail {
                    threads,
                    working_set_bytes,
                    seconds: measured(seconds),
                    p90_seconds: Some(seconds * (1.0 + 0.5 * excess)),
                    p95_seconds: Some(seconds * (1.0 + excess)),
                    p99_seconds: (seconds < 1e-3).then_some(seconds * (1.0 + 3.0 * excess)),
                });
            }
        }
    }
    profile.kernels.clear();
    for threads in [1_u32, 2] {
        let gain = if threads == 1 { 1.0 } else { 0.55 };
        let overhead = if threads == 1 { 1e-7 } else { 2.5e-6 };
        let mut add =
            |operation: &str, format: NumberFormat, rows: u64, columns: u64, batch: u64, work: f64| {
                profile.kernels.push(KernelTime {
                    operation: operation.to_owned(),
                    variant: "made-up".to_owned(),
                    format,
                    rows,
                    columns,
                    batch,
                    head_size: None,
                    kv_heads: None,
                    qk_norm: false,
                    threads,
                    seconds: measured(overhead + gain * work),
                });
            };
        for (format, rate) in
            NumberFormat::SEARCHABLE_WEIGHTS.into_iter().zip([40e9, 38e9, 35e9, 90e9, 70e9, 72e9, 68e9])
        {
            for batch in [1, 4, 32, 128, 512] {
                add("matmul", format, 576, 1536, batch, 576.0 * 1536.0 * batch as f64 / rate);
            }
            for batch in [1, 128] {
                add("embed", format, 576, 1, batch, 576.0 * batch as f64 / 4e9);
            }
        }
        for format in NumberFormat::SEARCHABLE_KV {
            for (batch, keys) in [(1, 128), (1, 1024), (128, 128)] {
                add("attend", format, 576, keys, batch, 576.0 * (keys * batch) as f64 / 9e9);
            }
            for batch in [1, 128] {
                add("rotate_store", format, 576, 1, batch, 576.0 * batch as f64 / 2e9);
            }
        }
        for operation in ["norm", "activate", "add"] {
            for batch in [1, 128] {
                add(operation, NumberFormat::F32, 576, 1, batch, 576.0 * batch as f64 / 3e9);
            }
        }
    }
    for threads in [1_u32, 2] {
        for format in NumberFormat::SEARCHABLE_WEIGHTS {
            for (bytes, share) in [(200_000_u64, 0.8), (2_000_000, 0.95)] {
                for (working_set_bytes, gain) in [(1 << 23, 0.8), (1 << 27, 1.0)] {
                    profile.streaming.push(Streaming {
                        operation: "matmul".to_owned(),
                        variant: "made-up".to_owned(),
                        format,
                        rows: 576,
                        columns: 1536,
                        head_size: None,
                        kv_heads: None,
                        threads,
                        bytes,
                        working_set_bytes,
                        share_of_read: measured(gain * share),
                    });
                }
            }
        }
        let weights = |bytes| Some((bytes, 128 << 20));
        for (tokens, activation_bytes, seconds, weights) in [
            (1, 6000, 2e-7, None),
            (1, 20_000, 5e-7, None),
            (128, 800_000, 9e-6, weights(190_000)),
            (128, 2_700_000, 6e-5, weights(1_600_000)),
        ] {
            profile.overhead.hand_over.push(HandOver {
                threads,
                tokens,
                activation_bytes,
                weight_bytes: weights.map(|weights| weights.0),
                working_set_bytes: weights.map(|weights| weights.1),
                seconds: measured(seconds * f64::from(threads)),
            });
        }
    }
    if power {
        profile.power.idle_watts = measured(3.0);
        for threads in [1, 2] {
            for (class, each) in [("read", 3.0), ("compute", 7.0)] {
                let watts = measured(5.0 + each * f64::from(threads));
                profile.power.loaded.push(LoadedPower { class: class.to_owned(), threads, watts });
            }
        }
    }
    profile
}
