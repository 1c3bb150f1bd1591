/* What the kinds of arithmetic share with the course of attention (attention.c). */
#pragma once

#include "xylem.h"

#define SPLIT 256 /* keys that are weighed together; splits begin at multiples of it, whatever the step */
#define TILE 16   /* query rows that go together; a query row is one head of one token */

/* The four parts of attention that depend on the type of the elements.

   num_keys: at most SPLIT; num_rows: of the TILE, those that are wanted; dim: elements of a head; places: where each
   value begins, in elements from the beginning of the pool.

   begin, end: around all others, in each thread.
   pack_values: the values in the order that `weigh` reads, and zeros up to a multiple of 32 keys.
   score: scores [TILE, SPLIT] = queries x keys; what it leaves behind num_keys means nothing. Queries are rows of
   `steps` times 64 bytes; keys lie as pack_keys of attention.c lays them.
   weigh: out [TILE, dim] = weights [TILE, SPLIT] x values; weights are 0 behind num_keys. */
typedef struct {
    int64_t element_bytes;
    void (*begin)(void);
    void (*end)(void);
    void (*pack_values)(void *panel, const void *values, const int64_t *places, int64_t num_keys, int64_t dim);
    void (*score)(float *scores, const void *queries, const void *keys, int64_t num_rows, int64_t num_keys, int64_t steps);
    void (*weigh)(float *out, const float *weights, const void *values, int64_t num_rows, int64_t num_keys, int64_t dim);
} arithmetic;

extern const arithmetic bf16_arithmetic, float_arithmetic;

static inline int64_t rounded_up(int64_t n, int64_t to) { return (n + to - 1) / to * to; }
