//! Phases whose pieces workers claim compute what equal shares do, bit for bit, on every tier and in every format.
#![expect(clippy::unwrap_used, reason = "a set-up that fails is a test that fails")]

use slimfit_kernels::pool::{Pieces, Pool, Sharing};
use slimfit_kernels::{
    AlignedBytes, Attend, AttendArgs, Invocation, Isa, Kernels, KvLayer, MatMul, MatMulArgs, Operation,
    PackedMatrix, Part, Seat, SharedMut, WeightFormat, phases, pieces, scratch_bytes,
};
use slimfit_quantity::NumberFormat;

const THREADS: usize = 3;

/// Runs all phases, claimed or in equal shares; `cut` says into which pieces.
fn execute(
    kernels: &Kernels,
    operation: &Operation,
    tokens: usize,
    sharing: Sharing,
    invocation: &Invocation<'_>,
    cut: impl Fn(usize) -> Pieces + Sync,
) {
    let pool = Pool::new(THREADS).unwrap();
    pool.set_sharing(sharing);
    pool.run_phases(|worker| {
        for phase in 0..phases(operation, tokens) {
            let claimed = worker.claims().then(|| cut(phase));
            worker.phase(claimed.map_or(THREADS, |pieces| pieces.count()), |piece, again| {
                let (index, of) = claimed.map_or((piece, THREADS), |pieces| pieces.share(piece));
                let seat = Seat { index: worker.index, of: THREADS, again };
                kernels.execute_from(invocation, Part { phase, index, of }, seat);
            });
        }
    });
}

fn value(place: usize) -> f32 {
    ((place * 7919) % 2003) as f32 / 1001.0 - 1.0
}

#[test]
fn products_are_the_same_in_claimed_pieces() {
    let (rows, columns) = (16 * 41 + 5, 512);
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).unwrap();
        for format in WeightFormat::ALL {
            let format: NumberFormat = format.name().parse().unwrap();
            let mut matrix = PackedMatrix::new(format, rows, columns, isa).unwrap();
            let weights: Vec<f32> = (0..rows * columns).map(value).collect();
            matrix.pack_rows(0, &weights).unwrap();
            let product = MatMul {
                rows: rows as u64,
                columns: columns as u64,
                format,
                bias: false,
                accumulate: Some(0.5),
                softcap: None,
            };
            let operation = Operation::MatMul(product);
            for tokens in [1, 2, 29] {
                let input: Vec<f32> = (0..tokens * columns).map(|place| value(place + 11)).collect();
                let run = |sharing, halvings| {
                    let bytes = scratch_bytes(&operation, tokens, 0, THREADS);
                    let mut scratch = AlignedBytes::zeroed(bytes).unwrap();
                    // What is added to: a piece that is done twice or not at all shows.
                    let mut output = vec![1.0; tokens * rows];
                    let invocation = Invocation::MatMul(MatMulArgs::new(
                        &product,
                        tokens,
                        &matrix,
                        None,
                        &input,
                        SharedMut::new(&mut output),
                        SharedMut::new(scratch.as_mut_slice()),
                    ));
                    execute(&kernels, &operation, tokens, sharing, &invocation, |_| {
                        Pieces::falling(THREADS, halvings)
                    });
                    output
                };
                let equal = run(Sharing::Equal, 0);
                for halvings in 0..4 {
                    let same = run(Sharing::Claimed, halvings) == equal;
                    assert!(same, "{format} on {isa}, {tokens} tokens, {halvings} halvings");
                }
            }
        }
    }
}

#[test]
fn attention_is_the_same_in_claimed_pieces() {
    let (heads, kv_heads, head_size, keys) = (6, 3, 64, 700);
    let attend = Attend {
        heads,
        kv_heads,
        head_size,
        window: None,
        scale: 0.125,
        softcap: None,
        alibi: false,
        kv_format: NumberFormat::F32,
    };
    let operation = Operation::Attend(attend);
    let mut cached = [0, 1].map(|half| -> Vec<u8> {
        let values = (0..(kv_heads * keys * head_size) as usize).map(|place| value(place + half));
        values.flat_map(f32::to_le_bytes).collect()
    });
    for isa in Isa::available() {
        let kernels = Kernels::for_isa(isa).unwrap();
        for tokens in [1, 40] {
            let width = ((heads + 2 * kv_heads) * head_size) as usize;
            let queries: Vec<f32> = (0..tokens * width).map(|place| value(place + 5)).collect();
            let mut run = |sharing| {
                let mut scratch =
                    AlignedBytes::zeroed(scratch_bytes(&operation, tokens, keys as usize, THREADS)).unwrap();
                let mut output = vec![f32::NAN; tokens * (heads * head_size) as usize];
                let [key_bytes, value_bytes] = &mut cached;
                let cache = KvLayer::new(
                    NumberFormat::F32,
                    kv_heads as usize,
                    head_size as usize,
                    keys as usize,
                    SharedMut::new(key_bytes),
                    SharedMut::new(value_bytes),
                );
                let invocation = Invocation::Attend(AttendArgs::new(
                    &attend,
                    tokens,
                    keys as usize - tokens,
                    &queries,
                    cache,
                    SharedMut::new(&mut output),
                    SharedMut::new(scratch.as_mut_slice()),
                ));
                execute(&kernels, &operation, tokens, sharing, &invocation, |phase| {
                    pieces(&operation, tokens, keys as usize, phase, THREADS)
                });
                output
            };
            assert!(pieces(&operation, tokens, keys as usize, 0, THREADS).count() > THREADS);
            let (equal, claimed) = (run(Sharing::Equal), run(Sharing::Claimed));
            if tokens > 1 {
                assert!(equal == claimed, "{isa}, {tokens} tokens");
                continue;
            }
            // One token's heads are split at other keys, and f32 sums differ in their rounding.
            for (a, b) in equal.iter().zip(&claimed) {
                assert!((a - b).abs() <= 1e-5, "{isa}: {a} and {b}");
            }
            assert!(run(Sharing::Claimed) == claimed, "{isa}: the same pieces give the same bits");
        }
    }
}
