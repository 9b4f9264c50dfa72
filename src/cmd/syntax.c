#include "cmd/syntax.h"

#include <ctype.h>

#define MAX_ARGS 192

struct parser {
    const char *p;
    bool bad;
};

static struct arg pool[MAX_ARGS];
static int used;

static struct arg *arg_make(enum arg_kind kind)
{
    if (used == MAX_ARGS)
        return NULL;
    struct arg *a = &pool[used++];
    *a = (struct arg){.kind = kind};
    return a;
}

static void spaces(struct parser *s)
{
    while (*s->p == ' ')
        s->p++;
}

static bool is_word_char(char c)
{
    return c && !strchr(" []()|", c) && c != '\n';
}

static struct slice word(struct parser *s)
{
    const char *from = s->p;
    while (is_word_char(*s->p) && strncmp(s->p, "...", 3) != 0)
        s->p++;
    return slice_of(from, (size_t)(s->p - from));
}

static bool is_token(struct slice w)
{
    bool upper = false;
    for (size_t i = 0; i < w.len; i++) {
        if (islower((unsigned char)w.p[i]))
            return false;
        upper |= isupper((unsigned char)w.p[i]) || !isalnum((unsigned char)w.p[i]);
    }
    return upper;
}

/* increment:int */
static void take_type(struct arg *a)
{
    static const char *const types[] = {"int", "double", "str", "key", "pattern"};
    const char *colon = memchr(a->name.p, ':', a->name.len);
    if (!colon)
        return;
    struct slice type = slice_of(colon + 1, (size_t)(a->name.p + a->name.len - colon - 1));
    size_t n = type.len && isdigit((unsigned char)type.p[type.len - 1]) ? type.len - 1 : type.len;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (slice_eq(slice_of(type.p, n), slice_str(types[i]))) {
            a->type = type;
            a->name.len = (size_t)(colon - a->name.p);
        }
}

static struct arg *alternatives(struct parser *s, char close);

/* One item: a word, or a bracket; with its `...`. */
static struct arg *item(struct parser *s)
{
    struct arg *a = NULL;
    bool bracket = *s->p == '[' || *s->p == '(';
    if (bracket) {
        bool optional = *s->p == '[';
        s->p++;
        a = alternatives(s, optional ? ']' : ')');
        if (a)
            a->optional |= optional;
    } else {
        struct slice w = word(s);
        if (w.len == 0) {
            s->bad = true;
            return NULL;
        }
        if ((a = arg_make(is_token(w) ? ARG_TOKEN : ARG_VALUE))) {
            a->name = w;
            take_type(a);
            if (a->kind == ARG_TOKEN)
                a->token = w;
        }
    }
    const char *dots = s->p + strspn(s->p, " ");
    if (a && strncmp(dots, "...", 3) == 0) {
        s->p = dots;
        a->multiple = true;
        a->multiple_token = bracket && a->token.p; /* [STOP text]...: the word comes again, too */
        s->p += 3;
    }
    s->bad |= a == NULL;
    return a;
}

/* A token directly before a plain value or block becomes that argument's token: EX seconds. */
static struct arg *join_tokens(struct arg *first)
{
    for (struct arg *a = first; a; a = a->next) {
        struct arg *n = a->next;
        if (a->kind != ARG_TOKEN || a->optional || a->multiple || !n || n->token.p || n->optional)
            continue;
        struct slice token = a->token;
        *a = *n;
        a->token = token;
    }
    return first;
}

static struct arg *sequence(struct parser *s, char close)
{
    struct arg *first = NULL, **tail = &first;
    for (spaces(s); *s->p && *s->p != '|' && *s->p != close && !s->bad; spaces(s)) {
        *tail = item(s);
        if (!*tail)
            return NULL;
        tail = &(*tail)->next;
    }
    return join_tokens(first);
}

/* Wraps a sequence of several into a block; a single one stays as it is. */
static struct arg *as_one(struct arg *first)
{
    if (!first || !first->next)
        return first;
    struct arg *b = arg_make(ARG_BLOCK);
    if (b) {
        b->child = first;
        b->name = first->name;
        if (first->token.p && !first->optional &&
            first->kind == ARG_TOKEN) { /* TOKEN [a] b: the token is the block's */
            b->token = first->token;
            b->child = first->next;
        } else if (first->token.p && !first->optional && first->kind == ARG_VALUE) { /* TOKEN a b, joined already */
            b->token = first->token;
            first->token = (struct slice){0};
        }
    }
    return b;
}

static struct arg *alternatives(struct parser *s, char close)
{
    struct arg *first = as_one(sequence(s, close)), **tail;
    if (first && *s->p == '|') {
        struct arg *o = arg_make(ARG_ONEOF);
        if (!o)
            return NULL;
        o->child = first;
        o->name = first->name;
        tail = &first->next;
        while (*s->p == '|' && !s->bad) {
            s->p++;
            *tail = as_one(sequence(s, close));
            s->bad |= *tail == NULL;
            if (*tail)
                tail = &(*tail)->next;
        }
        first = o;
    }
    if (*s->p != close)
        s->bad = true;
    else if (close)
        s->p++;
    return first;
}

struct arg *syntax_parse(const char *text, bool *ok)
{
    struct parser s = {.p = text};
    used = 0;
    struct arg *a = sequence(&s, 0);
    *ok = !s.bad && !*s.p;
    return *ok ? a : NULL;
}

size_t syntax_count(const struct arg *a)
{
    size_t n = 0;
    for (; a; a = a->next)
        n++;
    return n;
}

static bool one_of_words(struct slice name, const char *const *words)
{
    for (; *words; words++)
        if (slice_is(name, *words))
            return true;
    return false;
}

const char *syntax_type(const struct arg *a)
{
    static const char *const keys[] = {"key", "newkey", "source", "destination", "session", NULL};
    static const char *const ints[] = {
        "bit",            "bits",         "client-id", "increment", "protover", "weight", "frequency",
        "ttl",            "num-matches",  "index1",    "index2",    "min-match-len", "entries-added",
        "entries-read",   "numreplicas",  "port",      "slot",      "start-slot", "end-slot", "cluster-bus-port",
        "config-epoch",   "version",
        "seconds",        "milliseconds", "count",     "index", "start",   "stop",       "offset", "n",     "k",
        "cursor",         "len",          "decrement", "db",    "numkeys", "timeout-ms", "num",    "limit", "rank",
        "destination-db", "ms",           "dim",       NULL};
    static const char *const doubles[] = {"longitude",   "latitude",  "width",     "height",
                                          "score",       "min-score", "max-score", "float",
                                          "temperature", "radius",    "timeout",   NULL};
    static const char *const patterns[] = {"pattern", NULL};
    static const char *const times[] = {"unix-time-seconds", "unix-time-milliseconds", NULL};
    switch (a->kind) {
    case ARG_TOKEN: return "pure-token";
    case ARG_ONEOF: return "oneof";
    case ARG_BLOCK: return "block";
    default: break;
    }
    switch (a->type.len ? a->type.p[0] : 0) {
    case 'i': return "integer";
    case 'd': return "double";
    case 's': return "string";
    case 'k': return "key";
    case 'p': return "pattern";
    default: break;
    }
    return one_of_words(a->name, keys)       ? "key"
           : one_of_words(a->name, ints)     ? "integer"
           : one_of_words(a->name, doubles)  ? "double"
           : one_of_words(a->name, patterns) ? "pattern"
           : one_of_words(a->name, times)    ? "unix-time"
                                             : "string";
}

static void lower_name(struct reply *r, struct slice name)
{
    char text[64];
    size_t n = name.len < sizeof text ? name.len : sizeof text;
    for (size_t i = 0; i < n; i++)
        text[i] = (char)tolower((unsigned char)name.p[i]);
    reply_bulk(r, slice_of(text, n));
}

struct telling {
    struct reply *r;
    int nspecs, nkeys; /* keys told so far */
};

static void args_reply(struct telling *t, const struct arg *a);

/* The key specification that an argument belongs to; -1: none. */
static int spec_of(struct telling *t, const struct arg *a, const char *type)
{
    char last = a->type.len ? a->type.p[a->type.len - 1] : 0;
    if (isdigit((unsigned char)last))
        return last - '0';
    if (strcmp(type, "key") != 0)
        return -1;
    int spec = t->nkeys++;
    return spec < t->nspecs ? spec : t->nspecs ? t->nspecs - 1 : 0;
}

static void arg_reply(struct telling *t, const struct arg *a)
{
    struct reply *r = t->r;
    const char *type = syntax_type(a);
    bool flags = a->optional || a->multiple || a->multiple_token;
    bool nested = a->kind == ARG_ONEOF || a->kind == ARG_BLOCK;
    int spec = nested ? -1 : spec_of(t, a, type);
    reply_map(r, (size_t)(2 + !nested + (spec >= 0) + (a->token.p != NULL) + flags + nested));
    reply_str(r, "name");
    lower_name(r, a->name);
    reply_str(r, "type");
    reply_str(r, type);
    if (!nested) {
        reply_str(r, "display_text");
        lower_name(r, a->name);
    }
    if (spec >= 0) {
        reply_str(r, "key_spec_index");
        reply_int(r, spec);
    }
    if (a->token.p) {
        reply_str(r, "token");
        reply_bulk(r, a->token);
    }
    if (flags) {
        reply_str(r, "flags");
        reply_array(r, (size_t)(a->optional + a->multiple + a->multiple_token));
        if (a->optional)
            reply_status(r, "optional");
        if (a->multiple)
            reply_status(r, "multiple");
        if (a->multiple_token)
            reply_status(r, "multiple_token");
    }
    if (nested) {
        reply_str(r, "arguments");
        args_reply(t, a->child);
    }
}

static void args_reply(struct telling *t, const struct arg *a)
{
    reply_array(t->r, syntax_count(a));
    for (; a; a = a->next)
        arg_reply(t, a);
}

void syntax_reply(struct reply *r, const struct arg *a, int nspecs)
{
    args_reply(&(struct telling){r, nspecs, 0}, a);
}
