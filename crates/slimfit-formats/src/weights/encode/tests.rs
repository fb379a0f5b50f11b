//! The same bytes from any number of workers, and an end whatever fails.

use super::*;
use crate::InitialWeights;
use crate::weights::layout::lay_out;
use crate::weights::names::gguf::places;
use slimfit_arch::{Architecture, Tensor};
use slimfit_quantity::NumberFormat;
use std::sync::atomic::{AtomicUsize, Ordering};

/// One layer whose query and feed-forward have several chunks each, the query's rows in another order in the file.
fn model() -> Architecture {
    let mut model = crate::builtin::find("smollm2-135m").unwrap().architecture.clone();
    (model.hidden_size, model.vocabulary_size) = (1536, 1024);
    model.layers.truncate(1);
    model.layers[0].repeat = 1;
    (model.layers[0].attention.heads, model.layers[0].attention.kv_heads) = (24, 2);
    model.validate().unwrap();
    model
}

fn laid(model: &Architecture) -> Vec<StoredTensor> {
    let place = |tensor: &Tensor| places("llama", model, tensor).remove(0);
    lay_out(&model.tensors(), place, |tensor| tensor.stored_as(NumberFormat::Q8_0), |_| 0.0)
}

fn written(workers: usize, source: &dyn TensorSource) -> (Vec<u8>, Result<(), WriteFailed>) {
    let mut file: Vec<u8> = Vec::new();
    let ended = |file: &mut dyn Write, tensor: &StoredTensor| {
        file.write_all(tensor.name.as_bytes()).map_err(WriteFailed::File)
    };
    let result = write_on(workers, &laid(&model()), source, &mut file, ended);
    (file, result)
}

#[test]
fn any_number_of_workers_writes_the_same_bytes() {
    let source = InitialWeights::new(&model(), 7);
    let (alone, result) = written(1, &source);
    result.unwrap();
    let sizes: u64 =
        laid(&model()).iter().map(|tensor| tensor.bytes().unwrap() + tensor.name.len() as u64).sum();
    assert_eq!(alone.len() as u64, sizes);
    let chunks: usize = laid(&model()).iter().map(|tensor| tensor.chunks().count()).sum();
    assert!(chunks > laid(&model()).len() + 4, "{chunks}");
    for workers in [2, 3, 16, 1000] {
        assert!(written(workers, &source).0 == alone, "{workers} workers");
    }
}

#[test]
fn a_source_that_fails_ends_the_file_where_it_failed() {
    let source = InitialWeights::new(&model(), 7);
    let whole = written(1, &source).0;
    let failing = |tensor: &Tensor, first: u64, values: &mut [f32]| {
        if tensor.name().contains("down") {
            return Err(FormatsError::Tensor { tensor: tensor.name(), reason: "gone".to_owned() });
        }
        source.read(tensor, first, values)
    };
    let (alone, _) = written(1, &failing);
    for workers in [2, 3, 16] {
        let (file, result) = written(workers, &failing);
        let Err(WriteFailed::Source(FormatsError::Tensor { tensor, .. })) = result else {
            panic!("{result:?}")
        };
        assert!(tensor.contains("down") && !file.is_empty());
        assert!(file == alone && whole.starts_with(&file));
    }
}

#[test]
fn a_source_that_panics_is_no_file_that_waits_for_ever() {
    let panicking =
        |_: &Tensor, _: u64, _: &mut [f32]| -> Result<(), FormatsError> { panic!("a broken promise") };
    let outcome = std::panic::catch_unwind(|| written(3, &panicking).1.is_ok());
    assert!(outcome.is_err());
}

#[test]
fn a_file_that_is_full_stops_the_workers() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> Result<usize, Error> {
            Err(Error::from(std::io::ErrorKind::StorageFull))
        }

        fn flush(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }
    let source = InitialWeights::new(&model(), 7);
    let reads = AtomicUsize::new(0);
    let counting = |tensor: &Tensor, first: u64, values: &mut [f32]| {
        reads.fetch_add(1, Ordering::Relaxed);
        source.read(tensor, first, values)
    };
    let result = write_on(2, &laid(&model()), &counting, &mut Full, |_, _| Ok(()));
    assert!(matches!(result, Err(WriteFailed::File(_))), "{result:?}");
    // What two workers hold, not the file.
    assert!(reads.into_inner() <= 2 * 3);
}
