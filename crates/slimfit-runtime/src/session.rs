//! A text in progress: a cache, buffers and a position.

use crate::buffers::Buffers;
use crate::execution::{Execution, LOGITS};
use crate::operations::{OperationSeconds, summarise};
use crate::rotation::rotation;
use crate::seeded::{fill_uniform, mix};
use crate::{Model, RuntimeError};
use slimfit_kernels::pool::Pool;
use slimfit_kernels::{CacheShape, KvCache, KvFormat, Rotation, SharedMut, WeightFormat};
use slimfit_plan::{KvSlot, Phase, Plan, Shape};
use std::time::Instant;

/// Runs a model token by token. Everything is allocated and touched when it is made; computing neither allocates nor
/// locks.
pub struct Session<'a> {
    model: &'a Model,
    pool: &'a Pool,
    rotations: Vec<Rotation>,
    cache: KvCache,
    buffers: Buffers,
    /// Seconds of each step of the plan, while they are wanted.
    step_seconds: Vec<f64>,
    position: u64,
}

impl<'a> Session<'a> {
    /// An empty text for `model`, computed by `pool`.
    ///
    /// # Errors
    /// The pool has not the threads of the model's plan, or memory is refused.
    pub fn new(model: &'a Model, pool: &'a Pool) -> Result<Self, RuntimeError> {
        let plan = model.plan();
        if plan.options.threads != pool.threads() as u64 {
            return Err(RuntimeError::Mismatch {
                what: "threads",
                found: plan.options.threads.to_string(),
                owner: "pool",
                allowed: pool.threads().to_string(),
            });
        }
        Ok(Self {
            model,
            pool,
            rotations: plan.ropes.iter().map(|slot| rotation(slot, plan.options.context)).collect(),
            cache: KvCache::new(cache_shapes(plan)?)?,
            buffers: Buffers::new(plan)?,
            step_seconds: vec![0.0; plan.steps.len()],
            position: 0,
        })
    }

    /// The model.
    pub fn model(&self) -> &'a Model {
        self.model
    }

    /// Tokens in the cache.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Tokens the cache holds.
    pub fn context(&self) -> u64 {
        self.model.plan().options.context
    }

    /// Forgets the text.
    pub fn reset(&mut self) {
        self.resume(0);
    }

    /// Forgets all tokens from `position` on.
    ///
    /// # Errors
    /// There are not so many, or a layer with a window has forgotten what the next token would see: of a text longer than
    /// its cache it need not keep more than the window before the end. An empty text is always there.
    pub fn rewind(&mut self, position: u64) -> Result<(), RuntimeError> {
        if position > self.position {
            return Err(RuntimeError::NotThereYet { position, length: self.position });
        }
        if position == 0 {
            self.reset();
        } else if let Some(window) = self.cache.forgotten(position as usize) {
            let window = window as u64;
            return Err(RuntimeError::Forgotten { position, length: self.position, window });
        }
        self.position = position;
        Ok(())
    }

    /// Makes the text `position` tokens long with a cache of random keys and values: as costly to attend to as a real
    /// one, and made at once.
    ///
    /// # Errors
    /// The cache does not hold so many.
    pub fn fill_random(&mut self, position: u64, seed: u64) -> Result<(), RuntimeError> {
        let context = self.context();
        if position > context {
            return Err(RuntimeError::ContextOverflow { tokens: position, position: 0, context });
        }
        fill_random(&mut self.cache, seed);
        self.resume(position);
        Ok(())
    }

    /// Makes the text `position` tokens long with whatever the cache holds: after [`fill_random`](Self::fill_random),
    /// random or computed keys and values, which cost the same.
    ///
    /// # Panics
    /// The cache does not hold so many.
    pub fn resume(&mut self, position: u64) {
        assert!(position <= self.context(), "the cache holds {} tokens, not {position}", self.context());
        self.cache.place_at(position as usize);
        self.position = position;
    }

    /// Computes `tokens` in chunks of the plan's size and returns the logits after the last one, one per word of the
    /// vocabulary.
    ///
    /// # Errors
    /// No token, one outside the vocabulary, or more than the cache holds; the text is as before then.
    pub fn prefill(&mut self, tokens: &[u32]) -> Result<&[f32], RuntimeError> {
        self.check(tokens)?;
        self.compute(tokens, false);
        Ok(self.logits())
    }

    /// Computes one token and returns the logits after it.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn decode(&mut self, token: u32) -> Result<&[f32], RuntimeError> {
        self.prefill(&[token])
    }

    /// The logits after the last token; of no meaning before the first.
    pub fn logits(&self) -> &[f32] {
        self.buffers.read(LOGITS)
    }

    /// Seconds of [`prefill`](Self::prefill) on an emptied cache: of the prompt and of the logits that choose the first
    /// token.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn time_prefill(&mut self, tokens: &[u32]) -> Result<f64, RuntimeError> {
        self.reset();
        self.check(tokens)?;
        let start = Instant::now();
        self.compute(tokens, false);
        Ok(start.elapsed().as_secs_f64())
    }

    /// Decodes `tokens` one by one from `depth` tokens on, pushes the seconds of each to `seconds` and returns their
    /// mean. The choice of a token is the caller's and not part of it.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill) and [`rewind`](Self::rewind).
    pub fn time_decode(
        &mut self,
        depth: u64,
        tokens: &[u32],
        seconds: &mut Vec<f64>,
    ) -> Result<f64, RuntimeError> {
        self.rewind(depth)?;
        self.check(tokens)?;
        seconds.reserve(tokens.len());
        let first = Instant::now();
        let mut start = first;
        for token in tokens {
            self.compute(std::slice::from_ref(token), false);
            let end = Instant::now();
            seconds.push((end - start).as_secs_f64());
            start = end;
        }
        Ok((start - first).as_secs_f64() / tokens.len() as f64)
    }

    /// Computes `tokens` as [`prefill`](Self::prefill) does and returns where the time went, step by step of the plan,
    /// summed over layers and chunks under the same label.
    ///
    /// # Errors
    /// As [`prefill`](Self::prefill).
    pub fn profile_step(&mut self, tokens: &[u32]) -> Result<Vec<OperationSeconds>, RuntimeError> {
        self.check(tokens)?;
        let before = self.position;
        self.step_seconds.fill(0.0);
        self.compute(tokens, true);
        let phase = if tokens.len() == 1 { Phase::Decode } else { Phase::Prefill };
        let chunk = self.chunk();
        let shapes: Vec<Shape> = tokens
            .chunks(chunk)
            .enumerate()
            .map(|(number, tokens)| Shape {
                tokens: tokens.len() as u64,
                first_position: before + (number * chunk) as u64,
            })
            .collect();
        Ok(summarise(self.model, phase, &shapes, &self.step_seconds))
    }

    fn chunk(&self) -> usize {
        let options = &self.model.plan().options;
        options.chunk.min(options.context) as usize
    }

    fn check(&self, tokens: &[u32]) -> Result<(), RuntimeError> {
        if tokens.is_empty() {
            return Err(RuntimeError::NoTokens);
        }
        let (position, context) = (self.position, self.context());
        if tokens.len() as u64 > context - position {
            return Err(RuntimeError::ContextOverflow { tokens: tokens.len() as u64, position, context });
        }
        let vocabulary = self.model.architecture().vocabulary_size;
        match tokens.iter().position(|&token| u64::from(token) >= vocabulary) {
            Some(index) => Err(RuntimeError::UnknownToken { token: tokens[index], index, vocabulary }),
            None => Ok(()),
        }
    }

    /// Tokens that [`check`](Self::check) has passed.
    fn compute(&mut self, tokens: &[u32], timed: bool) {
        let chunk = self.chunk();
        let mut rest = tokens;
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(chunk.min(rest.len()));
            self.cache.make_room(self.position as usize, chunk.len());
            let execution = Execution {
                model: self.model,
                rotations: &self.rotations,
                cache: self.cache.share(),
                buffers: self.buffers.share(),
                tokens: chunk,
                first_position: self.position as usize,
                logits: later.is_empty(),
            };
            execution.run(self.pool, timed.then(|| SharedMut::new(&mut self.step_seconds)));
            self.position += chunk.len() as u64;
            rest = later;
        }
    }
}

/// What each layer of a plan keeps.
fn cache_shapes(plan: &Plan) -> Result<Vec<CacheShape>, RuntimeError> {
    let shape = |slot: &KvSlot| {
        CacheShape::new(slot.format, slot.kv_heads, slot.head_size, slot.window, slot.positions)
    };
    Ok(plan.kv.iter().map(shape).collect::<Result<_, _>>()?)
}

/// Overwrites every position with values in −1..1 from a seed.
fn fill_random(cache: &mut KvCache, seed: u64) {
    let mut piece = [0.0_f32; 1024];
    let mut half = 0;
    cache.fill(|format, bytes| {
        let format = match format {
            KvFormat::F32 => WeightFormat::F32,
            KvFormat::F16 => WeightFormat::F16,
            KvFormat::Q8_0 => WeightFormat::Q8_0,
        };
        let stream = mix(seed ^ mix(half));
        half += 1;
        for (number, bytes) in bytes.chunks_mut(format.row_bytes(piece.len())).enumerate() {
            fill_uniform(stream, (number * piece.len()) as u64, 0.0, 1.0, &mut piece);
            let values = bytes.len() / format.block_bytes() * format.block_values();
            format.encode_row(&piece[..values], bytes);
        }
    });
}
