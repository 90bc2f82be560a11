/*
 * The wall clock of a preloaded process, read from a shared cell.
 *
 * CLAIMLAB_CLOCK_CELL names a file whose first eight bytes are milliseconds since the epoch (native
 * byte order). While they are 0 the machine's own clock answers. Monotonic clocks are left alone, so
 * timers and timeouts of the process run on.
 *
 * The first question about the time can come from the allocator's own start-up: nothing here may
 * allocate, and the real clock is asked by system call because looking up the C library's symbol
 * would allocate.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const volatile int64_t *cell;

static void give_up(const char *why) {
    ssize_t ignored = write(STDERR_FILENO, why, strlen(why));
    (void)ignored;
    _exit(2);
}

static int64_t virtual_ms(void) {
    const volatile int64_t *mapped = __atomic_load_n(&cell, __ATOMIC_ACQUIRE);
    if (mapped == NULL) {
        const char *path = getenv("CLAIMLAB_CLOCK_CELL");
        if (path == NULL) give_up("claimlab clock: CLAIMLAB_CLOCK_CELL is not set\n");
        long file = syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
        if (file < 0) give_up("claimlab clock: the cell cannot be opened\n");
        long at = syscall(SYS_mmap, NULL, sizeof *cell, PROT_READ, MAP_SHARED, file, 0);
        syscall(SYS_close, file);
        if (at < 0 && at > -4096) give_up("claimlab clock: the cell cannot be mapped\n");
        mapped = (const volatile int64_t *)at;
        __atomic_store_n(&cell, mapped, __ATOMIC_RELEASE);
    }
    return *mapped;
}

int clock_gettime(clockid_t id, struct timespec *at) {
    int64_t ms = id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE ? virtual_ms() : 0;
    if (ms == 0) return (int)syscall(SYS_clock_gettime, id, at);
    at->tv_sec = ms / 1000;
    at->tv_nsec = (ms % 1000) * 1000000;
    return 0;
}

int gettimeofday(struct timeval *restrict at, void *restrict zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *at) {
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL) *at = now.tv_sec;
    return now.tv_sec;
}

/* A server whose starter was killed must not stay behind. */
static void *watch(void *parent) {
    struct timespec pause = {1, 0};
    while (getppid() == (pid_t)(intptr_t)parent) syscall(SYS_nanosleep, &pause, NULL);
    _exit(0);
}

__attribute__((constructor)) static void start_watch(void) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, (void *)(intptr_t)getppid()) == 0) pthread_detach(thread);
}
