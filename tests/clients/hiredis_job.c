/* A program as others write them against hiredis: hiredis_job PORT runs a small job over one server and says "ok".
 *
 * Debian 12 has hiredis 0.14, which speaks RESP2 only; RESP3 is tested with redis-cli and with our own client. */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(ok)                                                                                                      \
    do {                                                                                                               \
        if (!(ok)) {                                                                                                   \
            fprintf(stderr, "line %d: %s\n", __LINE__, #ok);                                                           \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

static redisContext *open_context(int port)
{
    struct timeval patience = {30, 0};
    redisContext *c = redisConnectWithTimeout("127.0.0.1", port, patience);
    CHECK(c && !c->err);
    CHECK(redisSetTimeout(c, patience) == REDIS_OK);
    CHECK(redisEnableKeepAlive(c) == REDIS_OK);
    return c;
}

static void expect_status(redisReply *r, const char *text)
{
    CHECK(r && r->type == REDIS_REPLY_STATUS && strcmp(r->str, text) == 0);
    freeReplyObject(r);
}

static void expect_int(redisReply *r, long long n)
{
    CHECK(r && r->type == REDIS_REPLY_INTEGER && r->integer == n);
    freeReplyObject(r);
}

static void expect_bytes(redisReply *r, const void *p, size_t n)
{
    CHECK(r && r->type == REDIS_REPLY_STRING && r->len == n && memcmp(r->str, p, n) == 0);
    freeReplyObject(r);
}

static void one_by_one(redisContext *c)
{
    char binary[256];
    for (int i = 0; i < 256; i++)
        binary[i] = (char)i;
    expect_status(redisCommand(c, "FLUSHALL"), "OK");
    expect_status(redisCommand(c, "SET %s %b", "binary", binary, sizeof binary), "OK");
    expect_bytes(redisCommand(c, "GET binary"), binary, sizeof binary);
    expect_bytes(redisCommand(c, "ECHO %b", "", (size_t)0), "", 0);
    redisReply *r = redisCommand(c, "GET absent");
    CHECK(r && r->type == REDIS_REPLY_NIL);
    freeReplyObject(r);
    r = redisCommand(c, "INCR binary");
    CHECK(r && r->type == REDIS_REPLY_ERROR && strstr(r->str, "not an integer"));
    freeReplyObject(r);
    expect_int(redisCommand(c, "HSET h a 1 b 2"), 2);
    r = redisCommand(c, "HGETALL h");
    CHECK(r && r->type == REDIS_REPLY_ARRAY && r->elements == 4 && strcmp(r->element[3]->str, "2") == 0);
    freeReplyObject(r);
}

static void large(redisContext *c)
{
    size_t n = 8 << 20;
    char *p = malloc(n);
    CHECK(p);
    memset(p, 'x', n);
    expect_status(redisCommand(c, "SET large %b", p, n), "OK");
    expect_bytes(redisCommand(c, "GET large"), p, n);
    free(p);
}

static void pipelined(redisContext *c)
{
    redisReply *r;
    for (int i = 0; i < 10000; i++)
        CHECK(redisAppendCommand(c, "RPUSH list %d", i) == REDIS_OK);
    for (int i = 0; i < 10000; i++) {
        CHECK(redisGetReply(c, (void **)&r) == REDIS_OK);
        expect_int(r, i + 1);
    }
    r = redisCommand(c, "LRANGE list 0 -1");
    CHECK(r && r->elements == 10000);
    for (size_t i = 0; i < r->elements; i++)
        CHECK(atoi(r->element[i]->str) == (int)i);
    freeReplyObject(r);
}

static void transaction(redisContext *c)
{
    expect_status(redisCommand(c, "MULTI"), "OK");
    expect_status(redisCommand(c, "SET a 1"), "QUEUED");
    expect_status(redisCommand(c, "INCRBY a 41"), "QUEUED");
    redisReply *r = redisCommand(c, "EXEC");
    CHECK(r && r->type == REDIS_REPLY_ARRAY && r->elements == 2 && r->element[1]->integer == 42);
    freeReplyObject(r);
}

static void published(redisContext *c, int port)
{
    redisReply *r;
    redisContext *listener = open_context(port);
    r = redisCommand(listener, "SUBSCRIBE news");
    CHECK(r && r->elements == 3 && strcmp(r->element[0]->str, "subscribe") == 0);
    freeReplyObject(r);
    for (int i = 0; i < 100; i++)
        expect_int(redisCommand(c, "PUBLISH news %d", i), 1);
    for (int i = 0; i < 100; i++) {
        CHECK(redisGetReply(listener, (void **)&r) == REDIS_OK);
        CHECK(r->elements == 3 && strcmp(r->element[0]->str, "message") == 0 && atoi(r->element[2]->str) == i);
        freeReplyObject(r);
    }
    redisFree(listener);
}

static void sessions_and_vectors(redisContext *c)
{
    float x[4] = {1, 0, 0, 0}, y[4] = {0, 1, 0, 0};
    expect_int(redisCommand(c, "VADD v FP32 %b east", x, sizeof x), 1);
    expect_int(redisCommand(c, "VADD v FP32 %b north", y, sizeof y), 1);
    redisReply *r = redisCommand(c, "VSEARCH v FP32 %b COUNT 1", y, sizeof y);
    CHECK(r && r->type == REDIS_REPLY_ARRAY && r->elements == 1 && strcmp(r->element[0]->str, "north") == 0);
    freeReplyObject(r);
    r = redisCommand(c, "SESSION.ADD chat user %s", "Where is Delft?");
    CHECK(r && r->type == REDIS_REPLY_STRING);
    freeReplyObject(r);
    r = redisCommand(c, "SESSION.MESSAGES chat");
    CHECK(r && r->elements == 1 && strcmp(r->element[0]->element[2]->str, "Where is Delft?") == 0);
    freeReplyObject(r);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    int port = atoi(argv[1]);
    redisContext *c = open_context(port);
    one_by_one(c);
    large(c);
    pipelined(c);
    transaction(c);
    published(c, port);
    sessions_and_vectors(c);
    redisFree(c);
    puts("ok");
    return 0;
}
