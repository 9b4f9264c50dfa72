/* The registry of models: words in, words out, keys kept secret. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/json.h"
#include "llm/model.h"
#include "llm/tokens.h"

static struct models MS;

/* Words in one string, parted by '|'. */
static int set(const char *line, struct err *err)
{
    struct slice w[64];
    int n = 0;
    for (const char *p = line; p && n < 64;) {
        const char *bar = strchr(p, '|');
        w[n++] = slice_of(p, bar ? (size_t)(bar - p) : strlen(p));
        p = bar ? bar + 1 : NULL;
    }
    return models_set(&MS, w, n, err);
}

static struct buf out;

static void on_word(void *arg, struct slice w)
{
    buf_add_str(&out, out.len ? "|" : "");
    buf_add(&out, w.p, w.len);
}

static void on_field(void *arg, const char *f, struct slice v)
{
    buf_addf(&out, "%s=%.*s;", f, (int)v.len, v.p);
}

static const char *words_of(const char *name)
{
    buf_clear(&out);
    model_words(models_find(&MS, slice_str(name)), on_word, NULL);
    return buf_cstr(&out);
}

static const char *fields_of(const char *name)
{
    buf_clear(&out);
    model_fields(models_find(&MS, slice_str(name)), on_field, NULL);
    return buf_cstr(&out);
}

#define FULL                                                                                                           \
    "gpt|PROVIDER|openai|URL|http://127.0.0.1:8000/"                                                                   \
    "v1|ID|gpt-x|KEY|sk-secret|KIND|CHAT|PARAMS|{\"top_k\":3}|CONTEXT|8000"                                            \
    "|PRICE|0.15|0.6|RPM|60|TPM|90000|CONCURRENCY|4|TIMEOUT|5000|RETRIES|2"

static void words_come_back(void **state)
{
    struct err err;
    assert_int_equal(set(FULL, &err), 0);
    assert_string_equal(words_of("gpt"), FULL);
    assert_int_equal(set("small|provider|OPENAI|url|https://h/v1///", &err), 0); /* case, slashes, ID from the name */
    assert_string_equal(words_of("small"), "small|PROVIDER|openai|URL|https://h/v1|ID|small|KIND|CHAT");
    assert_int_equal(set("gpt|PROVIDER|openai", &err), 0); /* replaces everything */
    assert_string_equal(words_of("gpt"), "gpt|PROVIDER|openai|ID|gpt|KIND|CHAT");
}

static void a_secret_is_never_shown(void **state)
{
    struct err err;
    assert_int_equal(set(FULL, &err), 0);
    assert_null(strstr(fields_of("gpt"), "secret"));
    assert_non_null(strstr(fields_of("gpt"), "key=(set);"));
    assert_non_null(strstr(fields_of("gpt"), "price_in=0.15;price_out=0.6;"));
    assert_int_equal(set("gpt|PROVIDER|openai|KEY|env:MY_KEY", &err), 0);
    assert_non_null(strstr(fields_of("gpt"), "key=env:MY_KEY;"));
}

static void bad_words_are_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "x",
        "x|URL|http://a",
        "x|PROVIDER",
        "x|PROVIDER|nobody",
        "x|PROVIDER|openai|URL|ftp://x",
        "x|PROVIDER|openai|WHAT|1",
        "x|PROVIDER|openai|RPM|-1",
        "x|PROVIDER|openai|RPM|many",
        "x|PROVIDER|openai|PRICE|1",
        "x|PROVIDER|openai|PRICE|1|free",
        "x|PROVIDER|openai|PRICE|-1|1",
        "x|PROVIDER|openai|PARAMS|[1]",
        "x|PROVIDER|openai|PARAMS|{",
        "x|PROVIDER|openai|KIND|THINK",
        "x|PROVIDER|openai|KIND|RERANK|KEY",
        "x|PROVIDER|openai|KEY|a\nb",
        "x|PROVIDER|openai|TIMEOUT|999999999999",
        "x|PROVIDER|openai|RETRIES|11",
        "x|PROVIDER|builtin|ID|nothing",
        "x|PROVIDER|builtin|ID|hash", /* of kind EMBED */
    };
    struct err err;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(set(bad[i], &err), ERR_INVALID);
        assert_true(strlen(err.msg) > 10);
        assert_null(models_find(&MS, SLICE("x")));
    }
    assert_int_equal(set("x|PROVIDER|builtin|ID|hash|KIND|EMBED", &err), 0);
    assert_int_equal(models_del(&MS, SLICE("x"), &err), 0);
}

static void builtin_models_stay(void **state)
{
    struct err err;
    struct model *m;
    assert_int_equal(models_pick(&MS, SLICE("builtin/extract"), MODEL_CHAT, &m, &err), 0);
    assert_int_equal(models_pick(&MS, SLICE("builtin/hash"), MODEL_EMBED, &m, &err), 0);
    assert_int_equal(models_del(&MS, SLICE("builtin/hash"), &err), ERR_STATE);
    assert_int_equal(models_enable(&MS, SLICE("builtin/hash"), false, &err), ERR_STATE);
    assert_int_equal(set("builtin/new|PROVIDER|openai", &err), ERR_STATE);
}

static void picking(void **state)
{
    struct err err;
    struct model *m;
    assert_int_equal(set("a|PROVIDER|openai", &err), 0);
    assert_int_equal(models_pick(&MS, SLICE("a"), MODEL_CHAT, &m, &err), 0);
    assert_int_equal(models_pick(&MS, SLICE("a"), MODEL_EMBED, &m, &err), ERR_STATE);
    assert_non_null(strstr(err.msg, "kind CHAT"));
    assert_int_equal(models_enable(&MS, SLICE("a"), false, &err), 0);
    assert_int_equal(models_pick(&MS, SLICE("a"), MODEL_CHAT, &m, &err), ERR_STATE);
    assert_non_null(strstr(err.msg, "disabled"));
    assert_int_equal(models_enable(&MS, SLICE("a"), true, &err), 0);
    assert_int_equal(models_del(&MS, SLICE("a"), &err), 0);
    assert_int_equal(models_pick(&MS, SLICE("a"), MODEL_CHAT, &m, &err), ERR_STATE);
    assert_int_equal(models_del(&MS, SLICE("a"), &err), ERR_STATE);
    assert_int_equal(models_enable(&MS, SLICE("a"), true, &err), ERR_STATE);
}

static void on_model(void *arg, struct model *m)
{
    on_word(NULL, slice_str(m->name));
}

static void listed_by_name(void **state)
{
    struct err err;
    set("zz|PROVIDER|openai", &err);
    set("aa|PROVIDER|openai", &err);
    buf_clear(&out);
    models_each(&MS, on_model, NULL);
    const char *a = strstr(buf_cstr(&out), "aa"), *b = strstr(out.p, "builtin/extract"), *z = strstr(out.p, "zz");
    assert_true(a && b && z && a < b && b < z);
}

static int key_of(const char *key, struct buf *to, struct err *err)
{
    char line[256];
    snprintf(line, sizeof line, "k|PROVIDER|openai|KEY|%s", key);
    assert_int_equal(set(line, err), 0);
    buf_clear(to);
    return model_key(models_find(&MS, SLICE("k")), 0, to, err);
}

static void keys_are_read_where_they_are(void **state)
{
    struct err err;
    struct buf key = {0};
    assert_int_equal(key_of("plain", &key, &err), 0);
    assert_string_equal(buf_cstr(&key), "plain");
    setenv("SKALD_TEST_KEY", "from-env", 1);
    assert_int_equal(key_of("env:SKALD_TEST_KEY", &key, &err), 0);
    assert_string_equal(buf_cstr(&key), "from-env");
    unsetenv("SKALD_TEST_KEY");
    assert_int_equal(key_of("env:SKALD_TEST_KEY", &key, &err), ERR_STATE);
    char path[] = "/tmp/skald-key-XXXXXX", ref[64];
    int fd = mkstemp(path);
    assert_int_equal(write(fd, "from-file\n", 10), 10);
    close(fd);
    snprintf(ref, sizeof ref, "file:%s", path);
    assert_int_equal(key_of(ref, &key, &err), 0);
    assert_string_equal(buf_cstr(&key), "from-file");
    unlink(path);
    assert_int_equal(key_of(ref, &key, &err), ERR_STATE);
    assert_int_equal(key_of("file:/dev/zero", &key, &err), ERR_STATE);
    assert_int_equal(key_of("file:/tmp", &key, &err), ERR_STATE);
    buf_release(&key);
}

static void token_estimates(void **state)
{
    assert_int_equal(tokens_estimate(SLICE("")), 0);
    assert_int_equal(tokens_estimate(SLICE("Hello, world!")), 4);
    assert_int_equal(tokens_estimate(SLICE("1234567")), 3);
    assert_int_equal(tokens_estimate(SLICE("\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c")), 4);
    struct slice prose =
        SLICE("The licenses for most software and other practical works are designed to take away your freedom "
              "to share and change the works. By contrast, this license is intended to guarantee it.");
    int64_t n = tokens_estimate(prose);
    assert_true(n > (int64_t)prose.len / 7 && n < (int64_t)prose.len / 4);
}

static int up(void **state)
{
    json_boot();
    models_init(&MS);
    return 0;
}

static int down(void **state)
{
    models_release(&MS);
    buf_release(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_come_back),
        cmocka_unit_test(a_secret_is_never_shown),
        cmocka_unit_test(bad_words_are_refused),
        cmocka_unit_test(builtin_models_stay),
        cmocka_unit_test(picking),
        cmocka_unit_test(listed_by_name),
        cmocka_unit_test(keys_are_read_where_they_are),
        cmocka_unit_test(token_estimates),
    };
    return cmocka_run_group_tests(tests, up, down);
}
