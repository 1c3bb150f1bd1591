#include "kernels.h"

typedef struct {
    const void *x;
    void *out;
    int64_t width;
    int32_t is_gelu, is_bf16;
} Gate;

/* x / (1 + e^-y): y is x for SiLU, and for GELU twice the argument of its tanh: 2 sqrt(2 / pi) (x + 0.044715 x^3). */
static inline __m512 activated(__m512 x, const int is_gelu) {
    const __m512 one = _mm512_set1_ps(1.0f);
    __m512 y = x;
    if (is_gelu) {
        const __m512 bend = _mm512_fmadd_ps(_mm512_mul_ps(x, x), _mm512_set1_ps(0.044715f), one);
        y = _mm512_mul_ps(_mm512_mul_ps(x, bend), _mm512_set1_ps(1.5957691216f));
    }
    return _mm512_div_ps(x, _mm512_add_ps(one, exp_ps(_mm512_sub_ps(_mm512_setzero_ps(), y))));
}

INLINE void gate(
    const Gate *g, int64_t first, int64_t last, const int is_gelu, const int is_bf16) {
    const int64_t width = g->width;
    for (int64_t row = first; row < last; row++)
        for (int64_t i = 0; i < width; i += 16) {
            const __mmask16 mask = lanes_at(i, width);
            const __m512 in = load(g->x, 2 * row * width + i, mask, is_bf16);
            const __m512 up = load(g->x, (2 * row + 1) * width + i, mask, is_bf16);
            store(g->out, row * width + i, mask, _mm512_mul_ps(activated(in, is_gelu), up), is_bf16);
        }
}

static void gate_rows(const void *gated, int64_t first, int64_t last) {
    const Gate *g = gated;
    if (g->is_bf16)
        g->is_gelu ? gate(g, first, last, 1, 1) : gate(g, first, last, 0, 1);
    else
        g->is_gelu ? gate(g, first, last, 1, 0) : gate(g, first, last, 0, 0);
}

/* SiLU or GELU of the first half of each row times the second. x [num_rows, 2 x width], out [num_rows, width]. */
EXPORT void gate_and_mul(
    const void *x, void *out, int64_t num_rows, int64_t width, int32_t is_gelu, int32_t is_bf16) {
    const Gate g = {x, out, width, is_gelu, is_bf16};
    share(gate_rows, &g, num_rows, rows_of_a_piece(width));
}
