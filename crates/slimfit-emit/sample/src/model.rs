//! sample: its sizes, its weights and its step.

use crate::activate::{ActivateArgs, ActivationFunction};
use crate::attend::AttendArgs;
use crate::cache::CacheShape;
use crate::embed::EmbedArgs;
use crate::gguf::FileOf;
use crate::kv::KvFormat;
use crate::matmul::{self, MatMulArgs, WeightFormat, products};
use crate::norm::{NormArgs, NormFormula};
use crate::rotate_store::Rotation;
use crate::rotate_store::{QkNormKind, RotateStoreArgs};
use crate::run::Run;
use crate::weights::{Loader, Matrix, Source, Stored};
use crate::{Isa, ModelError, SharedMut, attend, cuts};

/// Tokens that there are.
pub const VOCABULARY: usize = 96;
/// The most tokens of a text.
pub const CONTEXT: usize = 64;
/// Bytes of weights that each token reads.
pub const WEIGHT_BYTES: usize = 144_000;
/// Bytes of keys and values that each token reads of one before it.
pub const KEY_BYTES: usize = 768;
/// Most tokens of a step.
pub(crate) const CHUNK: usize = 16;
/// The instructions that this was made for.
pub(crate) const TIER: Isa = Isa::Avx2;
/// What its files say of themselves.
pub(crate) const FILE: FileOf = FileOf { family: "slimfit", architecture: Some(0x16e8_27bc_022f_87d9) };

/// Activations: a row for each token of a step.
#[derive(Clone, Copy)]
pub(crate) struct Buffers<'a> {
    /// The residual stream.
    pub(crate) residual: SharedMut<'a, f32>,
    /// What a branch reads.
    pub(crate) normed: SharedMut<'a, f32>,
    /// Queries, keys and values.
    pub(crate) projected: SharedMut<'a, f32>,
    /// What the attention returns.
    pub(crate) mixed: SharedMut<'a, f32>,
    /// Gate and up.
    pub(crate) gates: SharedMut<'a, f32>,
    /// The activated inner values.
    pub(crate) activated: SharedMut<'a, f32>,
    /// Logits of the last token.
    pub(crate) logits: SharedMut<'a, f32>,
}

impl<'a> Buffers<'a> {
    /// Values of all of them.
    pub(crate) const VALUES: usize = 12_896;
    /// Where the logits begin.
    pub(crate) const LOGITS: usize = 12_800;

    /// The buffers in memory of so many values.
    pub(crate) fn of(memory: SharedMut<'a, f32>) -> Self {
        Self {
            residual: memory.part(0..1024),
            normed: memory.part(1024..2048),
            projected: memory.part(2048..6144),
            mixed: memory.part(6144..8192),
            gates: memory.part(8192..11_264),
            activated: memory.part(11_264..12_800),
            logits: memory.part(12_800..12_896),
        }
    }
}

/// The weights of 2 layers, from 0 to 2.
#[derive(Debug)]
pub(crate) struct Layer1 {
    /// 64 values.
    attention_norm: Vec<f32>,
    /// 256 x 64 in q8_0.
    qkv: Matrix<256, 64>,
    /// 64 x 128 in q8_0.
    attention_output: Matrix<64, 128>,
    /// 64 values.
    ffn_norm: Vec<f32>,
    /// 192 x 64 in q8_0.
    gate_up: Matrix<192, 64>,
    /// 64 x 96 in q8_0.
    down: Matrix<64, 96>,
}

impl Layer1 {
    /// Bytes of its matrices, in the order in which they are loaded.
    fn lengths(isa: Isa) -> Vec<usize> {
        vec![
            Matrix::<256, 64>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<64, 128>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<192, 64>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<64, 96>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
        ]
    }

    fn load(loader: &mut Loader<'_>, isa: Isa, layer: usize) -> Result<Self, ModelError> {
        Ok(Self {
            attention_norm: loader.source.vector(
                &[Stored::plain(format!("blk.{layer}.attn_norm.weight"), 64)],
                1.0,
                1.0,
            )?,
            qkv: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[
                    Stored::plain(format!("blk.{layer}.attn_q.weight"), 128),
                    Stored::plain(format!("blk.{layer}.attn_k.weight"), 64),
                    Stored::plain(format!("blk.{layer}.attn_v.weight"), 64),
                ],
            )?,
            attention_output: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[Stored::plain(format!("blk.{layer}.attn_output.weight"), 64)],
            )?,
            ffn_norm: loader.source.vector(
                &[Stored::plain(format!("blk.{layer}.ffn_norm.weight"), 64)],
                1.0,
                1.0,
            )?,
            gate_up: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[
                    Stored::plain(format!("blk.{layer}.ffn_gate.weight"), 96),
                    Stored::plain(format!("blk.{layer}.ffn_up.weight"), 96),
                ],
            )?,
            down: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[Stored::plain(format!("blk.{layer}.ffn_down.weight"), 64)],
            )?,
        })
    }
}

/// The weights of layer 1.
#[derive(Debug)]
pub(crate) struct Layer2 {
    /// 64 values.
    attention_norm: Vec<f32>,
    /// 256 x 64 in q8_0.
    qkv: Matrix<256, 64>,
    /// 64 x 128 in q8_0.
    attention_output: Matrix<64, 128>,
    /// 64 values.
    ffn_norm: Vec<f32>,
    /// 192 x 64 in q8_0.
    gate_up: Matrix<192, 64>,
    /// 64 x 96 in q8_0.
    down: Matrix<64, 96>,
}

impl Layer2 {
    /// Bytes of its matrices, in the order in which they are loaded.
    fn lengths(isa: Isa) -> Vec<usize> {
        vec![
            Matrix::<256, 64>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<64, 128>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<192, 64>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
            Matrix::<64, 96>::bytes_in(products::layout(WeightFormat::Q8_0, isa)),
        ]
    }

    fn load(loader: &mut Loader<'_>, isa: Isa, layer: usize) -> Result<Self, ModelError> {
        Ok(Self {
            attention_norm: loader.source.vector(
                &[Stored::plain(format!("blk.{layer}.attn_norm.weight"), 64)],
                1.0,
                1.0,
            )?,
            qkv: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[
                    Stored::plain(format!("blk.{layer}.attn_q.weight"), 128),
                    Stored::plain(format!("blk.{layer}.attn_k.weight"), 64),
                    Stored::plain(format!("blk.{layer}.attn_v.weight"), 64),
                ],
            )?,
            attention_output: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[Stored::plain(format!("blk.{layer}.attn_output.weight"), 64)],
            )?,
            ffn_norm: loader.source.vector(
                &[Stored::plain(format!("blk.{layer}.ffn_norm.weight"), 64)],
                1.0,
                1.0,
            )?,
            gate_up: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[
                    Stored::plain(format!("blk.{layer}.ffn_gate.weight"), 96),
                    Stored::plain(format!("blk.{layer}.ffn_up.weight"), 96),
                ],
            )?,
            down: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[Stored::plain(format!("blk.{layer}.ffn_down.weight"), 64)],
            )?,
        })
    }
}

/// All weights.
#[derive(Debug)]
pub(crate) struct Weights {
    /// 96 x 64 in q8_0.
    embedding: Matrix<96, 64>,
    /// 64 values.
    final_norm: Vec<f32>,
    /// 2 of them.
    layers1: Vec<Layer1>,
    /// 1 of them.
    layers2: Vec<Layer2>,
}

impl Weights {
    /// Bytes of its matrices, in the order in which they are loaded.
    fn lengths(isa: Isa) -> Vec<usize> {
        vec![Matrix::<96, 64>::bytes_in(products::layout(WeightFormat::Q8_0, isa))]
    }

    /// Reads and packs them for a tier.
    pub(crate) fn load(source: &Source, isa: Isa) -> Result<Self, ModelError> {
        let mut lengths = Self::lengths(isa);
        (0..2).for_each(|_| lengths.extend(Layer1::lengths(isa)));
        (0..1).for_each(|_| lengths.extend(Layer2::lengths(isa)));
        let loader = &mut Loader::new(source, &lengths)?;
        Ok(Self {
            embedding: Matrix::load(
                loader,
                products::layout(WeightFormat::Q8_0, isa),
                &[Stored::plain("token_embd.weight", 96)],
            )?,
            final_norm: loader.source.vector(&[Stored::plain("output_norm.weight", 64)], 1.0, 1.0)?,
            layers1: [0, 2]
                .into_iter()
                .map(|layer| Layer1::load(loader, isa, layer))
                .collect::<Result<_, _>>()?,
            layers2: [1]
                .into_iter()
                .map(|layer| Layer2::load(loader, isa, layer))
                .collect::<Result<_, _>>()?,
        })
    }
}

/// Radians by which each pair turns from one position to the next.
const FREQUENCIES_0: [f64; 16] = [
    1.0,
    0.5623413251903491,
    0.31622776601683794,
    0.1778279410038923,
    0.1,
    0.05623413251903491,
    0.03162277660168379,
    0.01778279410038923,
    0.01,
    0.005623413251903491,
    0.0031622776601683794,
    0.0017782794100389228,
    0.001,
    0.0005623413251903491,
    0.00031622776601683794,
    0.00017782794100389227,
];

/// Cosines and sines of every position.
pub(crate) fn rotations() -> Vec<Rotation> {
    vec![Rotation::new(&FREQUENCIES_0, 1.0, CONTEXT)]
}

/// What each layer keeps in each pass.
pub(crate) fn caches() -> Vec<CacheShape> {
    let mut caches = Vec::new();
    caches.extend(std::iter::repeat_n(
        CacheShape { format: KvFormat::F16, kv_heads: 2, head_size: 32, window: None, positions: 64 },
        1,
    ));
    caches.extend(std::iter::repeat_n(
        CacheShape { format: KvFormat::F16, kv_heads: 2, head_size: 32, window: Some(5), positions: 64 },
        1,
    ));
    caches.extend(std::iter::repeat_n(
        CacheShape { format: KvFormat::F16, kv_heads: 2, head_size: 32, window: None, positions: 64 },
        1,
    ));
    caches
}

/// Bytes of scratch for so many threads.
pub(crate) fn scratch_bytes(threads: usize) -> usize {
    let needs = [
        cuts::most_attend_pieces(threads) * attend::thread_scratch_bytes(4, 2, 32, 1, CONTEXT),
        cuts::most_attend_pieces(threads) * attend::thread_scratch_bytes(4, 2, 32, 1, CONTEXT.min(5)),
        matmul::scratch_bytes(WeightFormat::Q8_0, 128, 1, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 128, 2, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 128, CHUNK, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 64, 1, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 64, 2, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 64, CHUNK, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 96, 1, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 96, 2, threads),
        matmul::scratch_bytes(WeightFormat::Q8_0, 96, CHUNK, threads),
        threads * attend::thread_scratch_bytes(4, 2, 32, 2, CONTEXT),
        threads * attend::thread_scratch_bytes(4, 2, 32, 2, CONTEXT.min(5)),
        threads * attend::thread_scratch_bytes(4, 2, 32, CHUNK, CONTEXT),
        threads * attend::thread_scratch_bytes(4, 2, 32, CHUNK, CONTEXT.min(5)),
    ];
    needs.into_iter().max().unwrap_or(0)
}

/// One pass through one of 2 layers, from 0 to 2.
fn layer1<'a>(run: &Run<'a>, layer: &'a Layer1, cache: usize) {
    // attention_norm
    run.norm(64 * run.count(), || NormArgs {
        width: 64,
        tokens: run.count(),
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        accumulate: None,
        input: run.read(run.buffers.residual, 64),
        weight: Some(&layer.attention_norm),
        bias: None,
        output: run.write(run.buffers.normed, 64),
    });
    // qkv
    run.product(products::q8_0_256x64, run.count(), &layer.qkv, || {
        layer.qkv.times(
            run.count(),
            run.read(run.buffers.normed, 64),
            run.write(run.buffers.projected, 256),
            run.scratch,
        )
    });
    // rotate_store
    run.move_keys(cache);
    run.rotate_store(256 * run.count(), || RotateStoreArgs {
        heads: 4,
        rotated: 32,
        interleaved: false,
        qk_norm: QkNormKind::None,
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        clip: None,
        tokens: run.count(),
        first_position: run.first_position,
        qkv: run.write(run.buffers.projected, 256),
        query_norm: &[],
        key_norm: &[],
        rotation: run.rotations[0].table(),
        cache: run.cache.layer(cache),
    });
    // attention
    run.attend((4, None), run.cache.layer(cache), || AttendArgs {
        heads: 4,
        window: None,
        scale: 0.17677669,
        softcap: None,
        alibi: false,
        tokens: run.count(),
        first_position: run.first_position,
        qkv: run.read(run.buffers.projected, 256),
        cache: run.cache.layer(cache),
        output: run.write(run.buffers.mixed, 128),
        scratch: run.scratch,
        seat: None,
    });
    // attention_output
    run.product(products::q8_0_64x128, run.count(), &layer.attention_output, || MatMulArgs {
        accumulate: Some(1.0),
        ..layer.attention_output.times(
            run.count(),
            run.read(run.buffers.mixed, 128),
            run.write(run.buffers.residual, 64),
            run.scratch,
        )
    });
    // ffn_norm
    run.norm(64 * run.count(), || NormArgs {
        width: 64,
        tokens: run.count(),
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        accumulate: None,
        input: run.read(run.buffers.residual, 64),
        weight: Some(&layer.ffn_norm),
        bias: None,
        output: run.write(run.buffers.normed, 64),
    });
    // gate_up
    run.product(products::q8_0_192x64, run.count(), &layer.gate_up, || {
        layer.gate_up.times(
            run.count(),
            run.read(run.buffers.normed, 64),
            run.write(run.buffers.gates, 192),
            run.scratch,
        )
    });
    // activation
    run.activate(96 * run.count(), || ActivateArgs {
        size: 96,
        tokens: run.count(),
        gated: true,
        function: ActivationFunction::Silu,
        input: run.read(run.buffers.gates, 192),
        scores: None,
        output: run.write(run.buffers.activated, 96),
    });
    // down
    run.product(products::q8_0_64x96, run.count(), &layer.down, || MatMulArgs {
        accumulate: Some(1.0),
        ..layer.down.times(
            run.count(),
            run.read(run.buffers.activated, 96),
            run.write(run.buffers.residual, 64),
            run.scratch,
        )
    });
}

/// One pass through one of layer 1.
fn layer2<'a>(run: &Run<'a>, layer: &'a Layer2, cache: usize) {
    // attention_norm
    run.norm(64 * run.count(), || NormArgs {
        width: 64,
        tokens: run.count(),
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        accumulate: None,
        input: run.read(run.buffers.residual, 64),
        weight: Some(&layer.attention_norm),
        bias: None,
        output: run.write(run.buffers.normed, 64),
    });
    // qkv
    run.product(products::q8_0_256x64, run.count(), &layer.qkv, || {
        layer.qkv.times(
            run.count(),
            run.read(run.buffers.normed, 64),
            run.write(run.buffers.projected, 256),
            run.scratch,
        )
    });
    // rotate_store
    run.move_keys(cache);
    run.rotate_store(256 * run.count(), || RotateStoreArgs {
        heads: 4,
        rotated: 32,
        interleaved: false,
        qk_norm: QkNormKind::None,
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        clip: None,
        tokens: run.count(),
        first_position: run.first_position,
        qkv: run.write(run.buffers.projected, 256),
        query_norm: &[],
        key_norm: &[],
        rotation: run.rotations[0].table(),
        cache: run.cache.layer(cache),
    });
    // attention
    run.attend((4, Some(5)), run.cache.layer(cache), || AttendArgs {
        heads: 4,
        window: Some(5),
        scale: 0.17677669,
        softcap: None,
        alibi: false,
        tokens: run.count(),
        first_position: run.first_position,
        qkv: run.read(run.buffers.projected, 256),
        cache: run.cache.layer(cache),
        output: run.write(run.buffers.mixed, 128),
        scratch: run.scratch,
        seat: None,
    });
    // attention_output
    run.product(products::q8_0_64x128, run.count(), &layer.attention_output, || MatMulArgs {
        accumulate: Some(1.0),
        ..layer.attention_output.times(
            run.count(),
            run.read(run.buffers.mixed, 128),
            run.write(run.buffers.residual, 64),
            run.scratch,
        )
    });
    // ffn_norm
    run.norm(64 * run.count(), || NormArgs {
        width: 64,
        tokens: run.count(),
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        accumulate: None,
        input: run.read(run.buffers.residual, 64),
        weight: Some(&layer.ffn_norm),
        bias: None,
        output: run.write(run.buffers.normed, 64),
    });
    // gate_up
    run.product(products::q8_0_192x64, run.count(), &layer.gate_up, || {
        layer.gate_up.times(
            run.count(),
            run.read(run.buffers.normed, 64),
            run.write(run.buffers.gates, 192),
            run.scratch,
        )
    });
    // activation
    run.activate(96 * run.count(), || ActivateArgs {
        size: 96,
        tokens: run.count(),
        gated: true,
        function: ActivationFunction::Silu,
        input: run.read(run.buffers.gates, 192),
        scores: None,
        output: run.write(run.buffers.activated, 96),
    });
    // down
    run.product(products::q8_0_64x96, run.count(), &layer.down, || MatMulArgs {
        accumulate: Some(1.0),
        ..layer.down.times(
            run.count(),
            run.read(run.buffers.activated, 96),
            run.write(run.buffers.residual, 64),
            run.scratch,
        )
    });
}

/// All operations of a step, by every worker.
pub(crate) fn step(run: &Run<'_>) {
    // embedding
    run.embed(64 * run.count(), || EmbedArgs {
        vocabulary: 96,
        width: 64,
        scale: 1.0,
        layout: run.weights.embedding.layout(),
        table: run.weights.embedding.bytes(),
        positions: None,
        tokens: run.tokens,
        output: run.write(run.buffers.residual, 64),
    });
    layer1(run, &run.weights.layers1[0], 0);
    layer2(run, &run.weights.layers2[0], 1);
    layer1(run, &run.weights.layers1[1], 2);
    if !run.logits {
        return;
    }
    // final_norm
    run.norm(64, || NormArgs {
        width: 64,
        tokens: 1,
        formula: NormFormula::Rms,
        epsilon: 1e-5,
        accumulate: None,
        input: run.read_last(run.buffers.residual, 64),
        weight: Some(&run.weights.final_norm),
        bias: None,
        output: run.write_first(run.buffers.normed, 64),
    });
    // head
    run.product(products::q8_0_96x64, 1, &run.weights.embedding, || {
        run.weights.embedding.times(
            1,
            run.read_first(run.buffers.normed, 64),
            run.write_first(run.buffers.logits, 96),
            run.scratch,
        )
    });
}
