/* flock on <dir>/.skald.lock, which holds the owner's process id for people. The file stays when the lock is given
 * back: removing it would let two servers lock two files of one name. A forked child shares the lock until it has closed
 * what it does not need (child.c), so the lock of a killed server is waited for a little. */
#include "persist/dirlock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io/file.h"

int dirlock_take(const char *dir, struct err *err)
{
    char path[PATH_MAX], pid[32] = "";
    if (snprintf(path, sizeof path, "%s/.skald.lock", dir) >= (int)sizeof path)
        return err_set(err, ERR_IO, "the path %.80s... is too long", dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open the lock %s: %s", path, strerror(errno));
    int why = -file_lock(fd, FILE_LOCK_WAIT_MS);
    if (why) {
        ssize_t n = pread(fd, pid, sizeof pid - 1, 0);
        pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
        close(fd);
        if (why != EWOULDBLOCK)
            return err_set(err, ERR_IO, "cannot lock %s: %s", path, strerror(why));
        return err_set(err, ERR_STATE, "another server (process %s) uses the folder %s: stop it, or set another dir",
                       *pid ? pid : "unknown", dir);
    }
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());
    if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) < n) {
        /* the number is for people only: the lock holds without it, also on a full disk */
    }
    return fd;
}

void dirlock_release(int lock)
{
    if (lock >= 0)
        close(lock);
}
