// Vector indexes side by side in one process each: build time, memory, file, recall against speed, time to the first
// answer after a restart. Prints one JSON object; run.py makes tables and plots of it.
//
//   inproc DIR SET l2|cosine N PASSES JOBS THREADS2 TMP EF [EF ...]      N 0: all of them
//
// Every engine lives in a child of its own, so that its memory is its alone. The children stay alive, and the parent
// asks them in turn, pass by pass and ef by ef, over a pair of pipes: whatever else the machine does meanwhile hits all
// of them alike. Only one is searching at a time, always on the same CPU. Work of one thread is measured in its CPU
// time, which on a quiet machine is the time that passes and elsewhere leaves out what others take; latencies are time
// that passed.
#include <poll.h>
#include <sched.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "data.hpp"
#include "engines.hpp"
#include "skald_engine.h"

extern "C" int mallctl(const char *name, void *old, size_t *old_len, void *to, size_t to_len); // jemalloc's

namespace
{

enum op { OP_BUILD, OP_PASS, OP_SAVE };
struct order {
    op what;
    int ef, cpu; // cpu -1: any
};
struct built {
    double seconds, rss, says; // CPU time of the one thread; bytes; bytes
};

struct point {
    int ef = 0;
    double recall = 0, qps = 0, p50 = 0, p99 = 0;
};

struct child {
    const engine_kind *kind;
    pid_t pid = 0;
    int to = -1, from = -1;
    built made{};
    double build2_s = 0, file = 0, reload_s = 0;
    std::vector<point> points;
};

struct options {
    std::string dir, set, tmp;
    metric by;
    size_t n;
    int passes, jobs, threads2, search_cpu;
    std::vector<int> efs;
    bool turn; // TURN is set
};

void must(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench-vectors: %s failed\n", what);
    exit(1);
}

void send_all(int fd, const void *p, size_t n)
{
    for (const char *at = static_cast<const char *>(p); n > 0;) {
        ssize_t k = write(fd, at, n);
        must(k > 0, "a pipe");
        at += k;
        n -= size_t(k);
    }
}

void receive_all(int fd, void *p, size_t n)
{
    for (char *at = static_cast<char *>(p); n > 0;) {
        ssize_t k = read(fd, at, n);
        must(k > 0, "an engine (its process ended)");
        at += k;
        n -= size_t(k);
    }
}

int cpu_count()
{
    return int(sysconf(_SC_NPROCESSORS_ONLN));
}

void pin(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    for (int i = 0; i < cpu_count(); i++)
        if (cpu < 0 || i == cpu)
            CPU_SET(i, &set);
    sched_setaffinity(0, sizeof set, &set); // a container may forbid it; the figures are then noisier
}

double cpu_s()
{
    timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return double(t.tv_sec) + double(t.tv_nsec) * 1e-9;
}

// Resident and of this process alone, once the allocator has given back what nobody uses.
double anonymous_bytes()
{
    mallctl("arena.4096.purge", nullptr, nullptr, nullptr, 0); // 4096: all arenas
    FILE *f = fopen("/proc/self/status", "r");
    char line[256];
    double kb = 0;
    while (f && fgets(line, sizeof line, f))
        sscanf(line, "RssAnon: %lf", &kb);
    if (f)
        fclose(f);
    return kb * 1024;
}

// ---- in the child ---------------------------------------------------------------------------------------------------

const float *query_of(const engine_kind &kind, const dataset &d, size_t q)
{
    return (kind.normalises ? d.query : d.unit_query) + q * d.dim;
}

void answer_build(engine &e, const dataset &d, int fd)
{
    double before = anonymous_bytes(), t = cpu_s();
    e.build(d, 1);
    t = cpu_s() - t;
    built b{t, anonymous_bytes() - before, e.says()};
    send_all(fd, &b, sizeof b);
}

// A fifth of the queries unmeasured, then each by itself: its seconds, then its ids (-1 where it found fewer), then
// the CPU time of all.
void answer_pass(engine &e, const engine_kind &kind, const dataset &d, int ef, int fd)
{
    std::vector<double> seconds(d.nq);
    std::vector<int32_t> ids(d.nq * K, -1);
    int32_t unused[K];
    for (size_t q = 0; q < d.nq / 5; q++)
        e.search(query_of(kind, d, q), ef, unused);
    double cpu = cpu_s();
    for (size_t q = 0; q < d.nq; q++) {
        double t = now_s();
        e.search(query_of(kind, d, q), ef, &ids[q * K]);
        seconds[q] = now_s() - t;
    }
    cpu = cpu_s() - cpu;
    send_all(fd, seconds.data(), seconds.size() * sizeof(double));
    send_all(fd, ids.data(), ids.size() * sizeof(int32_t));
    send_all(fd, &cpu, sizeof cpu);
}

void child_main(const engine_kind &kind, const dataset &d, const std::string &path, int in, int out)
{
    std::unique_ptr<engine> e = kind.make(d);
    order o;
    while (read(in, &o, sizeof o) == ssize_t(sizeof o)) {
        pin(o.cpu);
        if (o.what == OP_BUILD)
            answer_build(*e, d, out);
        else if (o.what == OP_PASS)
            answer_pass(*e, kind, d, o.ef, out);
        else {
            e->save(path);
            send_all(out, "", 1);
        }
    }
    _exit(0); // an index is not taken apart
}

// ---- in the parent --------------------------------------------------------------------------------------------------

std::string path_of(const options &o, const engine_kind &kind)
{
    std::string path = o.tmp + "/" + o.set + "-" + kind.name;
    std::replace(path.begin(), path.end(), ' ', '-');
    return path;
}

void start(child &c, const dataset &d, const options &o, const std::vector<child> &all)
{
    int down[2], up[2];
    must(pipe(down) == 0 && pipe(up) == 0, "pipe");
    c.pid = fork();
    must(c.pid >= 0, "fork");
    if (c.pid == 0) {
        for (const child &other : all) { // so that every child sees the end of its own pipe
            if (other.to >= 0)
                close(other.to);
        }
        close(down[1]);
        child_main(*c.kind, d, path_of(o, *c.kind), down[0], up[1]);
    }
    close(down[0]);
    close(up[1]);
    c.to = down[1];
    c.from = up[0];
}

void give(child &c, order o)
{
    send_all(c.to, &o, sizeof o);
}

// Each engine alone with one thread; `jobs` of them side by side, each on its own CPU.
void build_all(std::vector<child> &all, const options &o)
{
    size_t next = 0;
    std::vector<child *> on_cpu(size_t(o.jobs), nullptr);
    for (size_t done = 0; done < all.size();) {
        std::vector<pollfd> waits;
        for (size_t cpu = 0; cpu < on_cpu.size(); cpu++) {
            if (!on_cpu[cpu] && next < all.size()) {
                on_cpu[cpu] = &all[next++];
                give(*on_cpu[cpu], {OP_BUILD, 0, cpu_count() - 1 - int(cpu)});
            }
            waits.push_back({on_cpu[cpu] ? on_cpu[cpu]->from : -1, POLLIN, 0});
        }
        must(poll(waits.data(), waits.size(), -1) > 0, "poll");
        for (size_t cpu = 0; cpu < on_cpu.size(); cpu++) {
            if (!(waits[cpu].revents & (POLLIN | POLLHUP)))
                continue;
            child &c = *on_cpu[cpu];
            receive_all(c.from, &c.made, sizeof c.made);
            fprintf(stderr, "  %-12s built in %.1f s\n", c.kind->name.c_str(), c.made.seconds);
            on_cpu[cpu] = nullptr;
            done++;
        }
    }
}

// Runs fn in a child that then ends, and hands back the seconds that it says.
template <class Fn> double in_child(Fn fn)
{
    int up[2];
    double seconds = 0;
    must(pipe(up) == 0, "pipe");
    pid_t pid = fork();
    must(pid >= 0, "fork");
    if (pid == 0) {
        seconds = fn();
        send_all(up[1], &seconds, sizeof seconds);
        _exit(0);
    }
    close(up[1]);
    receive_all(up[0], &seconds, sizeof seconds);
    close(up[0]);
    waitpid(pid, nullptr, 0);
    return seconds;
}

double build_with_two(const engine_kind &kind, const dataset &d)
{
    return in_child([&] {
        std::unique_ptr<engine> e = kind.make(d);
        double t = now_s();
        e->build(d, 2);
        return now_s() - t;
    });
}

// From nothing in memory to the first answer; the file's pages are in the system's cache.
double reload(const engine_kind &kind, const dataset &d, const options &o)
{
    return in_child([&] {
        pin(o.search_cpu);
        int32_t ids[K];
        double t = now_s();
        std::unique_ptr<engine> e = kind.make(d);
        e->load(path_of(o, kind));
        must(e->search(query_of(kind, d, 0), 100, ids) == K, "a search after loading");
        double seconds = now_s() - t;
        e.release();
        return seconds;
    });
}

point one_pass(child &c, const dataset &d, int ef, int on_cpu)
{
    std::vector<double> seconds(d.nq);
    std::vector<int32_t> ids(d.nq * K);
    point p;
    size_t good = 0;
    double cpu = 0;
    give(c, {OP_PASS, ef, on_cpu});
    receive_all(c.from, seconds.data(), seconds.size() * sizeof(double));
    receive_all(c.from, ids.data(), ids.size() * sizeof(int32_t));
    receive_all(c.from, &cpu, sizeof cpu);
    for (size_t q = 0; q < d.nq; q++)
        good += size_t(count_good(d, d.worst, q, &ids[q * K], K));
    p.ef = ef;
    p.recall = double(good) / double(d.nq * K);
    p.qps = double(d.nq) / cpu;
    p.p50 = quantile(seconds, 0.50);
    p.p99 = quantile(seconds, 0.99);
    return p;
}

// Past the last recall that is asked for, or no longer gaining: larger ef would only take time.
bool settled(const child &c)
{
    size_t n = c.points.size();
    if (n > 0 && c.points[n - 1].recall >= 0.9985)
        return true;
    return n > 2 && c.points[n - 1].recall > 0.9 && c.points[n - 1].recall - c.points[n - 3].recall < 0.0005;
}

void sweep(std::vector<child> &all, const dataset &d, const options &o)
{
    for (int ef : o.efs) {
        std::vector<point> best(all.size());
        for (int pass = 0; pass < o.passes; pass++)
            for (size_t i = 0; i < all.size(); i++) {
                if (settled(all[i]))
                    continue;
                point p = one_pass(all[i], d, ef, o.search_cpu);
                if (p.qps > best[i].qps)
                    best[i] = p;
            }
        for (size_t i = 0; i < all.size(); i++)
            if (best[i].ef)
                all[i].points.push_back(best[i]);
    }
}

void save_and_reload(child &c, const dataset &d, const options &o)
{
    char byte;
    struct stat st = {};
    give(c, {OP_SAVE, 0, -1});
    receive_all(c.from, &byte, 1);
    stat(path_of(o, *c.kind).c_str(), &st);
    c.file = double(st.st_size);
    c.reload_s = 1e9;
    for (int i = 0; i < 3; i++)
        c.reload_s = std::min(c.reload_s, reload(*c.kind, d, o));
    unlink(path_of(o, *c.kind).c_str());
    unlink((path_of(o, *c.kind) + ".dw").c_str());
}

void print(const std::vector<child> &all, const dataset &d, const options &o)
{
    printf("{\"set\": \"%s\", \"turned\": %s, \"metric\": \"%s\", \"n\": %zu, \"dim\": %d, \"queries\": %zu, \"k\": "
           "%d, \"m\": %d, "
           "\"ef_construction\": %d, \"passes\": %d, \"build_jobs\": %d, \"simd\": \"%s\", \"versions\": \"%s\", "
           "\"engines\": [",
           o.set.c_str(), o.turn ? "true" : "false", o.by == metric::l2 ? "l2" : "cosine", d.n, d.dim, d.nq, K, M,
           EF_CONSTRUCTION, o.passes, o.jobs, skald_simd(), engine_versions().c_str());
    for (const child &c : all) {
        printf("%s{\"name\": \"%s\", \"build_s\": %.3f, \"build2_s\": %.3f, \"rss\": %.0f, \"says\": %.0f, "
               "\"file\": %.0f, \"reload_s\": %.6f, \"points\": [",
               &c == &all[0] ? "" : ", ", c.kind->name.c_str(), c.made.seconds, c.build2_s, c.made.rss, c.made.says,
               c.file, c.reload_s);
        for (const point &p : c.points)
            printf("%s{\"ef\": %d, \"recall\": %.5f, \"qps\": %.1f, \"p50_us\": %.2f, \"p99_us\": %.2f}",
                   &p == &c.points[0] ? "" : ", ", p.ef, p.recall, p.qps, p.p50 * 1e6, p.p99 * 1e6);
        printf("]}");
    }
    printf("]}\n");
}

options read_options(int argc, char **argv)
{
    if (argc < 10) {
        fprintf(stderr, "usage: inproc DIR SET l2|cosine N PASSES JOBS THREADS2 TMP EF [EF ...]\n");
        exit(2);
    }
    options o;
    o.dir = argv[1];
    o.set = argv[2];
    o.by = strcmp(argv[3], "l2") == 0 ? metric::l2 : metric::cosine;
    o.n = strtoull(argv[4], nullptr, 10);
    o.passes = std::max(1, atoi(argv[5]));
    o.jobs = std::min(std::max(1, atoi(argv[6])), cpu_count());
    o.threads2 = atoi(argv[7]);
    o.turn = getenv("TURN") != nullptr;
    o.tmp = argv[8];
    o.search_cpu = cpu_count() - 1;
    for (int i = 9; i < argc; i++)
        o.efs.push_back(std::max(K, atoi(argv[i])));
    return o;
}

// ENGINES: parts of names with commas between; without it, all.
bool wanted(const std::string &name)
{
    const char *list = getenv("ENGINES");
    std::string rest = list ? list : "";
    while (!rest.empty()) {
        size_t comma = rest.find(',');
        if (name.find(rest.substr(0, comma)) != std::string::npos)
            return true;
        rest = comma == std::string::npos ? "" : rest.substr(comma + 1);
    }
    return !list || !*list;
}

} // namespace

int main(int argc, char **argv)
{
    options o = read_options(argc, argv);
    dataset d = read_dataset(o.dir, o.set, o.by, o.n, o.turn);
    std::vector<child> all;
    for (const engine_kind &kind : engine_kinds())
        if (wanted(kind.name)) {
            all.emplace_back();
            all.back().kind = &kind;
        }
    must(!all.empty(), "choosing engines (ENGINES names none of them)");
    for (child &c : all)
        start(c, d, o, all);
    build_all(all, o);
    sweep(all, d, o);
    for (child &c : all) {
        save_and_reload(c, d, o);
        close(c.to);
        waitpid(c.pid, nullptr, 0);
        if (o.threads2)
            c.build2_s = build_with_two(*c.kind, d);
    }
    print(all, d, o);
    return 0;
}
