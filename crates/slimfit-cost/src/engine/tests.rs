//! Tests of the formula and of the compiled-in coefficients.

use super::decode::join;
use super::*;
use slimfit_document::Document;

fn device(cores: u32, bandwidth: f64) -> EngineDevice {
    EngineDevice {
        class: "x86_client".to_owned(),
        isa: "avx2".to_owned(),
        cores,
        hertz: Some(4e9),
        memory: EngineMemory::Theoretical(bandwidth),
    }
}

fn work(bytes: f64) -> DecodeWork {
    DecodeWork { weights: vec![("q4_0".to_owned(), bytes)], cache_bytes: 0.0, layers: 32.0 }
}

#[test]
fn the_compiled_in_coefficients_are_sound_and_come_back() {
    let coefficients = EngineCoefficients::llama_cpp();
    assert_eq!(coefficients.engine, Engine::LlamaCpp.name());
    let text = coefficients.to_yaml();
    let document = Document::from_str(&text, "coefficients.yaml").unwrap();
    assert_eq!(EngineCoefficients::from_document(&document).unwrap(), coefficients);
}

#[test]
fn a_file_that_cannot_be_calculated_with_is_refused_by_its_field() {
    let refused = |change: fn(&mut EngineCoefficients)| {
        let mut coefficients = EngineCoefficients::llama_cpp();
        change(&mut coefficients);
        let document = Document::from_str(&coefficients.to_yaml(), "coefficients.yaml").unwrap();
        EngineCoefficients::from_document(&document).unwrap_err().to_string()
    };
    assert!(refused(|file| file.exponent.value = 0.5).contains("exponent.value"));
    assert!(refused(|file| file.cache_share.low = 9.0).contains("cache_share.value"));
    assert!(refused(|file| file.format_factor.clear()).contains("format_factor"));
    assert!(refused(|file| file.citation.clear()).contains("citation"));
    assert!(refused(|file| file.schema = "slimfit/engine/v9".to_owned()).contains("schema"));
}

#[test]
fn seconds_are_linear_in_bytes_for_one_thread_count() {
    let (coefficients, device) = (EngineCoefficients::llama_cpp(), device(4, 40e9));
    let model = EngineModel::new(&coefficients, &device);
    let seconds = |bytes| model.decode_terms(&work(bytes), 4).seconds;
    let slope = |a: f64, b: f64| (seconds(b) - seconds(a)) / (b - a);
    assert!((slope(1e8, 1e9) / slope(2e9, 5e9) - 1.0).abs() < 1e-9);
    let fixed = model.decode_terms(&work(1e9), 4).fixed_seconds;
    assert!(fixed > 0.0 && (seconds(1e9) - slope(1e8, 1e9) * 1e9 - fixed).abs() < 1e-9);
}

#[test]
fn no_token_is_faster_than_the_data_sheet_allows() {
    let coefficients = EngineCoefficients::llama_cpp();
    for bandwidth in [3e9, 40e9, 800e9] {
        let device = device(64, bandwidth);
        let predicted = EngineModel::new(&coefficients, &device).predict(&work(4e9), None);
        assert!(predicted.tpot_seconds.value > 4e9 / bandwidth, "{bandwidth}");
    }
}

#[test]
fn threads_past_the_fast_cores_do_not_help_and_the_best_count_is_taken() {
    let (coefficients, device) = (EngineCoefficients::llama_cpp(), device(6, 200e9));
    let model = EngineModel::new(&coefficients, &device);
    assert_eq!(model.decode_terms(&work(4e9), 6).seconds, model.decode_terms(&work(4e9), 24).seconds);
    let best = model.predict(&work(4e9), None);
    for threads in device.thread_counts() {
        assert!(model.decode_terms(&work(4e9), threads).seconds >= best.terms.seconds);
    }
    assert_eq!(device.thread_counts(), [1, 2, 4, 6]);
}

#[test]
fn a_prediction_is_modelled_and_names_its_source() {
    let (coefficients, device) = (EngineCoefficients::llama_cpp(), device(4, 40e9));
    let figure = EngineModel::new(&coefficients, &device).predict(&work(1e9), Some(4)).figure();
    assert_eq!(figure.source, slimfit_quantity::Source::Modelled);
    assert_eq!(figure.citation.as_deref(), Some(coefficients.citation.as_str()));
    assert!(figure.low < figure.value && figure.value < figure.high);
}

#[test]
fn the_norm_lies_between_the_larger_and_the_sum() {
    assert!((join(3.0, 4.0, 2.0) - 5.0).abs() < 1e-12);
    assert!((join(3.0, 4.0, 1.0) - 7.0).abs() < 1e-12);
    assert_eq!(join(0.0, 4.0, 2.1), 4.0);
    let joined = join(1.0, 1.0, 2.1);
    assert!(joined > 1.0 && joined < 2.0_f64.sqrt());
}

#[test]
fn unknown_engines_are_refused_with_the_nearest_name() {
    let error = Engine::named("lama.cpp").unwrap_err().to_string();
    assert!(error.contains("slimfit, llama.cpp") && error.contains("did you mean `llama.cpp`?"), "{error}");
    assert_eq!(Engine::named("llama.cpp").unwrap(), Engine::LlamaCpp);
}
