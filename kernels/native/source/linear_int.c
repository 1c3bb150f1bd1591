#include "linear.h"

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
    share(pack_int8, &p, num_panels(num_columns), PACKED_TOGETHER);
}

/* codes as above, scales [num_columns, num_steps], into packed [panels, steps, INT4_STEP bytes]. */
EXPORT void pack_linear_int4(
    const int8_t *codes, const bf16 *scales, uint8_t *packed, int64_t num_columns, int64_t num_steps) {
    const Packing p = {codes, scales, packed, num_columns, num_steps};
    share(pack_int4, &p, num_panels(num_columns), PACKED_TOGETHER);
}

/* Rows of x in 8 bits. */
typedef struct {
    const void *x;
    int x_is_float, group; /* steps with one scale */
    int8_t *codes;         /* [num_rows, num_steps x 64] */
    float *scales;         /* [num_rows, num_steps / group] */
    int64_t num_rows, width, num_steps;
} Input;

static inline __m512 load_input(const Input *in, int64_t at, __mmask16 mask) {
    return load(in->x, at, mask, !in->x_is_float);
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
INLINE void multiply(
    const Input *in, int64_t row, int num_rows, const uint8_t *panel, const char *fetch, int num_lines, int bits,
    float *sums) {
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

/* A product, its x in 8 bits, and how it is shared. */
typedef struct {
    Input in;
    Split split;
    int bits;
} Job;

static inline int64_t panel_bytes(const Input *in, int bits) {
    return in->num_steps * (bits == 8 ? INT8_STEP : INT4_STEP);
}

static void multiply_share(const Job *j, Share of) {
    const Product *p = j->split.product;
    const Linear *w = p->weight;
    const int64_t step_bytes = j->bits == 8 ? INT8_STEP : INT4_STEP, of_panel = panel_bytes(&j->in, j->bits);
    const int64_t num_passes = rounded_up(of.num_rows, ROWS) / ROWS, step_lines = step_bytes / 64;
    const int lines = (step_lines + num_passes - 1) / num_passes;
    const int64_t ahead = num_passes == 1 ? AHEAD_BYTES : of_panel;
    _Alignas(64) float sums[ROWS * PANEL];
    int shape = 0;
    for (int64_t panel = of.first; panel < of.last; panel++) {
        const uint8_t *weights = (const uint8_t *)w->packed + panel * of_panel;
        for (int64_t pass = 0; pass < num_passes; pass++) {
            const int64_t at = of.row + pass * ROWS, count = least(ROWS, of.num_rows - pass * ROWS);
            const char *fetch = (const char *)weights + ahead + 64 * pass * lines;
            if (shape != count) shape_tiles(shape = count);
            if (j->bits == 8)
                multiply(&j->in, at, count, weights, fetch, lines, 8, sums);
            else
                multiply(&j->in, at, count, weights, fetch, lines, 4, sums);
            write_sums(
                sums, PANEL, count, w->scales, w->bias, p->out, at, panel * PANEL, w->num_columns, p->out_is_float);
        }
    }
}

static void multiply_shares(const void *job, int64_t first, int64_t last) {
    const Job *j = job;
    for (int64_t i = first; i < last; i++) multiply_share(j, share_of(&j->split, i));
    _tile_release();
}

static void quantize_rows(const void *input, int64_t first, int64_t last) {
    const Input *in = input;
    const int64_t num_groups = in->num_steps / in->group;
    for (int64_t row = first; row < last; row++)
        for (int64_t group = 0; group < num_groups; group++) quantize(in, row, group);
}

static inline int64_t steps_of(int64_t width, int group) { return rounded_up(width, group * STEP) / STEP; }

static void compute(const Product *p, int bits, int group) {
    const int64_t num_steps = steps_of(p->weight->width, group);
    int8_t *codes = (int8_t *)p->room;
    float *scales = (float *)(codes + p->num_rows * num_steps * STEP);
    const Input in = {p->x, p->x_is_float, group, codes, scales, p->num_rows, p->weight->width, num_steps};
    const int64_t most = rounded_up(BLOCK_BYTES / STEP / num_steps, ROWS);
    const Job j = {in, split_of(p, least(p->num_rows, most), panel_bytes(&in, bits)), bits};
    share(quantize_rows, &in, in.num_rows, rows_of_a_piece(in.width));
    share(multiply_shares, &j, count_of(&j.split), 1);
}

static int64_t room(const Linear *w, int64_t num_rows, int group) {
    const int64_t num_steps = steps_of(w->width, group);
    return num_rows * (num_steps * STEP + num_steps / group * sizeof(float));
}

static void compute_int8(const Product *p) { compute(p, 8, INT8_GROUP); }

static void compute_int4(const Product *p) { compute(p, 4, INT4_GROUP); }

static int64_t room_int8(const Linear *w, int64_t num_rows) { return room(w, num_rows, INT8_GROUP); }

static int64_t room_int4(const Linear *w, int64_t num_rows) { return room(w, num_rows, INT4_GROUP); }

const LinearKind linear_int8 = {compute_int8, room_int8}, linear_int4 = {compute_int4, room_int4};
