/* Where keys and values lie, and keys in the order that scores are computed in. */
#pragma once

#include "attention.h"

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

/* Tiles [keys / 16, steps] of 16 x 16 dwords: row i holds dword i of 64 bytes of each of 16 keys. */
static void pack_keys(
    char *panel, const char *keys, const int64_t *places, int64_t num_keys, int64_t element_bytes, int64_t dim) {
    const int64_t key_bytes = dim * element_bytes;
    for (int64_t tile = 0; tile < num_keys; tile += 16)
        for (int64_t at = 0; at < key_bytes; at += 64, panel += 1024) {
            const __mmask16 mask = key_bytes - at < 64 ? 0x00ff : 0xffff;
            __m512i v[16];
            for (int64_t key = tile; key < tile + 16; key++) {
                const char *from = keys + places[least(key, num_keys - 1)] * element_bytes + at;
                v[key - tile] = _mm512_maskz_loadu_epi32(key < num_keys ? mask : 0, from);
                _mm_prefetch(keys + places[least(key + AHEAD, num_keys - 1)] * element_bytes + at, _MM_HINT_T0);
            }
            transpose(v);
            for (int64_t i = 0; i < 16; i++) _mm512_store_si512(panel + i * 64, v[i]);
        }
}
