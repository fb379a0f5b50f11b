//! The model with a text in progress: its weights, its cache, its threads.

use crate::cache::KvCache;
use crate::gguf::Gguf;
use crate::model::{self, Buffers, Weights};
use crate::pool::Pool;
use crate::rotate_store::Rotation;
use crate::run::{Kernels, Run};
use crate::weights::Source;
use crate::{AlignedBytes, CONTEXT, Isa, ModelError, SharedMut, VOCABULARY};
use std::path::Path;

/// Runs the model token by token. Everything is allocated when it is made; a step neither allocates nor locks.
///
/// The thread that makes it is the first of its threads and pinned to a core as long as it lives.
pub struct Model {
    kernels: Kernels,
    weights: Weights,
    rotations: Vec<Rotation>,
    cache: KvCache,
    activations: AlignedBytes,
    scratch: AlignedBytes,
    pool: Pool,
    position: usize,
}

impl Model {
    /// Loads the weights of a GGUF file.
    ///
    /// # Errors
    /// The file is not of this model, memory or threads are refused, or `SLIMFIT_ISA` names no tier of this machine.
    pub fn open(gguf: impl AsRef<Path>, threads: usize) -> Result<Self, ModelError> {
        Self::new(&Source::File(Gguf::open(gguf.as_ref(), &model::FILE)?), threads, Isa::selected()?)
    }

    /// Random weights: as fast as real ones.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn seeded(seed: u64, threads: usize) -> Result<Self, ModelError> {
        Self::new(&Source::Seeded(seed), threads, Isa::selected()?)
    }

    /// The same with no richer instructions than `cap`.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn seeded_under(seed: u64, threads: usize, cap: Isa) -> Result<Self, ModelError> {
        Self::new(&Source::Seeded(seed), threads, cap)
    }

    fn new(source: &Source, threads: usize, cap: Isa) -> Result<Self, ModelError> {
        let kernels = Kernels::under(cap);
        let weights = Weights::load(source, kernels.isa)?;
        let mut activations = AlignedBytes::zeroed(4 * Buffers::VALUES)?;
        activations.as_mut_slice().fill(0);
        let mut scratch = AlignedBytes::zeroed(model::scratch_bytes(threads))?;
        scratch.as_mut_slice().fill(0);
        Ok(Self {
            kernels,
            weights,
            rotations: model::rotations(),
            cache: KvCache::new(model::caches())?,
            activations,
            scratch,
            pool: Pool::new(threads)?,
            position: 0,
        })
    }

    /// The tier that runs.
    pub fn isa(&self) -> Isa {
        self.kernels.isa
    }

    /// Tokens so far.
    pub fn position(&self) -> usize {
        self.position
    }

    /// Forgets the text.
    pub fn reset(&mut self) {
        self.position = 0;
        self.cache.place_at(0);
    }

    /// One token: the logits after it.
    ///
    /// # Errors
    /// The token is unknown or the context is full; the text is as before then.
    pub fn decode_step(&mut self, token: u32) -> Result<&[f32], ModelError> {
        self.prefill(&[token])
    }

    /// Several tokens: the logits after the last.
    ///
    /// # Errors
    /// As [`decode_step`](Self::decode_step), or there is no token.
    pub fn prefill(&mut self, tokens: &[u32]) -> Result<&[f32], ModelError> {
        if tokens.is_empty() || tokens.len() > CONTEXT - self.position {
            let (tokens, position) = (tokens.len(), self.position);
            return Err(ModelError::Context { tokens, position, context: CONTEXT });
        }
        if let Some(&token) = tokens.iter().find(|&&token| token as usize >= VOCABULARY) {
            return Err(ModelError::UnknownToken { token, vocabulary: VOCABULARY });
        }
        let chunks = tokens.len().div_ceil(model::CHUNK);
        for (number, tokens) in tokens.chunks(model::CHUNK).enumerate() {
            self.cache.make_room(self.position, tokens.len());
            let activations = SharedMut::new(self.activations.as_f32_mut());
            let scratch = SharedMut::new(self.scratch.as_mut_slice());
            let (cache, buffers) = (self.cache.share(), Buffers::of(activations));
            let (kernels, weights, rotations) = (&self.kernels, &self.weights, &self.rotations);
            let (first_position, logits) = (self.position, number + 1 == chunks);
            self.pool.run_phases(|worker| {
                model::step(&Run {
                    kernels,
                    worker: &worker,
                    weights,
                    rotations,
                    cache,
                    buffers,
                    scratch,
                    tokens,
                    first_position,
                    logits,
                });
            });
            self.position += tokens.len();
        }
        Ok(&self.activations.as_f32()[Buffers::LOGITS..][..VOCABULARY])
    }
}
