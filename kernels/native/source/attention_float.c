/* Attention in float32. A few query rows at a time meet a few vectors of keys, or of a value's dimensions, so that 16
 * sums stay in registers. */
#include "attention.h"

static void nothing(void) {}

/* [keys, width]: as they are, one after the other. */
static void pack_values(void *panel, const void *values, const int64_t *places, int64_t num_keys, int64_t dim) {
    const int64_t width = rounded_up(dim, WIDTH_STEP);
    for (int64_t key = 0; key < num_keys; key++) {
        const float *from = (const float *)values + places[key], *soon = (const float *)values + places[least(key + AHEAD, num_keys - 1)];
        float *to = (float *)panel + key * width;
        for (int64_t i = 0; i < width; i += 16) {
            _mm512_store_ps(to + i, i < dim ? _mm512_loadu_ps(from + i) : _mm512_setzero_ps());
            _mm_prefetch(soon + i, _MM_HINT_T0);
        }
    }
}

static void write(void *out, __m512 first, __m512 second, __mmask32 mask) {
    _mm512_mask_storeu_ps(out, (__mmask16)mask, first);
    _mm512_mask_storeu_ps((float *)out + 16, (__mmask16)(mask >> 16), second);
}

/* out [rows, 16 x vectors] = left [rows, depth] x right [depth, 16 x vectors]; strides in elements. */
INLINE void multiply(
    float *out, int64_t out_stride, const float *left, int64_t left_stride, const float *right, int64_t right_stride,
    int64_t vector_stride, int64_t depth, const int rows, const int vectors) {
    __m512 sums[8][4], here[4];
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) sums[row][v] = _mm512_setzero_ps();
    for (int64_t i = 0; i < depth; i++) {
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) here[v] = _mm512_load_ps(right + i * right_stride + v * vector_stride);
#pragma GCC unroll 8
        for (int row = 0; row < rows; row++) {
            const __m512 of_row = _mm512_set1_ps(left[row * left_stride + i]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) sums[row][v] = _mm512_fmadd_ps(of_row, here[v], sums[row][v]);
        }
    }
#pragma GCC unroll 8
    for (int row = 0; row < rows; row++)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) _mm512_store_ps(out + row * out_stride + v * 16, sums[row][v]);
}

static void score(
    float *scores, const void *queries, const void *keys, int64_t num_rows, int64_t num_keys, int64_t steps) {
    const int64_t depth = steps * 16, tile = depth * 16;
    for (int64_t row = 0; row < num_rows; row += 4) {
        const float *query = (const float *)queries + row * depth;
        for (int64_t at = 0; at < num_keys; at += 4 * 16)
            multiply(
                scores + row * SPLIT + at, SPLIT, query, depth, (const float *)keys + at * depth, 16, tile, depth, 4, 4);
    }
}

static void weigh(
    float *out, const float *weights, const void *values, int64_t num_rows, int64_t num_keys, int64_t width) {
    const float *value = values;
    int64_t i = 0;
    for (; i + 64 <= width; i += 64)
        for (int64_t row = 0; row < num_rows; row += 4)
            multiply(
                out + row * width + i, width, weights + row * SPLIT, SPLIT, value + i, width, 16, num_keys, 4, 4);
    if (i == width) return;
    for (int64_t row = 0; row < num_rows; row += 8) /* half as many dimensions: twice the rows keep the units as busy */
        multiply(out + row * width + i, width, weights + row * SPLIT, SPLIT, value + i, width, 16, num_keys, 8, 2);
}

const arithmetic float_arithmetic = {sizeof(float), nothing, nothing, pack_values, score, weigh, write};
