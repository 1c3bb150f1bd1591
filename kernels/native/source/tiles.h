/* The AMX tiles as all matrix products here use them: up to 32 rows of x times 32 columns, K in steps.

       tile 6 | tile 7     weights: 16 rows of K x 16 columns each
    4 |  0    |  1         x and sums, first 16 rows
    5 |  2    |  3         x and sums, the rest
*/
#pragma once

#include "pool.h"
#include "xylem.h"

#define TILE_BYTES 1024
#define PANEL 32 /* columns that are computed together */
#define ROWS 32  /* rows of x that are computed together */

typedef struct {
    uint8_t palette, start_row, reserved[14];
    uint16_t row_bytes[16];
    uint8_t rows[16];
} TileShapes;

/* num_rows of x, 1 to 32. What the tiles held is lost. */
static inline void shape_tiles(int num_rows) {
    const int first = num_rows < 16 ? num_rows : 16, rest = num_rows > 16 ? num_rows - 16 : 16;
    const TileShapes shapes = {
        .palette = 1,
        .row_bytes = {64, 64, 64, 64, 64, 64, 64, 64},
        .rows = {first, first, rest, rest, first, rest, 16, 16},
    };
    /* Not the compiler's intrinsic: gcc 12 thinks that it reads 8 bytes, and leaves out storing the others. */
    __asm__ volatile("ldtilecfg %0" : : "m"(shapes));
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }

static inline int64_t rounded_up(int64_t n, int64_t unit) { return (n + unit - 1) / unit * unit; }

/* Finished sums of up to 32 rows and one panel: multiplies by the scales and adds the bias, where there are any, and
 * writes them to y [.., num_columns]. */
static inline void write_sums(
    const float *sums, int64_t stride, int64_t num_rows, const float *scales, const float *bias, void *out, int64_t row,
    int64_t column, int64_t num_columns, int out_is_float) {
    for (int half = 0; half < PANEL && column + half < num_columns; half += 16) {
        const int64_t at = column + half;
        const __mmask16 mask = at + 16 <= num_columns ? 0xffff : tail_mask(num_columns);
        const __m512 added = bias ? _mm512_maskz_loadu_ps(mask, bias + at) : _mm512_setzero_ps();
        const __m512 scale = scales ? _mm512_maskz_loadu_ps(mask, scales + at) : _mm512_set1_ps(1.0f);
        for (int64_t i = 0; i < num_rows; i++) {
            const __m512 sum = _mm512_fmadd_ps(_mm512_loadu_ps(sums + i * stride + half), scale, added);
            const int64_t to = (row + i) * num_columns + at;
            if (out_is_float)
                _mm512_mask_storeu_ps((float *)out + to, mask, sum);
            else
                store_bf16_masked((bf16 *)out + to, mask, sum);
        }
    }
}
