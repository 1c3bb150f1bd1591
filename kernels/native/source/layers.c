/* All layers of a decoder in one call: between two operations there is nothing but the next one. What they compute is
 * what the operations compute, bit for bit. */
#include "kernels.h"
#include "linear.h"

/* A layer with grouped attention and a gated MLP; null where it has no such norm. keys, values: its pool. */
typedef struct {
    Linear qkv, output, gate_up, down;
    const void *attention_norm, *mlp_norm, *query_norm, *key_norm, *attention_post_norm, *mlp_post_norm;
    char *keys, *values;
    int32_t course; /* of its attention, among those of the step */
    int32_t is_rotated, is_gelu;
} Layer;

/* x, delta: [num_tokens, width], what comes in and what the last layer adds to it. slots, cos, sin: see heads.c. */
typedef struct {
    const Layer *layers;
    const step *const *courses;
    char *x, *delta;
    const int64_t *slots;
    const float *cos, *sin;
    char *room; /* room_for_layers bytes */
    int64_t num_layers, num_tokens, width, num_heads, num_kv_heads, dim, half;
    float norm_epsilon, norm_offset, head_epsilon;
    int32_t is_bf16;
} Pass;

/* What a layer works in, one after the other. */
typedef struct {
    char *states, *qkv, *query, *attended, *gate_up, *gated, *of_linear, *end;
} Desk;

static char *behind(char *here, int64_t bytes) { return here + rounded_up(bytes, 64); }

static Desk lay_out(const Pass *p) {
    const int64_t column = p->num_tokens * (p->is_bf16 ? sizeof(bf16) : sizeof(float));
    int64_t inner = 0, room = 0;
    for (const Layer *l = p->layers; l < p->layers + p->num_layers; l++) {
        const Linear *linears[] = {&l->qkv, &l->output, &l->gate_up, &l->down};
        for (int i = 0; i < 4; i++) room = most(room, room_of_linear(linears[i], p->num_tokens));
        inner = most(inner, l->down.width);
    }
    const int64_t heads = p->num_heads * p->dim, kv_heads = p->num_kv_heads * p->dim;
    Desk d = {.states = p->room};
    d.qkv = behind(d.states, column * p->width);
    d.query = behind(d.qkv, column * (heads + 2 * kv_heads));
    d.attended = behind(d.query, column * heads);
    d.gate_up = behind(d.attended, column * heads);
    d.gated = behind(d.gate_up, column * 2 * inner);
    d.of_linear = behind(d.gated, column * inner);
    d.end = behind(d.of_linear, room);
    return d;
}

EXPORT int64_t room_for_layers(const Pass *p) { return lay_out(p).end - p->room; }

static void norm(const Pass *p, char *x, const char *delta, const void *weight, char *out) {
    add_rms_norm(x, delta, weight, out, p->num_tokens, p->width, p->norm_epsilon, p->norm_offset, p->is_bf16);
}

EXPORT void run_layers(const Pass *p) {
    const Desk d = lay_out(p);
    const int64_t num_tokens = p->num_tokens;
    const int is_bf16 = p->is_bf16, is_float = !is_bf16;
    for (const Layer *l = p->layers; l < p->layers + p->num_layers; l++) {
        norm(p, p->x, l == p->layers ? 0 : p->delta, l->attention_norm, d.states);
        compute_linear(&l->qkv, d.states, is_float, d.qkv, is_float, num_tokens, d.of_linear);
        rotate_and_write(
            d.qkv, d.query, l->keys, l->values, p->slots, l->query_norm, l->key_norm, p->cos, p->sin, num_tokens,
            p->num_heads, p->num_kv_heads, p->dim, l->is_rotated ? p->half : 0, p->head_epsilon, is_bf16);
        attention(p->courses[l->course], d.query, l->keys, l->values, d.attended);
        compute_linear(&l->output, d.attended, is_float, p->delta, is_float, num_tokens, d.of_linear);
        if (l->attention_post_norm) norm(p, p->delta, 0, l->attention_post_norm, p->delta);
        norm(p, p->x, p->delta, l->mlp_norm, d.states);
        compute_linear(&l->gate_up, d.states, is_float, d.gate_up, is_float, num_tokens, d.of_linear);
        gate_and_mul(d.gate_up, d.gated, num_tokens, l->down.width, l->is_gelu, is_bf16);
        compute_linear(&l->down, d.gated, is_float, p->delta, is_float, num_tokens, d.of_linear);
        if (l->mlp_post_norm) norm(p, p->delta, 0, l->mlp_post_norm, p->delta);
    }
}
