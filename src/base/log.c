#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"

static atomic_int min_level = LOG_NOTICE;
static atomic_int log_fd = STDOUT_FILENO;
static char log_path[1024];
static pthread_mutex_t path_lock = PTHREAD_MUTEX_INITIALIZER;

void log_set_level(enum log_level level)
{
    atomic_store(&min_level, (int)level);
}

int log_open(const char *path, struct err *err)
{
    int fd = STDOUT_FILENO;
    if (strlen(path) >= sizeof log_path)
        return err_set(err, ERR_INVALID, "logfile path is longer than %zu bytes", sizeof log_path - 1);
    if (*path && (fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644)) < 0)
        return err_set(err, ERR_IO, "cannot open log file %s: %s", path, strerror(errno));
    pthread_mutex_lock(&path_lock);
    if (path != log_path)
        strcpy(log_path, path);
    int old = atomic_load(&log_fd);
    if (old > STDERR_FILENO && fd > STDERR_FILENO) {
        dup2(fd, old); /* in place: a thread that is writing right now keeps a valid descriptor */
        close(fd);
    } else {
        atomic_store(&log_fd, fd);
    }
    pthread_mutex_unlock(&path_lock);
    return 0;
}

void log_reopen(void)
{
    if (*log_path && log_open(log_path, NULL) < 0)
        log_warning("could not re-open the log file %s", log_path);
}

void log_at(enum log_level level, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&min_level, memory_order_relaxed))
        return;
    char line[2048], when[64];
    int64_t us = clock_wall_us();
    time_t sec = (time_t)(us / 1000000);
    struct tm tm;
    localtime_r(&sec, &tm);
    strftime(when, sizeof when, "%d %b %Y %H:%M:%S", &tm);
    int n = snprintf(line, sizeof line, "%d:M %s.%03d %c ", (int)getpid(), when, (int)(us / 1000 % 1000),
                     ".-*#"[level < 4 ? level : 3]);
    va_list ap;
    va_start(ap, fmt);
    int m = vsnprintf(line + n, sizeof line - (size_t)n - 1, fmt, ap);
    va_end(ap);
    size_t len = (size_t)n + (size_t)(m < 0 ? 0 : m);
    if (len > sizeof line - 2)
        len = sizeof line - 2;
    line[len++] = '\n';
    ssize_t w = write(atomic_load(&log_fd), line, len);
    (void)w; /* nothing sensible is left to do when the log itself cannot be written */
}
