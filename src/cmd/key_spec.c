#include "cmd/key_spec.h"

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/num.h"

static const struct {
    const char *name;
    unsigned use;
} use_names[] = {
    {"RO", KEY_RO},         {"RW", KEY_RW},
    {"OW", KEY_OW},         {"RM", KEY_RM},
    {"access", KEY_ACCESS}, {"update", KEY_UPDATE},
    {"insert", KEY_INSERT}, {"delete", KEY_DELETE},
    {"not_key", KEY_NOT_KEY}, {"incomplete", KEY_INCOMPLETE},
    {"variable_flags", KEY_VARIABLE},
};
#define NUSES (sizeof use_names / sizeof *use_names)

/* ---- the text ---- */

static _Noreturn void bad(const struct cmd *cmd)
{
    fprintf(stderr, "skald: the key specification of %s is wrong: %s\n", cmd->name, cmd->key_spec);
    abort();
}

static struct slice next_word(const char **p)
{
    while (**p == ' ')
        ++*p;
    const char *from = *p;
    while (**p && **p != ' ' && **p != ';')
        ++*p;
    return slice_of(from, (size_t)(*p - from));
}

static int number(const struct cmd *cmd, const char **p)
{
    int64_t n;
    if (!num_to_i64(next_word(p), &n))
        bad(cmd);
    return (int)n;
}

static void parse_begin(const struct cmd *cmd, struct slice word, struct key_spec *s)
{
    int64_t n;
    const char *colon = memchr(word.p, ':', word.len);
    struct slice index = slice_of(word.p + 1, word.len - 1);
    if (slice_eq(index, SLICE("?")))
        index = SLICE("0");
    if (colon) {
        s->word = word.p + 1;
        s->word_len = (size_t)(colon - word.p - 1);
        index = slice_of(colon + 1, (size_t)(word.p + word.len - colon - 1));
    }
    if (!num_to_i64(index, &n))
        bad(cmd);
    s->begin = (int)n;
    s->a = 0;
    s->b = 1;
    s->c = 0;
}

static unsigned use_of(struct slice word)
{
    for (size_t i = 0; i < NUSES; i++)
        if (slice_eq(word, slice_str(use_names[i].name)))
            return use_names[i].use;
    return 0;
}

static void parse_part(const struct cmd *cmd, const char **p, struct key_spec *s)
{
    *s = (struct key_spec){.begin = cmd->first,
                           .a = cmd->last < 0 ? cmd->last : cmd->last - cmd->first,
                           .b = cmd->step};
    for (struct slice word; (word = next_word(p)).len;) {
        unsigned use = use_of(word);
        if (use) {
            s->use |= use;
        } else if (word.p[0] == '@') {
            parse_begin(cmd, word, s);
        } else if (slice_eq(word, SLICE("range")) || slice_eq(word, SLICE("keynum"))) {
            s->counted = word.p[0] == 'k';
            s->a = number(cmd, p);
            s->b = number(cmd, p);
            s->c = number(cmd, p);
        } else {
            bad(cmd);
        }
    }
    if (s->use == 0)
        bad(cmd);
}

/* A row that says nothing. One without fixed positions has a callback that finds them, and nobody knows more. */
static int implied(const struct cmd *cmd, struct key_spec *s)
{
    unsigned use = cmd->flags & (CMD_WRITE | CMD_MODEL) ? KEY_RW | KEY_ACCESS | KEY_UPDATE : KEY_RO | KEY_ACCESS;
    if (!cmd->first && !cmd->keys)
        return 0;
    *s = (struct key_spec){.use = use | (cmd->keys ? KEY_INCOMPLETE : 0),
                           .begin = cmd->first,
                           .a = cmd->last < 0 ? cmd->last : cmd->last - cmd->first,
                           .b = cmd->step};
    return 1;
}

void key_specs_parse(const struct cmd *cmd, struct key_specs *to)
{
    const char *p = cmd->key_spec;
    to->cmd = cmd;
    to->n = 0;
    if (!p) {
        to->n = implied(cmd, to->list);
        return;
    }
    while (*p) {
        if (to->n == KEY_SPECS_MAX)
            bad(cmd);
        parse_part(cmd, &p, &to->list[to->n++]);
        p += *p == ';';
    }
}

/* ---- keys of a command line ---- */

struct walk {
    int argc;
    const struct slice *argv;
    bool (*fn)(void *arg, int at, unsigned use);
    void *arg;
    const struct cmd *cmd;
    int n;
    bool stopped;
};

static bool visit(struct walk *w, int at, unsigned use)
{
    if (w->cmd->key_use)
        use = w->cmd->key_use(w->argc, w->argv, at);
    w->n++;
    w->stopped = !w->fn(w->arg, at, use);
    return !w->stopped;
}

/* The argument at which a spec begins; 0: it has none here. */
static int begin_of(const struct key_spec *s, int argc, const struct slice *argv)
{
    if (!s->word)
        return s->begin < argc ? s->begin : 0;
    bool forward = s->begin > 0;
    int end = forward ? argc - 1 : 1, at = forward ? s->begin : argc + s->begin;
    for (; forward ? at < end : at >= end; at += forward ? 1 : -1)
        if (at < argc && argv[at].len == s->word_len && strncasecmp(argv[at].p, s->word, s->word_len) == 0)
            return at + 1;
    return 0;
}

/* False: the arguments make no sense. */
static bool walk_spec(struct walk *w, const struct key_spec *s)
{
    int first = begin_of(s, w->argc, w->argv), last, step;
    if (first == 0)
        return true;
    if (s->counted) {
        int64_t n;
        if (first + s->a >= w->argc || !num_to_i64(w->argv[first + s->a], &n) || n < 0 || n > w->argc)
            return false;
        first += s->b;
        step = s->c;
        last = first + ((int)n - 1) * step;
        if (n > 0 && last >= w->argc)
            return false;
    } else {
        step = s->b;
        last = s->a >= 0 ? first + s->a : w->argc + s->a;
        if (s->a < 0 && s->c > 1)
            last = first + (w->argc - first) / s->c + s->a;
        if (last >= w->argc)
            return false;
    }
    for (int at = first; at <= last && !w->stopped; at += step)
        visit(w, at, s->use);
    return true;
}

/* How a key is used that the row's callback found: one at the place of a fixed specification is that one's, the rest are
 * the last one's. */
static unsigned use_at(const struct key_specs *s, int at)
{
    for (int i = 0; i < s->n; i++)
        if (!s->list[i].word && s->list[i].begin == at)
            return s->list[i].use;
    return s->list[s->n - 1].use;
}

/* What the specs cannot say, the row's callback can. A list that it had to cut short is no list. */
static int walk_callback(struct walk *w, const struct key_specs *s)
{
    static int pos[CMD_MAX_KEYS];
    int n = w->cmd->keys(w->argc, w->argv, pos);
    if (n < 0 || n >= CMD_MAX_KEYS)
        return -1;
    for (int i = 0; i < n && !w->stopped; i++)
        visit(w, pos[i], use_at(s, pos[i]));
    return w->n;
}

/* A word to look for may stand where it means something else (a consumer by the name of STREAMS, STORE twice): where
 * permissions hang on it, the callback decides, which reads the options as the handler does. */
static bool is_told(const struct key_spec *k)
{
    return !(k->use & KEY_INCOMPLETE) && !k->word && k->begin;
}

int key_specs_each(const struct key_specs *s, int argc, const struct slice *argv,
                   bool (*fn)(void *arg, int at, unsigned use), void *arg)
{
    struct walk w = {argc, argv, fn, arg, s->cmd, 0, false};
    for (int i = 0; i < s->n; i++)
        if (s->cmd->keys && !is_told(&s->list[i]))
            return walk_callback(&w, s);
    for (int i = 0; i < s->n && !w.stopped; i++) {
        if (s->list[i].use & KEY_NOT_KEY)
            continue;
        if (!walk_spec(&w, &s->list[i]))
            return -1;
    }
    return w.n;
}

bool key_specs_any(const struct key_specs *s)
{
    for (int i = 0; i < s->n; i++)
        if (!(s->list[i].use & KEY_NOT_KEY))
            return true;
    return false;
}

/* ---- as COMMAND INFO shows them ---- */

void key_use_reply(struct reply *r, unsigned use)
{
    size_t n = 0;
    for (size_t i = 0; i < NUSES; i++)
        n += (use & use_names[i].use) != 0;
    reply_set(r, n);
    for (size_t i = 0; i < NUSES; i++)
        if (use & use_names[i].use)
            reply_status(r, use_names[i].name);
}

static void begin_reply(struct reply *r, const struct key_spec *s)
{
    reply_map(r, 2);
    reply_field_str(r, "type", s->word ? "keyword" : s->begin ? "index" : "unknown");
    reply_str(r, "spec");
    if (s->word) {
        reply_map(r, 2);
        reply_field_bulk(r, "keyword", slice_of(s->word, s->word_len));
        reply_field_int(r, "startfrom", s->begin);
    } else if (s->begin) {
        reply_map(r, 1);
        reply_field_int(r, "index", s->begin);
    } else {
        reply_map(r, 0);
    }
}

static void find_reply(struct reply *r, const struct key_spec *s)
{
    static const char *const names[2][3] = {{"lastkey", "keystep", "limit"}, {"keynumidx", "firstkey", "keystep"}};
    bool known = s->word || s->begin;
    int values[] = {s->a, s->b, s->c};
    reply_map(r, 2);
    reply_field_str(r, "type", !known ? "unknown" : s->counted ? "keynum" : "range");
    reply_str(r, "spec");
    reply_map(r, known ? 3 : 0);
    for (int i = 0; known && i < 3; i++)
        reply_field_int(r, names[s->counted][i], values[i]);
}

void key_specs_reply(struct reply *r, const struct key_specs *s)
{
    reply_set(r, (size_t)s->n);
    for (int i = 0; i < s->n; i++) {
        reply_map(r, 3);
        reply_str(r, "flags");
        key_use_reply(r, s->list[i].use);
        reply_str(r, "begin_search");
        begin_reply(r, &s->list[i]);
        reply_str(r, "find_keys");
        find_reply(r, &s->list[i]);
    }
}
