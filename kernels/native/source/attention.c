/* Causal attention over pages.

   The keys of a row are weighed in splits of 256 at fixed places, and what the splits give is merged in order. So the
   result of a token is the same bit for bit whatever else is in the step, however its prompt was cut into chunks, and
   whether one thread or several worked on it. */
#include <stdlib.h>

#include "attention_keys.h"
#include "attention_weights.h"
#include "kernels.h"

/* Pairs of a query row and a key below which a step is done by one thread: waking another takes longer. */
#define WORTH_KEYS 4096
#define MERGES 16 /* of one piece of work */

/* What a thread works in. */
typedef struct {
    char *queries, *keys, *values;
    float *scores;         /* [TILE, SPLIT] */
    result given, so_far;  /* of TILE and of BLOCK rows */
    int32_t *positions;    /* [BLOCK] */
    int64_t places[SPLIT];
} desk;

static inline void *carve(char **from, int64_t bytes) {
    char *piece = *from;
    *from += rounded_up(bytes, 64);
    return piece;
}

static result carve_result(char **from, int64_t num_rows, int64_t width) {
    float *sums = carve(from, num_rows * width * sizeof(float));
    float *highest = carve(from, num_rows * sizeof(float));
    return (result){sums, highest, carve(from, num_rows * sizeof(float))};
}

/* The thread's desk; its memory is kept from call to call. */
static desk *desk_for(const step *s, int64_t element_bytes, int64_t steps, int64_t width) {
    static _Thread_local desk mine;
    static _Thread_local char *memory;
    static _Thread_local int64_t size;
    const int64_t panels = (BLOCK + SPLIT) * steps * 64 + SPLIT * width * element_bytes;
    const int64_t floats = TILE * SPLIT + (TILE + BLOCK) * (width + 2) + BLOCK;
    const int64_t needed = rounded_up(panels + floats * sizeof(float) + 16 * 64, 4096);
    if (needed > size) {
        free(memory);
        memory = aligned_alloc(64, needed);
        if (!memory) abort();
        size = needed;
    }
    char *from = memory;
    mine.queries = carve(&from, BLOCK * steps * 64);
    mine.keys = carve(&from, SPLIT * steps * 64);
    mine.values = carve(&from, SPLIT * width * element_bytes);
    mine.scores = carve(&from, TILE * SPLIT * sizeof(float));
    mine.given = carve_result(&from, TILE, width);
    mine.so_far = carve_result(&from, BLOCK, width);
    mine.positions = carve(&from, BLOCK * sizeof(int32_t));
    return &mine;
}

/* Query rows [begin, begin + count) of a row and one KV head, each filled up with zeros to whole steps, and their tile. */
static void pack_queries(
    desk *d, const step *s, const char *query, const row *r, int64_t head, int64_t begin, int64_t count,
    int64_t element_bytes, int64_t steps) {
    const int64_t group = s->num_heads / s->num_kv_heads, bytes = s->dim * element_bytes;
    memset(d->queries, 0, rounded_up(count, TILE) * steps * 64);
    for (int64_t i = 0; i < count; i++) {
        const int64_t token = (begin + i) / group, of_group = (begin + i) % group;
        const int64_t from = (r->first + token) * s->num_heads + head * group + of_group;
        memcpy(d->queries + i * steps * 64, query + from * bytes, bytes);
        d->positions[i] = r->num_kv - r->num_new + token;
    }
}

/* What was found for query rows [begin, begin + count) of a row and KV head, as their output. */
static void put(
    char *out, const step *s, const arithmetic *a, const row *r, int64_t head, int64_t begin, int64_t count,
    result found, int64_t width) {
    const int64_t group = s->num_heads / s->num_kv_heads;
    for (int64_t i = 0; i < count; i++) {
        const int64_t of_row = (r->first + (begin + i) / group) * s->num_heads + head * group + (begin + i) % group;
        const __m512 share = _mm512_set1_ps(1.0f / found.total[i]);
        for (int64_t at = 0; at < s->dim; at += WIDTH_STEP) {
            const float *sums = found.sums + i * width + at;
            const __m512 first = _mm512_loadu_ps(sums), second = _mm512_loadu_ps(sums + 16);
            char *to = out + (of_row * s->dim + at) * a->element_bytes;
            a->write(to, _mm512_mul_ps(first, share), _mm512_mul_ps(second, share), s->dim - at < 32 ? 0xffff : ~0u);
        }
    }
}

static result partial_of(const step *s, int64_t index, int64_t head, int64_t width) {
    float *sums = s->partials + (index * s->num_kv_heads + head) * TILE * (width + 2);
    return (result){sums, sums + TILE * width, sums + TILE * (width + 1)};
}

/* One item, for one KV head. */
static void attend(
    const step *s, const arithmetic *a, const char *query, const char *keys, const char *values, void *out,
    int64_t index, int64_t head) {
    const item it = s->items[index];
    const row *r = s->rows + it.row;
    const int splits_keys = index >= s->num_whole;
    const int64_t num_rows = (int64_t)r->num_new * (s->num_heads / s->num_kv_heads);
    const int64_t begin = splits_keys ? 0 : (int64_t)it.part * BLOCK, count = least(BLOCK, num_rows - begin);
    const int64_t bytes = a->element_bytes, steps = rounded_up(s->dim * bytes, 64) / 64;
    const int64_t width = rounded_up(s->dim, WIDTH_STEP);
    desk *d = desk_for(s, bytes, steps, width);
    pack_queries(d, s, query, r, head, begin, count, bytes, steps);
    const result found = splits_keys ? partial_of(s, index - s->num_whole, head, width) : d->so_far;
    forget(found, count, width);

    const int64_t oldest = s->window ? most(0, d->positions[0] + 1 - s->window) : 0;
    const int64_t num_seen = d->positions[count - 1] + 1;
    const int64_t first_split = oldest / SPLIT + (splits_keys ? it.part : 0);
    const int64_t last_split = splits_keys ? first_split : (num_seen - 1) / SPLIT;
    for (int64_t split = first_split; split <= last_split; split++) {
        const int64_t start = split * SPLIT, num_keys = least(SPLIT, num_seen - start);
        locate(d->places, s, r, head, start, num_keys);
        a->pack_values(d->values, values, d->places, num_keys, s->dim);
        pack_keys(d->keys, keys, d->places, num_keys, bytes, s->dim);
        for (int64_t tile = 0; tile < count; tile += TILE) {
            const int64_t in_tile = least(TILE, count - tile);
            const int64_t met = least(num_keys, d->positions[tile + in_tile - 1] + 1 - start);
            if (met <= 0) continue; /* the split begins after them */
            a->score(d->scores, d->queries + tile * steps * 64, d->keys, in_tile, met, steps);
            soften(d->given, d->scores, s, d->positions + tile, in_tile, start, met);
            a->weigh(d->given.sums, d->scores, d->values, in_tile, met, width);
            fold(behind(found, tile, width), d->given, in_tile, width);
        }
    }
    if (!splits_keys) put(out, s, a, r, head, begin, count, found, width);
}

static void merge_splits(const step *s, const arithmetic *a, void *out, const merge *m, int64_t head) {
    const row *r = s->rows + m->row;
    const int64_t num_rows = (int64_t)r->num_new * (s->num_heads / s->num_kv_heads);
    const int64_t width = rounded_up(s->dim, WIDTH_STEP);
    const result found = desk_for(s, a->element_bytes, rounded_up(s->dim * a->element_bytes, 64) / 64, width)->given;
    forget(found, num_rows, width);
    for (int64_t i = 0; i < m->count; i++) fold(found, partial_of(s, m->first + i, head, width), num_rows, width);
    put(out, s, a, r, head, 0, num_rows, found, width);
}

typedef struct {
    const step *s;
    const arithmetic *a;
    const char *query, *keys, *values;
    void *out;
} call;

/* Items and merges, each for each KV head. */
static void attend_some(const void *of_call, int64_t first, int64_t last) {
    const call *c = of_call;
    c->a->begin();
    for (int64_t i = first; i < last; i++)
        attend(c->s, c->a, c->query, c->keys, c->values, c->out, i / c->s->num_kv_heads, i % c->s->num_kv_heads);
    c->a->end();
}

static void merge_some(const void *of_call, int64_t first, int64_t last) {
    const call *c = of_call;
    for (int64_t i = first; i < last; i++)
        merge_splits(c->s, c->a, c->out, c->s->merges + i / c->s->num_kv_heads, i % c->s->num_kv_heads);
}

/* query, out: [T, H, dim]; keys, values: [S, K, dim]. */
EXPORT void attention(const step *s, const void *query, const void *keys, const void *values, void *out) {
    const call c = {s, s->is_bf16 ? &bf16_arithmetic : &float_arithmetic, query, keys, values, out};
    const int64_t num_pieces = s->num_items * s->num_kv_heads, num_merges = s->num_merges * s->num_kv_heads;
    const int is_small = s->num_met < WORTH_KEYS;
    share(attend_some, &c, num_pieces, is_small ? num_pieces : 1);
    share(merge_some, &c, num_merges, is_small ? num_merges : MERGES);
}
