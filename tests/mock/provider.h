/* Starts tests/mock/provider.py as a child of a unit test and stops it by its pid. */
#ifndef TESTS_MOCK_PROVIDER_H
#define TESTS_MOCK_PROVIDER_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

struct mock {
    pid_t pid;
    int port;
    int life; /* closing it ends the mock, also when the test dies */
};

/* 0, or -1 when there is no Python to run it. Unit tests run in the top folder. */
static inline int mock_start(struct mock *m)
{
    int in[2], out[2];
    if (pipe(in) != 0 || pipe(out) != 0)
        return -1;
    m->pid = fork();
    if (m->pid == 0) {
        dup2(in[0], 0);
        dup2(out[1], 1);
        for (int fd = 3; fd < 64; fd++)
            close(fd);
        execl("/usr/bin/python3", "python3", "tests/mock/provider.py", (char *)NULL);
        _exit(127);
    }
    close(in[0]);
    close(out[1]);
    m->life = in[1];
    m->port = 0;
    FILE *f = fdopen(out[0], "r");
    int n = f ? fscanf(f, "port %d", &m->port) : 0;
    if (f)
        fclose(f);
    return n == 1 ? 0 : -1;
}

static inline void mock_stop(struct mock *m)
{
    close(m->life);
    kill(m->pid, SIGTERM);
    waitpid(m->pid, NULL, 0);
}

#endif
