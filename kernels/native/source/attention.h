/* What the kinds of arithmetic share with the course of attention (attention.c). */
#pragma once

#include "tiles.h"

#define SPLIT 256 /* keys that are weighed together; splits begin at multiples of it, whatever the step */
#define TILE 16   /* query rows that go together; a query row is one head of one token */
#define WIDTH_STEP 32 /* dimensions of a value are filled up to a multiple of it: their width */
#define AHEAD 24  /* keys by which memory is asked for before it is read */

#define BLOCK 256     /* query rows of one item of work, for which keys are brought into order once */

/* One row of a step: new tokens [first, first + num_new), KV of num_kv tokens in pages from first_page of the list. */
typedef struct {
    int32_t first, num_new, num_kv, first_page;
} row;

/* Part of a row's work: a block of its query rows; or, if those are one tile, one split of its keys. */
typedef struct {
    int32_t row, part;
} item;

/* A row whose keys are split: its items among those that split keys. */
typedef struct {
    int32_t row, first, count;
} merge;

/* A step, as kernels/native/attention.py describes it. Items that split keys come after the others. */
typedef struct {
    const row *rows;
    const int32_t *pages;
    const item *items;
    const merge *merges;
    float *partials; /* [items that split keys, K, TILE, width + 2] */
    int64_t num_items, num_whole, num_merges, num_met;
    int64_t page_size, num_heads, num_kv_heads, dim, window; /* window 0: none */
    float scale;                                             /* with log2(e) in it */
    float cap, capped_scale;                                 /* of scores, with log2(e) in it, or 0; scale / cap */
    int32_t is_bf16;
} step;

/* The parts of attention that depend on the type of the elements.

   num_keys: at most SPLIT; num_rows: of the TILE, those that are wanted; dim: elements of a head; places: where each
   value begins, in elements from the beginning of the pool.

   begin, end: around all others, in each thread.
   pack_values: the values in the order that `weigh` reads, and zeros up to a multiple of 32 keys.
   score: scores [TILE, SPLIT] = queries x keys; what it leaves behind num_keys means nothing. Queries are rows of
   `steps` times 64 bytes; keys lie as pack_keys of attention.c lays them.
   weigh: out [TILE, width] = weights [TILE, SPLIT] x values, in an order of its own; weights are 0 behind num_keys.
   write: 32 results of `weigh`, of which the mask says how many there are, in their order and type. */
typedef struct {
    int64_t element_bytes;
    void (*begin)(void);
    void (*end)(void);
    void (*pack_values)(void *panel, const void *values, const int64_t *places, int64_t num_keys, int64_t dim);
    void (*score)(float *scores, const void *queries, const void *keys, int64_t num_rows, int64_t num_keys, int64_t steps);
    void (*weigh)(float *out, const float *weights, const void *values, int64_t num_rows, int64_t num_keys, int64_t width);
    void (*write)(void *out, __m512 first, __m512 second, __mmask32 mask);
} arithmetic;

extern const arithmetic bf16_arithmetic, float_arithmetic;

static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }
