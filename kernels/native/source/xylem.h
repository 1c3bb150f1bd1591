/* Shared by all kernels. Tensors are contiguous; bf16 is a uint16_t with the upper half of a float. */
#pragma once

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))
#define INLINE static inline __attribute__((always_inline))

typedef uint16_t bf16;

/* Pointwise work is shared in pieces of so many elements: on fewer, another thread would not be worth waking. */
#define PIECE_ELEMENTS 32768

static inline int64_t rows_of_a_piece(int64_t width) { return width < PIECE_ELEMENTS ? PIECE_ELEMENTS / width : 1; }

static inline __m512 load_bf16(const bf16 *from) {
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)from)), 16));
}

static inline __m512 load_bf16_masked(__mmask16 mask, const bf16 *from) {
    return _mm512_castsi512_ps(
        _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, (const __m256i *)from)), 16));
}

/* Rounds to nearest, ties to even, as torch does. */
static inline void store_bf16(bf16 *to, __m512 value) {
    _mm256_storeu_si256((__m256i *)to, (__m256i)_mm512_cvtneps_pbh(value));
}

static inline void store_bf16_masked(bf16 *to, __mmask16 mask, __m512 value) {
    _mm256_mask_storeu_epi16((__m256i *)to, mask, (__m256i)_mm512_cvtneps_pbh(value));
}

static inline float bf16_to_float(bf16 value) {
    uint32_t bits = (uint32_t)value << 16;
    float result;
    memcpy(&result, &bits, sizeof result);
    return result;
}

/* Lanes that are left of the last vector of a row of n. */
static inline __mmask16 tail_mask(int64_t n) { return (__mmask16)((1u << (n & 15)) - 1); }

/* Cephes' exp to about 2 ulp; arguments below -87.3 give 0. */
static inline __m512 exp_ps(__m512 x) {
    const __mmask16 tiny = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.3f), _CMP_LT_OQ);
    x = _mm512_min_ps(x, _mm512_set1_ps(88.3f));
    const __m512 n = _mm512_roundscale_ps(_mm512_mul_ps(x, _mm512_set1_ps(1.44269504088896341f)), 0);
    x = _mm512_fnmadd_ps(n, _mm512_set1_ps(0.693359375f), x);
    x = _mm512_fnmadd_ps(n, _mm512_set1_ps(-2.12194440e-4f), x);
    __m512 p = _mm512_set1_ps(1.9875691500e-4f);
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(1.3981999507e-3f));
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(8.3334519073e-3f));
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(4.1665795894e-2f));
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(1.6666665459e-1f));
    p = _mm512_fmadd_ps(p, x, _mm512_set1_ps(5.0000001201e-1f));
    p = _mm512_fmadd_ps(_mm512_mul_ps(p, x), x, _mm512_add_ps(x, _mm512_set1_ps(1.0f)));
    return _mm512_mask_mov_ps(_mm512_scalef_ps(p, n), tiny, _mm512_setzero_ps());
}

/* Elements [i, i + 16) of either type as floats, and back; the type is known where these are compiled into. */
INLINE __m512 load(const void *from, int64_t i, __mmask16 mask, int is_bf16) {
    return is_bf16 ? load_bf16_masked(mask, (const bf16 *)from + i) : _mm512_maskz_loadu_ps(mask, (const float *)from + i);
}

INLINE void store(void *to, int64_t i, __mmask16 mask, __m512 value, int is_bf16) {
    if (is_bf16)
        store_bf16_masked((bf16 *)to + i, mask, value);
    else
        _mm512_mask_storeu_ps((float *)to + i, mask, value);
}

/* Of the vector at i in a row of n: all lanes, or those that are left. */
static inline __mmask16 lanes_at(int64_t i, int64_t n) { return i + 16 <= n ? 0xffff : tail_mask(n); }
