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
enum { KILLED = 77, MOST_UNSYNCED = 64, MOST_RANGES = 1024 };

static char folder[PATH_MAX];
static int kinds, how, lasting;
static long steps, nth;

/* What a power cut destroys: bytes that were written over others become zeros, and a file gets its last synced size. */
static struct {
    char path[PATH_MAX];
    off_t synced_size;
} unsynced[MOST_UNSYNCED];
static struct {
    int file; /* index in `unsynced` */
    off_t at;
    size_t size;
} ranges[MOST_RANGES];
static int ranges_used;

/* Arm a fault: `what` happens at step `n` of these kinds, counted from 0; with `ever_after`, at all later steps too. */
void steps_arm(const char *below, int of_kinds, long n, int what, int ever_after) {
    snprintf(folder, sizeof folder, "%s", below);
    kinds = of_kinds, nth = n, how = what, lasting = ever_after, steps = 0;
    memset(unsynced, 0, sizeof unsynced);
    ranges_used = 0;
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

/* Return the index of a file with unsynced bytes; a new one is added with its size. Return -1 if there is no room. */
static int find(const char *path, off_t size) {
    for (int i = 0; i < MOST_UNSYNCED; i++) {
        if (!strcmp(unsynced[i].path, path)) return i;
        if (unsynced[i].path[0]) continue;
        strcpy(unsynced[i].path, path);
        unsynced[i].synced_size = size;
        return i;
    }
    return -1;
}

static void remember(const char *path, int fd, off_t at, size_t size) {
    struct stat found;
    const int file = fstat(fd, &found) ? -1 : find(path, found.st_size);
    if (file < 0 || ranges_used == MOST_RANGES) return;
    ranges[ranges_used].file = file, ranges[ranges_used].at = at, ranges[ranges_used++].size = size;
}

static void empty(const char *path) {
    const int file = find(path, 0);
    if (file >= 0) unsynced[file].synced_size = 0;
}

/* Forget what was written to a file, or give it its new name. */
static void forget(const char *path, const char *renamed) {
    for (int i = 0; i < MOST_UNSYNCED; i++) {
        if (!unsynced[i].path[0] || strcmp(unsynced[i].path, path)) continue;
        strcpy(unsynced[i].path, renamed);
        for (int k = 0; k < ranges_used && !renamed[0]; k++)
            if (ranges[k].file == i) ranges[k].size = 0;
    }
}

static void cut(void) {
    for (int i = 0; i < MOST_UNSYNCED; i++) {
        const int fd = unsynced[i].path[0] ? open(unsynced[i].path, O_WRONLY) : -1;
        if (fd < 0) continue;
        for (int k = 0; k < ranges_used; k++)
            for (size_t done = 0; ranges[k].file == i && done < ranges[k].size; done++)
                (void)!pwrite(fd, "", 1, ranges[k].at + (off_t)done);
        (void)!ftruncate(fd, unsynced[i].synced_size);
        close(fd);
    }
}

static void end(void) {
    folder[0] = 0; /* what follows is no step */
    if (how == CUT) cut();
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
        if (fd >= 0 && flags & O_TRUNC && below(path)) empty(path);                        \
        return fd;                                                                         \
    }
OPEN(open)
OPEN(open64)

/* A torn write leaves its first half. */
#define WRITE(name, parameters, from, ...)                                                          \
    ssize_t name parameters {                                                                       \
        char path[PATH_MAX];                                                                        \
        const int torn = below(path_of(fd, path)) && kinds & CHANGE && how == TEAR && steps == nth; \
        if (torn) size /= 2;                                                                        \
        else if (fails(path, CHANGE)) return -1;                                                    \
        if (below(path)) remember(path, fd, from, size);                                            \
        const ssize_t written = REAL(name)(__VA_ARGS__);                                            \
        if (torn) end();                                                                            \
        return written;                                                                             \
    }
WRITE(write, (int fd, const void *data, size_t size), lseek(fd, 0, SEEK_CUR), fd, data, size)
WRITE(pwrite, (int fd, const void *data, size_t size, off_t at), at, fd, data, size, at)
WRITE(pwrite64, (int fd, const void *data, size_t size, off64_t at), at, fd, data, size, at)

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
