/* Calls under a token, against the mock provider: one call for all who ask, who leaves, what is told again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "llm/once.h"
#include "mock/provider.h"

static struct loop *L;
static struct http_client *H;
static struct job_pool *J;
static struct llm *M;
static struct mock mock;
static int waiting;

struct asker {
    struct llm_once *once;
    struct buf pieces, text, tool;
    int npieces, ends, cancel_after;
    bool replayed;
    struct err err;
    struct asker *then; /* asks when this one has its first piece */
};

static void ask(struct asker *a, bool stream, int state);

static void on_delta(void *arg, const struct llm_delta *d)
{
    struct asker *a = arg;
    assert_non_null(a->once); /* not from inside the start */
    assert_int_equal(a->ends, 0);
    if (d->kind == LLM_DELTA_TOOL)
        buf_addf(&a->tool, "%.*s%.*s", (int)d->tool_name.len, d->tool_name.p, (int)d->text.len, d->text.p);
    else
        buf_add(&a->pieces, d->text.p, d->text.len);
    if (++a->npieces == a->cancel_after)
        llm_once_cancel(a->once);
    struct asker *then = a->then;
    a->then = NULL;
    if (then)
        ask(then, true, IDEM_JOINED);
}

static void on_done(void *arg, const struct llm_reply *r, const struct err *err)
{
    struct asker *a = arg;
    assert_non_null(a->once);
    a->ends++;
    buf_clear(&a->text);
    buf_add(&a->text, r->text.p, r->text.len);
    a->replayed = r->facts.replayed;
    if (err)
        a->err = *err;
    if (--waiting == 0)
        loop_stop(L);
}

static const struct llm_chat_events events = {on_delta, on_done};

static void model(const char *id)
{
    char url[64];
    struct err err;
    snprintf(url, sizeof url, "http://127.0.0.1:%d/v1", mock.port);
    struct slice w[] = {SLICE("m"),  SLICE("PROVIDER"), SLICE("openai"),  SLICE("URL"), slice_str(url),
                        SLICE("ID"), slice_str(id),     SLICE("RETRIES"), SLICE("0")};
    assert_int_equal(models_set(llm_models(M), w, 9, &err), 0);
}

static const char *token = "t";

static int try(struct asker *a, bool stream, const char *text, struct err *err)
{
    struct llm_message question = {.role = SLICE("user"), .content = slice_str(text)};
    struct slice parts[] = {question.content};
    struct idem_claim claim = {SLICE("bob"), slice_str(token), parts, 1};
    struct llm_request q = LLM_REQUEST;
    q.model = SLICE("m");
    q.messages = &question;
    q.nmessages = 1;
    q.stream = stream;
    return llm_once_start(M, L, *token ? &claim : NULL, &q, &events, a, &a->once, err);
}

static void ask(struct asker *a, bool stream, int state)
{
    struct err err;
    assert_int_equal(try(a, stream, "hello", &err), state);
    assert_int_equal(strlen(llm_once_id(a->once)), 36);
    waiting++;
}

static void forget(struct asker *a, int n)
{
    for (int i = 0; i < n; i++) {
        buf_release(&a[i].pieces);
        buf_release(&a[i].text);
        buf_release(&a[i].tool);
    }
}

static int64_t calls(void)
{
    struct llm_stats s;
    llm_stats(M, &s);
    return (int64_t)s.started;
}

static void one_call_for_all(void **state)
{
    struct asker a[4] = {0};
    int64_t before = calls();
    token = "all";
    model("words=6,drip=5");
    a[0].then = &a[1];
    ask(&a[0], true, IDEM_FRESH);
    ask(&a[2], true, IDEM_JOINED);
    ask(&a[3], false, IDEM_JOINED);
    loop_run(L);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(a[i].ends, 1);
        assert_string_equal(buf_cstr(&a[i].text), "word0 word1 word2 word3 word4 word5");
        if (i < 3)
            assert_string_equal(buf_cstr(&a[i].pieces), buf_cstr(&a[i].text));
    }
    assert_int_equal(a[3].npieces, 0);
    assert_int_equal(calls() - before, 1);
    forget(a, 4);
    struct asker late[2] = {0};
    ask(&late[0], true, IDEM_REPLAY);
    ask(&late[1], false, IDEM_REPLAY);
    loop_run(L);
    assert_true(late[0].replayed && late[1].replayed);
    assert_int_equal(late[0].npieces, 1);
    assert_string_equal(buf_cstr(&late[0].pieces), buf_cstr(&late[1].text));
    forget(late, 2);
    struct err err;
    assert_int_equal(try(&late[0], false, "something else", &err), IDEM_CONFLICT);
    assert_null(late[0].once);
    assert_int_equal(calls() - before, 1);
}

static void who_streams_late_gets_what_was_not_streamed(void **state)
{
    struct asker a[2] = {0};
    token = "late";
    model("tool");
    ask(&a[0], false, IDEM_FRESH);
    ask(&a[1], true, IDEM_JOINED);
    loop_run(L);
    assert_int_equal(a[1].npieces, 1);
    assert_non_null(strchr(buf_cstr(&a[1].tool), '{'));
    forget(a, 2);
}

static void the_first_may_leave(void **state)
{
    struct asker a[2] = {0};
    token = "leave";
    model("words=6,drip=5");
    a[0].cancel_after = 2;
    ask(&a[0], true, IDEM_FRESH);
    ask(&a[1], true, IDEM_JOINED);
    loop_run(L);
    assert_int_equal(a[0].err.code, ERR_CANCELLED);
    assert_int_equal(a[0].ends + a[1].ends, 2);
    assert_int_equal(a[0].npieces, 2);
    assert_string_equal(buf_cstr(&a[1].pieces), "word0 word1 word2 word3 word4 word5");
    assert_int_equal(a[1].err.code, 0);
    forget(a, 2);
}

static void the_last_ends_the_call(void **state)
{
    struct asker a[3] = {0};
    int64_t before = calls();
    token = "last";
    model("words=1000,drip=20");
    a[0].cancel_after = 1;
    a[1].cancel_after = 1;
    ask(&a[0], true, IDEM_FRESH);
    ask(&a[1], true, IDEM_JOINED);
    loop_run(L);
    assert_int_equal(a[0].err.code, ERR_CANCELLED);
    assert_int_equal(a[1].err.code, ERR_CANCELLED);
    model("words=1");
    ask(&a[2], true, IDEM_FRESH); /* the token is free */
    loop_run(L);
    assert_string_equal(buf_cstr(&a[2].text), "word0");
    assert_int_equal(calls() - before, 2);
    forget(a, 3);
}

static void cancelled_before_anything_came(void **state)
{
    struct asker a[3] = {0};
    token = "soon";
    model("words=2");
    ask(&a[0], true, IDEM_FRESH);
    ask(&a[1], true, IDEM_JOINED);
    llm_once_cancel(a[1].once);
    llm_once_cancel(a[1].once);
    loop_run(L);
    assert_int_equal(a[1].err.code, ERR_CANCELLED);
    assert_int_equal(a[0].err.code, 0);
    ask(&a[2], true, IDEM_REPLAY);
    llm_once_cancel(a[2].once);
    loop_run(L);
    assert_int_equal(a[2].err.code, ERR_CANCELLED);
    assert_int_equal(a[2].npieces, 0);
    forget(a, 3);
}

static void failures_are_told_and_forgotten(void **state)
{
    struct asker a[3] = {0};
    token = "fail";
    model("status=500");
    ask(&a[0], false, IDEM_FRESH);
    ask(&a[1], true, IDEM_JOINED);
    loop_run(L);
    assert_int_equal(a[0].err.code, ERR_UPSTREAM);
    assert_int_equal(a[1].err.code, ERR_UPSTREAM);
    model("status=400");
    ask(&a[2], false, IDEM_FRESH);
    loop_run(L);
    assert_int_equal(a[2].err.code, ERR_INVALID);
    a[2].err.code = 0;
    ask(&a[2], true, IDEM_REPLAY);
    loop_run(L);
    assert_int_equal(a[2].err.code, ERR_INVALID);
    assert_int_equal(a[2].npieces, 0);
    forget(a, 3);
    struct err err;
    token = "none";
    assert_int_equal(models_del(llm_models(M), SLICE("m"), &err), 0);
    assert_int_equal(try(&a[0], false, "hello", &err), ERR_STATE);
    assert_null(a[0].once);
}

static void without_a_token(void **state)
{
    struct asker a[2] = {0};
    int64_t before = calls();
    token = "";
    model("words=2");
    ask(&a[0], true, IDEM_FRESH);
    ask(&a[1], false, IDEM_FRESH);
    loop_run(L);
    assert_string_equal(buf_cstr(&a[0].pieces), "word0 word1");
    assert_string_equal(buf_cstr(&a[1].text), "word0 word1");
    assert_int_equal(calls() - before, 2);
    forget(a, 2);
}

static int up(void **state)
{
    struct err err;
    json_boot();
    llm_boot();
    if (mock_start(&mock) || loop_create(&L, &err) || http_client_create(&H, L, 1, &err))
        return -1;
    J = job_pool_create(L, 2);
    M = llm_create(L, H, J);
    return 0;
}

static int down(void **state)
{
    llm_stop(M);
    http_client_destroy(H);
    job_pool_destroy(J);
    llm_destroy(M);
    loop_destroy(L);
    mock_stop(&mock);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_call_for_all),
        cmocka_unit_test(who_streams_late_gets_what_was_not_streamed),
        cmocka_unit_test(the_first_may_leave),
        cmocka_unit_test(the_last_ends_the_call),
        cmocka_unit_test(cancelled_before_anything_came),
        cmocka_unit_test(failures_are_told_and_forgotten),
        cmocka_unit_test(without_a_token),
    };
    return cmocka_run_group_tests(tests, up, down);
}
