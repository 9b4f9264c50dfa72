/* Terms of real sentences, and the index against a model that keeps every text and scores it from the formula. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/rng.h"
#include "text/text.h"
#include "text/tokens.h"

static void join(void *arg, struct slice term)
{
    struct buf *b = arg;
    if (b->len)
        buf_add_char(b, '|');
    buf_add(b, term.p, term.len);
}

static void gives(const char *language, const char *text, const char *want)
{
    struct buf b = {0};
    struct tokeniser *t = tokeniser_create(language);
    assert_non_null(t);
    tokeniser_run(t, slice_str(text), join, &b);
    if (strcmp(buf_cstr(&b), want) != 0)
        fail_msg("%s\n gives %s\n  want %s", text, buf_cstr(&b), want);
    buf_release(&b);
    tokeniser_destroy(t);
}

static void terms_of_sentences(void **state)
{
    gives("none", "Hello, World! 3.14", "hello|world|3|14");
    gives("english", "running Runs", "run|run");
    gives("english", "the dog's tails", "the|dog|tail");
    gives("english", "the dog\xe2\x80\x99s 'quoted'", "the|dog|quot");
    gives("none",
          "\xc3\x89t\xc3\xa9 Stra\xc3\x9f"
          "e \xef\xbc\xa1\xef\xbc\xa2\xef\xbc\x91",
          "ete|strasse|ab1");                   /* accents, sharp s, full width */
    gives("none", "e\xcc\x81t\xc3\xa9", "ete"); /* the accent as a character of its own */
    gives("german", "H\xc3\xa4user", "haus");
    gives("english", "\xe6\x9c\xba\xe5\x99\xa8\xe5\xad\xa6 ML \xe4\xb9\xa0",
          "\xe6\x9c\xba|\xe5\x99\xa8|\xe6\x9c\xba\xe5\x99\xa8|\xe5\xad\xa6|\xe5\x99\xa8\xe5\xad\xa6|ml|\xe4\xb9\xa0");
    gives("none", "\xe3\x81\x8c\xe3\x81\x8f",
          "\xe3\x81\x8c|\xe3\x81\x8f|\xe3\x81\x8c\xe3\x81\x8f"); /* kana keep marks */
    gives("none", "\xea\xb0\x80", "\xea\xb0\x80");               /* Hangul stays whole */
    gives("none", "\xd0\xb9\xd0\x81", "\xd0\xb8\xd0\xb5");       /* Cyrillic */
    gives("none", "", "");
    gives("none", "\xff\xfe bad\x80good \xe6\x9c", "bad|good"); /* not UTF-8: separators */
    assert_null(tokeniser_create("klingon"));
}

static void long_words_are_cut(void **state)
{
    char text[1000];
    struct buf b = {0};
    memset(text, 'x', sizeof text);
    struct tokeniser *t = tokeniser_create("none");
    tokeniser_run(t, slice_of(text, sizeof text), join, &b);
    assert_int_equal(b.len, TOKEN_MAX);
    buf_release(&b);
    tokeniser_destroy(t);
}

/* ---- the model ---- */

enum { DOCS = 300, WORDS = 40, LONGEST = 30 };
static int model[DOCS][LONGEST], length[DOCS]; /* words by number; length 0: absent */

static struct slice name_of(int d, char to[16])
{
    return slice_of(to, (size_t)snprintf(to, 16, "doc%d", d));
}

static int number_of(struct slice name)
{
    char t[16] = "";
    memcpy(t, name.p, name.len);
    return atoi(t + 3);
}

static double model_score(int d, const int *query, int n)
{
    double living = 0, tokens = 0, score = 0;
    for (int i = 0; i < DOCS; i++) {
        living += length[i] > 0;
        tokens += length[i];
    }
    for (int q = 0; q < n; q++) {
        double have = 0, tf = 0;
        for (int i = 0; i < DOCS; i++) {
            bool has = false;
            for (int k = 0; k < length[i]; k++)
                has |= model[i][k] == query[q];
            have += has;
        }
        for (int k = 0; k < length[d]; k++)
            tf += model[d][k] == query[q];
        double idf = log(1 + (living - have + 0.5) / (have + 0.5));
        score += idf * tf * 2.2 / (tf + 1.2 * (0.25 + 0.75 * length[d] / (tokens / living)));
    }
    return score;
}

static void change(struct text_index *t, struct rng *r)
{
    struct buf text = {0};
    char name[16];
    int d = (int)rng_below(r, DOCS);
    length[d] = rng_below(r, 3) ? 1 + (int)rng_below(r, LONGEST) : 0;
    for (int k = 0; k < length[d]; k++) {
        model[d][k] = (int)(rng_below(r, WORDS) * rng_below(r, WORDS) / WORDS); /* some words are common */
        buf_addf(&text, "%sw%d", k ? " " : "", model[d][k]);
    }
    text_put(t, name_of(d, name), buf_slice(&text));
    buf_release(&text);
}

static void compare(struct text_index *t, struct rng *r)
{
    struct text_result res;
    int query[4], n = 1 + (int)rng_below(r, 4), want = 0;
    struct buf q = {0};
    for (int i = 0; i < n; i++) {
        query[i] = (int)rng_below(r, WORDS);
        buf_addf(&q, "W%d,", query[i]);
    }
    text_search(t, buf_slice(&q), DOCS, &res);
    for (int d = 0; d < DOCS; d++)
        want += length[d] > 0 && model_score(d, query, n) > 0;
    assert_int_equal(res.count, want);
    for (uint32_t i = 0; i < res.count; i++) {
        int d = number_of(res.hits[i].name);
        double s = model_score(d, query, n);
        if (!(fabs(res.hits[i].score - s) < 1e-4 * (1 + s)))
            fail_msg("doc%d scores %f, not %f (%d words asked for, of %d)", d, res.hits[i].score, s, n, length[d]);
        assert_true(i == 0 || res.hits[i].score <= res.hits[i - 1].score);
    }
    text_result_release(&res);
    text_search(t, buf_slice(&q), 3, &res);
    assert_true(res.count <= 3);
    text_result_release(&res);
    buf_release(&q);
}

static void agrees_with_the_model(void **state)
{
    struct text_index *t;
    struct rng r;
    rng_seed(&r, 21);
    memset(length, 0, sizeof length);
    assert_int_equal(text_create(&t, "none", NULL), 0);
    for (int i = 0; i < 6000; i++) {
        change(t, &r);
        if (i % 40 == 0)
            compare(t, &r);
    }
    struct text_stats s;
    text_stats(t, &s);
    uint64_t living = 0, tokens = 0;
    for (int d = 0; d < DOCS; d++) {
        living += length[d] > 0;
        tokens += (uint64_t)length[d];
    }
    assert_int_equal(s.documents, living);
    assert_int_equal(s.tokens, tokens);
    assert_true(s.dead <= 2 * DOCS); /* swept */
    for (int d = 0; d < DOCS; d++) { /* down to nothing: nothing is left over */
        char name[16];
        text_put(t, name_of(d, name), SLICE(""));
        length[d] = 0;
    }
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < 200; i++) {
            text_put(t, SLICE("one"), SLICE("again and again"));
            text_stats(t, &s);
        }
    assert_int_equal(s.documents, 1);
    assert_true(s.terms <= 2 + WORDS && s.dead <= 257);
    text_unref(t);
}

static atomic_bool stop;

static void *searcher(void *arg)
{
    while (!atomic_load(&stop)) {
        struct text_result r;
        text_search(arg, SLICE("w1 w2 w3"), 10, &r);
        for (uint32_t i = 0; i < r.count; i++)
            assert_memory_equal(r.hits[i].name.p, "doc", 3);
        text_result_release(&r);
    }
    text_unref(arg);
    return NULL;
}

static void searches_beside_changes(void **state)
{
    pthread_t threads[2];
    struct text_index *t;
    struct rng r;
    rng_seed(&r, 22);
    assert_int_equal(text_create(&t, "english", NULL), 0);
    for (int i = 0; i < 2; i++)
        pthread_create(&threads[i], NULL, searcher, text_ref(t));
    for (int i = 0; i < 3000; i++)
        change(t, &r);
    atomic_store(&stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    struct text_result res;
    text_search(t, SLICE("w1"), 5, &res);
    assert_int_equal(text_waiting(t), 0);
    text_result_release(&res);
    text_unref(t);
}

static void languages(void **state)
{
    struct text_index *t = NULL;
    struct err err;
    assert_int_equal(text_create(&t, "klingon", &err), ERR_INVALID);
    assert_int_equal(text_create(&t, "english", &err), 0);
    text_put(t, SLICE("a"), SLICE("He was running"));
    struct text_result r;
    text_search(t, SLICE("runs"), 1, &r);
    assert_int_equal(r.count, 1);
    text_result_release(&r);
    text_search(t, SLICE("?!"), 1, &r);
    assert_int_equal(r.count, 0);
    text_result_release(&r);
    text_unref(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(terms_of_sentences),
        cmocka_unit_test(long_words_are_cut),
        cmocka_unit_test(agrees_with_the_model),
        cmocka_unit_test(searches_beside_changes),
        cmocka_unit_test(languages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
