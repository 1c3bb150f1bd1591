#include "linear.h"

/* y = x W^T + b in float32. W lies in panels of 32 columns: the 32 weights of K 0, of K 1, ... Each sum adds its products
 * in the order of K, however many rows there are beside it: a row of y depends on its row of x alone.
 */

#define TOGETHER 12          /* rows of x whose sums stay in registers */
#define AHEAD 32             /* of K, from the fetching of weights to their use, where they are used once */
#define MOST_DEPTH 5120      /* of K at once, where weights are used again: a panel must not fill the second cache */
#define BLOCK_BYTES (1 << 20) /* of x, for the same reason */
typedef struct {
    const float *weight;
    float *packed;
    int64_t num_columns, width;
} Packing;

static void pack_panels(const void *packing, int64_t first, int64_t last) {
    const Packing *p = packing;
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t column = 0; column < PANEL; column++) {
            const int64_t from = panel * PANEL + column;
            if (from >= p->num_columns) break; /* zeros are there already */
            float *to = p->packed + panel * PANEL * p->width + column;
            for (int64_t k = 0; k < p->width; k++) to[k * PANEL] = p->weight[from * p->width + k];
        }
}

/* weight [num_columns, width] into packed [panels, width, 32], which holds zeros. */
EXPORT void pack_linear_float(const float *weight, float *packed, int64_t num_columns, int64_t width) {
    const Packing p = {weight, packed, num_columns, width};
    share(pack_panels, &p, num_panels(num_columns), PACKED_TOGETHER);
}

/* Adds to the sums [rows, 32], or begins them, what some of K give. */
INLINE void multiply(
    const float *x, int64_t width, const float *panel, int64_t depth, float *sums, int64_t stride, int fresh,
    const int rows) {
    __m512 first[TOGETHER], second[TOGETHER];
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        first[i] = fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + i * stride);
        second[i] = fresh ? _mm512_setzero_ps() : _mm512_loadu_ps(sums + i * stride + 16);
    }
    for (int64_t k = 0; k < depth; k++, panel += PANEL) {
        const __m512 w0 = _mm512_load_ps(panel), w1 = _mm512_load_ps(panel + 16);
        _mm_prefetch((const char *)(panel + AHEAD * PANEL), _MM_HINT_T0);
        _mm_prefetch((const char *)(panel + AHEAD * PANEL + 16), _MM_HINT_T0);
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            const __m512 of_row = _mm512_set1_ps(x[i * width + k]);
            first[i] = _mm512_fmadd_ps(of_row, w0, first[i]);
            second[i] = _mm512_fmadd_ps(of_row, w1, second[i]);
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++) {
        _mm512_storeu_ps(sums + i * stride, first[i]);
        _mm512_storeu_ps(sums + i * stride + 16, second[i]);
    }
}

/* The same for any number of rows up to TOGETHER, each of which is compiled by itself. */
static void multiply_rows(
    const float *x, int64_t width, const float *panel, int64_t depth, float *sums, int64_t stride, int fresh, int rows) {
    switch (rows) {
#define CASE(n) \
    case n: multiply(x, width, panel, depth, sums, stride, fresh, n); break;
        CASE(1) CASE(2) CASE(3) CASE(4) CASE(5) CASE(6) CASE(7) CASE(8) CASE(9) CASE(10) CASE(11) CASE(12)
#undef CASE
    }
}

static void multiply_share(const Product *p, Share of) {
    const Linear *w = p->weight;
    const int64_t num_passes = (of.num_rows + TOGETHER - 1) / TOGETHER;
    const int64_t num_chunks = num_passes == 1 ? 1 : (w->width + MOST_DEPTH - 1) / MOST_DEPTH;
    const int64_t row_stride = rounded_up(w->num_columns, PANEL);
    _Alignas(64) float here[TOGETHER * PANEL];
    for (int64_t chunk = 0; chunk < num_chunks; chunk++) {
        const int64_t begin = w->width * chunk / num_chunks, end = w->width * (chunk + 1) / num_chunks;
        for (int64_t panel = of.first; panel < of.last; panel++) {
            const float *weights = (const float *)w->packed + (panel * w->width + begin) * PANEL;
            for (int64_t pass = 0; pass < num_passes; pass++) {
                const int64_t at = of.row + pass * TOGETHER, count = least(TOGETHER, of.num_rows - pass * TOGETHER);
                const float *x = (const float *)p->x + at * w->width + begin;
                float *sums = num_chunks == 1 ? here : (float *)p->room + at * row_stride + panel * PANEL;
                const int64_t stride = num_chunks == 1 ? PANEL : row_stride;
                multiply_rows(x, w->width, weights, end - begin, sums, stride, chunk == 0, count);
                if (chunk + 1 == num_chunks)
                    write_sums(sums, stride, count, 0, w->bias, p->out, at, panel * PANEL, w->num_columns, 1);
            }
        }
    }
}

static void multiply_shares(const void *split, int64_t first, int64_t last) {
    const Split *s = split;
    for (int64_t i = first; i < last; i++) multiply_share(s->product, share_of(s, i));
}

static void compute(const Product *p) {
    const int64_t width = p->weight->width, most = rounded_up(BLOCK_BYTES / 4 / least(width, MOST_DEPTH), TOGETHER);
    const Split s = split_of(p, least(p->num_rows, most), PANEL * sizeof(float) * width);
    share(multiply_shares, &s, count_of(&s), 1);
}

static int64_t room(const Linear *w, int64_t num_rows) {
    return num_rows > TOGETHER && w->width > MOST_DEPTH ? room_for_sums(w, num_rows) : 0;
}

const LinearKind linear_float = {compute, room};
