/* builtin/hash: unit length, the same bits everywhere, related text nearer than unrelated text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/hash.h"
#include "base/mem.h"
#include "embed/hash.h"

#define DIM EMBED_HASH_DIM

static void embed(const char *text, float *to)
{
    struct err err;
    assert_int_equal(embed_hash(slice_str(text), to, DIM, &err), 0);
}

static double dot(const float *a, const float *b)
{
    double s = 0;
    for (int i = 0; i < DIM; i++)
        s += (double)a[i] * b[i];
    return s;
}

static double likeness(const char *a, const char *b)
{
    float x[DIM], y[DIM];
    embed(a, x);
    embed(b, y);
    return dot(x, y);
}

static void vectors_have_length_one(void **state)
{
    static const char *const texts[] = {
        "x", "the", "a the of", "Hello, world", "\xe4\xb8\xad", "\xe4\xb8\xad\xe6\x96\x87", "7"};
    struct err err;
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        float v[4096];
        for (int dim = EMBED_HASH_DIM_MIN; dim <= 4096; dim *= 4) {
            double s = 0;
            assert_int_equal(embed_hash(slice_str(texts[i]), v, dim, &err), 0);
            for (int k = 0; k < dim; k++)
                s += (double)v[k] * v[k];
            assert_true(fabs(s - 1) < 1e-5);
        }
    }
}

/* Vectors live in files: a change of these bits is a new model, not an improvement of this one. */
static void the_bits_are_fixed(void **state)
{
    static const struct {
        const char *text;
        uint64_t digest;
    } golden[] = {
        {"The quick brown fox jumps over the lazy dog, and the dog's dog too.", 0xb6fb0d270475f624},
        {"\xe4\xbd\xa0\xe5\xa5\xbd\xef\xbc\x8c\xe4\xb8\x96\xe7\x95\x8c\xe3\x80\x82 Stra\xc3\x9f"
         "e \xd0\x9c\xd0\x98\xd0\xa0 42",
         0x358cb6f6eb1f8704},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        float v[DIM];
        embed(golden[i].text, v);
        assert_int_equal(hash_stable(v, sizeof v, 0), golden[i].digest);
    }
}

static void what_cannot_be_embedded_is_refused(void **state)
{
    float v[DIM] = {7};
    struct err err;
    assert_int_equal(embed_hash(SLICE(""), v, DIM, &err), ERR_INVALID);
    assert_int_equal(embed_hash(SLICE(" -- !"), v, DIM, &err), ERR_INVALID);
    assert_int_equal(embed_hash(SLICE("a\xff"), v, DIM, &err), ERR_INVALID);
    assert_int_equal(embed_hash(SLICE("a"), v, 15, &err), ERR_INVALID);
    assert_int_equal(embed_hash(SLICE("a"), v, EMBED_HASH_DIM_MAX + 1, &err), ERR_INVALID);
    char *big = mem_zero(EMBED_HASH_TEXT_MAX + 1);
    memset(big, 'a', EMBED_HASH_TEXT_MAX + 1);
    assert_int_equal(embed_hash(slice_of(big, EMBED_HASH_TEXT_MAX + 1), v, DIM, &err), ERR_INVALID);
    assert_true(v[0] == 7);
    assert_int_equal(embed_hash(slice_of(big, EMBED_HASH_TEXT_MAX), v, DIM, &err), 0);
    mem_free(big);
}

static void case_form_and_script(void **state)
{
    assert_true(likeness("License TERMS", "license terms") > 0.999);
    assert_true(likeness("\xc3\x84RGER", "\xc3\xa4rger") > 0.999);
    assert_true(likeness("conveying copies", "conveys a copy") > 0.15);
    assert_true(likeness("misspelling", "mispelling") > 0.25);
    assert_true(fabs(likeness("completely different words", "hardly anything related")) < 0.2);
    const char *zh = "\xe6\x95\xb0\xe6\x8d\xae\xe5\xba\x93\xe7\xb4\xa2\xe5\xbc\x95";      /* database index */
    const char *zh_near = "\xe5\xbb\xba\xe7\xab\x8b\xe6\x95\xb0\xe6\x8d\xae\xe5\xba\x93"; /* to set up a database */
    const char *zh_far =
        "\xe4\xbb\x8a\xe5\xa4\xa9\xe5\xa4\xa9\xe6\xb0\x94\xe5\xbe\x88\xe5\xa5\xbd"; /* fine weather today */
    assert_true(likeness(zh, zh_near) > likeness(zh, zh_far) + 0.2);
}

struct doc {
    struct buf text;
    struct slice part[200];
    int n;
};

static bool read_gpl(struct doc *d)
{
    FILE *f = fopen("/usr/share/common-licenses/GPL-3", "r");
    if (!f)
        return false;
    char room[4096];
    for (size_t n; (n = fread(room, 1, sizeof room, f)) > 0;)
        buf_add(&d->text, room, n);
    fclose(f);
    size_t from = 0;
    for (size_t i = 0; i + 1 < d->text.len; i++)
        if (memcmp(d->text.p + i, "\n\n", 2) == 0 && i - from > 300 && d->n < 199) {
            d->part[d->n++] = slice_of(d->text.p + from, i - from);
            from = i;
        }
    d->part[d->n++] = slice_of(d->text.p + from, d->text.len - from);
    return true;
}

static void questions_find_their_passage(void **state)
{
    static const struct {
        const char *question, *in_answer;
        int rank; /* the passage is among the first so many */
    } asked[] = {
        {"Can I charge a price for conveying copies?", "You may charge any price or no price", 1},
        {"How long must I offer the source code to someone with the object code?", "valid for at least three years", 1},
        {"What happens to my license if I violate it, and how is it reinstated?", "cease all violation of this License",
         1},
        {"patent license granted by contributors", "non-exclusive, worldwide, royalty-free", 1},
        {"What warranty does the program come with?", "Disclaimer of Warranty", 2},
        {"Who may publish new versions of the GNU General Public License?", "revised and/or new versions", 1},
    };
    struct doc d = {0};
    if (!read_gpl(&d))
        skip();
    float(*v)[DIM] = mem_alloc((size_t)d.n * sizeof *v);
    struct err err;
    for (int i = 0; i < d.n; i++)
        assert_int_equal(embed_hash(d.part[i], v[i], DIM, &err), 0);
    for (size_t q = 0; q < sizeof asked / sizeof *asked; q++) {
        float x[DIM];
        embed(asked[q].question, x);
        int answer = -1, better = 0;
        for (int i = 0; i < d.n && answer < 0; i++)
            if (memmem(d.part[i].p, d.part[i].len, asked[q].in_answer, strlen(asked[q].in_answer)))
                answer = i;
        assert_true(answer >= 0);
        for (int i = 0; i < d.n; i++)
            better += dot(x, v[i]) > dot(x, v[answer]);
        assert_true(better < asked[q].rank);
    }
    mem_free(v);
    buf_release(&d.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vectors_have_length_one),
        cmocka_unit_test(the_bits_are_fixed),
        cmocka_unit_test(what_cannot_be_embedded_is_refused),
        cmocka_unit_test(case_form_and_script),
        cmocka_unit_test(questions_find_their_passage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
