#include "xylem.h"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Linux lets a process use the AMX tiles once it has asked for them. */
EXPORT int xylem_begin(void) {
    const int request_permission = 0x1023, tile_data = 18;
    return syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
}

/* Asks for huge pages. Whether they are given is the system's choice, and changes nothing but speed. */
EXPORT void xylem_huge_pages(void *begin, int64_t num_bytes) { madvise(begin, num_bytes, MADV_HUGEPAGE); }
