#include "auth/selector.h"

#include <ctype.h>

#include "auth/catalog.h"
#include "base/glob.h"
#include "base/log.h"
#include "base/mem.h"

struct access_pattern {
    struct slice text; /* owned */
    unsigned access;
};

struct first_arg {
    int id;
    struct slice arg; /* owned */
};

static size_t words(void)
{
    return ((size_t)catalog()->ncommands + 63) / 64;
}

/* ---- life ---- */

struct selector *selector_create(bool all_channels)
{
    struct selector *s = mem_zero(sizeof *s);
    list_init(&s->link);
    s->allowed = mem_zero((words() + 1) * sizeof *s->allowed);
    s->flags = all_channels ? SELECTOR_ALL_CHANNELS : 0;
    return s;
}

static void forget_patterns(struct access_pattern **list, int *n)
{
    for (int i = 0; i < *n; i++)
        mem_free((char *)(*list)[i].text.p);
    mem_free(*list);
    *list = NULL;
    *n = 0;
}

/* Those of the command id, -1: all. */
static void forget_first_args(struct selector *s, int id)
{
    int kept = 0;
    for (int i = 0; i < s->nfirst_args; i++) {
        if (id >= 0 && s->first_args[i].id != id)
            s->first_args[kept++] = s->first_args[i];
        else
            mem_free((char *)s->first_args[i].arg.p);
    }
    s->nfirst_args = kept;
}

void selector_destroy(struct selector *s)
{
    if (!s)
        return;
    list_del(&s->link);
    forget_patterns(&s->keys, &s->nkeys);
    forget_patterns(&s->channels, &s->nchannels);
    forget_first_args(s, -1);
    mem_free(s->first_args);
    buf_release(&s->rules);
    mem_free(s->allowed);
    mem_free(s);
}

static struct slice keep(struct slice s)
{
    return slice_of(mem_dup(s.p, s.len), s.len);
}

static void add_pattern(struct access_pattern **list, int *n, struct slice text, unsigned access)
{
    for (int i = 0; i < *n; i++)
        if (slice_eq((*list)[i].text, text)) {
            (*list)[i].access |= access;
            return;
        }
    *list = mem_realloc(*list, (size_t)(*n + 1) * sizeof **list);
    (*list)[(*n)++] = (struct access_pattern){keep(text), access};
}

static void add_first_arg(struct selector *s, int id, struct slice arg)
{
    for (int i = 0; i < s->nfirst_args; i++)
        if (s->first_args[i].id == id && slice_eq(s->first_args[i].arg, arg))
            return;
    s->first_args = mem_realloc(s->first_args, (size_t)(s->nfirst_args + 1) * sizeof *s->first_args);
    s->first_args[s->nfirst_args++] = (struct first_arg){id, keep(arg)};
}

struct selector *selector_copy(const struct selector *s)
{
    struct selector *copy = selector_create(false);
    copy->flags = s->flags;
    copy->from_all = s->from_all;
    memcpy(copy->allowed, s->allowed, words() * sizeof *s->allowed);
    buf_add(&copy->rules, s->rules.p, s->rules.len);
    for (int i = 0; i < s->nkeys; i++)
        add_pattern(&copy->keys, &copy->nkeys, s->keys[i].text, s->keys[i].access);
    for (int i = 0; i < s->nchannels; i++)
        add_pattern(&copy->channels, &copy->nchannels, s->channels[i].text, s->channels[i].access);
    for (int i = 0; i < s->nfirst_args; i++)
        add_first_arg(copy, s->first_args[i].id, s->first_args[i].arg);
    return copy;
}

/* ---- rules about commands ---- */

static void allow_one(struct selector *s, int id, bool allow)
{
    uint64_t bit = 1ull << (id & 63);
    if (allow) {
        s->allowed[id / 64] |= bit;
    } else {
        s->allowed[id / 64] &= ~bit;
        s->flags &= ~(unsigned)SELECTOR_ALL_COMMANDS;
    }
    forget_first_args(s, id);
}

static void allow_with_subs(struct selector *s, int id, bool allow)
{
    int last = id + catalog()->nsubs(id);
    for (int i = id; i <= last; i++)
        allow_one(s, i, allow);
}

static void allow_all(struct selector *s, bool allow)
{
    memset(s->allowed, allow ? 0xff : 0, words() * sizeof *s->allowed);
    forget_first_args(s, -1);
    buf_clear(&s->rules);
    s->from_all = allow;
    s->flags = allow ? s->flags | SELECTOR_ALL_COMMANDS : s->flags & ~(unsigned)SELECTOR_ALL_COMMANDS;
}

/* Does the rule ("+config|get") speak of `name` ("config"), or of a part of it? */
static bool speaks_of(struct slice rule, struct slice name)
{
    struct slice said = slice_of(rule.p + 1, rule.len - 1);
    return said.len >= name.len && memcmp(said.p, name.p, name.len) == 0 &&
           (said.len == name.len || said.p[name.len] == '|');
}

/* What is said last counts: an earlier mention of the same, or of its subcommands, goes. */
static void note_rule(struct selector *s, struct slice name, bool allow)
{
    struct buf lower = {0}, rules = {0};
    for (size_t i = 0; i < name.len; i++)
        buf_add_char(&lower, (char)tolower((unsigned char)name.p[i]));
    for (size_t at = 0; at < s->rules.len;) {
        const char *p = s->rules.p + at, *space = memchr(p, ' ', s->rules.len - at);
        struct slice rule = slice_of(p, space ? (size_t)(space - p) : s->rules.len - at);
        at += rule.len + 1;
        if (speaks_of(rule, buf_slice(&lower)))
            continue;
        buf_add(&rules, rule.p, rule.len);
        buf_add_char(&rules, ' ');
    }
    buf_add_char(&rules, allow ? '+' : '-');
    buf_add(&rules, lower.p, lower.len);
    buf_release(&lower);
    buf_release(&s->rules);
    s->rules = rules;
}

static int rule_unknown(struct err *err)
{
    return err_set(err, ERR_INVALID, "Unknown command or category name in ACL");
}

static int rule_syntax(struct err *err)
{
    return err_set(err, ERR_INVALID, "Syntax error");
}

static int category_rule(struct selector *s, struct slice name, bool allow, struct err *err)
{
    int bit = catalog_category(slice_of(name.p + 1, name.len - 1));
    if (bit < 0)
        return rule_unknown(err);
    note_rule(s, name, allow);
    for (int id = 0; id < catalog()->ncommands; id++)
        if (catalog()->categories(id) & 1u << bit)
            allow_with_subs(s, id, allow);
    return 0;
}

/* +command|word. Where the command has subcommands, word must be one; otherwise it is the first argument with which the
 * command is allowed although it is blocked. */
static int part_rule(struct selector *s, struct slice name, size_t bar, struct err *err)
{
    struct slice word = slice_of(name.p + bar + 1, name.len - bar - 1);
    int id = catalog()->find(slice_of(name.p, bar));
    if (id < 0)
        return rule_unknown(err);
    if (catalog()->is_sub(id))
        return err_set(err, ERR_INVALID, "Allowing first-arg of a subcommand is not supported");
    if (word.len == 0 || selector_has_space(word))
        return rule_syntax(err);
    if (catalog()->nsubs(id)) {
        if ((id = catalog()->find(name)) < 0)
            return rule_unknown(err);
        allow_with_subs(s, id, true);
    } else {
        log_warning("ACL: +%.*s allows a blocked command by its first argument; this is deprecated", (int)name.len,
                    name.p);
        add_first_arg(s, id, word);
    }
    note_rule(s, name, true);
    return 0;
}

static int command_rule(struct selector *s, struct slice name, bool allow, struct err *err)
{
    if (name.len && name.p[0] == '@')
        return category_rule(s, name, allow, err);
    const char *bar = allow && name.len ? memrchr(name.p, '|', name.len) : NULL;
    if (bar)
        return part_rule(s, name, (size_t)(bar - name.p), err);
    int id = catalog()->find(name);
    if (id < 0)
        return rule_unknown(err);
    allow_with_subs(s, id, allow);
    note_rule(s, slice_str(catalog()->name(id)), allow);
    return 0;
}

/* ---- rules about keys and channels ---- */

bool selector_has_space(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!s.p[i] || isspace((unsigned char)s.p[i]))
            return true;
    return false;
}

/* The access bits before a pattern's ~, and where the pattern begins; 0: bad. */
static unsigned key_access(struct slice rule, size_t *at)
{
    unsigned access = 0;
    *at = 1;
    if (rule.p[0] == '~')
        return SELECTOR_READ | SELECTOR_WRITE;
    for (; *at < rule.len; ++*at) {
        int c = toupper((unsigned char)rule.p[*at]);
        if (c == '~') {
            ++*at;
            return access;
        }
        unsigned bit = c == 'R' ? SELECTOR_READ : c == 'W' ? SELECTOR_WRITE : 0;
        if (!bit || (access & bit))
            return 0;
        access |= bit;
    }
    return access; /* as in Redis: %R alone is a pattern that only the empty key matches */
}

static int key_rule(struct selector *s, struct slice rule, struct err *err)
{
    size_t at;
    if (s->flags & SELECTOR_ALL_KEYS)
        return err_set(err, ERR_INVALID,
                       "Adding a pattern after the * pattern (or the 'allkeys' flag) is not valid and does not have any "
                       "effect. Try 'resetkeys' to start with an empty list of patterns");
    unsigned access = key_access(rule, &at);
    struct slice pattern = slice_of(rule.p + at, rule.len - at);
    if (!access || selector_has_space(pattern))
        return rule_syntax(err);
    add_pattern(&s->keys, &s->nkeys, pattern, access);
    return 0;
}

static int channel_rule(struct selector *s, struct slice rule, struct err *err)
{
    struct slice pattern = slice_of(rule.p + 1, rule.len - 1);
    if (s->flags & SELECTOR_ALL_CHANNELS)
        return err_set(err, ERR_INVALID,
                       "Adding a pattern after the * pattern (or the 'allchannels' flag) is not valid and does not have "
                       "any effect. Try 'resetchannels' to start with an empty list of channels");
    if (selector_has_space(pattern))
        return rule_syntax(err);
    add_pattern(&s->channels, &s->nchannels, pattern, 0);
    return 0;
}

static void every_key(struct selector *s, bool allow)
{
    forget_patterns(&s->keys, &s->nkeys);
    s->flags = allow ? s->flags | SELECTOR_ALL_KEYS : s->flags & ~(unsigned)SELECTOR_ALL_KEYS;
}

static void every_channel(struct selector *s, bool allow)
{
    forget_patterns(&s->channels, &s->nchannels);
    s->flags = allow ? s->flags | SELECTOR_ALL_CHANNELS : s->flags & ~(unsigned)SELECTOR_ALL_CHANNELS;
}

int selector_rule(struct selector *s, struct slice rule, struct err *err)
{
    static const struct {
        const char *words[2];
        void (*set)(struct selector *s, bool allow);
        bool allow;
    } whole[] = {
        {{"allkeys", "~*"}, every_key, true},
        {{"resetkeys", "resetkeys"}, every_key, false},
        {{"allchannels", "&*"}, every_channel, true},
        {{"resetchannels", "resetchannels"}, every_channel, false},
        {{"allcommands", "+@all"}, allow_all, true},
        {{"nocommands", "-@all"}, allow_all, false},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
        if (slice_is(rule, whole[i].words[0]) || slice_is(rule, whole[i].words[1])) {
            whole[i].set(s, whole[i].allow);
            return 0;
        }
    if (rule.len == 0)
        return rule_syntax(err);
    switch (rule.p[0]) {
    case '~':
    case '%': return key_rule(s, rule, err);
    case '&': return channel_rule(s, rule, err);
    case '+':
    case '-': return command_rule(s, slice_of(rule.p + 1, rule.len - 1), rule.p[0] == '+', err);
    default: return rule_syntax(err);
    }
}

/* ---- questions ---- */

bool selector_may_run(const struct selector *s, int id, int argc, const struct slice *argv)
{
    if ((s->flags & SELECTOR_ALL_COMMANDS) || (s->allowed[id / 64] & 1ull << (id & 63)))
        return true;
    for (int i = 0; argc > 1 && i < s->nfirst_args; i++) {
        struct slice arg = s->first_args[i].arg;
        if (s->first_args[i].id == id && arg.len == argv[1].len && strncasecmp(arg.p, argv[1].p, arg.len) == 0)
            return true;
    }
    return false;
}

bool selector_may_use(const struct selector *s, struct slice key, unsigned access)
{
    if (s->flags & SELECTOR_ALL_KEYS)
        return true;
    for (int i = 0; i < s->nkeys; i++)
        if ((s->keys[i].access & access) == access && glob_match(s->keys[i].text, key, false))
            return true;
    return false;
}

bool selector_may_use_all(const struct selector *s, unsigned access)
{
    if (s->flags & SELECTOR_ALL_KEYS)
        return true;
    for (int i = 0; i < s->nkeys; i++)
        if ((s->keys[i].access & access) == access && slice_eq(s->keys[i].text, SLICE("*")))
            return true;
    return false;
}

bool selector_may_hear(const struct selector *s, struct slice channel)
{
    if (s->flags & SELECTOR_ALL_CHANNELS)
        return true;
    for (int i = 0; i < s->nchannels; i++)
        if (glob_match(s->channels[i].text, channel, false))
            return true;
    return false;
}

bool selector_may_hear_pattern(const struct selector *s, struct slice pattern)
{
    if (s->flags & SELECTOR_ALL_CHANNELS)
        return true;
    for (int i = 0; i < s->nchannels; i++)
        if (slice_eq(s->channels[i].text, pattern))
            return true;
    return false;
}

/* ---- description ---- */

void selector_commands(const struct selector *s, struct buf *to)
{
    buf_add_str(to, s->from_all ? "+@all" : "-@all");
    if (s->rules.len) {
        buf_add_char(to, ' ');
        buf_add(to, s->rules.p, s->rules.len);
    }
}

static void list_patterns(const struct access_pattern *list, int n, const char *sign, struct buf *to)
{
    static const char *const partial[] = {"", "%R~", "%W~", "~"};
    for (int i = 0; i < n; i++) {
        if (i)
            buf_add_char(to, ' ');
        buf_add_str(to, sign ? sign : partial[list[i].access]);
        buf_add(to, list[i].text.p, list[i].text.len);
    }
}

void selector_keys(const struct selector *s, struct buf *to)
{
    if (s->flags & SELECTOR_ALL_KEYS)
        buf_add_str(to, "~*");
    else
        list_patterns(s->keys, s->nkeys, NULL, to);
}

void selector_channels(const struct selector *s, struct buf *to)
{
    if (s->flags & SELECTOR_ALL_CHANNELS)
        buf_add_str(to, "&*");
    else
        list_patterns(s->channels, s->nchannels, "&", to);
}

void selector_describe(const struct selector *s, struct buf *to)
{
    size_t before = to->len;
    selector_keys(s, to);
    if (to->len > before)
        buf_add_char(to, ' ');
    if (!(s->flags & SELECTOR_ALL_CHANNELS))
        buf_add_str(to, s->nchannels ? "resetchannels " : "resetchannels");
    selector_channels(s, to);
    buf_add_char(to, ' ');
    selector_commands(s, to);
}
