#include "kernels.h"

typedef struct {
    const void *x;
    void *out;
    int64_t width;
    int32_t is_bf16;
} Gate;

static inline __attribute__((always_inline)) void gate(const Gate *g, int64_t first, int64_t last, const int is_bf16) {
    const void *x = g->x;
    void *out = g->out;
    const int64_t width = g->width;
    const __m512 one = _mm512_set1_ps(1.0f);
    for (int64_t row = first; row < last; row++)
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = lanes_at(i, width);
            const __m512 in = load(x, 2 * row * width + i, mask, is_bf16);
            const __m512 silu = _mm512_div_ps(in, _mm512_add_ps(one, exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), in))));
            const __m512 up = load(x, (2 * row + 1) * width + i, mask, is_bf16);
            store(out, row * width + i, mask, _mm512_mul_ps(silu, up), is_bf16);
        }
}

static void gate_rows(const void *gated, int64_t first, int64_t last) {
    const Gate *g = gated;
    if (g->is_bf16)
        gate(g, first, last, 1);
    else
        gate(g, first, last, 0);
}

/* SiLU of the first half of each row times the second. x [num_rows, 2 x width], out [num_rows, width]. */
EXPORT void silu_and_mul(const void *x, void *out, int64_t num_rows, int64_t width, int32_t is_bf16) {
    const Gate g = {x, out, width, is_bf16};
    share(gate_rows, &g, num_rows, rows_of_a_piece(width));
}
