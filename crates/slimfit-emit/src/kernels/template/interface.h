/* TITLE: one token or several to logits, on this machine's processor. One model is used by one thread: the one
   that opened it. Functions that return a pointer return NULL on failure, and NAME_error says why. */
#ifndef GUARD_H
#define GUARD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NAME_model NAME_model;

/* Loads the weights of a GGUF file of this model. */
NAME_model *NAME_open(const char *path, size_t threads);
/* Random weights, to time. */
NAME_model *NAME_seeded(uint64_t seed, size_t threads);
/* One token: NAME_vocabulary() logits after it, valid until the next call. */
const float *NAME_decode_step(NAME_model *model, uint32_t token);
/* Several tokens: the logits after the last, valid until the next call. */
const float *NAME_prefill(NAME_model *model, const uint32_t *tokens, size_t count);
/* Tokens so far. */
size_t NAME_position(const NAME_model *model);
/* Forgets the text. */
void NAME_reset(NAME_model *model);
/* Frees the model; nothing where it is NULL. */
void NAME_close(NAME_model *model);
/* Values of the logits. */
size_t NAME_vocabulary(void);
/* The most tokens of a text. */
size_t NAME_context(void);
/* Why the last call of this thread failed, valid until the next failure. */
const char *NAME_error(void);

#ifdef __cplusplus
}
#endif

#endif
