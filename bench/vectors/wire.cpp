// A server's vector sets over its socket: loading, searching over a sweep of EF, filters, and how long PING takes
// beside each. Prints one JSON object; server.py starts the servers and makes tables of it.
//
//   wire PORT DIR SET N VMADD EF [EF ...]      N 0: all of them; VMADD 1: load a second key by it
//
// Eight connections, each with one command under way, are served by one epoll thread; a thread of its own pings. Both
// share the machine with the server, so its figures are of a machine with that many processors.
#include <hiredis/hiredis.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "data.hpp"

namespace
{

constexpr int CONNECTIONS = 8;
constexpr double SWEEP_SECONDS = 1.5; // at least one pass over the queries, and at least this long
constexpr size_t FILTER_QUERIES = 300;
constexpr size_t VMADD_COUNT = 500; // vectors in one VMADD

struct client {
    redisContext *c = nullptr;
    size_t item = 0; // what its command is about
    double sent = 0;
};

struct timing {
    double seconds = 0; // all together
    size_t count = 0;
    std::vector<double> latency;
};

[[noreturn]] void die(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fprintf(stderr, "bench-vectors: ");
    vfprintf(stderr, fmt, ap);
    fprintf(stderr, "\n");
    va_end(ap);
    exit(1);
}

redisContext *dial(int port)
{
    redisContext *c = redisConnect("127.0.0.1", port);
    if (!c || c->err)
        die("cannot connect to port %d: %s", port, c ? c->errstr : "no memory");
    return c;
}

std::string encode(const std::vector<std::string> &args)
{
    std::string out = "*" + std::to_string(args.size()) + "\r\n";
    for (const std::string &a : args)
        out += "$" + std::to_string(a.size()) + "\r\n" + a + "\r\n";
    return out;
}

std::string blob(const float *x, size_t count)
{
    return std::string(reinterpret_cast<const char *>(x), count * sizeof(float));
}

// ---- PING beside it -------------------------------------------------------------------------------------------------

class pinger
{
    redisContext *c;
    std::atomic<bool> stop{false};
    std::vector<double> latency;
    std::thread thread;

  public:
    explicit pinger(int port) : c(dial(port))
    {
        thread = std::thread([this] {
            while (!stop) {
                double t = now_s();
                freeReplyObject(redisCommand(c, "PING"));
                latency.push_back(now_s() - t);
                usleep(500);
            }
        });
    }
    std::vector<double> end()
    {
        stop = true;
        thread.join();
        redisFree(c);
        return latency;
    }
};

// ---- eight connections, one command each ----------------------------------------------------------------------------

void give(client &c, const std::string &command)
{
    c.sent = now_s();
    for (size_t at = 0; at < command.size();) {
        ssize_t n = send(c.c->fd, command.data() + at, command.size() - at, 0);
        if (n <= 0)
            die("the server closed a connection");
        at += size_t(n);
    }
}

redisReply *take(client &c)
{
    void *reply = nullptr;
    if (redisBufferRead(c.c) != REDIS_OK || redisGetReplyFromReader(c.c, &reply) != REDIS_OK)
        die("reading a reply: %s", c.c->errstr);
    return static_cast<redisReply *>(reply);
}

// Asks command(item) for items 0, 1, ... while more(item) holds, and hands each reply to seen(item, reply).
timing drive(std::vector<client> &clients, const std::function<bool(size_t)> &more,
             const std::function<std::string(size_t)> &command, const std::function<void(size_t, redisReply *)> &seen)
{
    timing t;
    size_t next = 0;
    int open = 0, ep = epoll_create1(0);
    double begin = now_s();
    for (size_t i = 0; i < clients.size() && more(next); i++, open++) {
        epoll_event ev{};
        ev.events = EPOLLIN;
        ev.data.u64 = i;
        epoll_ctl(ep, EPOLL_CTL_ADD, clients[i].c->fd, &ev);
        clients[i].item = next;
        give(clients[i], command(next++));
    }
    while (open > 0) {
        epoll_event evs[CONNECTIONS];
        int n = epoll_wait(ep, evs, CONNECTIONS, 60000);
        if (n == 0)
            die("the server has been silent for a minute");
        for (int i = 0; i < n; i++) {
            client &c = clients[evs[i].data.u64];
            redisReply *reply = take(c);
            if (!reply) // not whole yet
                continue;
            t.latency.push_back(now_s() - c.sent);
            if (reply->type == REDIS_REPLY_ERROR)
                die("the server said: %s", reply->str);
            size_t item = c.item;
            if (more(next)) {
                c.item = next;
                give(c, command(next++));
            } else {
                open--;
            }
            seen(item, reply);
            freeReplyObject(reply);
        }
    }
    t.seconds = now_s() - begin;
    t.count = next;
    close(ep);
    return t;
}

// ---- what is measured -----------------------------------------------------------------------------------------------

struct bench {
    int port;
    dataset d;
    std::vector<client> clients;
};

// The attribute: uniform in 0..999, the same in every run.
int attribute(size_t id)
{
    return int((uint32_t(id) * 2654435761u >> 7) % 1000);
}

void print_ping(std::vector<double> ping)
{
    printf("\"ping_p50_us\": %.1f, \"ping_p99_us\": %.1f", quantile(ping, 0.5) * 1e6, quantile(ping, 0.99) * 1e6);
}

void load(bench &b, const char *name, size_t per_command, const std::function<std::string(size_t)> &command, bool first)
{
    pinger p(b.port);
    size_t commands = (b.d.n + per_command - 1) / per_command;
    timing t = drive(
        b.clients, [&](size_t i) { return i < commands; }, command, [](size_t, redisReply *) {});
    printf("%s{\"command\": \"%s\", \"per_s\": %.1f, ", first ? "" : ", ", name, double(b.d.n) / t.seconds);
    print_ping(p.end());
    printf("}");
}

std::string vadd(const bench &b, size_t id)
{
    std::string attr = "{\"n\":" + std::to_string(attribute(id)) + "}";
    return encode(
        {"VADD", "bench", "FP32", blob(b.d.base + id * b.d.dim, size_t(b.d.dim)), std::to_string(id), "SETATTR", attr});
}

std::string vmadd(const bench &b, size_t command)
{
    size_t from = command * VMADD_COUNT, count = std::min(VMADD_COUNT, b.d.n - from);
    std::vector<std::string> args = {"VMADD", "bulk",
                                     "COUNT", std::to_string(count),
                                     "FP32",  blob(b.d.base + from * b.d.dim, count * size_t(b.d.dim))};
    for (size_t i = 0; i < count; i++)
        args.push_back(std::to_string(from + i));
    return encode(args);
}

struct searched {
    double recall, qps, p50, p99;
};

// `tail` follows the query in each command; nq queries over and over.
searched search(bench &b, size_t nq, const std::vector<float> &worst, const std::vector<std::string> &tail)
{
    std::vector<std::string> commands;
    for (size_t q = 0; q < nq; q++) {
        std::vector<std::string> args = {"VSIM", "bench", "FP32", blob(b.d.query + q * b.d.dim, size_t(b.d.dim))};
        args.insert(args.end(), tail.begin(), tail.end());
        commands.push_back(encode(args));
    }
    size_t good = 0;
    double until = now_s() + SWEEP_SECONDS;
    timing t = drive(
        b.clients, [&](size_t i) { return i < nq || now_s() < until; }, [&](size_t i) { return commands[i % nq]; },
        [&](size_t i, redisReply *r) {
            if (i >= nq)
                return;
            int32_t ids[K];
            int count = int(std::min(r->elements, size_t(K)));
            for (int k = 0; k < count; k++)
                ids[k] = atoi(r->element[k]->str);
            good += size_t(count_good(b.d, worst, i, ids, count));
        });
    return {double(good) / double(nq * K), double(t.count) / t.seconds, quantile(t.latency, 0.5),
            quantile(t.latency, 0.99)};
}

void print_searched(const searched &s)
{
    printf("\"recall\": %.5f, \"qps\": %.1f, \"p50_us\": %.1f, \"p99_us\": %.1f", s.recall, s.qps, s.p50 * 1e6,
           s.p99 * 1e6);
}

void sweep(bench &b, const std::vector<int> &efs)
{
    printf(", \"sweep\": [");
    for (int ef : efs) {
        pinger p(b.port);
        searched s = search(b, b.d.nq, b.d.worst, {"COUNT", std::to_string(K), "EF", std::to_string(ef)});
        printf("%s{\"ef\": %d, ", ef == efs[0] ? "" : ", ", ef);
        print_searched(s);
        printf(", ");
        print_ping(p.end());
        printf("}");
    }
    printf("]");
}

void filters(bench &b)
{
    const char *between = "";
    printf(", \"filters\": [");
    for (int below : {10, 100, 500}) {
        std::vector<bool> allowed(b.d.n);
        for (size_t i = 0; i < b.d.n; i++)
            allowed[i] = attribute(i) < below;
        std::vector<float> worst = exact_worst(b.d, FILTER_QUERIES, allowed);
        for (int ef : {50, 200}) {
            searched s = search(
                b, FILTER_QUERIES, worst,
                {"COUNT", std::to_string(K), "EF", std::to_string(ef), "FILTER", ".n < " + std::to_string(below)});
            printf("%s{\"share\": %.3f, \"ef\": %d, ", between, below / 1000.0, ef);
            print_searched(s);
            printf("}");
            between = ", ";
        }
    }
    printf("]");
}

void idle(bench &b)
{
    pinger p(b.port);
    sleep(1);
    printf(", \"idle\": {");
    print_ping(p.end());
    printf("}");
}

void facts(bench &b)
{
    redisReply *r = static_cast<redisReply *>(redisCommand(b.clients[0].c, "VINFO bench"));
    const char *quant = "?";
    for (size_t i = 0; r->type == REDIS_REPLY_ARRAY && i + 1 < r->elements; i += 2)
        if (strcmp(r->element[i]->str, "quant-type") == 0)
            quant = r->element[i + 1]->str;
    printf(", \"quant\": \"%s\"", quant);
    freeReplyObject(r);
}

} // namespace

int main(int argc, char **argv)
{
    if (argc < 7)
        die("usage: wire PORT DIR SET N VMADD EF [EF ...]");
    bench b;
    std::vector<int> efs;
    for (int i = 6; i < argc; i++)
        efs.push_back(std::max(K, atoi(argv[i])));
    b.port = atoi(argv[1]);
    b.d = read_dataset(argv[2], argv[3], metric::cosine, strtoull(argv[4], nullptr, 10), false);
    b.clients.resize(CONNECTIONS);
    for (client &c : b.clients)
        c.c = dial(b.port);
    printf("{\"n\": %zu, \"connections\": %d, \"loads\": [", b.d.n, CONNECTIONS);
    load(
        b, "VADD", 1, [&](size_t i) { return vadd(b, i); }, true);
    if (atoi(argv[5])) {
        load(
            b, "VMADD", VMADD_COUNT, [&](size_t i) { return vmadd(b, i); }, false);
        freeReplyObject(redisCommand(b.clients[0].c, "DEL bulk"));
    }
    printf("]");
    facts(b);
    idle(b);
    sweep(b, efs);
    filters(b);
    printf("}\n");
    return 0;
}
