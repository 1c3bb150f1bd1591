/* Causal attention over pages.

   The keys of a row are weighed in splits of 256 at fixed places, and what the splits give is merged in order. So the
   result of a token is the same bit for bit whatever else is in the step, however its prompt was cut into chunks, and
   whether one thread or several worked on it. Of each split, keys are brought into tiles once for up to BLOCK query
   rows. Weights are powers of two: the factor log2(e) goes with the scale. */
#include "attention.h"

#include <math.h>
#include <stdlib.h>

#define BLOCK 256          /* query rows of one item of work */
#define LOWEST -1e30f      /* the highest score where there is none; finite, so that differences are numbers */
#define WORTH_THREADS 4096 /* keys met by query rows in all, below which waking threads takes longer */

/* One row of a step: new tokens [first, first + num_new), KV of num_kv tokens in pages from first_page of the list. */
typedef struct {
    int32_t first, num_new, num_kv, first_page;
} row;

/* Part of a row's work: a block of its query rows; or, if those are one tile, one split of its keys. */
typedef struct {
    int32_t row, part;
} item;

/* Partial results of a row whose keys are split over items: those from first on. */
typedef struct {
    int32_t row, first, count;
} merge;

/* A step, as kernels/native/attention.py describes it. Items that split keys come after the others. */
typedef struct {
    const row *rows;
    const int32_t *pages;
    const item *items;
    const merge *merges;
    float *partials; /* [items that split keys, K, TILE, dim + 2] */
    int64_t num_items, num_whole, num_merges, worth;
    int64_t page_size, num_heads, num_kv_heads, dim, window; /* window 0: none */
    float scale;
    int32_t is_bf16;
} step;

/* What a thread works in. */
typedef struct {
    char *queries, *keys, *values;
    float *scores, *given, *sums;                              /* [TILE, SPLIT], [TILE, dim], [BLOCK, dim] */
    float given_highest[TILE], given_total[TILE], highest[BLOCK], total[BLOCK];
    int32_t positions[BLOCK];
    int64_t places[SPLIT];
} desk;

/* 2^x to 1e-7; 0 for what is below -150. Coefficients fitted over [-0.5, 0.5] for the least relative error. */
static inline __m512 exp2_ps(__m512 x) {
    x = _mm512_max_ps(x, _mm512_set1_ps(-200.0f));
    const __m512 n = _mm512_roundscale_ps(x, 0), r = _mm512_sub_ps(x, n);
    __m512 p = _mm512_set1_ps(1.326472731e-3f);
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(9.671512991e-3f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(5.550733581e-2f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(2.402224243e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(6.931470037e-1f));
    p = _mm512_fmadd_ps(p, r, _mm512_set1_ps(1.0f));
    return _mm512_scalef_ps(p, n);
}

static inline int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static inline int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static inline char *carve(char **from, int64_t bytes) {
    char *piece = *from;
    *from += rounded_up(bytes, 64);
    return piece;
}

/* The thread's desk; its memory is kept from call to call. */
static desk *desk_for(const step *s, int64_t element_bytes, int64_t steps) {
    static _Thread_local desk mine;
    static _Thread_local char *memory;
    static _Thread_local int64_t size;
    const int64_t query_bytes = BLOCK * steps * 64, key_bytes = SPLIT * steps * 64;
    const int64_t value_bytes = SPLIT * s->dim * element_bytes;
    const int64_t float_bytes = (TILE * SPLIT + (TILE + BLOCK) * s->dim) * sizeof(float);
    const int64_t needed = query_bytes + key_bytes + value_bytes + float_bytes + 8 * 64;
    if (needed > size) {
        free(memory);
        memory = aligned_alloc(64, rounded_up(needed, 4096));
        if (!memory) abort();
        size = needed;
    }
    char *from = memory;
    mine.queries = carve(&from, query_bytes);
    mine.keys = carve(&from, key_bytes);
    mine.values = carve(&from, value_bytes);
    mine.scores = (float *)carve(&from, TILE * SPLIT * sizeof(float));
    mine.given = (float *)carve(&from, TILE * s->dim * sizeof(float));
    mine.sums = (float *)carve(&from, BLOCK * s->dim * sizeof(float));
    return &mine;
}

/* Where num_keys tokens of a row from `start` on have their KV of one head, in elements of the pool. */
static void locate(int64_t *places, const step *s, const row *r, int64_t head, int64_t start, int64_t num_keys) {
    const int32_t *page = s->pages + r->first_page + start / s->page_size;
    int64_t in_page = start % s->page_size;
    for (int64_t key = 0; key < num_keys; key++) {
        places[key] = ((*page * s->page_size + in_page) * s->num_kv_heads + head) * s->dim;
        if (++in_page == s->page_size) page++, in_page = 0;
    }
}

/* Turns 16 rows of 16 dwords into columns. */
static inline void transpose(__m512i *v) {
    __m512i w[16];
    for (int i = 0; i < 16; i += 2) {
        w[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]);
        w[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        v[i] = _mm512_unpacklo_epi64(w[i], w[i + 2]);
        v[i + 1] = _mm512_unpackhi_epi64(w[i], w[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(w[i + 1], w[i + 3]);
        v[i + 3] = _mm512_unpackhi_epi64(w[i + 1], w[i + 3]);
    }
    for (int i = 0; i < 4; i++) {
        w[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88);
        w[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        w[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        w[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    for (int i = 0; i < 4; i++) {
        v[i] = _mm512_shuffle_i32x4(w[i], w[i + 8], 0x88);
        v[i + 8] = _mm512_shuffle_i32x4(w[i], w[i + 8], 0xdd);
        v[i + 4] = _mm512_shuffle_i32x4(w[i + 4], w[i + 12], 0x88);
        v[i + 12] = _mm512_shuffle_i32x4(w[i + 4], w[i + 12], 0xdd);
    }
}

/* Tiles [keys / 16, steps] of 16 x 16 dwords: row i holds dword i of a step of 64 bytes of each of 16 keys. */
static void pack_keys(
    char *panel, const char *keys, const int64_t *places, int64_t num_keys, int64_t element_bytes, int64_t dim) {
    const int64_t key_bytes = dim * element_bytes;
    for (int64_t tile = 0; tile < num_keys; tile += 16)
        for (int64_t at = 0; at < key_bytes; at += 64, panel += 1024) {
            const __mmask16 mask = key_bytes - at < 64 ? 0x00ff : 0xffff;
            __m512i v[16];
            for (int64_t key = 0; key < 16; key++)
                v[key] = tile + key < num_keys
                             ? _mm512_maskz_loadu_epi32(mask, keys + places[tile + key] * element_bytes + at)
                             : _mm512_setzero_si512();
            transpose(v);
            for (int64_t i = 0; i < 16; i++) _mm512_store_si512(panel + i * 64, v[i]);
        }
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

/* Scores of a tile become weights, with the highest of each row (as power of two) and their total. A row sees keys
   up to its position, and with a window not before it. Weights behind `num_keys` are 0 up to a multiple of 32. */
static void soften(desk *d, const step *s, const int32_t *positions, int64_t num_rows, int64_t start, int64_t num_keys) {
    const float scale = s->scale * 1.44269504088896341f;
    const __m512i lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    const int64_t padded = rounded_up(num_keys, 32);
    for (int64_t i = 0; i < num_rows; i++) {
        float *scores = d->scores + i * SPLIT;
        const int32_t from = s->window ? most(0, positions[i] + 1 - s->window - start) : 0;
        const int32_t to = most(0, least(num_keys, positions[i] + 1 - start));
        const __m512i first = _mm512_set1_epi32(from), behind = _mm512_set1_epi32(to);
        __m512 highest = _mm512_set1_ps(-INFINITY), total = _mm512_setzero_ps();
        for (int32_t at = from & -16; at < to; at += 16) {
            const __m512i key = _mm512_add_epi32(lanes, _mm512_set1_epi32(at));
            const __mmask16 seen = _mm512_cmpge_epi32_mask(key, first) & _mm512_cmplt_epi32_mask(key, behind);
            highest = _mm512_mask_max_ps(highest, seen, highest, _mm512_load_ps(scores + at));
        }
        const float top = from < to ? _mm512_reduce_max_ps(highest) * scale : LOWEST;
        for (int32_t at = 0; at < padded; at += 16) {
            const __m512i key = _mm512_add_epi32(lanes, _mm512_set1_epi32(at));
            const __mmask16 seen = _mm512_cmpge_epi32_mask(key, first) & _mm512_cmplt_epi32_mask(key, behind);
            const __m512 power = _mm512_fmsub_ps(_mm512_load_ps(scores + at), _mm512_set1_ps(scale), _mm512_set1_ps(top));
            const __m512 weight = seen ? _mm512_maskz_mov_ps(seen, exp2_ps(power)) : _mm512_setzero_ps();
            total = _mm512_add_ps(total, weight);
            _mm512_store_ps(scores + at, weight);
        }
        d->given_highest[i] = top;
        d->given_total[i] = _mm512_reduce_add_ps(total);
    }
}

/* Merges what a split has given for a tile into what those before it gave: sums [TILE, dim], highest and total [TILE]. */
static void fold(
    float *sums, float *highest, float *total, const float *given, const float *given_highest, const float *given_total,
    int64_t num_rows, int64_t dim) {
    const __m512 before = _mm512_loadu_ps(highest), now = _mm512_loadu_ps(given_highest);
    const __m512 top = _mm512_max_ps(before, now);
    float keep[TILE], take[TILE];
    _mm512_storeu_ps(keep, exp2_ps(_mm512_sub_ps(before, top)));
    _mm512_storeu_ps(take, exp2_ps(_mm512_sub_ps(now, top)));
    _mm512_storeu_ps(highest, top);
    for (int64_t i = 0; i < num_rows; i++) {
        const __m512 kept = _mm512_set1_ps(keep[i]), taken = _mm512_set1_ps(take[i]);
        total[i] = total[i] * keep[i] + given_total[i] * take[i];
        for (int64_t at = i * dim; at < (i + 1) * dim; at += 16) {
            const __m512 old = _mm512_mul_ps(_mm512_loadu_ps(sums + at), kept);
            _mm512_storeu_ps(sums + at, _mm512_fmadd_ps(_mm512_loadu_ps(given + at), taken, old));
        }
    }
}

static void forget(float *sums, float *highest, float *total, int64_t num_rows, int64_t dim) {
    memset(sums, 0, num_rows * dim * sizeof(float));
    memset(total, 0, num_rows * sizeof(float));
    for (int64_t i = 0; i < num_rows; i++) highest[i] = LOWEST;
}

/* Weighted sums over their total, as the output of query row `index` of a row and KV head. */
static void write(void *out, const step *s, const row *r, int64_t head, int64_t index, const float *sums, float total) {
    const int64_t group = s->num_heads / s->num_kv_heads;
    const int64_t to = ((r->first + index / group) * s->num_heads + head * group + index % group) * s->dim;
    const __m512 share = _mm512_set1_ps(1.0f / total);
    for (int64_t i = 0; i < s->dim; i += 16) {
        const __m512 value = _mm512_mul_ps(_mm512_loadu_ps(sums + i), share);
        if (s->is_bf16)
            store_bf16((bf16 *)out + to + i, value);
        else
            _mm512_storeu_ps((float *)out + to + i, value);
    }
}

static inline float *partial_of(const step *s, int64_t index, int64_t head) {
    return s->partials + (index * s->num_kv_heads + head) * TILE * (s->dim + 2);
}

static void attend(
    const step *s, const arithmetic *a, const char *query, const char *keys, const char *values, void *out,
    int64_t index, int64_t head) {
    const item it = s->items[index];
    const row *r = s->rows + it.row;
    const int64_t bytes = a->element_bytes, steps = rounded_up(s->dim * bytes, 64) / 64;
    const int64_t num_rows = (int64_t)r->num_new * (s->num_heads / s->num_kv_heads);
    const int is_split = index >= s->num_whole;
    const int64_t begin = is_split ? 0 : (int64_t)it.part * BLOCK, count = least(BLOCK, num_rows - begin);
    desk *d = desk_for(s, bytes, steps);
    pack_queries(d, s, query, r, head, begin, count, bytes, steps);
    forget(d->sums, d->highest, d->total, rounded_up(count, TILE), s->dim);

    const int64_t oldest = s->window ? most(0, d->positions[0] + 1 - s->window) : 0;
    const int64_t first_split = oldest / SPLIT + (is_split ? it.part : 0);
    const int64_t num_seen = d->positions[count - 1] + 1;
    const int64_t last_split = is_split ? first_split + 1 : (num_seen + SPLIT - 1) / SPLIT;
    for (int64_t split = first_split; split < last_split; split++) {
        const int64_t start = split * SPLIT, num_keys = least(SPLIT, num_seen - start);
        locate(d->places, s, r, head, start, num_keys);
        pack_keys(d->keys, keys, d->places, num_keys, bytes, s->dim);
        a->pack_values(d->values, values, d->places, num_keys, s->dim);
        for (int64_t tile = 0; tile < count; tile += TILE) {
            const int64_t in_tile = least(TILE, count - tile);
            const int64_t keys_seen = least(num_keys, d->positions[tile + in_tile - 1] + 1 - start);
            if (keys_seen <= 0) continue;
            a->score(d->scores, d->queries + tile * steps * 64, d->keys, in_tile, keys_seen, steps);
            soften(d, s, d->positions + tile, in_tile, start, keys_seen);
            a->weigh(d->given, d->scores, d->values, in_tile, keys_seen, s->dim);
            fold(d->sums + tile * s->dim, d->highest + tile, d->total + tile, d->given, d->given_highest,
                 d->given_total, in_tile, s->dim);
        }
    }

    if (is_split) {
        float *partial = partial_of(s, index - s->num_whole, head);
        memcpy(partial, d->sums, TILE * s->dim * sizeof(float));
        memcpy(partial + TILE * s->dim, d->highest, TILE * sizeof(float));
        memcpy(partial + TILE * (s->dim + 1), d->total, TILE * sizeof(float));
        return;
    }
    for (int64_t i = 0; i < count; i++) write(out, s, r, head, begin + i, d->sums + i * s->dim, d->total[i]);
}

static void merge_splits(const step *s, void *out, const merge *m, int64_t head) {
    const row *r = s->rows + m->row;
    const int64_t num_rows = (int64_t)r->num_new * (s->num_heads / s->num_kv_heads);
    float sums[TILE * s->dim], highest[TILE], total[TILE];
    forget(sums, highest, total, TILE, s->dim);
    for (int64_t i = 0; i < m->count; i++) {
        const float *partial = partial_of(s, m->first + i, head);
        fold(sums, highest, total, partial, partial + TILE * s->dim, partial + TILE * (s->dim + 1), num_rows, s->dim);
    }
    for (int64_t i = 0; i < num_rows; i++) write(out, s, r, head, i, sums + i * s->dim, total[i]);
}

/* query, out: [T, H, dim]; keys, values: [S, K, dim]. */
EXPORT void attention(const step *s, const void *query, const void *keys, const void *values, void *out) {
    const arithmetic *a = s->is_bf16 ? &bf16_arithmetic : &float_arithmetic;
#pragma omp parallel if (s->worth >= WORTH_THREADS)
    {
        a->begin();
#pragma omp for schedule(dynamic, 1)
        for (int64_t i = 0; i < s->num_items * s->num_kv_heads; i++)
            attend(s, a, query, keys, values, out, i / s->num_kv_heads, i % s->num_kv_heads);
        a->end();
#pragma omp for schedule(static)
        for (int64_t i = 0; i < s->num_merges * s->num_kv_heads; i++)
            merge_splits(s, out, s->merges + i / s->num_kv_heads, i % s->num_kv_heads);
    }
}
