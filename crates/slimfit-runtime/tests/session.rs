//! What a session refuses, what it forgets, and what measuring it returns.

#![expect(clippy::unwrap_used, reason = "in a test, a failed step is a failed test")]

use slimfit_formats::FormatsError;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::{Phase, PlanOptions};
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{
    DepthFill, MeasureOptions, Model, RuntimeError, SeededWeights, Sentinels, Session, measure,
};
use slimfit_testing::synthetic;

fn options(context: u64, threads: u64) -> PlanOptions {
    let plan = PlanOptions::new(NumberFormat::Q8_0, NumberFormat::F16, Isa::best(), threads, context);
    PlanOptions { chunk: 8, ..plan }
}

fn model(context: u64) -> Model {
    let architecture = synthetic::plain();
    Model::load(&architecture, options(context, 1), &SeededWeights::new(&architecture, 3)).unwrap()
}

#[test]
fn tokens_outside_vocabulary_or_context_are_refused_and_change_nothing() {
    let (model, pool) = (model(12), Pool::new(1).unwrap());
    let mut session = Session::new(&model, &pool).unwrap();
    assert!(matches!(session.prefill(&[]), Err(RuntimeError::NoTokens)));
    let before = session.prefill(&[1, 2, 3]).unwrap().to_vec();
    assert!(matches!(
        session.prefill(&[4, 61]),
        Err(RuntimeError::UnknownToken { token: 61, index: 1, vocabulary: 61 })
    ));
    assert!(matches!(
        session.prefill(&[1; 10]),
        Err(RuntimeError::ContextOverflow { tokens: 10, position: 3, context: 12 })
    ));
    assert_eq!((session.position(), session.logits()), (3, &before[..]));
    session.prefill(&[1; 9]).unwrap();
    assert!(matches!(session.decode(1), Err(RuntimeError::ContextOverflow { .. })));
    assert!(session.rewind(13).is_err());
    assert!(session.fill_random(13, 1).is_err());
}

#[test]
fn a_forgotten_text_leaves_no_trace() {
    let (model, pool) = (model(12), Pool::new(1).unwrap());
    let mut session = Session::new(&model, &pool).unwrap();
    let first = session.prefill(&[7, 8, 9]).unwrap().to_vec();
    session.prefill(&[1, 2, 3, 4, 5]).unwrap();
    session.reset();
    assert_eq!(session.prefill(&[7, 8, 9]).unwrap(), first);
    session.rewind(2).unwrap();
    // One token and several are summed in another order, so these may differ by rounding, of activations to 8 bits too.
    let decoded = session.decode(9).unwrap().to_vec();
    assert!(decoded.iter().zip(&first).all(|(one, several)| (one - several).abs() < 1e-2));
    session.rewind(2).unwrap();
    assert_eq!(session.decode(9).unwrap(), decoded);
    session.fill_random(12, 1).unwrap();
    session.reset();
    assert_eq!(session.prefill(&[7, 8, 9]).unwrap(), first);
}

#[test]
fn weights_of_a_seed_repeat_and_those_of_another_differ() {
    let pool = Pool::new(1).unwrap();
    let architecture = synthetic::plain();
    let logits = |seed| {
        let model =
            Model::load(&architecture, options(4, 1), &SeededWeights::new(&architecture, seed)).unwrap();
        Session::new(&model, &pool).unwrap().prefill(&[1]).unwrap().to_vec()
    };
    assert_eq!(logits(1), logits(1));
    assert_ne!(logits(1), logits(2));
}

#[test]
fn what_cannot_run_is_refused_before_memory_is_taken() {
    let architecture = synthetic::plain();
    let source = |_: &slimfit_arch::Tensor, _: u64, _: &mut [f32]| -> Result<(), FormatsError> {
        panic!("nothing may be loaded")
    };
    let huge = Model::load(&architecture, options(1 << 50, 1), &source);
    assert!(matches!(huge, Err(RuntimeError::OutOfMemory { .. })), "{huge:?}");
    let mut odd = architecture.clone();
    odd.hidden_size = 72;
    let odd = Model::load(&odd, options(4, 1), &source);
    assert!(matches!(odd, Err(RuntimeError::Plan(_))), "{odd:?}");
    let mut learned = architecture;
    learned.positions = slimfit_arch::Positions::Learned { context: 8, offset: 0 };
    let learned = Model::load(&learned, options(9, 1), &source);
    assert!(matches!(learned, Err(RuntimeError::NoSuchPosition { positions: 8, context: 9 })), "{learned:?}");
}

#[test]
fn a_source_that_fails_is_reported_by_tensor() {
    let architecture = synthetic::plain();
    let good = SeededWeights::new(&architecture, 1);
    let source = move |tensor: &slimfit_arch::Tensor, first: u64, values: &mut [f32]| {
        if tensor.name() == "layers.1.ffn.down.weight" {
            return Err(FormatsError::Tensor { tensor: tensor.name(), reason: "cut short".to_owned() });
        }
        slimfit_runtime::TensorSource::read(&good, tensor, first, values)
    };
    let error = Model::load(&architecture, options(4, 1), &source).unwrap_err();
    assert_eq!(error.to_string(), "tensor `layers.1.ffn.down.weight`: cut short");
}

#[test]
fn a_plan_for_other_threads_formats_or_sets_is_refused() {
    let (mut model, pool) = (model(12), Pool::new(2).unwrap());
    assert!(matches!(Session::new(&model, &pool), Err(RuntimeError::Mismatch { what: "threads", .. })));
    model.replan(options(20, 2)).unwrap();
    assert_eq!(Session::new(&model, &pool).unwrap().context(), 20);
    let other = PlanOptions { weights: NumberFormat::F32, ..options(20, 2) };
    assert!(matches!(model.replan(other), Err(RuntimeError::Mismatch { what: "weights", .. })));
    if Isa::best() != Isa::Scalar {
        let other = PlanOptions { isa: Isa::Scalar, ..options(20, 2) };
        assert!(matches!(model.replan(other), Err(RuntimeError::Mismatch { what: "instruction set", .. })));
    }
}

#[test]
fn a_tied_table_is_stored_once() {
    let bytes = |tied| {
        let architecture = slimfit_arch::Architecture { tied_embeddings: tied, ..synthetic::plain() };
        let model = Model::load(&architecture, options(4, 1), &SeededWeights::new(&architecture, 1)).unwrap();
        (model.plan().matrices.len(), model.plan().memory().weight_bytes)
    };
    let ((tied, tied_bytes), (untied, untied_bytes)) = (bytes(true), bytes(false));
    assert_eq!(untied, tied + 1);
    assert!(untied_bytes > tied_bytes);
}

#[test]
fn a_measurement_holds_every_run_and_every_token() {
    let (model, pool) = (model(40), Pool::new(1).unwrap());
    let mut session = Session::new(&model, &pool).unwrap();
    for depth_fill in [DepthFill::Random, DepthFill::Prefill] {
        let asked = MeasureOptions {
            prompt: 20,
            generate: 6,
            depth: 30,
            depth_fill,
            rounds: 2,
            settling: 0,
            seed: 5,
        };
        assert_eq!(asked.context(), 36);
        let sentinels = Sentinels::<RuntimeError> {
            read_bytes_per_s: Box::new(|| Ok(1e9)),
            peak_ops_per_s: Box::new(|| Ok(1e12)),
        };
        let mut last = 0;
        let result = measure(&mut session, &asked, sentinels, |done, total, _| {
            assert_eq!(total, 8);
            last = done;
        })
        .unwrap();
        assert_eq!(last, 8);
        assert_eq!(result.token_seconds.len(), 2 * 2 * 6);
        let (prefill, decode) = (result.prefill.as_ref().unwrap(), result.decode.as_ref().unwrap());
        assert_eq!((prefill.test.len(), prefill.retest.len()), (2, 2));
        assert_eq!((decode.name.as_str(), decode.test[0].before_per_s), ("decode", 1e9));
        assert_eq!(prefill.test[0].after_per_s, 1e12);
        assert!(result.tpot_tail().p95.is_some() && result.ttft_tail().p95.is_none());
        let tokens = result.prefill_tokens_per_s().unwrap().value() * result.ttft_seconds().unwrap().value();
        assert!((tokens - 20.0).abs() < 20.0 * 0.5, "{tokens}");
        assert!(result.decode_of_bandwidth().unwrap().value() > 0.0);
        assert!(result.prefill_of_peak().unwrap().value() > 0.0);
        for phase in [Phase::Prefill, Phase::Decode] {
            let of_phase: Vec<_> = result.operations.iter().filter(|found| found.phase == phase).collect();
            let labels: Vec<_> = of_phase.iter().map(|found| found.label).collect();
            assert!(labels.contains(&"qkv") && labels.contains(&"head"), "{labels:?}");
            assert!(
                of_phase.iter().all(|found| found.seconds > 0.0 && found.variant != "none"),
                "{of_phase:?}"
            );
        }
        let head = |phase| {
            let mut found = result.operations.iter().filter(|one| one.label == "head" && one.phase == phase);
            found.next().unwrap().executions
        };
        assert_eq!((head(Phase::Prefill), head(Phase::Decode)), (1, 1), "the head runs once a prompt");
    }
    let nothing = MeasureOptions {
        prompt: 0,
        generate: 0,
        depth: 0,
        depth_fill: DepthFill::Random,
        rounds: 1,
        settling: 0,
        seed: 0,
    };
    let sentinels = Sentinels::<RuntimeError> {
        read_bytes_per_s: Box::new(|| Ok(1.0)),
        peak_ops_per_s: Box::new(|| Ok(1.0)),
    };
    let refused = measure(&mut session, &nothing, sentinels, |_, _, _| {});
    assert!(matches!(refused, Err(RuntimeError::NothingToMeasure)));
}

#[test]
fn a_looped_blocks_weights_come_from_memory_once_and_its_cache_each_pass() {
    let looped = synthetic::architectures().into_iter().find(|(name, _)| *name == "loops").unwrap().1;
    let pool = Pool::new(1).unwrap();
    let streamed = |passes| {
        let architecture = looped.with_loop_count(passes).unwrap();
        let model =
            Model::load(&architecture, options(12, 1), &SeededWeights::new(&architecture, 1)).unwrap();
        let mut session = Session::new(&model, &pool).unwrap();
        let asked = MeasureOptions {
            prompt: 0,
            generate: 1,
            depth: 7,
            depth_fill: DepthFill::Random,
            rounds: 1,
            settling: 0,
            seed: 1,
        };
        let sentinels = Sentinels::<RuntimeError> {
            read_bytes_per_s: Box::new(|| Ok(1e9)),
            peak_ops_per_s: Box::new(|| Ok(1e12)),
        };
        let result = measure(&mut session, &asked, sentinels, |_, _, _| {}).unwrap();
        let caches: f64 = model
            .plan()
            .steps
            .iter()
            .map(|step| slimfit_plan::traffic(step, slimfit_plan::Shape::decode(7)).kv_read_bytes)
            .sum();
        let touched: f64 = result.operations.iter().map(|operation| operation.streamed_bytes).sum();
        (result.decode_streamed_bytes, caches, touched)
    };
    let ((once, caches_once, _), (thrice, caches_thrice, touched)) = (streamed(1), streamed(3));
    assert!(caches_thrice > caches_once);
    // Norms have no matrix and are counted each pass; they are small.
    let more = thrice - once - (caches_thrice - caches_once);
    assert!((0.0..0.05 * once).contains(&more), "{once} {thrice} {more}");
    assert!(touched > 1.2 * thrice, "each pass touches the block's weights: {touched} and {thrice}");
}
