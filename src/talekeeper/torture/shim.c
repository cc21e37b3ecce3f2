/* Faults to order, preloaded into a server: the disk refuses to sync or has no room, for the
 * database's files alone, and the clock steps. The orders lie in a file that both sides map:
 *
 *     int32 fail_sync; int32 no_space; int64 clock_seconds; int64 refused;
 *
 * Linux only: the kernel is called directly, so that nothing has to be looked up in other libraries.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

struct orders {
    volatile int32_t fail_sync;
    volatile int32_t no_space;
    volatile int64_t clock_seconds;
    volatile int64_t refused;
};

static struct orders none;
static struct orders *orders = &none;

__attribute__((constructor)) static void read_orders(void)
{
    const char *path = getenv("TORTURE_ORDERS");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    void *map = mmap(NULL, sizeof(struct orders), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (map != MAP_FAILED)
        orders = map;
    close(fd);
}

static int is_database(int fd)
{
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0)
        return 0;
    path[length] = 0;
    return strstr(path, "talekeeper.db") != NULL;
}

static int refused(int error)
{
    orders->refused++;
    errno = error;
    return -1;
}

int fsync(int fd)
{
    if (orders->fail_sync && is_database(fd))
        return refused(EIO);
    return syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    if (orders->fail_sync && is_database(fd))
        return refused(EIO);
    return syscall(SYS_fdatasync, fd);
}

ssize_t write(int fd, const void *data, size_t size)
{
    if (orders->no_space && is_database(fd))
        return refused(ENOSPC);
    return syscall(SYS_write, fd, data, size);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t at)
{
    if (orders->no_space && is_database(fd))
        return refused(ENOSPC);
    return syscall(SYS_pwrite64, fd, data, size, at);
}

ssize_t pwrite64(int fd, const void *data, size_t size, off64_t at)
{
    return pwrite(fd, data, size, at);
}

int clock_gettime(clockid_t clock, struct timespec *now)
{
    int failed = syscall(SYS_clock_gettime, clock, now);
    if (!failed && clock == CLOCK_REALTIME)
        now->tv_sec += orders->clock_seconds;
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    (void)zone;
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    now->tv_sec = exact.tv_sec;
    now->tv_usec = exact.tv_nsec / 1000;
    return 0;
}

time_t time(time_t *into)
{
    struct timespec exact;
    clock_gettime(CLOCK_REALTIME, &exact);
    if (into)
        *into = exact.tv_sec;
    return exact.tv_sec;
}
