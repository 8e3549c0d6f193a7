/* A library to be loaded before all others (LD_PRELOAD, Linux). The nth time that a process changes or reads something
 * below one folder, through any library, the process ends without clean-up, as in a power cut, or the call fails, as on
 * a broken disk. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

enum { CHANGE = 1, READ = 2 };                      /* kinds of steps */
enum { COUNT = 0, KILL = -1, TEAR = -2, CUT = -3 }; /* what happens at the nth step; above 0, an errno */
enum { KILLED = 77, MOST_UNSYNCED = 64 };

static char folder[PATH_MAX];
static int kinds, how, lasting;
static long steps, nth;
static char unsynced[MOST_UNSYNCED][PATH_MAX]; /* files whose content a power cut destroys */

/* Arm a fault: `what` happens at step `n` of these kinds, counted from 0; with `ever_after`, at all later steps too. */
void steps_arm(const char *below, int of_kinds, long n, int what, int ever_after) {
    snprintf(folder, sizeof folder, "%s", below);
    kinds = of_kinds, nth = n, how = what, lasting = ever_after, steps = 0;
    memset(unsynced, 0, sizeof unsynced);
}

/* Disarm the fault; return the number of steps since it was armed. */
long steps_disarm(void) {
    folder[0] = 0;
    return steps;
}

static int below(const char *path) { return folder[0] && path && !strncmp(path, folder, strlen(folder)); }

static const char *path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t length = folder[0] ? readlink(link, path, PATH_MAX - 1) : 0;
    path[length > 0 ? length : 0] = 0;
    return path;
}

static void remember(const char *path) {
    for (int i = 0; i < MOST_UNSYNCED; i++)
        if (!unsynced[i][0] || !strcmp(unsynced[i], path)) {
            strcpy(unsynced[i], path);
            return;
        }
}

static void forget(const char *path, const char *renamed) {
    for (int i = 0; i < MOST_UNSYNCED; i++)
        if (!strcmp(unsynced[i], path)) strcpy(unsynced[i], renamed);
}

static void end(void) {
    for (int i = 0; i < MOST_UNSYNCED && how == CUT; i++)
        if (unsynced[i][0]) (void)!truncate(unsynced[i], 0);
    _exit(KILLED);
}

/* Count a step; return whether the call must fail, with errno set. Does not return if the process must end. */
static int fails(const char *path, int kind) {
    if (!(kinds & kind) || !below(path)) return 0;
    const long step = steps++;
    if (how == COUNT || !(step == nth || (lasting && step > nth))) return 0;
    if (how < 0) end();
    errno = how;
    return 1;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))
#define OPEN(name)                                                                         \
    int name(const char *path, int flags, ...) {                                           \
        va_list arguments;                                                                 \
        va_start(arguments, flags);                                                        \
        const mode_t mode = flags & O_CREAT ? va_arg(arguments, mode_t) : 0;               \
        va_end(arguments);                                                                 \
        if (fails(path, flags & (O_WRONLY | O_RDWR | O_CREAT) ? CHANGE : READ)) return -1; \
        const int fd = REAL(name)(path, flags, mode);                                      \
        if (fd >= 0 && flags & O_TRUNC && below(path)) remember(path);                     \
        return fd;                                                                         \
    }
OPEN(open)
OPEN(open64)

/* A torn write leaves its first half. */
#define WRITE(name, parameters, ...)                                                                \
    ssize_t name parameters {                                                                       \
        char path[PATH_MAX];                                                                        \
        const int torn = below(path_of(fd, path)) && kinds & CHANGE && how == TEAR && steps == nth; \
        if (torn) size /= 2;                                                                        \
        else if (fails(path, CHANGE)) return -1;                                                    \
        if (below(path)) remember(path);                                                            \
        const ssize_t written = REAL(name)(__VA_ARGS__);                                            \
        if (torn) end();                                                                            \
        return written;                                                                             \
    }
WRITE(write, (int fd, const void *data, size_t size), fd, data, size)
WRITE(pwrite, (int fd, const void *data, size_t size, off_t at), fd, data, size, at)
WRITE(pwrite64, (int fd, const void *data, size_t size, off64_t at), fd, data, size, at)

#define OF_FILE(result, name, kind, parameters, ...)           \
    result name parameters {                                   \
        char path[PATH_MAX];                                   \
        if (fails(path_of(fd, path), kind)) return (result)-1; \
        return REAL(name)(__VA_ARGS__);                        \
    }
OF_FILE(ssize_t, read, READ, (int fd, void *data, size_t size), fd, data, size)
OF_FILE(ssize_t, pread, READ, (int fd, void *data, size_t size, off_t at), fd, data, size, at)
OF_FILE(ssize_t, pread64, READ, (int fd, void *data, size_t size, off64_t at), fd, data, size, at)
OF_FILE(int, ftruncate, CHANGE, (int fd, off_t size), fd, size)
OF_FILE(int, ftruncate64, CHANGE, (int fd, off64_t size), fd, size)

#define MAPPED(name, offset)                                                               \
    void *name(void *at, size_t size, int protection, int flags, int fd, offset from) {    \
        char path[PATH_MAX];                                                               \
        if (!(flags & MAP_ANONYMOUS) && fails(path_of(fd, path), READ)) return MAP_FAILED; \
        return REAL(name)(at, size, protection, flags, fd, from);                          \
    }
MAPPED(mmap, off_t)
MAPPED(mmap64, off64_t)

#define SYNCED(name)                                     \
    int name(int fd) {                                   \
        char path[PATH_MAX];                             \
        if (fails(path_of(fd, path), CHANGE)) return -1; \
        forget(path, "");                                \
        return REAL(name)(fd);                           \
    }
SYNCED(fsync)
SYNCED(fdatasync)

int rename(const char *from, const char *to) {
    if (fails(to, CHANGE)) return -1;
    forget(from, to);
    return REAL(rename)(from, to);
}

int unlink(const char *path) {
    if (fails(path, CHANGE)) return -1;
    forget(path, "");
    return REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) { return fails(path, CHANGE) ? -1 : REAL(mkdir)(path, mode); }

int rmdir(const char *path) { return fails(path, CHANGE) ? -1 : REAL(rmdir)(path); }
