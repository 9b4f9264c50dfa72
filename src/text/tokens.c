/* One pass over the code points; no copy of the text is made. */
#include "text/tokens.h"

#include <libstemmer.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"

struct tokeniser {
    struct sb_stemmer *stemmer; /* NULL: none */
    void (*token)(void *arg, struct slice term);
    void *arg;
    char word[TOKEN_MAX + 4];
    size_t n;
    bool marks_go;  /* the last letter is of a script whose accents are dropped */
    char before[8]; /* the character before in a run without spaces */
    size_t before_n;
};

struct tokeniser *tokeniser_create(const char *language)
{
    struct sb_stemmer *s = NULL;
    if (strcmp(language, "none") != 0 && !(s = sb_stemmer_new(language, "UTF_8")))
        return NULL;
    struct tokeniser *t = mem_zero(sizeof *t);
    t->stemmer = s;
    return t;
}

void tokeniser_destroy(struct tokeniser *t)
{
    if (t && t->stemmer)
        sb_stemmer_delete(t->stemmer);
    mem_free(t);
}

static void end_word(struct tokeniser *t)
{
    while (t->n && t->word[t->n - 1] == '\'')
        t->n--;
    if (t->n == 0)
        return;
    struct slice w = slice_of(t->word, t->n);
    t->n = 0;
    if (t->stemmer) {
        const sb_symbol *s = sb_stemmer_stem(t->stemmer, (const sb_symbol *)w.p, (int)w.len);
        if (s)
            w = slice_of((const char *)s, (size_t)sb_stemmer_length(t->stemmer));
    }
    if (w.len)
        t->token(t->arg, w);
}

static void end_run(struct tokeniser *t)
{
    end_word(t);
    t->before_n = 0;
}

static void add_to_word(struct tokeniser *t, int32_t c)
{
    uint8_t bytes[4];
    size_t n = (size_t)utf8proc_encode_char(c, bytes);
    t->before_n = 0;
    if (t->n + n > TOKEN_MAX)
        return;
    memcpy(t->word + t->n, bytes, n);
    t->n += n;
}

/* Scripts that are written without spaces, and Hangul, whose words carry their particles. */
static bool in_pairs(int32_t c)
{
    return (c >= 0x3040 && c <= 0x30ff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x4e00 && c <= 0x9fff) ||
           (c >= 0xac00 && c <= 0xd7a3) || (c >= 0xf900 && c <= 0xfaff) || (c >= 0x20000 && c <= 0x323af);
}

static void add_in_pairs(struct tokeniser *t, int32_t c)
{
    char pair[8];
    end_word(t);
    uint8_t bytes[4];
    size_t n = (size_t)utf8proc_encode_char(c, bytes), before = t->before_n;
    memcpy(pair, t->before, before);
    memcpy(pair + before, bytes, n);
    memcpy(t->before, bytes, n);
    t->before_n = n;
    t->token(t->arg, slice_of(pair + before, n));
    if (before)
        t->token(t->arg, slice_of(pair, before + n));
}

/* A folded code point. */
static void add(struct tokeniser *t, int32_t c)
{
    utf8proc_category_t k = utf8proc_category(c);
    if (in_pairs(c) && k == UTF8PROC_CATEGORY_LO) {
        add_in_pairs(t, c);
    } else if (k == UTF8PROC_CATEGORY_MN && t->marks_go) {
        return;
    } else if ((k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
               (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO)) {
        t->marks_go = c < 0x530;
        add_to_word(t, c);
    } else if ((k == UTF8PROC_CATEGORY_MN || k == UTF8PROC_CATEGORY_MC || c == '\'') && t->n) {
        add_to_word(t, c);
    } else {
        end_run(t);
    }
}

/* add() of an ASCII character, most of most texts: the same without Unicode's tables. */
static void add_ascii(struct tokeniser *t, char c)
{
    if (c >= 'A' && c <= 'Z')
        c = (char)(c | 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        t->marks_go = true;
        add_to_word(t, c);
    } else {
        add(t, c);
    }
}

void tokeniser_run(struct tokeniser *t, struct slice text, void (*token)(void *arg, struct slice term), void *arg)
{
    const uint8_t *p = (const uint8_t *)text.p;
    const int options = UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE;
    t->token = token;
    t->arg = arg;
    t->n = t->before_n = 0;
    t->marks_go = false;
    for (size_t at = 0; at < text.len;) {
        int32_t c, folded[32];
        int boundary = 0;
        size_t left = text.len - at;
        if (p[at] < 0x80) {
            add_ascii(t, text.p[at++]);
            continue;
        }
        utf8proc_ssize_t n = utf8proc_iterate(p + at, left < 4 ? (utf8proc_ssize_t)left : 4, &c);
        at += n > 0 ? (size_t)n : 1;
        if (n <= 0 || c < 0) {
            end_run(t);
        } else if (c == 0x2019) { /* the typographic apostrophe */
            add(t, '\'');
        } else if (in_pairs(c) && c < 0xf900) { /* folding would take Hangul and kana apart */
            add(t, c);
        } else {
            n = utf8proc_decompose_char(c, folded, 32, (utf8proc_option_t)options, &boundary);
            for (utf8proc_ssize_t i = 0; i < n && i < 32; i++)
                add(t, folded[i]);
        }
    }
    end_run(t);
}
