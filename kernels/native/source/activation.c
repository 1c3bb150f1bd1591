#include "xylem.h"

#define WORTH_THREADS 32768

/* SiLU of the first half of each row times the second. x [num_rows, 2 x width], out [num_rows, width]. */
EXPORT void silu_and_mul_bf16(const bf16 *x, bf16 *out, int64_t num_rows, int64_t width) {
    const __m512 one = _mm512_set1_ps(1.0f);
#pragma omp parallel for if (num_rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < num_rows; row++) {
        const bf16 *gate = x + 2 * row * width, *up = gate + width;
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = i + 16 <= width ? 0xffff : tail_mask(width);
            const __m512 g = load_bf16_masked(mask, gate + i);
            const __m512 silu = _mm512_div_ps(g, _mm512_add_ps(one, exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), g))));
            store_bf16_masked(out + row * width + i, mask, _mm512_mul_ps(silu, load_bf16_masked(mask, up + i)));
        }
    }
}
