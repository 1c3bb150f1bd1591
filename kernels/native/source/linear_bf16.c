#include "linear.h"

/* y = x W^T + b. W lies in panels of 32 columns, as the tiles want them: for each 32 of K two tiles, in each of which
 * row r holds the weights of K 2r and 2r + 1 of column 0, of column 1, ... So a step reads memory once and in order.
 *
 * A row of y depends on its row of x alone: each of its sums is made by the same tile instructions in the same order,
 * however many rows there are beside it. Sums that leave the tiles on the way do so in float32, which loses nothing.
 */

#define STEP 32                       /* of K, in one tile */
#define STEP_ELEMENTS (STEP * PANEL)  /* of a panel */
#define STEP_LINES (STEP_ELEMENTS / 32)
#define AHEAD 6                       /* steps from the fetching of weights to their use, where they are used once */
#define MOST_STEPS 64                 /* at once, where they are used again: the panel has to stay in the second cache */
#define BLOCK_BYTES (1 << 20)         /* of x, for the same reason */

static inline int64_t steps_of(int64_t width) { return rounded_up(width, STEP) / STEP; }

typedef struct {
    const bf16 *weight;
    bf16 *packed;
    int64_t num_columns, width;
} Packing;

static void pack_panels(const void *packing, int64_t first, int64_t last) {
    const Packing *p = packing;
    const int64_t num_steps = steps_of(p->width);
    for (int64_t panel = first; panel < last; panel++)
        for (int64_t step = 0; step < num_steps; step++) {
            bf16 *to = p->packed + (panel * num_steps + step) * STEP_ELEMENTS;
            const int64_t present = least(STEP, p->width - step * STEP);
            for (int64_t column = 0; column < PANEL; column++) {
                const int64_t from = panel * PANEL + column;
                uint32_t pairs[STEP / 2] = {0};
                if (from < p->num_columns) memcpy(pairs, p->weight + from * p->width + step * STEP, 2 * present);
                uint32_t *of_column = (uint32_t *)to + column / 16 * 256 + column % 16;
                for (int pair = 0; pair < STEP / 2; pair++) of_column[16 * pair] = pairs[pair];
            }
        }
}

/* weight [num_columns, width] into packed [panels, steps, 2, 16, 16, 2]; zero where there is no weight. */
EXPORT void pack_linear_bf16(const bf16 *weight, bf16 *packed, int64_t num_columns, int64_t width) {
    const Packing p = {weight, packed, num_columns, width};
    share(pack_panels, &p, num_panels(num_columns), PACKED_TOGETHER);
}

/* Sums of up to 32 rows of x and one panel over some steps. Beside it num_lines lines for each step are fetched. */
INLINE void multiply(
    const bf16 *x, int64_t width, const bf16 *panel, int64_t num_steps, int both, const char *fetch, int num_lines) {
    for (int64_t step = 0; step < num_steps; step++, x += STEP, panel += STEP_ELEMENTS, fetch += 64 * STEP_LINES) {
        for (int line = 0; line < num_lines; line++) _mm_prefetch(fetch + 64 * line, _MM_HINT_T0);
        _tile_loadd(6, panel, 64);
        _tile_loadd(7, panel + 512, 64);
        _tile_loadd(4, x, 2 * width);
        _tile_dpbf16ps(0, 4, 6);
        _tile_dpbf16ps(1, 4, 7);
        if (both) {
            _tile_loadd(5, x + 16 * width, 2 * width);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
}

static inline void begin_sums(float *sums, int64_t stride, int both, int fresh) {
    if (fresh) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        return;
    }
    _tile_loadd(0, sums, 4 * stride);
    _tile_loadd(1, sums + 16, 4 * stride);
    if (both) {
        _tile_loadd(2, sums + 16 * stride, 4 * stride);
        _tile_loadd(3, sums + 16 * stride + 16, 4 * stride);
    }
}

static inline void end_sums(float *sums, int64_t stride, int both) {
    _tile_stored(0, sums, 4 * stride);
    _tile_stored(1, sums + 16, 4 * stride);
    if (both) {
        _tile_stored(2, sums + 16 * stride, 4 * stride);
        _tile_stored(3, sums + 16 * stride + 16, 4 * stride);
    }
}

/* A share: see Share. */
static void multiply_share(const Product *p, Share of) {
    const Linear *w = p->weight;
    const int64_t num_steps = steps_of(w->width), once = of.num_rows <= ROWS;
    const int64_t num_chunks = once ? 1 : rounded_up(num_steps, MOST_STEPS) / MOST_STEPS;
    const int64_t row_stride = rounded_up(w->num_columns, PANEL), num_passes = rounded_up(of.num_rows, ROWS) / ROWS;
    const int lines = rounded_up(STEP_LINES, num_passes) / num_passes;
    _Alignas(64) float here[ROWS * PANEL];
    int shape = 0;
    for (int64_t chunk = 0; chunk < num_chunks; chunk++) {
        const int64_t begin = num_steps * chunk / num_chunks, end = num_steps * (chunk + 1) / num_chunks;
        for (int64_t panel = of.first; panel < of.last; panel++) {
            const bf16 *weights = (const bf16 *)w->packed + (panel * num_steps + begin) * STEP_ELEMENTS;
            for (int64_t pass = 0; pass < num_passes; pass++) {
                const int64_t at = of.row + pass * ROWS, count = least(ROWS, of.num_rows - pass * ROWS);
                const bf16 *x = (const bf16 *)p->x + at * w->width + begin * STEP;
                float *sums = num_chunks == 1 ? here : (float *)p->room + at * row_stride + panel * PANEL;
                const int64_t stride = num_chunks == 1 ? PANEL : row_stride;
                const int both = count > 16;
                if (shape != count) shape_tiles(shape = count);
                begin_sums(sums, stride, both, chunk == 0);
                if (once) {
                    const char *fetch = (const char *)(weights + AHEAD * STEP_ELEMENTS);
                    if (both)
                        multiply(x, w->width, weights, num_steps, 1, fetch, STEP_LINES);
                    else
                        multiply(x, w->width, weights, num_steps, 0, fetch, STEP_LINES);
                } else {
                    const char *fetch = (const char *)(weights + num_steps * STEP_ELEMENTS) + 64 * pass * lines;
                    if (both)
                        multiply(x, w->width, weights, end - begin, 1, fetch, lines);
                    else
                        multiply(x, w->width, weights, end - begin, 0, fetch, lines);
                }
                end_sums(sums, stride, both);
                if (chunk + 1 == num_chunks)
                    write_sums(sums, stride, count, 0, w->bias, p->out, at, panel * PANEL, w->num_columns,
                               p->out_is_float);
            }
        }
    }
}

static void multiply_shares(const void *split, int64_t first, int64_t last) {
    const Split *s = split;
    for (int64_t i = first; i < last; i++) multiply_share(s->product, share_of(s, i));
    _tile_release();
}

static void compute(const Product *p) {
    const int64_t num_steps = steps_of(p->weight->width);
    const int64_t most = rounded_up(BLOCK_BYTES / 2 / STEP / least(num_steps, MOST_STEPS), ROWS);
    const Split s = split_of(p, least(p->num_rows, most), 2 * STEP_ELEMENTS * num_steps);
    share(multiply_shares, &s, count_of(&s), 1);
}

static int64_t room(const Linear *w, int64_t num_rows) {
    return num_rows > ROWS && steps_of(w->width) > MOST_STEPS ? room_for_sums(w, num_rows) : 0;
}

const LinearKind linear_bf16 = {compute, room};
