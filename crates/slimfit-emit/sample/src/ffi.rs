//! The C interface; `include/kernels_sample.h` declares it.

#![expect(unsafe_code, reason = "pointers from C")]

use crate::{CONTEXT, Model, ModelError, VOCABULARY};
use std::cell::RefCell;
use std::ffi::{CStr, CString, c_char};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

thread_local! {
    static ERROR: RefCell<CString> = RefCell::default();
}

/// What a call returns, or `failed` and the reason kept for [`kernels_sample_error`].
fn guarded<T>(failed: T, call: impl FnOnce() -> Result<T, ModelError>) -> T {
    let message = match catch_unwind(AssertUnwindSafe(call)) {
        Ok(Ok(value)) => return value,
        Ok(Err(error)) => error.to_string(),
        Err(_) => "a broken internal promise; the model is no longer of use".to_owned(),
    };
    ERROR.with(|slot| *slot.borrow_mut() = CString::new(message.replace('\0', " ")).unwrap_or_default());
    failed
}

/// Loads a GGUF file; null on failure.
///
/// # Safety
/// `path` is a string that ends in 0.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_open(path: *const c_char, threads: usize) -> *mut Model {
    guarded(std::ptr::null_mut(), || {
        // SAFETY: the caller's promise.
        let path = unsafe { CStr::from_ptr(path) }.to_string_lossy().into_owned();
        Ok(Box::into_raw(Box::new(Model::open(Path::new(&path), threads)?)))
    })
}

/// Random weights, to time; null on failure.
#[unsafe(no_mangle)]
pub extern "C" fn kernels_sample_seeded(seed: u64, threads: usize) -> *mut Model {
    guarded(std::ptr::null_mut(), || Ok(Box::into_raw(Box::new(Model::seeded(seed, threads)?))))
}

/// One token; the logits after it, valid until the next call, or null on failure.
///
/// # Safety
/// `model` is one that was opened and not closed, on this thread.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_decode_step(model: *mut Model, token: u32) -> *const f32 {
    // SAFETY: the caller's promise.
    guarded(std::ptr::null(), || Ok(unsafe { &mut *model }.decode_step(token)?.as_ptr()))
}

/// Several tokens; the logits after the last, valid until the next call, or null on failure.
///
/// # Safety
/// As [`kernels_sample_decode_step`], and `tokens` points at `count` tokens.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_prefill(
    model: *mut Model,
    tokens: *const u32,
    count: usize,
) -> *const f32 {
    // SAFETY: the caller's promise.
    let (model, tokens) = unsafe { (&mut *model, std::slice::from_raw_parts(tokens, count)) };
    guarded(std::ptr::null(), || Ok(model.prefill(tokens)?.as_ptr()))
}

/// Tokens so far.
///
/// # Safety
/// As [`kernels_sample_decode_step`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_position(model: *const Model) -> usize {
    // SAFETY: the caller's promise.
    unsafe { &*model }.position()
}

/// Forgets the text.
///
/// # Safety
/// As [`kernels_sample_decode_step`].
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_reset(model: *mut Model) {
    // SAFETY: the caller's promise.
    unsafe { &mut *model }.reset();
}

/// Frees a model; nothing where it is null.
///
/// # Safety
/// As [`kernels_sample_decode_step`], and it is not used again.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn kernels_sample_close(model: *mut Model) {
    if !model.is_null() {
        // SAFETY: the caller's promise.
        drop(unsafe { Box::from_raw(model) });
    }
}

/// Values of the logits.
#[unsafe(no_mangle)]
pub extern "C" fn kernels_sample_vocabulary() -> usize {
    VOCABULARY
}

/// The most tokens of a text.
#[unsafe(no_mangle)]
pub extern "C" fn kernels_sample_context() -> usize {
    CONTEXT
}

/// Why the last call of this thread failed, valid until the next failure.
#[unsafe(no_mangle)]
pub extern "C" fn kernels_sample_error() -> *const c_char {
    ERROR.with(|slot| slot.borrow().as_ptr())
}
