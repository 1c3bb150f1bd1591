/* A pool of threads in which nobody waits for one that is not there.

   Pieces of work are claimed one at a time, each thread taking those of its own range first, so that it reads memory in
   order, and then what is left of the others'. Whoever asked for the work claims pieces like everybody, and waits only
   for what others have begun. A thread whose core another process has taken costs what it would have done; at the
   barrier of an OpenMP loop all others would wait for it, some two hundred times a step. */
#define _GNU_SOURCE
#include "pool.h"

#include <immintrin.h>
#include <limits.h>
#include <linux/futex.h>
#include <omp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MOST_THREADS 256
#define WATCH_CYCLES 400000 /* that a thread without work watches for more before it sleeps: longer than Python takes
                               from one kernel to the next, shorter than a pause between steps */
#define SPIN_CYCLES 40000   /* that the last pieces are waited for without giving the core away */

typedef struct {
    _Alignas(64) _Atomic uint64_t left; /* the next piece in the upper half, the end in the lower one */
} range;

static range ranges[MOST_THREADS];

/* What is being done. It stays as it is while a piece of it is claimed and not finished. */
static struct {
    work *how;
    const void *argument;
    int64_t count, piece;
} job;

static _Alignas(64) _Atomic int64_t unfinished; /* pieces */
static _Alignas(64) _Atomic uint32_t num_jobs;  /* so far: what sleepers sleep on */
static _Alignas(64) _Atomic uint32_t num_asleep;
static _Atomic int num_ranges;
static atomic_flag taken = ATOMIC_FLAG_INIT; /* by a thread whose job is being done */
static int num_workers;

int64_t num_threads(void) {
    const int wanted = omp_get_max_threads();
    return wanted < MOST_THREADS ? wanted : MOST_THREADS;
}

/* Whether there was a piece left in the range, which is the caller's now. */
static int claim(range *from, int64_t *piece) {
    uint64_t left = atomic_load_explicit(&from->left, memory_order_relaxed);
    if (left >> 32 >= (uint32_t)left) return 0; /* looked at first: to add without end would overflow */
    left = atomic_fetch_add_explicit(&from->left, 1ull << 32, memory_order_acquire);
    *piece = left >> 32;
    return left >> 32 < (uint32_t)left;
}

/* Does pieces until none is left, those of range `mine` first. */
static void help(int mine) {
    const int count = atomic_load_explicit(&num_ranges, memory_order_relaxed);
    for (int i = 0; i < count; i++) {
        range *from = ranges + (mine + i) % count;
        for (int64_t piece; claim(from, &piece);) {
            const int64_t first = piece * job.piece, last = first + job.piece;
            job.how(job.argument, first, last < job.count ? last : job.count);
            atomic_fetch_sub_explicit(&unfinished, 1, memory_order_release);
        }
    }
}

static void futex(_Atomic uint32_t *word, int operation, uint32_t value) {
    syscall(SYS_futex, word, operation | FUTEX_PRIVATE_FLAG, value, 0, 0, 0);
}

/* Returns when there are more jobs than were seen. */
static void await_job(uint32_t seen) {
    const uint64_t begun = __rdtsc();
    while (__rdtsc() - begun < WATCH_CYCLES) {
        if (atomic_load_explicit(&num_jobs, memory_order_acquire) != seen) return;
        _mm_pause();
    }
    atomic_fetch_add(&num_asleep, 1);
    while (atomic_load(&num_jobs) == seen) futex(&num_jobs, FUTEX_WAIT, seen);
    atomic_fetch_sub(&num_asleep, 1);
}

static void *serve(void *mine) {
    for (uint32_t seen = 0;;) {
        await_job(seen);
        seen = atomic_load_explicit(&num_jobs, memory_order_acquire);
        if ((int)(intptr_t)mine < atomic_load_explicit(&num_ranges, memory_order_relaxed)) help((intptr_t)mine);
    }
    return 0;
}

/* Starts workers up to that number. Those that the system does not give are not missed. */
static void employ(int wanted) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before); /* signals are for the threads of Python */
    for (; num_workers < wanted; num_workers++) {
        pthread_t thread;
        if (pthread_create(&thread, 0, serve, (void *)(intptr_t)(num_workers + 1))) break;
        pthread_detach(thread);
    }
    pthread_sigmask(SIG_SETMASK, &before, 0);
}

/* Returns when the pieces that others have begun are done. */
static void await_others(void) {
    const uint64_t begun = __rdtsc();
    while (atomic_load_explicit(&unfinished, memory_order_acquire))
        if (__rdtsc() - begun < SPIN_CYCLES)
            _mm_pause();
        else
            sched_yield(); /* whoever has begun one may be waiting for this very core */
}

void share(work *how, const void *argument, int64_t count, int64_t piece) {
    const int64_t threads = num_threads();
    if (count <= piece || threads < 2 || atomic_flag_test_and_set(&taken)) {
        how(argument, 0, count); /* also where another thread has the pool: it is busy enough */
        return;
    }
    const int64_t num_pieces = (count + piece - 1) / piece;
    if (num_workers < threads - 1) employ(threads - 1);
    job.how = how;
    job.argument = argument;
    job.count = count;
    job.piece = piece;
    atomic_store_explicit(&unfinished, num_pieces, memory_order_relaxed);
    atomic_store_explicit(&num_ranges, threads, memory_order_relaxed);
    for (int64_t i = 0; i < threads; i++) {
        const uint64_t first = num_pieces * i / threads, end = num_pieces * (i + 1) / threads;
        atomic_store_explicit(&ranges[i].left, first << 32 | end, memory_order_release);
    }
    atomic_fetch_add(&num_jobs, 1);
    if (atomic_load(&num_asleep)) futex(&num_jobs, FUTEX_WAKE, INT_MAX);
    help(0);
    await_others();
    atomic_flag_clear(&taken);
}
