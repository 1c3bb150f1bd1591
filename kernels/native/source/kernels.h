/* The operations of a layer but its products, as Python calls them one by one and layers.c one after the other. */
#pragma once

#include "attention.h"

void add_rms_norm(
    void *x, const void *delta, const void *weight, void *out, int64_t num_rows, int64_t width, float epsilon,
    float offset, int32_t is_bf16);

void rotate_and_write(
    const char *qkv, char *query, char *keys, char *values, const int64_t *slots, const void *query_norm,
    const void *key_norm, const float *cos, const float *sin, int64_t num_tokens, int64_t num_heads,
    int64_t num_kv_heads, int64_t dim, int64_t half, float epsilon, int32_t is_bf16);

void attention(const step *s, const void *query, const void *keys, const void *values, void *out);

void gate_and_mul(const void *x, void *out, int64_t num_rows, int64_t width, int32_t is_gelu, int32_t is_bf16);
