//! The whole benchmark on tables that the test writes itself: devices that follow the law exactly, and broken ones.

use super::choice::Choice;
use super::data::Data;
use super::evaluation::{Errors, judge, judge_device, leave_each_out, repeated};
use super::fit::Fit;
use super::form::Form;
use super::spread;
use slimfit_cost::{DecodeWork, EngineCoefficients, EngineDevice, EngineMemory, EngineModel};
use slimfit_document::Document;
use std::fmt::Write as _;

const DEVICES: [(&str, &str, &str, &str, u32, f64); 6] = [
    ("a", "x86-client", "x86_client", "AVX2", 4, 40.0),
    ("b", "x86-client", "x86_client", "AVX2", 8, 80.0),
    ("c", "x86-client", "x86_client", "AVX2 AVX-512 VNNI", 6, 60.0),
    ("d", "sbc", "board", "NEON fp16 dotprod", 4, 17.0),
    ("e", "sbc", "board", "NEON fp16 dotprod", 4, 34.0),
    ("f", "sbc", "board", "NEON (no dotprod)", 4, 12.8),
];

/// A law to be found again.
fn law() -> EngineCoefficients {
    let mut law = EngineCoefficients::llama_cpp();
    let set = |entry: &mut slimfit_cost::Coefficient, value: f64| entry.value = value;
    for (key, entry) in &mut law.bandwidth_share {
        set(entry, if key == "board" { 0.35 } else { 0.6 });
    }
    for entry in law.bytes_per_cycle.values_mut().chain(law.format_factor.values_mut()) {
        set(entry, 1.0);
    }
    for entry in law.bandwidth_falloff.values_mut() {
        set(entry, 0.2);
    }
    set(&mut law.layer_seconds, 3e-5);
    set(&mut law.front_end_seconds, 0.0);
    law
}

fn folder(law: &EngineCoefficients) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut devices = String::from(
        "device_id,class,cores_total,p_cores,boost_GHz,simd_isa,bw_theory_GBs,bw_meas_GBs,bw_meas_method,HPL_W\n",
    );
    let mut rates = String::from(
        "device_id,backend,engine,threads,model,params_B,n_layer,n_kv,head_dim,quant,weight_bytes_per_token_GB,pp_tps,tg_tokens,tg_start_ctx,tg_tps,J_per_token,flags\n",
    );
    for (id, class, engine_class, simd, cores, bandwidth) in DEVICES {
        let isa = match simd {
            "AVX2" => "avx2",
            "NEON fp16 dotprod" => "neon_dotprod",
            "NEON (no dotprod)" => "neon",
            _ => "avx512",
        };
        let _ = writeln!(devices, "{id},{class},{cores},,3.0,\"{simd}\",{bandwidth},,,10");
        let device = EngineDevice {
            class: engine_class.to_owned(),
            isa: isa.to_owned(),
            cores,
            hertz: Some(3e9),
            memory: EngineMemory::Theoretical(bandwidth * 1e9),
        };
        for (threads, gigabytes) in [(1, 0.5), (cores, 1.0), (cores, 4.0)] {
            let through_front_end = law.front_end_seconds.value > 0.0 && ["b", "d", "f"].contains(&id);
            // Small models, where a front end's time shows.
            let gigabytes = if through_front_end { gigabytes / 20.0 } else { gigabytes };
            let work = DecodeWork {
                weights: vec![("q4_0".to_owned(), gigabytes * 1e9)],
                cache_bytes: 2.0 * 32.0 * 8.0 * 128.0 * 2.0 * 64.0,
                layers: 32.0,
            };
            let engine = if through_front_end { "Ollama" } else { "llama.cpp" };
            let beside = if through_front_end { law.front_end_seconds.value } else { 0.0 };
            let seconds = EngineModel::new(law, &device).decode_terms(&work, threads).seconds + beside;
            let _ = writeln!(
                rates,
                "{id},CPU,{engine},{threads},M{gigabytes},7,32,8,128,Q4_0,{gigabytes},10,128,,{},{},",
                1.0 / seconds,
                10.0 * seconds
            );
        }
    }
    for (row, _) in [
        ("a,CPU,llama.cpp,4,M,7,32,8,128,Q4_0,4.0,,128,,100,,", "impossible"),
        ("a,GPU,llama.cpp,4,M,7,32,8,128,Q4_0,4.0,,128,,1,,", "backend"),
        ("a,CPU,other,4,M,7,32,8,128,Q4_0,4.0,,128,,1,,", "engine"),
        ("a,CPU,llama.cpp,4,M,7,32,8,128,Q2_K,4.0,,128,,1,,", "bits"),
        ("a,CPU,llama.cpp,4,M,7,32,8,128,Q4_0,4.0,,128,,0.1,,\"suspect, slow\"", "flagged"),
        ("z,CPU,llama.cpp,4,M,7,32,8,128,Q4_0,4.0,,128,,1,,", "no device"),
    ] {
        let _ = writeln!(rates, "{row}");
    }
    std::fs::write(folder.path().join("devices.csv"), devices).unwrap();
    std::fs::write(folder.path().join("device-inference.csv"), rates).unwrap();
    folder
}

#[test]
fn rows_that_prove_nothing_are_left_out_with_their_reason() {
    let folder = folder(&law());
    let data = Data::read(folder.path()).unwrap();
    assert_eq!(data.rates.len(), 18);
    assert_eq!(data.left_out.values().sum::<usize>(), 6);
    assert_eq!(data.left_out.len(), 6, "{:?}", data.left_out);
    assert_eq!(data.impossible.len(), 1);
    assert!((data.impossible[0].2 - 10.0).abs() < 1e-9);
}

#[test]
fn a_law_that_devices_follow_is_found_again() {
    let law = law();
    let folder = folder(&law);
    let data = Data::read(folder.path()).unwrap();
    let start = EngineCoefficients::llama_cpp();
    let fitted = Fit::new(&data, &start, Form::Plain).run(|_| true);
    for rate in &data.rates {
        let device = &data.devices[rate.device].engine;
        let predicted = EngineModel::new(&fitted, device).decode_terms(&rate.work, rate.threads).seconds;
        assert!((predicted / rate.seconds).ln().abs() < 0.1, "{} {predicted}", rate.label);
    }
    let folds = leave_each_out(&data, &start, |_| Form::Plain);
    let judged = judge(&data, &folds);
    let ratios: Vec<(usize, f64)> = judged.iter().map(|row| (row.device, row.ratio)).collect();
    assert!(Errors::of(&ratios).unwrap().median < 0.15);
    // Watts are the same under every load, so joules are as wrong as seconds.
    assert!(judged.iter().all(|row| (row.joules_ratio.unwrap() / row.ratio - 1.0).abs() < 1e-9));
}

#[test]
fn the_device_judged_is_not_among_those_fitted_on() {
    let mut data = Data::read(folder(&law()).path()).unwrap();
    let start = EngineCoefficients::llama_cpp();
    let before = judge(&data, &leave_each_out(&data, &start, |_| Form::Plain));
    for rate in data.rates.iter_mut().filter(|rate| rate.device == 0) {
        rate.seconds *= 3.0;
    }
    let after = judge(&data, &leave_each_out(&data, &start, |_| Form::Plain));
    let of = |judged: &[super::evaluation::Judged]| {
        judged.iter().filter(|row| row.device == 0).map(|row| row.ratio).collect::<Vec<_>>()
    };
    for (before, after) in of(&before).into_iter().zip(of(&after)) {
        assert!((before / after - 3.0).abs() < 1e-9, "its own rates changed its prediction");
    }
}

#[test]
fn the_file_that_is_written_can_be_read_and_says_how_sure_it_is() {
    let data = Data::read(folder(&law()).path()).unwrap();
    let start = EngineCoefficients::llama_cpp();
    let folds = leave_each_out(&data, &start, |_| Form::Plain);
    let mut fitted = Fit::new(&data, &start, Form::Plain).run(|_| true);
    spread::describe(&mut fitted, &data, &folds, &judge(&data, &folds));
    let document = Document::from_str(&spread::file(&fitted), "llama.cpp.yaml").unwrap();
    let read = EngineCoefficients::from_document(&document).unwrap();
    assert!(read.citation.contains("18 published CPU decode rates of 6 devices"));
    assert_eq!(read.bandwidth_share["board"].n, 3);
    assert!(read.interval_factor["any"].value >= 1.15);
    assert!(read.layer_seconds.low <= read.layer_seconds.high);
}

#[test]
fn what_front_ends_take_is_told_from_the_engine_where_they_take_any() {
    let start = EngineCoefficients::llama_cpp();
    let plain = Data::read(folder(&law()).path()).unwrap();
    let choice = Choice::new(&plain, &start, 1);
    assert_eq!(choice.best(None), Form::Plain, "a part that changes nothing was taken up");

    let mut slow = law();
    slow.front_end_seconds.value = 0.01;
    let data = Data::read(folder(&slow).path()).unwrap();
    assert_eq!(data.rates.iter().filter(|rate| !rate.direct).count(), 9);
    let choice = Choice::new(&data, &start, 2);
    let chosen: Vec<Form> = (0..6).map(|device| choice.best(Some(device))).collect();
    assert_eq!((choice.best(None), chosen), (Form::FrontEnds, vec![Form::FrontEnds; 6]));
    let fit = |form| Fit::new(&data, &start, form).run(|_| true);
    let (apart, together) = (fit(Form::FrontEnds), fit(Form::Plain));
    assert_eq!((apart.front_end_seconds.n, together.front_end_seconds.value), (3, 0.0));
    // Drawn towards what one expects beforehand.
    assert!((0.006..0.012).contains(&apart.front_end_seconds.value), "{}", apart.front_end_seconds.value);
    let error = |coefficients: &EngineCoefficients| {
        let judged = (0..6).flat_map(|device| judge_device(&data, coefficients, device));
        judged.map(|row| row.ratio.ln().abs()).sum::<f64>()
    };
    assert!(error(&apart) < 0.5 * error(&together), "{} {}", error(&apart), error(&together));
}

#[test]
fn the_device_judged_does_not_choose_its_form() {
    let mut slow = law();
    slow.front_end_seconds.value = 0.01;
    let mut data = Data::read(folder(&slow).path()).unwrap();
    let start = EngineCoefficients::llama_cpp();
    for rate in data.rates.iter_mut().filter(|rate| rate.device == 1) {
        rate.seconds -= 0.0095;
    }
    assert_eq!(Choice::new(&data, &start, 2).best(Some(1)), Form::FrontEnds);
}

#[test]
fn rates_published_twice_say_how_far_publications_differ() {
    let mut data = Data::read(folder(&law()).path()).unwrap();
    assert!(repeated(&data).is_empty());
    let mut again = data.rates[0].clone();
    again.seconds *= 1.25;
    data.rates.push(again);
    // Another thread count is another thing.
    let mut other = data.rates[1].clone();
    other.threads += 1;
    data.rates.push(other);
    let factors = repeated(&data);
    assert!(factors.len() == 1 && (factors[0] - 1.25).abs() < 1e-9, "{factors:?}");
}
