#include "xylem.h"

static inline __attribute__((always_inline)) void gate(
    const void *x, void *out, int64_t num_rows, int64_t width, const int is_bf16) {
    const __m512 one = _mm512_set1_ps(1.0f);
#pragma omp parallel for if (num_rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < num_rows; row++)
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = lanes_at(i, width);
            const __m512 g = load(x, 2 * row * width + i, mask, is_bf16);
            const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), g))));
            const __m512 up = load(x, (2 * row + 1) * width + i, mask, is_bf16);
            store(out, row * width + i, mask, _mm512_mul_ps(silu, up), is_bf16);
        }
}

/* SiLU of the first half of each row times the second. x [num_rows, 2 x width], out [num_rows, width]. */
EXPORT void silu_and_mul(const void *x, void *out, int64_t num_rows, int64_t width, int32_t is_bf16) {
    if (is_bf16)
        gate(x, out, num_rows, width, 1);
    else
        gate(x, out, num_rows, width, 0);
}
