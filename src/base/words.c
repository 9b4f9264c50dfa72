/* Words and sentences by rules of thumb that fit on a page: no tables of Unicode, no dictionary.
 *
 * Letters are ASCII letters and digits, and every code point from U+00C0 on that is not known to be punctuation, a
 * space or a symbol. That is right for the living alphabets and harmless for the rest. */
#include "base/words.h"

#include "base/utf8.h"

static bool is_ascii_letter(uint32_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_letter(uint32_t c)
{
    if (c < 0x80)
        return is_ascii_letter(c);
    if (c < 0xc0)
        return c == 0xaa || c == 0xb5 || c == 0xba;
    if (c == 0xd7 || c == 0xf7 || c == 0xfffd)
        return false;
    static const uint32_t not_letters[][2] = {
        {0x2000, 0x206f}, {0x20a0, 0x20cf}, {0x2100, 0x2bff}, {0x2e00, 0x2e7f},   {0x3000, 0x3004}, {0x3007, 0x3020},
        {0x30fb, 0x30fb}, {0xfe10, 0xfe1f}, {0xfe30, 0xfe6f}, {0xff01, 0xff0f},   {0xff1a, 0xff20}, {0xff3b, 0xff40},
        {0xff5b, 0xff65}, {0xd800, 0xf8ff}, {0xfff0, 0xffff}, {0x1f000, 0x1faff},
    };
    for (size_t i = 0; i < sizeof not_letters / sizeof *not_letters; i++)
        if (c >= not_letters[i][0] && c <= not_letters[i][1])
            return false;
    return true;
}

static uint32_t peek(struct slice t, size_t at)
{
    return at < t.len ? utf8_next(t, &at) : 0;
}

static bool is_apostrophe(uint32_t c)
{
    return c == '\'' || c == 0x2019;
}

bool word_next(struct slice text, size_t *at, struct word *w)
{
    size_t i = *at, from = 0;
    bool inside = false;
    while (i < text.len) {
        size_t here = i;
        uint32_t c = utf8_next(text, &i);
        bool cjk = utf8_is_cjk(c) && is_letter(c);
        if (cjk && !inside) {
            *w = (struct word){slice_of(text.p + here, i - here), true};
            *at = i;
            return true;
        }
        bool letter = !cjk && is_letter(c);
        if (inside && is_apostrophe(c)) {
            uint32_t next = peek(text, i);
            letter = is_letter(next) && !utf8_is_cjk(next);
        }
        if (letter && !inside) {
            inside = true;
            from = here;
        } else if (!letter && inside) {
            i = here;
            break;
        }
    }
    *at = i;
    if (inside)
        *w = (struct word){slice_of(text.p + from, i - from), false};
    return inside;
}

/* Alphabets where upper and lower case alternate: the even (or odd) code point is the capital. */
static bool in(uint32_t c, uint32_t from, uint32_t to)
{
    return c >= from && c <= to;
}

uint32_t letter_lower(uint32_t c)
{
    if (in(c, 'A', 'Z'))
        return c + 32;
    if (c < 0xc0)
        return c;
    if (in(c, 0xc0, 0xde))
        return c == 0xd7 ? c : c + 32;
    if (c == 0x130) /* I with a dot */
        return 'i';
    if (c == 0x178)
        return 0xff;
    if (in(c, 0x100, 0x137) || in(c, 0x14a, 0x177) || in(c, 0x218, 0x233) || in(c, 0x370, 0x373) ||
        in(c, 0x3d8, 0x3ef) || in(c, 0x460, 0x481) || in(c, 0x48a, 0x4bf) || in(c, 0x4d0, 0x52f) ||
        in(c, 0x1e00, 0x1e95) || in(c, 0x1ea0, 0x1eff))
        return c | 1;
    if (in(c, 0x139, 0x148) || in(c, 0x179, 0x17e) || in(c, 0x4c1, 0x4ce))
        return c + (c & 1);
    if (c == 0x386)
        return 0x3ac;
    if (in(c, 0x388, 0x38a))
        return c + 37;
    if (c == 0x38c)
        return 0x3cc;
    if (c == 0x38e || c == 0x38f)
        return c + 63;
    if (in(c, 0x391, 0x3ab) && c != 0x3a2)
        return c + 32;
    if (c == 0x3c2) /* final sigma */
        return 0x3c3;
    if (in(c, 0x400, 0x40f))
        return c + 80;
    if (in(c, 0x410, 0x42f))
        return c + 32;
    if (in(c, 0xff21, 0xff3a)) /* full-width capitals, letters, digits */
        return c - 0xff21 + 'a';
    if (in(c, 0xff41, 0xff5a))
        return c - 0xff41 + 'a';
    if (in(c, 0xff10, 0xff19))
        return c - 0xff10 + '0';
    return c;
}

size_t word_fold(struct slice word, char *to, size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < word.len;) {
        char one[4];
        size_t k = utf8_put(one, letter_lower(utf8_next(word, &i)));
        if (n + k > max)
            break;
        memcpy(to + n, one, k);
        n += k;
    }
    return n;
}

bool word_is_stop(struct slice w)
{
    /* by length, each list in the form " word word " */
    static const char *const lists[] = {
        NULL,
        " a i s t ",
        " an as at be by do he if in is it me my no of on or so to up us we ",
        " all and any are but can did for had has her him his how its may not off our out own she such the too was who "
        "why you yes  \xe7\x9a\x84 \xe4\xba\x86 \xe6\x98\xaf \xe5\x9c\xa8 \xe5\x92\x8c \xe4\xb8\x8e \xe6\x88\x96 "
        "\xe5\x8f\x8a \xe4\xb9\x9f \xe9\x83\xbd \xe5\xb0\xb1 \xe5\x90\x97 \xe5\x91\xa2 \xe5\x90\xa7 \xe8\xbf\x99 "
        "\xe9\x82\xa3 \xe6\x9c\x89 \xe4\xb8\xba \xe4\xb9\x8b \xe4\xbb\xa5 \xe4\xbd\xa0 \xe6\x88\x91 \xe4\xbb\x96 "
        "\xe4\xbb\x80 \xe4\xb9\x88 \xe3\x81\xae \xe3\x81\xaf \xe3\x81\x8c \xe3\x82\x92 \xe3\x81\xab \xe3\x81\xa7 ",
        " also been both does down each from have here into just more most only over same some such than that them "
        "then "
        "they this very were what when will with your ",
        " about after again could every might other shall should their there these those under until where which while "
        "whose would ",
    };
    size_t n = w.len;
    if (n == 0 || n >= sizeof lists / sizeof *lists) {
        return n == 6 && (memcmp(w.p, "should", 6) == 0 || memcmp(w.p, "please", 6) == 0);
    }
    for (const char *p = lists[n]; (p = memchr(p, ' ', strlen(p))) && p[1]; p++)
        if (strncmp(p + 1, w.p, n) == 0 && p[1 + n] == ' ')
            return true;
    return false;
}

/* ---- sentences ---- */

static bool is_space(char c)
{
    return c == ' ' || c == '\n' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_cjk_stop(uint32_t c)
{
    return c == 0x3002 || c == 0xff01 || c == 0xff1f || c == 0xff1b || c == 0xff61;
}

static bool closes(uint32_t c)
{
    return c == '"' || c == '\'' || c == ')' || c == ']' || c == 0x201d || c == 0x2019 || c == 0x300d || c == 0x300f ||
           c == 0xff09 || c == 0xbb;
}

/* The word before a full stop: is it one that a stop belongs to? A single letter, a number at the start, "e.g.". */
static bool is_abbreviation(struct slice t, size_t start, size_t dot)
{
    static const char *const known[] = {"mr", "mrs", "ms",  "dr", "prof", "st",  "vs",  "etc", "e.g",    "i.e", "cf",
                                        "no", "inc", "ltd", "co", "jr",   "fig", "sec", "art", "approx", "al"};
    size_t from = dot;
    while (from > start && !is_space(t.p[from - 1]) && t.p[from - 1] != '(' && t.p[from - 1] != '"')
        from--;
    struct slice w = slice_of(t.p + from, dot - from);
    if (w.len == 1 && w.p[0] != 'I' && is_ascii_letter((unsigned char)w.p[0]))
        return true;
    size_t digits = 0;
    while (digits < w.len && w.p[digits] >= '0' && w.p[digits] <= '9')
        digits++;
    if (from == start && digits == w.len && w.len <= 3)
        return true; /* "5. Conveying": the number of a heading */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (slice_is(w, known[i]))
            return true;
    return false;
}

/* At a line break: does the next line begin something of its own (an empty line, a list item, a [label])? */
static bool breaks_here(struct slice t, size_t lf)
{
    size_t i = lf + 1;
    while (i < t.len && (t.p[i] == ' ' || t.p[i] == '\t' || t.p[i] == '\r'))
        i++;
    if (i >= t.len || t.p[i] == '\n' || t.p[i] == '[' || t.p[i] == '#')
        return true;
    if ((t.p[i] == '-' || t.p[i] == '*') && i + 1 < t.len && t.p[i + 1] == ' ')
        return true;
    size_t d = i;
    while (d < t.len && t.p[d] >= '0' && t.p[d] <= '9')
        d++;
    return d > i && d - i <= 3 && d + 1 < t.len && (t.p[d] == '.' || t.p[d] == ')') && t.p[d + 1] == ' ';
}

static size_t skip_closers(struct slice t, size_t at)
{
    while (at < t.len) {
        size_t next = at;
        if (!closes(utf8_next(t, &next)))
            break;
        at = next;
    }
    return at;
}

/* Where the sentence that starts at `start` ends. */
static size_t sentence_end(struct slice t, size_t start)
{
    size_t i = start;
    while (i < t.len) {
        size_t here = i;
        uint32_t c = utf8_next(t, &i);
        if (is_cjk_stop(c))
            return skip_closers(t, i);
        if (c == '\n' && breaks_here(t, here))
            return here;
        if (c != '.' && c != '!' && c != '?')
            continue;
        size_t after = skip_closers(t, i);
        if (after < t.len && !is_space(t.p[after]))
            continue;
        if (c == '.' && is_abbreviation(t, start, here))
            continue;
        return after;
    }
    return t.len;
}

bool sentence_next(struct slice t, size_t *at, struct slice *out)
{
    size_t from = *at;
    while (from < t.len && is_space(t.p[from]))
        from++;
    if (from >= t.len) {
        *at = t.len;
        return false;
    }
    size_t end = sentence_end(t, from);
    *at = end;
    while (end > from && is_space(t.p[end - 1]))
        end--;
    *out = slice_of(t.p + from, end - from);
    return true;
}
