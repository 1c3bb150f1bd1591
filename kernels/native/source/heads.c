#include "kernels.h"

#include <math.h>

/* One head: the root mean square norm if there is a weight for it, then the rotation of its first 2 x half dimensions,
   where dimension i pairs with i + half; in float32, rounded once. */
INLINE void turn(
    const void *from, void *to, const void *norm, const float *cos, const float *sin, int64_t dim, int64_t half,
    float epsilon, int is_bf16) {
    float x[dim];
    __m512 squares = _mm512_setzero_ps();
    for (int64_t i = 0; i < dim; i += 16) {
        const __m512 value = load(from, i, lanes_at(i, dim), is_bf16);
        squares = _mm512_fmadd_ps(value, value, squares);
        _mm512_mask_storeu_ps(x + i, lanes_at(i, dim), value);
    }
    if (norm) {
        const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)dim + epsilon));
        for (int64_t i = 0; i < dim; i += 16) {
            const __mmask16 mask = lanes_at(i, dim);
            const __m512 weight = _mm512_mul_ps(load(norm, i, mask, is_bf16), scale);
            _mm512_mask_storeu_ps(x + i, mask, _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), weight));
        }
    }
    for (int64_t i = 0; i < half; i += 16) {
        const __mmask16 mask = lanes_at(i, half);
        const __m512 first = _mm512_maskz_loadu_ps(mask, x + i), second = _mm512_maskz_loadu_ps(mask, x + half + i);
        const __m512 c = _mm512_maskz_loadu_ps(mask, cos + i), s = _mm512_maskz_loadu_ps(mask, sin + i);
        _mm512_mask_storeu_ps(x + i, mask, _mm512_fmsub_ps(first, c, _mm512_mul_ps(second, s)));
        _mm512_mask_storeu_ps(x + half + i, mask, _mm512_fmadd_ps(second, c, _mm512_mul_ps(first, s)));
    }
    for (int64_t i = 0; i < dim; i += 16)
        store(to, i, lanes_at(i, dim), _mm512_maskz_loadu_ps(lanes_at(i, dim), x + i), is_bf16);
}

typedef struct {
    const char *qkv;
    char *query, *keys, *values;
    const int64_t *slots;
    const void *query_norm, *key_norm;
    const float *cos, *sin;
    int64_t num_heads, num_kv_heads, dim, half;
    float epsilon;
    int32_t is_bf16;
} Heads;

INLINE void turn_and_write(const Heads *h, int64_t first, int64_t last, const int is_bf16) {
    const int64_t dim = h->dim, half = h->half, head_bytes = dim * (is_bf16 ? sizeof(bf16) : sizeof(float));
    const int64_t kv_bytes = h->num_kv_heads * head_bytes, row_bytes = h->num_heads * head_bytes + 2 * kv_bytes;
    for (int64_t token = first; token < last; token++) {
        const char *from = h->qkv + token * row_bytes;
        const float *c = h->cos + token * half, *s = h->sin + token * half;
        char *query = h->query + token * h->num_heads * head_bytes, *keys = h->keys + h->slots[token] * kv_bytes;
        for (int64_t i = 0; i < h->num_heads; i++, from += head_bytes)
            turn(from, query + i * head_bytes, h->query_norm, c, s, dim, half, h->epsilon, is_bf16);
        for (int64_t i = 0; i < h->num_kv_heads; i++, from += head_bytes)
            turn(from, keys + i * head_bytes, h->key_norm, c, s, dim, half, h->epsilon, is_bf16);
        memcpy(h->values + h->slots[token] * kv_bytes, from, kv_bytes);
    }
}

static void turn_and_write_tokens(const void *heads, int64_t first, int64_t last) {
    const Heads *h = heads;
    if (h->is_bf16)
        turn_and_write(h, first, last, 1);
    else
        turn_and_write(h, first, last, 0);
}

/* qkv: [num_tokens, (num_heads + 2 x num_kv_heads) x dim]; query: [num_tokens, num_heads, dim]; keys, values:
   [S, num_kv_heads, dim]; norms: [dim] or null; cos, sin: [num_tokens, half], or half is 0. */
EXPORT void rotate_and_write(
    const char *qkv, char *query, char *keys, char *values, const int64_t *slots, const void *query_norm,
    const void *key_norm, const float *cos, const float *sin, int64_t num_tokens, int64_t num_heads,
    int64_t num_kv_heads, int64_t dim, int64_t half, float epsilon, int32_t is_bf16) {
    const Heads h = {qkv, query, keys, values, slots, query_norm, key_norm, cos, sin,
                     num_heads, num_kv_heads, dim, half, epsilon, is_bf16};
    share(turn_and_write_tokens, &h, num_tokens, rows_of_a_piece((num_heads + 2 * num_kv_heads) * dim));
}
