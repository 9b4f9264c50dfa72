/* fork, a pipe for progress and the last word, and the end of the pipe as the sign of death.
 *
 * What would surprise: the parent does not watch SIGCHLD. The pipe's end closes when the child dies in any way, which
 * wakes the loop at once and cannot be mixed up with another child. Signals are blocked around the fork and reset in
 * the child: libuv's handlers write into a pipe that both would share, and a SIGTERM for the child would stop the
 * server. */
#include "persist/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/latency.h"
#include "base/log.h"
#include "base/mem.h"

#define CHILD_NICE 5

/* One message on the pipe, parent and child being one program. Far below PIPE_BUF, so it arrives whole. */
struct message {
    uint64_t bytes;
    int result; /* 1: only progress */
    struct err err;
};

struct child_stats child_stats;

struct child {
    const struct child_ops *ops;
    void *arg;
    pid_t pid;
    int line; /* the pipe: our end */
    struct watch *watch;
    struct timer *reap;
    uint64_t bytes;
    int result;
    struct err err;
};

static void tell(struct child *c, int result, const struct err *err)
{
    struct message m = {.bytes = c->bytes, .result = result};
    if (err)
        m.err = *err;
    while (write(c->line, &m, sizeof m) < 0 && errno == EINTR)
        ;
}

void child_report(struct child *c, uint64_t bytes)
{
    c->bytes = bytes;
    tell(c, 1, NULL);
}

uint64_t child_bytes(const struct child *c)
{
    return c->bytes;
}

int child_pid(const struct child *c)
{
    return (int)c->pid;
}

static void reset_signals(const sigset_t *old)
{
    for (int s = 1; s < NSIG; s++)
        if (s != SIGPIPE && s != SIGXFSZ)
            signal(s, SIG_DFL);
    sigprocmask(SIG_SETMASK, old, NULL);
}

static void close_others(int a, int b)
{
    unsigned low = (unsigned)(a < b ? a : b), high = (unsigned)(a < b ? b : a);
    if (low > 3)
        close_range(3, low - 1, 0);
    if (high > low + 1)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

static void be_the_child(struct child *c, int line, int fd, const sigset_t *old, pid_t parent)
{
    struct err err = {0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    reset_signals(old);
    close_others(line, fd);
    setpriority(PRIO_PROCESS, 0, CHILD_NICE);
    c->line = line;
    c->bytes = 0;
    int r = c->ops->run(c->arg, fd, c, &err);
    tell(c, r < 0 ? r : 0, &err);
    _exit(r < 0);
}

static void free_child(struct child *c)
{
    watch_close(c->watch);
    timer_close(c->reap);
    if (c->line >= 0)
        close(c->line);
    mem_free(c);
    child_stats.running--;
}

static void judge(struct child *c, int status)
{
    if (WIFSIGNALED(status))
        c->result = err_set(&c->err, ERR_IO, "the child process was killed by signal %d", WTERMSIG(status));
    else if (c->result > 0)
        c->result = err_set(&c->err, ERR_IO, "the child process ended with status %d and no word", WEXITSTATUS(status));
}

/* The pipe closes a moment before the process can be waited for. */
static void try_reap(void *arg)
{
    struct child *c = arg;
    int status = 0;
    pid_t r = waitpid(c->pid, &status, WNOHANG);
    if (r == 0 || (r < 0 && errno == EINTR)) {
        timer_start(c->reap, 1, 0);
        return;
    }
    if (r < 0)
        c->result = err_set(&c->err, ERR_IO, "cannot wait for the child process: %s", strerror(errno));
    else
        judge(c, status);
    c->ops->ended(c->arg, c->result, &c->err);
    free_child(c);
}

static void on_line(void *arg)
{
    struct child *c = arg;
    struct message m;
    ssize_t n;
    while ((n = read(c->line, &m, sizeof m)) == sizeof m) {
        c->bytes = m.bytes;
        c->result = m.result;
        c->err = m.err;
    }
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    watch_close(c->watch);
    c->watch = NULL;
    try_reap(c);
}

int child_start(struct child **out, struct loop *l, const struct child_ops *ops, void *arg, int fd, struct err *err)
{
    int line[2];
    if (pipe2(line, O_CLOEXEC) < 0)
        return err_set(err, ERR_IO, "cannot make a pipe: %s", strerror(errno));
    struct child *c = mem_zero(sizeof *c);
    c->ops = ops;
    c->arg = arg;
    c->result = 1;
    c->line = line[0];
    sigset_t all, old;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pid_t parent = getpid();
    int64_t start = clock_mono_us();
    c->pid = fork();
    int why = errno;
    if (c->pid > 0) {
        child_stats.forks++;
        child_stats.running++;
        child_stats.last_us = clock_mono_us() - start;
        latency_note("fork", child_stats.last_us);
    }
    if (c->pid == 0)
        be_the_child(c, line[1], fd, &old, parent);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    close(line[1]);
    if (c->pid < 0) {
        close(line[0]);
        mem_free(c);
        return err_set(err, ERR_IO, "cannot fork: %s", strerror(why));
    }
    c->watch = watch_create(l, line[0], on_line, c);
    c->reap = timer_create_on(l, try_reap, c);
    *out = c;
    return 0;
}

void child_kill(struct child *c)
{
    if (!c)
        return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        ;
    free_child(c);
}
