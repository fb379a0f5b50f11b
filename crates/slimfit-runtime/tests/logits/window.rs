//! A text much longer than what a layer with a window keeps.

use crate::case::{relative_error, values};
use slimfit_arch::{Architecture, Tensor};
use slimfit_formats::FormatsError;
use slimfit_kernels::Isa;
use slimfit_kernels::pool::Pool;
use slimfit_plan::PlanOptions;
use slimfit_quantity::NumberFormat;
use slimfit_runtime::{Model, RuntimeError, Session};
use slimfit_testing::{reference, synthetic};

const LENGTH: usize = 300;

/// A layer with a window and one without, each run twice.
fn architecture(window: u64) -> Architecture {
    let chosen = |(name, _): &(&str, Architecture)| *name == "loops";
    let (_, mut architecture) = synthetic::architectures().into_iter().find(chosen).unwrap();
    let mut full = architecture.layers[0].clone();
    full.repeat = 1;
    architecture.layers[0].repeat = 1;
    architecture.layers[0].attention.window = Some(window);
    architecture.layers.push(full);
    architecture
}

fn load(architecture: &Architecture, threads: u64, chunk: u64) -> Model {
    let options = PlanOptions {
        chunk,
        ..PlanOptions::new(NumberFormat::F32, NumberFormat::F32, Isa::best(), threads, LENGTH as u64)
    };
    let source = |tensor: &Tensor, first: u64, piece: &mut [f32]| -> Result<(), FormatsError> {
        piece.copy_from_slice(&values(architecture, tensor)[first as usize..][..piece.len()]);
        Ok(())
    };
    Model::load(architecture, options, &source).unwrap()
}

fn text() -> Vec<u32> {
    slimfit_runtime::seeded_tokens(61, LENGTH as u64, 5)
}

#[test]
fn what_a_window_forgets_is_never_missed() {
    let tokens = text();
    for window in [1, 5, 30] {
        let architecture = architecture(window);
        let right = reference::forward(&architecture, &|tensor| values(&architecture, tensor), &tokens);
        for (threads, chunk, prompt) in [(1, 64, 1), (2, 7, 130), (3, 64, 200), (1, 90, LENGTH), (1, 300, 90)]
        {
            let pool = Pool::new(threads as usize).unwrap();
            let model = load(&architecture, threads, chunk);
            let kept = model.plan().kv[0].positions;
            assert!(kept < LENGTH as u64 || chunk == 300, "the window's cache is short: {kept}");
            let mut session = Session::new(&model, &pool).unwrap();
            let mut found = vec![session.prefill(&tokens[..prompt]).unwrap().to_vec()];
            for &token in &tokens[prompt..] {
                found.push(session.decode(token).unwrap().to_vec());
            }
            let error = relative_error(&found, &right[prompt - 1..]);
            assert!(error <= 2e-5, "window {window}, {threads} threads, chunks of {chunk}: {error:.2e}");
        }
    }
}

#[test]
fn going_back_is_refused_where_a_window_has_forgotten_and_right_where_it_has_not() {
    let (tokens, architecture) = (text(), architecture(10));
    let pool = Pool::new(1).unwrap();
    let model = load(&architecture, 1, 16);
    let kept = model.plan().kv[0].positions as usize;
    let mut session = Session::new(&model, &pool).unwrap();
    // Within what the cache holds whole, and past it: right after rows have moved, only the window is left.
    for (length, back, possible) in
        [(kept, 1, true), (kept + 1, 40, false), (kept + 1, kept, true), (250, 0, true)]
    {
        session.reset();
        for &token in &tokens[..length] {
            session.decode(token).unwrap();
        }
        let result = session.rewind(back as u64);
        if !possible {
            assert!(
                matches!(result, Err(RuntimeError::Forgotten { position: 40, window: 10, .. })),
                "{result:?}"
            );
            assert_eq!(session.position(), length as u64);
            continue;
        }
        result.unwrap();
        let again = session.decode(tokens[back]).unwrap().to_vec();
        session.reset();
        let mut expected = Vec::new();
        for &token in &tokens[..=back] {
            expected = session.decode(token).unwrap().to_vec();
        }
        assert_eq!(again, expected, "{length} tokens back to {back}");
    }
}
