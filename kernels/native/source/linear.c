#include "linear.h"

static const LinearKind *const kinds[LINEAR_KINDS] = {&linear_float, &linear_bf16, &linear_int8, &linear_int4};

void compute_linear(const Linear *weight, const void *x, int x_is_float, void *out, int out_is_float, int64_t num_rows,
                    char *room) {
    const Product p = {weight, x, out, room, num_rows, x_is_float, out_is_float};
    if (num_rows) kinds[weight->kind]->compute(&p);
}

int64_t room_of_linear(const Linear *weight, int64_t num_rows) { return kinds[weight->kind]->room(weight, num_rows); }

/* x [num_rows, width], out [num_rows, num_columns]: float or bf16, where the kind can: float wants and gives float, bf16
 * wants bf16 of a width that is a multiple of 32. room: linear_room bytes. */
EXPORT void linear(
    const Linear *weight, const void *x, void *out, char *room, int64_t num_rows, int32_t x_is_float,
    int32_t out_is_float) {
    compute_linear(weight, x, x_is_float, out, out_is_float, num_rows, room);
}

EXPORT int64_t linear_room(const Linear *weight, int64_t num_rows) { return room_of_linear(weight, num_rows); }
