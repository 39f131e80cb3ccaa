/* A disk that fails on command, for drills. Preloaded into the server:
 *   FAULTY_ROOT   files whose path begins with this are affected, and no others;
 *   FAULTY_FULL   while this file exists, writes that need new space answer ENOSPC, as on a full disk;
 *   FAULTY_WRITE  while this file exists, every write answers ENOSPC, as on one that also lost its reserve;
 *   FAULTY_SYNC   while this file exists, fsync and fdatasync answer EIO.
 * Only the flags decide, so a drill can break and mend the disk of a running server. */
#define _GNU_SOURCE
#define _LARGEFILE64_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static int flag(const char *name) {
    const char *path = getenv(name);
    return path && access(path, F_OK) == 0;
}

static int ours(int fd) {
    const char *root = getenv("FAULTY_ROOT");
    char link[64], path[PATH_MAX];
    if (!root) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length <= 0) return 0;
    path[length] = 0;
    return strncmp(path, root, strlen(root)) == 0;
}

/* Whether a write up to `end` must fail. `end` < 0: at the file's own position or end. */
static int full(int fd, off64_t end) {
    int saved = errno;
    int yes = flag("FAULTY_WRITE") && ours(fd);
    if (!yes && flag("FAULTY_FULL") && ours(fd)) {
        struct stat64 known;
        if (end < 0) {
            off64_t at = lseek64(fd, 0, SEEK_CUR);
            int append = fcntl(fd, F_GETFL) & O_APPEND;
            end = append || at < 0 ? INT64_MAX : at - end - 1;
        }
        yes = fstat64(fd, &known) != 0 || !S_ISREG(known.st_mode) || end > known.st_size;
    }
    errno = yes ? ENOSPC : saved;
    return yes;
}

static int broken(int fd) {
    int saved = errno;
    int yes = flag("FAULTY_SYNC") && ours(fd);
    errno = yes ? EIO : saved;
    return yes;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (!real) real = (type (*)(__VA_ARGS__))dlsym(RTLD_NEXT, name)

ssize_t write(int fd, const void *buffer, size_t count) {
    REAL(ssize_t, "write", int, const void *, size_t);
    return full(fd, -(off64_t)count - 1) ? -1 : real(fd, buffer, count);
}

ssize_t pwrite(int fd, const void *buffer, size_t count, off_t offset) {
    REAL(ssize_t, "pwrite", int, const void *, size_t, off_t);
    return full(fd, offset + (off64_t)count) ? -1 : real(fd, buffer, count, offset);
}

ssize_t pwrite64(int fd, const void *buffer, size_t count, off64_t offset) {
    REAL(ssize_t, "pwrite64", int, const void *, size_t, off64_t);
    return full(fd, offset + (off64_t)count) ? -1 : real(fd, buffer, count, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    REAL(ssize_t, "writev", int, const struct iovec *, int);
    return full(fd, INT64_MAX) ? -1 : real(fd, parts, count);
}

int fallocate(int fd, int mode, off_t offset, off_t length) {
    REAL(int, "fallocate", int, int, off_t, off_t);
    return full(fd, (off64_t)offset + length) ? -1 : real(fd, mode, offset, length);
}

int fallocate64(int fd, int mode, off64_t offset, off64_t length) {
    REAL(int, "fallocate64", int, int, off64_t, off64_t);
    return full(fd, (off64_t)offset + length) ? -1 : real(fd, mode, offset, length);
}

int posix_fallocate(int fd, off_t offset, off_t length) {
    REAL(int, "posix_fallocate", int, off_t, off_t);
    return full(fd, (off64_t)offset + length) ? ENOSPC : real(fd, offset, length);
}

int fsync(int fd) {
    REAL(int, "fsync", int);
    return broken(fd) ? -1 : real(fd);
}

int fdatasync(int fd) {
    REAL(int, "fdatasync", int);
    return broken(fd) ? -1 : real(fd);
}
