/* Compiling and matching Lua patterns. What would surprise: captures are numbered while compiling, so backtracking
 * never has to undo them; whoever reads a capture has passed its opening item on the same path. */
#include "script/pattern.h"

#include <ctype.h>

enum kind { SET, OPEN, CLOSE, POSITION, BALANCE, FRONTIER, BACKREF, END };
enum quant { ONE, OPTIONAL, STAR, PLUS, LAZY };

#define TICK_STEPS 8192

struct compiler {
    struct slice text;
    size_t at;
    struct pattern *p;
    int open[PATTERN_CAPTURES], nopen;
    bool closed[PATTERN_CAPTURES];
    struct err *err;
};

static void set_add(uint64_t set[4], unsigned char c)
{
    set[c >> 6] |= 1ull << (c & 63);
}

static bool set_has(const uint64_t set[4], unsigned char c)
{
    return set[c >> 6] >> (c & 63) & 1;
}

static bool class_has(int letter, int c)
{
    switch (letter) {
    case 'a': return isalpha(c);
    case 'c': return iscntrl(c);
    case 'd': return isdigit(c);
    case 'l': return islower(c);
    case 'p': return ispunct(c);
    case 's': return isspace(c);
    case 'u': return isupper(c);
    case 'w': return isalnum(c);
    case 'x': return isxdigit(c);
    default: return c == 0; /* z */
    }
}

/* %a and its like, %A for the rest of the bytes, %. for the byte itself. */
static void add_escape(uint64_t set[4], unsigned char letter)
{
    int low = tolower(letter);
    if (!letter || !strchr("acdlpsuwxz", low)) {
        set_add(set, letter);
        return;
    }
    for (int c = 0; c < 256; c++)
        if (class_has(low, c) == (low == letter))
            set_add(set, (unsigned char)c);
}

/* The inside of [...], `at` behind the bracket. */
static int compile_set(struct compiler *c, uint64_t set[4])
{
    struct slice t = c->text;
    bool negate = c->at < t.len && t.p[c->at] == '^';
    c->at += negate;
    for (size_t first = c->at;;) {
        if (c->at >= t.len)
            return err_set(c->err, ERR_INVALID, "malformed pattern (missing ']')");
        unsigned char b = (unsigned char)t.p[c->at++];
        if (b == ']' && c->at - 1 != first)
            break;
        if (b == '%') {
            if (c->at >= t.len)
                return err_set(c->err, ERR_INVALID, "malformed pattern (ends with '%%')");
            add_escape(set, (unsigned char)t.p[c->at++]);
        } else if (c->at + 1 < t.len && t.p[c->at] == '-' && t.p[c->at + 1] != ']') {
            for (int x = b; x <= (unsigned char)t.p[c->at + 1]; x++)
                set_add(set, (unsigned char)x);
            c->at += 2;
        } else {
            set_add(set, b);
        }
    }
    for (int i = 0; negate && i < 4; i++)
        set[i] = ~set[i];
    return 0;
}

static int compile_capture(struct compiler *c, struct pattern_item *it, bool opening)
{
    struct pattern *p = c->p;
    if (!opening) {
        if (c->nopen == 0)
            return err_set(c->err, ERR_INVALID, "invalid pattern capture");
        it->kind = CLOSE;
        it->a = (uint8_t)c->open[--c->nopen];
        c->closed[it->a] = true;
        return 0;
    }
    if (p->captures == PATTERN_CAPTURES)
        return err_set(c->err, ERR_INVALID, "too many captures");
    it->a = (uint8_t)p->captures++;
    if (c->at < c->text.len && c->text.p[c->at] == ')') {
        c->at++;
        it->kind = POSITION;
        c->closed[it->a] = true;
        return 0;
    }
    it->kind = OPEN;
    c->open[c->nopen++] = it->a;
    return 0;
}

/* What follows a '%'. Returns 1 when it is a single byte's set (which may carry a quantifier). */
static int compile_percent(struct compiler *c, struct pattern_item *it)
{
    struct slice t = c->text;
    if (c->at >= t.len)
        return err_set(c->err, ERR_INVALID, "malformed pattern (ends with '%%')");
    unsigned char b = (unsigned char)t.p[c->at++];
    if (b == 'b') {
        if (t.len - c->at < 2)
            return err_set(c->err, ERR_INVALID, "unbalanced pattern");
        it->kind = BALANCE;
        it->a = (uint8_t)t.p[c->at++];
        it->b = (uint8_t)t.p[c->at++];
        return 0;
    }
    if (b == 'f') {
        if (c->at >= t.len || t.p[c->at] != '[')
            return err_set(c->err, ERR_INVALID, "missing '[' after '%%f' in pattern");
        c->at++;
        it->kind = FRONTIER;
        return compile_set(c, it->set);
    }
    if (isdigit(b)) {
        int n = b - '1';
        if (n < 0 || n >= c->p->captures || !c->closed[n])
            return err_set(c->err, ERR_INVALID, "invalid capture index");
        it->kind = BACKREF;
        it->a = (uint8_t)n;
        return 0;
    }
    add_escape(it->set, b);
    return 1;
}

static void compile_quant(struct compiler *c, struct pattern_item *it)
{
    static const char marks[] = "?*+-";
    const char *m = c->at < c->text.len && c->text.p[c->at] ? strchr(marks, c->text.p[c->at]) : NULL;
    if (!m)
        return;
    it->quant = (uint8_t)(OPTIONAL + (m - marks));
    c->at++;
}

static int compile_item(struct compiler *c, struct pattern_item *it)
{
    unsigned char b = (unsigned char)c->text.p[c->at++];
    int single = 1;
    if (b == '(' || b == ')')
        return compile_capture(c, it, b == '(');
    if (b == '$' && c->at == c->text.len) {
        it->kind = END;
        return 0;
    }
    if (b == '%')
        single = compile_percent(c, it);
    else if (b == '[')
        single = compile_set(c, it->set) < 0 ? -1 : 1;
    else if (b == '.')
        memset(it->set, 0xff, sizeof it->set);
    else
        set_add(it->set, b);
    if (single == 1)
        compile_quant(c, it);
    return single < 0 ? ERR_INVALID : 0;
}

int pattern_compile(struct pattern *p, struct slice text, struct err *err)
{
    struct compiler c = {.text = text, .p = p, .err = err};
    p->n = p->captures = 0;
    p->anchored = text.len && text.p[0] == '^';
    c.at = p->anchored;
    while (c.at < text.len) {
        if (p->n == PATTERN_ITEMS)
            return err_set(err, ERR_INVALID, "pattern too complex (over %d items)", PATTERN_ITEMS);
        struct pattern_item *it = &p->items[p->n++];
        *it = (struct pattern_item){.kind = SET};
        if (compile_item(&c, it) < 0)
            return ERR_INVALID;
    }
    return c.nopen ? err_set(err, ERR_INVALID, "unfinished capture") : 0;
}

struct matcher {
    const struct pattern *p;
    struct slice s;
    const struct pattern_ticker *t;
    unsigned steps;
    bool stopped;
    struct pattern_match *m;
};

#define NO_MATCH SIZE_MAX

static bool go_on(struct matcher *x)
{
    if (++x->steps % TICK_STEPS == 0 && x->t && x->t->tick && !x->t->tick(x->t->arg))
        x->stopped = true;
    return !x->stopped;
}

static bool has_at(const struct matcher *x, const struct pattern_item *it, size_t at)
{
    return at < x->s.len && set_has(it->set, (unsigned char)x->s.p[at]);
}

static size_t balance(struct matcher *x, const struct pattern_item *it, size_t at)
{
    if (at >= x->s.len || (uint8_t)x->s.p[at] != it->a)
        return NO_MATCH;
    size_t depth = 1;
    for (size_t i = at + 1; i < x->s.len && go_on(x); i++) {
        uint8_t b = (uint8_t)x->s.p[i];
        if (b == it->b) {
            if (--depth == 0)
                return i + 1;
        } else if (b == it->a) {
            depth++;
        }
    }
    return NO_MATCH;
}

static bool frontier(const struct matcher *x, const struct pattern_item *it, size_t at)
{
    unsigned char before = at ? (unsigned char)x->s.p[at - 1] : 0;
    unsigned char here = at < x->s.len ? (unsigned char)x->s.p[at] : 0;
    return !set_has(it->set, before) && set_has(it->set, here);
}

static size_t backref(const struct matcher *x, const struct pattern_item *it, size_t at)
{
    ptrdiff_t len = x->m->cap[it->a].len;
    if (len < 0 || (size_t)len > x->s.len - at || memcmp(x->s.p + x->m->cap[it->a].at, x->s.p + at, (size_t)len) != 0)
        return NO_MATCH;
    return at + (size_t)len;
}

static size_t match_items(struct matcher *x, size_t at, int i);

/* A set with a quantifier other than ONE: tries the counts it allows, the longest first, or the shortest for LAZY. */
static size_t match_many(struct matcher *x, const struct pattern_item *it, size_t at, int i)
{
    size_t most = it->quant == OPTIONAL ? 1 : SIZE_MAX, least = it->quant == PLUS, k = 0, end;
    if (it->quant == LAZY) {
        while ((end = match_items(x, at + k, i + 1)) == NO_MATCH && go_on(x) && has_at(x, it, at + k))
            k++;
        return end;
    }
    while (k < most && has_at(x, it, at + k) && go_on(x))
        k++;
    for (;; k--) {
        if (k < least || x->stopped)
            return NO_MATCH;
        if ((end = match_items(x, at + k, i + 1)) != NO_MATCH || k == 0)
            return end;
    }
}

static size_t match_items(struct matcher *x, size_t at, int i)
{
    for (; i < x->p->n; i++) {
        const struct pattern_item *it = &x->p->items[i];
        if (!go_on(x))
            return NO_MATCH;
        switch (it->kind) {
        case OPEN:
        case POSITION:
            x->m->cap[it->a].at = at;
            x->m->cap[it->a].len = PATTERN_POSITION;
            break;
        case CLOSE: x->m->cap[it->a].len = (ptrdiff_t)(at - x->m->cap[it->a].at); break;
        case END:
            if (at != x->s.len)
                return NO_MATCH;
            break;
        case FRONTIER:
            if (!frontier(x, it, at))
                return NO_MATCH;
            break;
        case BALANCE:
            if ((at = balance(x, it, at)) == NO_MATCH)
                return NO_MATCH;
            break;
        case BACKREF:
            if ((at = backref(x, it, at)) == NO_MATCH)
                return NO_MATCH;
            break;
        default:
            if (it->quant != ONE)
                return match_many(x, it, at, i);
            if (!has_at(x, it, at))
                return NO_MATCH;
            at++;
        }
    }
    return at;
}

static int match_from(struct matcher *x, size_t at)
{
    size_t end = match_items(x, at, 0);
    if (x->stopped)
        return ERR_STATE;
    x->m->start = at;
    x->m->end = end;
    return end != NO_MATCH;
}

int pattern_match_at(const struct pattern *p, struct slice subject, size_t at, const struct pattern_ticker *t,
                     struct pattern_match *m)
{
    struct matcher x = {.p = p, .s = subject, .t = t, .m = m};
    return match_from(&x, at);
}

int pattern_find(const struct pattern *p, struct slice subject, size_t from, const struct pattern_ticker *t,
                 struct pattern_match *m)
{
    struct matcher x = {.p = p, .s = subject, .t = t, .m = m};
    for (size_t at = from; at <= subject.len; at++) {
        int r = match_from(&x, at);
        if (r || p->anchored)
            return r;
    }
    return 0;
}
