#include "xylem.h"

#include <math.h>

/* Rows below this many elements in all are done by one thread: waking another takes longer. */
#define WORTH_THREADS 32768

/* x += delta (rounded to bf16, as torch adds), then the root mean square norm of x into out. [num_rows, width]. */
EXPORT void add_rms_norm_bf16(
    bf16 *x, const bf16 *delta, const bf16 *weight, bf16 *out, int64_t num_rows, int64_t width, float epsilon) {
#pragma omp parallel for if (num_rows * width >= WORTH_THREADS)
    for (int64_t row = 0; row < num_rows; row++) {
        bf16 *at = x + row * width;
        const bf16 *more = delta ? delta + row * width : 0;
        __m512 squares = _mm512_setzero_ps();
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = i + 16 <= width ? 0xffff : tail_mask(width);
            __m512 value = load_bf16_masked(mask, at + i);
            if (more) {
                store_bf16_masked(at + i, mask, _mm512_add_ps(value, load_bf16_masked(mask, more + i)));
                value = load_bf16_masked(mask, at + i);
            }
            squares = _mm512_fmadd_ps(value, value, squares);
        }
        const __m512 scale = _mm512_set1_ps(1.0f / sqrtf(_mm512_reduce_add_ps(squares) / (float)width + epsilon));
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = i + 16 <= width ? 0xffff : tail_mask(width);
            const __m512 value = _mm512_mul_ps(load_bf16_masked(mask, at + i), scale);
            store_bf16_masked(out + row * width + i, mask, _mm512_mul_ps(value, load_bf16_masked(mask, weight + i)));
        }
    }
}
