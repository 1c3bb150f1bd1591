/* Attention in bf16 on AMX tiles. A tile of 16 rows of 64 bytes is 16 x 32 elements, or 16 x 16 pairs, or floats. */
#include "attention.h"

#define TILE_ELEMENTS 512
#define TILE_DWORDS 256
#define KEYS_STEP 32 /* keys of one step of `weigh` */

static void begin(void) { shape_tiles(2 * TILE); }

static void end(void) { _tile_release(); }

/* The compiler does not know that loading a tile reads memory: what is to be read has to be there. */
static inline void settle_memory(void) { __asm__ volatile("" ::: "memory"); }

static inline void zero_tiles(void) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
}

/* Adds the product of the left tile with each of four right ones, `apart` bytes from each other, to tiles 0 to 3. */
static inline void multiply(const void *left, int64_t left_bytes, const char *right, int64_t apart) {
    _tile_loadd(4, left, left_bytes);
    _tile_loadd(5, right, 64);
    _tile_dpbf16ps(0, 4, 5);
    _tile_loadd(6, right + apart, 64);
    _tile_dpbf16ps(1, 4, 6);
    _tile_loadd(5, right + 2 * apart, 64);
    _tile_dpbf16ps(2, 4, 5);
    _tile_loadd(6, right + 3 * apart, 64);
    _tile_dpbf16ps(3, 4, 6);
}

static inline void store_tiles(float *out, int64_t row_bytes) {
    _tile_stored(0, out, row_bytes);
    _tile_stored(1, out + 16, row_bytes);
    _tile_stored(2, out + 32, row_bytes);
    _tile_stored(3, out + 48, row_bytes);
}

/* Tiles [keys / 32, width / 16] of pairs: row i holds keys 2i and 2i + 1. The two tiles of 32 dimensions have four in
   turn of each eight, as the processor interleaves them; what is weighed comes out in that order, and `write` mends it. */
static void pack_values(void *panel, const void *values, const int64_t *places, int64_t num_keys, int64_t dim) {
    const __m512i none = _mm512_setzero_si512();
    const int64_t width = rounded_up(dim, WIDTH_STEP);
    for (int64_t key = 0; key < rounded_up(num_keys, KEYS_STEP); key += 2) {
        const bf16 *even = (const bf16 *)values + places[least(key, num_keys - 1)];
        const bf16 *odd = (const bf16 *)values + places[least(key + 1, num_keys - 1)];
        const bf16 *soon = (const bf16 *)values + places[least(key + AHEAD, num_keys - 1)];
        const bf16 *next = (const bf16 *)values + places[least(key + AHEAD + 1, num_keys - 1)];
        uint32_t *to = (uint32_t *)panel + (key / KEYS_STEP) * width * 16 + (key % KEYS_STEP) * 8;
        for (int64_t i = 0; i < dim; i += WIDTH_STEP, to += 2 * TILE_DWORDS) {
            const __mmask32 mask = dim - i < WIDTH_STEP ? 0xffff : 0xffffffff;
            const __m512i low = key < num_keys ? _mm512_maskz_loadu_epi16(mask, even + i) : none;
            const __m512i high = key + 1 < num_keys ? _mm512_maskz_loadu_epi16(mask, odd + i) : none;
            _mm_prefetch(soon + i, _MM_HINT_T0);
            _mm_prefetch(next + i, _MM_HINT_T0);
            _mm512_store_si512(to, _mm512_unpacklo_epi16(low, high));
            _mm512_store_si512(to + TILE_DWORDS, _mm512_unpackhi_epi16(low, high));
        }
    }
}

/* Undoes the order of pack_values for 32 sums, divided already, and rounds them. */
static void write(void *out, __m512 first, __m512 second, __mmask32 mask) {
    const __m512i order = _mm512_set_epi16(
        31, 30, 29, 28, 15, 14, 13, 12, 27, 26, 25, 24, 11, 10, 9, 8, 23, 22, 21, 20, 7, 6, 5, 4, 19, 18, 17, 16, 3, 2, 1, 0);
    _mm512_mask_storeu_epi16(out, mask, _mm512_permutexvar_epi16(order, (__m512i)_mm512_cvtne2ps_pbh(second, first)));
}

static void score(
    float *scores, const void *queries, const void *keys, int64_t num_rows, int64_t num_keys, int64_t steps) {
    const int64_t tile_bytes = steps * TILE_ELEMENTS * sizeof(bf16), row_bytes = steps * 64;
    const char *key = keys;
    (void)num_rows; /* a tile is multiplied as a whole */
    settle_memory();
    for (int64_t at = 0; at < num_keys; at += 4 * 16, key += 4 * tile_bytes) {
        zero_tiles();
        for (int64_t step = 0; step < steps; step++)
            multiply((const char *)queries + step * 64, row_bytes, key + step * TILE_ELEMENTS * sizeof(bf16), tile_bytes);
        store_tiles(scores + at, SPLIT * sizeof(float));
    }
}

/* Weights are rounded to bf16. */
static void weigh(
    float *out, const float *weights, const void *values, int64_t num_rows, int64_t num_keys, int64_t width) {
    bf16 rounded[TILE * SPLIT] __attribute__((aligned(64)));
    const int64_t padded = rounded_up(num_keys, KEYS_STEP), out_bytes = width * sizeof(float);
    for (int64_t row = 0; row < num_rows; row++)
        for (int64_t key = 0; key < padded; key += 16)
            store_bf16(rounded + row * SPLIT + key, _mm512_load_ps(weights + row * SPLIT + key));
    settle_memory();
    int64_t i = 0;
    for (; i + 64 <= width; i += 64) {
        zero_tiles();
        for (int64_t key = 0; key < padded; key += KEYS_STEP) {
            const bf16 *here = (const bf16 *)values + key * width + i * 32;
            multiply(rounded + key, SPLIT * sizeof(bf16), (const char *)here, TILE_ELEMENTS * sizeof(bf16));
        }
        store_tiles(out + i, out_bytes);
    }
    if (i < width) { /* half as many are left */
        _tile_zero(0);
        _tile_zero(1);
        for (int64_t key = 0; key < padded; key += KEYS_STEP) {
            const bf16 *here = (const bf16 *)values + key * width + i * 32;
            _tile_loadd(4, rounded + key, SPLIT * sizeof(bf16));
            _tile_loadd(5, here, 64);
            _tile_dpbf16ps(0, 4, 5);
            _tile_loadd(6, here + TILE_ELEMENTS, 64);
            _tile_dpbf16ps(1, 4, 6);
        }
        _tile_stored(0, out + i, out_bytes);
        _tile_stored(1, out + i + 16, out_bytes);
    }
}

const arithmetic bf16_arithmetic = {sizeof(bf16), begin, end, pack_values, score, weigh, write};
