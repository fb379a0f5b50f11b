/* sample: one token or several to logits, on this machine's processor. One model is used by one thread: the one
   that opened it. Functions that return a pointer return NULL on failure, and kernels_sample_error says why. */
#ifndef KERNELS_SAMPLE_H
#define KERNELS_SAMPLE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct kernels_sample_model kernels_sample_model;

/* Loads the weights of a GGUF file of this model. */
kernels_sample_model *kernels_sample_open(const char *path, size_t threads);
/* Random weights, to time. */
kernels_sample_model *kernels_sample_seeded(uint64_t seed, size_t threads);
/* One token: kernels_sample_vocabulary() logits after it, valid until the next call. */
const float *kernels_sample_decode_step(kernels_sample_model *model, uint32_t token);
/* Several tokens: the logits after the last, valid until the next call. */
const float *kernels_sample_prefill(kernels_sample_model *model, const uint32_t *tokens, size_t count);
/* Tokens so far. */
size_t kernels_sample_position(const kernels_sample_model *model);
/* Forgets the text. */
void kernels_sample_reset(kernels_sample_model *model);
/* Frees the model; nothing where it is NULL. */
void kernels_sample_close(kernels_sample_model *model);
/* Values of the logits. */
size_t kernels_sample_vocabulary(void);
/* The most tokens of a text. */
size_t kernels_sample_context(void);
/* Why the last call of this thread failed, valid until the next failure. */
const char *kernels_sample_error(void);

#ifdef __cplusplus
}
#endif

#endif
