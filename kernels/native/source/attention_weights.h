/* Scores become weights; what splits of the keys give is merged. Weights are powers of two: log2(e) is in the scale. */
#pragma once

#include <math.h>

#include "attention.h"

#define LOWEST -1e30f /* the highest score where there is none; finite, so that differences are numbers */

/* Of query rows: weighted sums of values [rows, width], the highest score [rows], and the total of the weights [rows]. */
typedef struct {
    float *sums, *highest, *total;
} result;

static inline result behind(result of, int64_t num_rows, int64_t width) {
    return (result){of.sums + num_rows * width, of.highest + num_rows, of.total + num_rows};
}

/* 2^x to 1e-7; 0 for what is below -150. Coefficients fitted over [-0.5, 0.5] for the least relative error. */
static inline __m512 exp2_ps(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
    const __m512 n = _mm512_roundscale_ps(x, 0), r = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.326472731e-3f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.671512991e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.550733581e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402224243e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931470037e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

/* Scores of one query row become cap x tanh(score x scale / cap). */
static void flatten(float *scores, const step *s, int64_t num_keys) {
    const __m512 cap = _mm512_set1_ps(s->cap), two = _mm512_set1_ps(2.0f), one = _mm512_set1_ps(1.0f);
    const __m512 scale = _mm512_set1_ps(2.0f * s->capped_scale);
    for (int32_t at = 0; at < num_keys; at += 16) {
        const __m512 power = exp_ps(_mm512_mul_ps(_mm512_load_ps(scores + at), scale));
        const __m512 tanh = _mm512_sub_ps(one, _mm512_div_ps(two, _mm512_add_ps(power, one)));
        _mm512_store_ps(scores + at, _mm512_mul_ps(cap, tanh));
    }
}

/* Scores [num_rows, SPLIT] of keys from `start` on become weights, 0 behind num_keys up to a multiple of 32. A query row
   sees keys up to its position, and with a window not before that. */
static void soften(
    result given, float *scores, const step *s, const int32_t *positions, int64_t num_rows, int64_t start,
    int64_t num_keys) {
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const float factor = s->cap ? 1.0f : s->scale;
    const __m512 scale = _mm512_set1_ps(factor);
    for (int64_t i = 0; i < num_rows; i++, scores += SPLIT) {
        if (s->cap) flatten(scores, s, num_keys);
        const int32_t from = s->window ? most(0, positions[i] + 1 - s->window - start) : 0;
        const int32_t to = most(0, least(num_keys, positions[i] + 1 - start));
        const __m512i first = _mm512_set1_epi32(from), end = _mm512_set1_epi32(to);
        __m512 highest = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
        for (int32_t at = from & -16; at < to; at += 16) {
            const __m512i key = _mm512_add_epi32(lanes, _mm512_set1_epi32(at));
            const __mmask16 seen = _mm512_cmpge_epi32_mask(key, first) & _mm512_cmplt_epi32_mask(key, end);
            highest = _mm512_mask_max_ps(highest, seen, highest, _mm512_load_ps(scores + at));
        }
        given.highest[i] = from < to ? _mm512_reduce_max_ps(highest) * factor : LOWEST;
        const __m512 top = _mm512_set1_ps(given.highest[i]);
        for (int32_t at = 0; at < rounded_up(num_keys, 32); at += 16) {
            const __m512i key = _mm512_add_epi32(lanes, _mm512_set1_epi32(at));
            const __mmask16 seen = _mm512_cmpge_epi32_mask(key, first) & _mm512_cmplt_epi32_mask(key, end);
            const __m512 power = _mm512_fmsub_ps(_mm512_load_ps(scores + at), scale, top);
            const __m512 weight = _mm512_maskz_mov_ps(seen, exp2_ps(power));
            total = _mm512_add_ps(total, weight);
            _mm512_store_ps(scores + at, weight);
        }
        given.total[i] = _mm512_reduce_add_ps(total);
    }
}

static void forget(result of, int64_t num_rows, int64_t width) {
    memset(of.sums, 0, num_rows * width * sizeof(float));
    memset(of.total, 0, num_rows * sizeof(float));
    for (int64_t i = 0; i < num_rows; i++) of.highest[i] = LOWEST;
}

/* Merges what one more split has given for at most a tile of rows. */
static void fold(result into, result given, int64_t num_rows, int64_t width) {
    const __mmask16 rows = (__mmask16)((1u << num_rows) - 1);
    const __m512 before = _mm512_maskz_loadu_ps(rows, into.highest), now = _mm512_maskz_loadu_ps(rows, given.highest);
    const __m512 top = _mm512_max_ps(before, now);
    float keep[TILE], take[TILE];
    _mm512_storeu_ps(keep, exp2_ps(_mm512_sub_ps(before, top)));
    _mm512_storeu_ps(take, exp2_ps(_mm512_sub_ps(now, top)));
    _mm512_mask_storeu_ps(into.highest, rows, top);
    for (int64_t i = 0; i < num_rows; i++) {
        const __m512 kept = _mm512_set1_ps(keep[i]), taken = _mm512_set1_ps(take[i]);
        into.total[i] = into.total[i] * keep[i] + given.total[i] * take[i];
        for (int64_t at = i * width; at < (i + 1) * width; at += 16) {
            const __m512 old = _mm512_mul_ps(_mm512_loadu_ps(into.sums + at), kept);
            _mm512_storeu_ps(into.sums + at, _mm512_fmadd_ps(_mm512_loadu_ps(given.sums + at), taken, old));
        }
    }
}
