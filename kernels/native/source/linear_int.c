#include "pool.h"
#include "tiles.h"

/* y = x W^T + b with W in 8 or 4 bits, see kernels/quantization.py. The numbers of x become int8 as well, with a scale
 * for each group of neighbours in a row: outliers, of which the states of language models have some, coarsen only
 * their own group. Products are summed up as integers within a group, and as floats over the groups. So here, too, a
 * row of y depends on its row of x alone.
 *
 * W lies in panels of 32 columns. For each 64 of K, int8 has two tiles, in each of which row r holds the weights of K
 * 4r to 4r + 3 of column 0, of column 1, ...; int4 has one such tile in the lower and one in the upper halves of
 * 1024 bytes, and then 32 scales of the 32 columns.
 */

#define STEP 64 /* of K, in one tile */
#define INT8_STEP (2 * TILE_BYTES)
#define INT4_STEP (TILE_BYTES + 2 * PANEL)
#define INT8_GROUP 2 /* steps of x with one scale */
#define INT4_GROUP 1
#define AHEAD_BYTES (12 << 10) /* from the fetching of weights to their use, where they are used once */
#define BLOCK_BYTES (1 << 20)  /* of x: it has to stay in the second cache */
#define PANELS 16 /* packed as one piece of work */

typedef struct {
    const int8_t *codes;
    const bf16 *scales;
    uint8_t *packed;
    int64_t num_columns, num_steps;
} Packing;

static void pack_int8(const void *packing, int64_t first, int64_t last) {
    const Packing *p = packing;
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t step = 0; step < p->num_steps; step++) {
            uint8_t *to = p->packed + (panel * p->num_steps + step) * INT8_STEP;
            for (int64_t column = 0; column < PANEL; column++) {
                const int64_t from = panel * PANEL + column;
                uint32_t fours[STEP / 4] = {0};
                if (from < p->num_columns) memcpy(fours, p->codes + (from * p->num_steps + step) * STEP, STEP);
                uint32_t *of_column = (uint32_t *)to + column / 16 * 256 + column % 16;
                for (int four = 0; four < STEP / 4; four++) of_column[16 * four] = fours[four];
            }
        }
}

static void pack_int4(const void *packing, int64_t first, int64_t last) {
    const Packing *p = packing;
    const int8_t none[STEP] = {0};
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t step = 0; step < p->num_steps; step++) {
            uint8_t *to = p->packed + (panel * p->num_steps + step) * INT4_STEP;
            bf16 *to_scales = (bf16 *)(to + TILE_BYTES);
            for (int64_t column = 0; column < 16; column++) {
                const int64_t lower = panel * PANEL + column, upper = lower + 16;
                const int has_lower = lower < p->num_columns, has_upper = upper < p->num_columns;
                const int8_t *low = has_lower ? p->codes + (lower * p->num_steps + step) * STEP : none;
                const int8_t *high = has_upper ? p->codes + (upper * p->num_steps + step) * STEP : none;
                for (int k = 0; k < STEP; k++)
                    to[k / 4 * 64 + column * 4 + k % 4] = (uint8_t)((low[k] & 15) | (high[k] & 15) << 4);
                to_scales[column] = has_lower ? p->scales[lower * p->num_steps + step] : 0;
                to_scales[column + 16] = has_upper ? p->scales[upper * p->num_steps + step] : 0;
            }
        }
}

/* codes [num_columns, num_steps x 64] into packed [panels, steps, 2, 16, 16, 4]. */
EXPORT void pack_linear_int8(const int8_t *codes, uint8_t *packed, int64_t num_columns, int64_t num_steps) {
    const Packing p = {codes, 0, packed, num_columns, num_steps};
    share(pack_int8, &p, rounded_up(num_columns, PANEL) / PANEL, PANELS);
}

/* codes as above, scales [num_columns, num_steps], into packed [panels, steps, INT4_STEP bytes]. */
EXPORT void pack_linear_int4(
    const int8_t *codes, const bf16 *scales, uint8_t *packed, int64_t num_columns, int64_t num_steps) {
    const Packing p = {codes, scales, packed, num_columns, num_steps};
    share(pack_int4, &p, rounded_up(num_columns, PANEL) / PANEL, PANELS);
}

typedef struct {
    const void *x;
    int x_is_float;
    int8_t *codes; /* [num_rows, num_steps x 64], of x */
    float *scales; /* [num_rows, num_steps / group] */
    int64_t num_rows, width, num_steps, group;
} Input;

static inline __m512 load_input(const Input *in, int64_t at, __mmask16 mask) {
    return in->x_is_float ? _mm512_maskz_loadu_ps(mask, (const float *)in->x + at)
                          : load_bf16_masked(mask, (const bf16 *)in->x + at);
}

/* One group of one row of x: its codes, within 127, and their scale. */
static void quantize(const Input *in, int64_t row, int64_t group) {
    const int64_t first = group * in->group * STEP, last = first + in->group * STEP;
    __m512 farthest = _mm512_setzero_ps();
    for (int64_t k = first; k < last; k += 16) {
        const __mmask16 mask = k + 16 <= in->width ? 0xffff : k < in->width ? tail_mask(in->width) : 0;
        farthest = _mm512_max_ps(farthest, _mm512_abs_ps(load_input(in, row * in->width + k, mask)));
    }
    const float most = _mm512_reduce_max_ps(farthest);
    const __m512 steps = _mm512_set1_ps(most > 0 ? 127.0f / most : 0.0f);
    in->scales[row * (in->num_steps / in->group) + group] = most / 127.0f;
    for (int64_t k = first; k < last; k += 16) {
        const __mmask16 mask = k + 16 <= in->width ? 0xffff : k < in->width ? tail_mask(in->width) : 0;
        const __m512 scaled = _mm512_mul_ps(load_input(in, row * in->width + k, mask), steps);
        const __m128i codes = _mm512_cvtsepi32_epi8(_mm512_cvtps_epi32(scaled));
        _mm_storeu_si128((__m128i *)(in->codes + row * in->num_steps * STEP + k), codes);
    }
}

typedef struct {
    const Input *in;
    const uint8_t *packed;
    const float *scales, *bias;
    void *out;
    int64_t num_columns;
    int out_is_float, bits;
    int64_t block_rows, block_shares; /* x is worked in by blocks of rows, the panels of each by shares */
} Linear;

/* Both tiles of a step of int4: 16 times the weights, which the scales make up for. */
static inline void unpack(const uint8_t *packed, uint8_t *tiles) {
    const __m512i upper = _mm512_set1_epi8((char)0xf0);
    for (int row = 0; row < 16; row++) {
        const __m512i both = _mm512_load_si512(packed + 64 * row);
        _mm512_store_si512(tiles + 64 * row, _mm512_and_si512(_mm512_slli_epi16(both, 4), upper));
        _mm512_store_si512(tiles + TILE_BYTES + 64 * row, _mm512_and_si512(both, upper));
    }
    __asm__ volatile("" : : : "memory"); /* the tiles are loaded behind the compiler's back */
}

/* Up to 32 rows of x times a panel, over all of K, into sums. Beside it num_lines lines for each KiB are fetched. */
static inline __attribute__((always_inline)) void multiply(
    const Linear *l, int64_t row, int num_rows, const uint8_t *panel, const char *fetch, int num_lines, int bits,
    float *sums) {
    const Input *in = l->in;
    const int64_t stride = in->num_steps * STEP, num_groups = in->num_steps / in->group;
    const int both = num_rows > 16, group_steps = bits == 8 ? INT8_GROUP : INT4_GROUP;
    const int8_t *x = in->codes + row * stride;
    const float *x_scales = in->scales + row * num_groups;
    _Alignas(64) uint8_t unpacked[2][2 * TILE_BYTES];
    _Alignas(64) int32_t products[2][ROWS * PANEL];
    const __m512 zero = _mm512_setzero_ps(), sixteenth = _mm512_set1_ps(1.0f / 16);
    for (int i = 0; i < 2 * num_rows; i++) _mm512_store_ps(sums + 16 * i, zero);
    for (int64_t group = 0; group < num_groups; group++) {
        int32_t *of_group = products[group & 1];
        __m512 w0 = _mm512_set1_ps(1.0f), w1 = w0;
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int step = 0; step < group_steps; step++, x += STEP) {
            const uint8_t *tiles = panel;
            if (bits == 4) {
                unpack(panel, unpacked[group & 1]);
                tiles = unpacked[group & 1];
                w0 = _mm512_mul_ps(load_bf16((const bf16 *)(panel + TILE_BYTES)), sixteenth);
                w1 = _mm512_mul_ps(load_bf16((const bf16 *)(panel + TILE_BYTES) + 16), sixteenth);
            }
            const int64_t bytes = bits == 8 ? INT8_STEP : INT4_STEP;
            for (int line = 0; line < num_lines; line++) _mm_prefetch(fetch + 64 * line, _MM_HINT_T0);
            fetch += bytes;
            panel += bytes;
            _tile_loadd(6, tiles, 64);
            _tile_loadd(7, tiles + TILE_BYTES, 64);
            _tile_loadd(4, x, stride);
            _tile_dpbssd(0, 4, 6);
            _tile_dpbssd(1, 4, 7);
            if (both) {
                _tile_loadd(5, x + 16 * stride, stride);
                _tile_dpbssd(2, 5, 6);
                _tile_dpbssd(3, 5, 7);
            }
        }
        _tile_stored(0, of_group, 4 * PANEL);
        _tile_stored(1, of_group + 16, 4 * PANEL);
        if (both) {
            _tile_stored(2, of_group + 16 * PANEL, 4 * PANEL);
            _tile_stored(3, of_group + 16 * PANEL + 16, 4 * PANEL);
        }
        for (int i = 0; i < num_rows; i++) {
            const __m512 scale = _mm512_set1_ps(x_scales[i * num_groups + group]);
            float *to = sums + i * PANEL;
            const __m512 p0 = _mm512_cvtepi32_ps(_mm512_load_si512(of_group + i * PANEL));
            const __m512 p1 = _mm512_cvtepi32_ps(_mm512_load_si512(of_group + i * PANEL + 16));
            const __m512 s0 = bits == 4 ? _mm512_mul_ps(scale, w0) : scale;
            const __m512 s1 = bits == 4 ? _mm512_mul_ps(scale, w1) : scale;
            _mm512_store_ps(to, _mm512_fmadd_ps(p0, s0, _mm512_load_ps(to)));
            _mm512_store_ps(to + 16, _mm512_fmadd_ps(p1, s1, _mm512_load_ps(to + 16)));
        }
    }
}

/* Rows [row, row + num_rows) of x, panels [first, last). */
static void multiply_block(const Linear *l, int64_t row, int64_t num_rows, int64_t first, int64_t last) {
    const int64_t step_bytes = l->bits == 8 ? INT8_STEP : INT4_STEP, panel_bytes = l->in->num_steps * step_bytes;
    const int64_t num_passes = rounded_up(num_rows, ROWS) / ROWS, step_lines = step_bytes / 64;
    const int lines = (step_lines + num_passes - 1) / num_passes;
    const int64_t ahead = num_passes == 1 ? AHEAD_BYTES : panel_bytes;
    _Alignas(64) float sums[ROWS * PANEL];
    int shape = 0;
    for (int64_t panel = first; panel < last; panel++) {
        const uint8_t *weights = l->packed + panel * panel_bytes;
        for (int64_t pass = 0; pass < num_passes; pass++) {
            const int64_t at = row + pass * ROWS, count = least(ROWS, num_rows - pass * ROWS);
            const char *fetch = (const char *)weights + ahead + 64 * pass * lines;
            if (shape != count) shape_tiles(shape = count);
            if (l->bits == 8)
                multiply(l, at, count, weights, fetch, lines, 8, sums);
            else
                multiply(l, at, count, weights, fetch, lines, 4, sums);
            write_sums(
                sums, PANEL, count, l->scales, l->bias, l->out, at, panel * PANEL, l->num_columns, l->out_is_float);
        }
    }
}

static void quantize_rows(const void *input, int64_t first, int64_t last) {
    const Input *in = input;
    const int64_t num_groups = in->num_steps / in->group;
    for (int64_t row = first; row < last; row++)
        for (int64_t group = 0; group < num_groups; group++) quantize(in, row, group);
}

/* Shares of blocks. */
static void multiply_shares(const void *linear, int64_t first, int64_t last) {
    const Linear *l = linear;
    const int64_t num_panels = rounded_up(l->num_columns, PANEL) / PANEL;
    for (int64_t i = first; i < last; i++) {
        const int64_t row = i / l->block_shares * l->block_rows, share = i % l->block_shares;
        multiply_block(
            l, row, least(l->block_rows, l->in->num_rows - row), num_panels * share / l->block_shares,
            num_panels * (share + 1) / l->block_shares);
    }
    _tile_release();
}

static void multiply_all(Linear l) {
    const Input *in = l.in;
    const int64_t panel_bytes = in->num_steps * (l.bits == 8 ? INT8_STEP : INT4_STEP);
    l.block_rows = least(in->num_rows, rounded_up(BLOCK_BYTES / STEP / in->num_steps, ROWS));
    l.block_shares = shares_of(rounded_up(l.num_columns, PANEL) / PANEL, panel_bytes, in->num_rows);
    share(quantize_rows, in, in->num_rows, rows_of_a_piece(in->width));
    share(multiply_shares, &l, (in->num_rows + l.block_rows - 1) / l.block_rows * l.block_shares, 1);
}

/* x [num_rows, width], float or bf16; packed: see above, num_steps a multiple of the group; scales, bias (or null)
 * [num_columns]; codes [num_rows, num_steps x 64], x_scales [num_rows, groups]: room; out [num_rows, num_columns]. */
EXPORT void linear_int8(
    const void *x, const uint8_t *packed, const float *scales, const float *bias, void *out, int8_t *codes,
    float *x_scales, int64_t num_rows, int64_t width, int64_t num_steps, int64_t num_columns, int32_t x_is_float,
    int32_t out_is_float) {
    const Input in = {x, x_is_float, codes, x_scales, num_rows, width, num_steps, INT8_GROUP};
    multiply_all((Linear){.in = &in, .packed = packed, .scales = scales, .bias = bias, .out = out, .num_columns = num_columns,
                          .out_is_float = out_is_float, .bits = 8});
}

/* As linear_int8; the scales lie among the weights. */
EXPORT void linear_int4(
    const void *x, const uint8_t *packed, const float *bias, void *out, int8_t *codes, float *x_scales,
    int64_t num_rows, int64_t width, int64_t num_steps, int64_t num_columns, int32_t x_is_float,
    int32_t out_is_float) {
    const Input in = {x, x_is_float, codes, x_scales, num_rows, width, num_steps, INT4_GROUP};
    multiply_all((Linear){.in = &in, .packed = packed, .bias = bias, .out = out, .num_columns = num_columns,
                          .out_is_float = out_is_float, .bits = 4});
}
