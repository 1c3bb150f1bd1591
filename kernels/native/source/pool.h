/* Work that threads share. */
#pragma once

#include <stdint.h>

/* Units [first, last) of something that `argument` describes. */
typedef void work(const void *argument, int64_t first, int64_t last);

/* Has all of `count` units done, in pieces of so many, at once and in any order; returns when they are. As many threads
 * take part as torch is told to use, the calling one among them. One piece is done by the caller alone. */
void share(work *how, const void *argument, int64_t count, int64_t piece);

/* How many threads take part. */
int64_t num_threads(void);
