/* y = x W^T + b, with W packed as its kind wants it. */
#pragma once

#include "tiles.h"

/* As kernels/native/linear.py has it. */
typedef struct {
    const void *packed;
    const float *scales; /* [num_columns]; of int8 alone */
    const float *bias;   /* [num_columns] or null */
    int64_t num_columns, width;
    int32_t kind;
} Linear;

enum { LINEAR_FLOAT, LINEAR_BF16, LINEAR_INT8, LINEAR_INT4, LINEAR_KINDS };

/* A product that is wanted. x [num_rows, width], out [num_rows, num_columns]: float or bf16; room: bytes, as many as the
 * kind says. */
typedef struct {
    const Linear *weight;
    const void *x;
    void *out;
    char *room;
    int64_t num_rows;
    int32_t x_is_float, out_is_float;
} Product;

typedef struct {
    void (*compute)(const Product *product);
    int64_t (*room)(const Linear *weight, int64_t num_rows);
} LinearKind;

extern const LinearKind linear_float, linear_bf16, linear_int8, linear_int4;

void compute_linear(const Linear *weight, const void *x, int x_is_float, void *out, int out_is_float, int64_t num_rows,
                    char *room);

int64_t room_of_linear(const Linear *weight, int64_t num_rows);

#define PACKED_TOGETHER 16 /* panels, as one piece of work */

static inline int64_t num_panels(int64_t num_columns) { return rounded_up(num_columns, PANEL) / PANEL; }

/* Bytes of room for sums that are not finished in one go. */
static inline int64_t room_for_sums(const Linear *weight, int64_t num_rows) {
    return num_rows * num_panels(weight->num_columns) * PANEL * sizeof(float);
}

/* How a product is shared: x by blocks of rows, and the panels of each by shares. */
typedef struct {
    const Product *product;
    int64_t block_rows, num_shares;
} Split;

/* Shares are as many for each thread, of some 200 KiB where weights are read from memory, and few where rows of x would
 * be read anew with each. */
static inline Split split_of(const Product *p, int64_t block_rows, int64_t panel_bytes) {
    const int64_t panels = num_panels(p->weight->num_columns), threads = num_threads();
    const int64_t of_thread = panels * panel_bytes / threads / (200 << 10);
    const int64_t wanted = threads * (p->num_rows > ROWS ? 2 : of_thread < 1 ? 1 : of_thread);
    return (Split){p, block_rows, least(panels, wanted)};
}

static inline int64_t count_of(const Split *s) {
    return (s->product->num_rows + s->block_rows - 1) / s->block_rows * s->num_shares;
}

/* Share i: rows [row, row + num_rows) and panels [first, last). */
typedef struct {
    int64_t row, num_rows, first, last;
} Share;

static inline Share share_of(const Split *s, int64_t i) {
    const int64_t row = i / s->num_shares * s->block_rows, of_block = i % s->num_shares;
    const int64_t panels = num_panels(s->product->weight->num_columns);
    return (Share){
        row, least(s->block_rows, s->product->num_rows - row), panels * of_block / s->num_shares,
        panels * (of_block + 1) / s->num_shares};
}
