/* A filter over columns answers as it does over the texts: random expressions over random documents, good and broken,
 * while elements come, change and go; what columns cannot hold; readers that fill them beside a writer. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>
#include <cmocka.h>

#include "vec/columns.h"
#include "vec/epoch.h"
#include "vec/filter_run.h"
#include "vec/heap.h"
#include "vec/matcher.h"
#include "vec/names.h"
#include "naive.h"

#define N   3000
#define DIM 4

static struct buf scratch, plain;

static struct vec_index *make(void)
{
    struct vec_index *v = NULL;
    struct vec_config c = {.dim = DIM, .kind = VEC_FLAT, .seed = 9};
    assert_int_equal(vec_create(&v, &c, NULL), 0);
    return v;
}

static void put(struct vec_index *v, uint32_t e, struct slice attr)
{
    char t[16];
    float x[DIM] = {(float)e, 1, 2, 3};
    assert_true(vec_add(v, naive_name(e, t), x, DIM, attr, NULL) >= 0);
}

static void random_text(struct rng *r, struct buf *to)
{
    static const char *bits[] = {"a",       "b",   "drama", "7",  "-2", "\\u0041",
                                 "\\ud83d", "\\n", " ",     "\\", "",   "0123456789012345678901234567890123456789"};
    buf_add_char(to, '"');
    for (uint64_t n = rng_below(r, 5); n; n--)
        buf_add_str(to, bits[rng_below(r, sizeof bits / sizeof *bits - (rng_below(r, 20) > 0 ? 3 : 0))]);
    buf_add_char(to, '"');
}

static void random_value(struct rng *r, struct buf *to, int depth)
{
    static const char *scalars[] = {"0",  "1",     "-3", "2.5", "1e3", "true", "false", "null",
                                    "-0", "1e999", "42", "--1", "nul", "7",    "1994",  "truex"};
    uint64_t kind = rng_below(r, depth ? 10 : 6);
    if (kind < 4) {
        buf_add_str(to, scalars[rng_below(r, sizeof scalars / sizeof *scalars)]);
    } else if (kind < 6) {
        random_text(r, to);
    } else if (kind < 9) {
        buf_add_char(to, '[');
        for (uint64_t i = 0, n = rng_below(r, 5); i < n; i++) {
            buf_add_str(to, i ? "," : "");
            random_value(r, to, rng_below(r, 12) ? 0 : depth - 1);
        }
        buf_add_str(to, rng_below(r, 30) ? "]" : ",]");
    } else {
        buf_add_str(to, "{\"x\":");
        random_value(r, to, depth - 1);
        buf_add_char(to, '}');
    }
}

/* Mostly an object; sometimes with a field twice, or broken somewhere. */
static void random_document(struct rng *r, struct buf *to)
{
    buf_clear(to);
    if (rng_below(r, 12) == 0)
        return;
    buf_add_char(to, '{');
    for (uint64_t i = 0, n = rng_below(r, 7); i < n; i++) {
        buf_addf(to, "%s\"%c\":", i ? ", " : "", 'a' + (int)rng_below(r, 5));
        random_value(r, to, 2);
    }
    buf_add_char(to, '}');
    if (rng_below(r, 25) == 0 && to->len)
        to->p[rng_below(r, to->len)] = "}],:\"x{"[rng_below(r, 7)];
    if (rng_below(r, 25) == 0)
        to->len = rng_below(r, to->len + 1);
}

static void random_operand(struct rng *r, struct buf *to)
{
    static const char *consts[] = {"1",     "0",   "-3",  "42",        "'a'",          "'drama'",
                                   "\"7\"", "2.5", "''",  "[1,'a',7]", "[0, 1, 1994]", "'\\xffb'",
                                   "null",  "[]",  "1e3", "'A'",       "['drama',42]"};
    if (rng_below(r, 3))
        buf_addf(to, ".%c", 'a' + (int)rng_below(r, 5));
    else
        buf_add_str(to, consts[rng_below(r, sizeof consts / sizeof *consts)]);
}

static void random_expression(struct rng *r, struct buf *to, int depth)
{
    static const char *ops[] = {"==", "!=", "<", "<=", ">", ">=", "in", "in", "and",
                                "or", "&&", "+", "-",  "*", "/",  "%",  "**", "||"};
    if (depth == 0 || rng_below(r, 4) == 0) {
        random_operand(r, to);
        return;
    }
    buf_add_str(to, rng_below(r, 8) ? "(" : "not (");
    random_expression(r, to, depth - 1);
    buf_addf(to, " %s ", ops[rng_below(r, sizeof ops / sizeof *ops)]);
    random_expression(r, to, depth - 1);
    buf_add_char(to, ')');
}

/* Every living node, twice: the first time fills the columns, the second reads them. */
static uint64_t compare(struct vec_index *v, const char *expr)
{
    uint64_t matches = 0;
    struct err err = {0};
    struct matcher m;
    struct filter *f = filter_create(slice_str(expr), &err);
    if (!f)
        fail_msg("%s: %s", expr, err.msg);
    int ticket = epoch_begin();
    matcher_init(&m, v, f);
    for (int turn = 0; turn < 2; turn++)
        for (uint32_t n = 1; n < vec_top(v); n++) {
            struct slice attr;
            if (!vec_alive(v, n))
                continue;
            assert_true(heap_get(v, vec_meta(v, n)->attr, &attr));
            bool want = attr.len && filter_match(f, attr, &plain), is = matcher_test(&m, n, &scratch);
            if (is != want)
                fail_msg("%s over %.*s: %d, by the text %d", expr, (int)attr.len, attr.p, is, want);
            matches += want;
        }
    epoch_end(ticket);
    filter_destroy(f);
    return matches;
}

static void change(struct vec_index *v, struct rng *r, int times)
{
    struct buf doc = {0};
    char t[16];
    for (; times > 0; times--) {
        uint32_t e = (uint32_t)rng_below(r, N);
        random_document(r, &doc);
        uint64_t what = rng_below(r, 6);
        if (what == 0)
            vec_remove(v, naive_name(e, t));
        else if (what < 4)
            put(v, e, slice_of(doc.len ? doc.p : "", doc.len));
        else
            vec_set_attr(v, naive_name(e, t), slice_of(doc.len ? doc.p : "", doc.len), NULL);
    }
    buf_release(&doc);
}

static void random_expressions(void **state)
{
    struct rng r;
    struct buf b = {0};
    rng_seed(&r, 21);
    struct vec_index *v = make();
    for (uint32_t e = 0; e < N; e++)
        put(v, e, SLICE(""));
    change(v, &r, 4 * N);
    uint64_t matches = 0;
    for (int i = 0; i < LIGHTER(800); i++) {
        buf_clear(&b);
        random_expression(&r, &b, 1 + (int)rng_below(&r, 3));
        matches += compare(v, buf_cstr(&b));
        change(v, &r, 40);
    }
    assert_true(matches > 10000);
    struct vec_stats s;
    vec_stats(v, &s);
    assert_int_equal(s.columns, 5);
    assert_true(s.column_bytes >= 5 * 8 * 8192 && s.memory > s.column_bytes);
    assert_int_equal(vec_verify(v, NULL), 0);
    vec_unref(v);
    buf_release(&b);
}

/* Which word a column holds for the attributes of element 0. */
static unsigned tag_of(struct vec_index *v, const char *attr, uint64_t *word)
{
    char t[16];
    struct slice name = naive_name(0, t);
    assert_int_equal(vec_set_attr(v, name, slice_str(attr), NULL), 1);
    int ticket = epoch_begin();
    *word = columns_word(v, columns_find(v->columns, SLICE("a")), names_find(v, name, names_hash(v, name)), &scratch);
    epoch_end(ticket);
    return word_is_number(*word) ? 100 : WORD_TAG(*word);
}

static void what_words_hold(void **state)
{
    struct vec_index *v = make();
    uint64_t w;
    put(v, 0, SLICE("{}"));
    assert_int_equal(tag_of(v, "{\"a\":-2.5}", &w), 100);
    assert_true(word_number(w) == -2.5);
    assert_int_equal(tag_of(v, "{\"a\":0}", &w), 100);
    assert_int_equal(tag_of(v, "{\"a\":-0}", &w), 100);
    assert_int_equal(tag_of(v, "{\"a\":-1e308}", &w), 100);
    assert_true(word_number(w) == -1e308);
    assert_int_equal(tag_of(v, "{\"a\":true}", &w), 100);
    assert_true(word_number(w) == 1);
    assert_int_equal(tag_of(v, "{\"a\":null}", &w), WORD_NULL);
    assert_int_equal(tag_of(v, "{\"b\":1}", &w), WORD_MISSING);
    assert_int_equal(tag_of(v, "", &w), WORD_MISSING);
    assert_int_equal(tag_of(v, "{\"a\":{}}", &w), WORD_MISSING);
    assert_int_equal(tag_of(v, "{\"a\":\"x\\n\"}", &w), WORD_TEXT);
    struct slice s = texts_get(&columns_find(v->columns, SLICE("a"))->texts, (uint32_t)w);
    assert_true(slice_eq(s, SLICE("x\n")));
    uint64_t same = w;
    assert_int_equal(tag_of(v, "{\"a\":\"\\u0078\\n\"}", &w), WORD_TEXT);
    assert_int_equal(w, same);
    assert_int_equal(tag_of(v, "{\"a\":[1,\"y\"]}", &w), WORD_LIST);
    char longer[TEXTS_LONGEST + 20];
    snprintf(longer, sizeof longer, "{\"a\":\"%0*d\"}", TEXTS_LONGEST, 7);
    assert_int_equal(tag_of(v, longer, &w), WORD_TEXT);
    snprintf(longer, sizeof longer, "{\"a\":\"%0*d\"}", TEXTS_LONGEST + 1, 7);
    assert_int_equal(tag_of(v, longer, &w), WORD_ASK);
    vec_unref(v);
}

static void bounds(void **state)
{
    struct vec_index *v = make();
    char text[64];
    for (uint32_t e = 0; e < TEXTS_MOST + 500; e++) {
        snprintf(text, sizeof text, "{\"a\":\"t%u\"}", e);
        put(v, e, slice_str(text));
    }
    assert_int_equal(compare(v, ".a in ['t3', 't66000']"), 4);
    assert_int_equal(columns_find(v->columns, SLICE("a"))->texts.n, TEXTS_MOST);
    for (int i = 0; i < COLUMNS_MOST + 5; i++) {
        snprintf(text, sizeof text, "c%d", i);
        assert_true((columns_find(v->columns, slice_str(text)) != NULL) == (i < COLUMNS_MOST - 1));
    }
    assert_int_equal(columns_count(v->columns), COLUMNS_MOST);
    assert_int_equal(compare(v, ".c99 == 1 or .a == 't5'"), 0); /* no column for it: by the texts */
    assert_null(columns_find(v->columns, slice_of(text, COLUMN_NAME + 1)));
    vec_unref(v);
}

/* ---- beside a writer ---- */

static struct vec_index *shared;
static struct filter *pair;
static atomic_bool stop;
static atomic_ulong wrong, found;

/* The writer keeps .x + .y at 10 in every document: no reader may see a mix of two. */
static void *reader(void *arg)
{
    struct buf own = {0};
    while (!atomic_load(&stop)) {
        struct matcher m;
        int ticket = epoch_begin();
        matcher_init(&m, shared, pair);
        for (uint32_t n = 1; n < vec_top(shared); n++)
            if (vec_alive(shared, n)) {
                bool yes = matcher_test(&m, n, &own);
                atomic_fetch_add_explicit(yes ? &found : &wrong, 1, memory_order_relaxed);
            }
        epoch_end(ticket);
    }
    buf_release(&own);
    return NULL;
}

static void beside_a_writer(void **state)
{
    pthread_t threads[3];
    struct rng r;
    char text[64], t[16];
    rng_seed(&r, 4);
    shared = make();
    pair = filter_create(SLICE(".x + .y == 10 and .s in ['even', 'odd', 'more']"), NULL);
    for (uint32_t e = 0; e < N; e++)
        put(shared, e, SLICE("{\"x\":3, \"y\":7, \"s\":\"odd\"}"));
    for (int i = 0; i < 3; i++)
        pthread_create(&threads[i], NULL, reader, NULL);
    for (int i = 0; i < LIGHTER(200000); i++) {
        uint32_t e = (uint32_t)rng_below(&r, N);
        int x = (int)rng_below(&r, 11);
        snprintf(text, sizeof text, "{\"x\":%d, \"y\":%d, \"s\":\"%s\"}", x, 10 - x, x % 2 ? "odd" : "even");
        if (i % 8 == 0)
            vec_remove(shared, naive_name(e, t));
        if (i % 8 == 0 || i % 8 == 1)
            put(shared, e, slice_str(text));
        else
            vec_set_attr(shared, naive_name(e, t), slice_str(text), NULL);
    }
    atomic_store(&stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(atomic_load(&wrong), 0);
    assert_true(atomic_load(&found) > 0);
    assert_int_equal(compare(shared, ".x + .y == 10"), 2 * N);
    filter_destroy(pair);
    vec_unref(shared);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_expressions),
        cmocka_unit_test(what_words_hold),
        cmocka_unit_test(bounds),
        cmocka_unit_test(beside_a_writer),
    };
    int rc = cmocka_run_group_tests(tests, NULL, NULL);
    buf_release(&scratch);
    buf_release(&plain);
    return rc;
}
