#include "kernels.h"

#include <math.h>

typedef struct {
    void *x;
    const void *delta, *weight;
    void *out;
    int64_t width;
    float epsilon, offset;
    int32_t is_bf16;
} Sum;

INLINE void add_and_norm(
    const Sum *s, int64_t first, int64_t last, const int is_bf16) {
    void *x = s->x, *out = s->out;
    const void *delta = s->delta, *weight = s->weight;
    const int64_t width = s->width;
    const __m512 offset = _mm512_set1_ps(s->offset);
    for (int64_t row = first; row < last; row++) {
        const int64_t begin = row * width, end = begin + width;
        __m512 squares = _mm512_setzero_ps();
        for (int64_t i = begin; i < end; i += 16) {
            const __mmask16 mask = lanes_at(i - begin, width);
            __m512 value = load(x, i, mask, is_bf16);
            if (delta) {
                store(x, i, mask, _mm512_add_ps(value, load(delta, i, mask, is_bf16)), is_bf16);
                value = load(x, i, mask, is_bf16);
            }
            squares = _mm512_fmadd_ps(value, value, squares);
        }
        const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)width + s->epsilon));
        for (int64_t i = begin; i < end; i += 16) {
            const __mmask16 mask = lanes_at(i - begin, width);
            const __m512 value = _mm512_mul_ps(load(x, i, mask, is_bf16), scale);
            const __m512 factor = _mm512_add_ps(load(weight, i - begin, mask, is_bf16), offset);
            store(out, i, mask, _mm512_mul_ps(value, factor), is_bf16);
        }
    }
}

static void add_and_norm_rows(const void *sum, int64_t first, int64_t last) {
    const Sum *s = sum;
    if (s->is_bf16)
        add_and_norm(s, first, last, 1);
    else
        add_and_norm(s, first, last, 0);
}

/* x += delta (rounded to the type, as torch adds), then the root mean square norm of x, times weight + offset, into out. All are
 * [num_rows, width]; out may be x. */
EXPORT void add_rms_norm(
    void *x, const void *delta, const void *weight, void *out, int64_t num_rows, int64_t width, float epsilon,
    float offset, int32_t is_bf16) {
    const Sum s = {x, delta, weight, out, width, epsilon, offset, is_bf16};
    share(add_and_norm_rows, &s, num_rows, rows_of_a_piece(width));
}
