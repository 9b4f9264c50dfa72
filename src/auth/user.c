#include "auth/user.h"

#include "base/mem.h"
#include "base/setting.h"

static int64_t new_hear_all; /* acl-pubsub-default */

static const struct setting_word defaults[] = {{"allchannels", 1}, {"resetchannels", 0}, {NULL, 0}};
static const struct setting rows[] = {
    {.name = "acl-pubsub-default",
     .kind = SETTING_ENUM,
     .at = &new_hear_all,
     .dflt = "resetchannels",
     .words = defaults,
     .help = "What a new user may publish and subscribe to: allchannels, or nothing (resetchannels)."},
};

void user_settings(void)
{
    SETTING_REGISTER(rows);
}

/* ---- life ---- */

static struct selector *new_selector(void)
{
    return selector_create(new_hear_all);
}

static void add_selector(struct user *u, struct selector *s)
{
    list_add_tail(&u->selectors, &s->link);
}

struct user *user_create(struct slice name)
{
    struct user *u = mem_zero(sizeof *u);
    u->name = slice_of(mem_dup(name.p, name.len), name.len);
    u->refs = 1;
    list_init(&u->selectors);
    add_selector(u, new_selector());
    return u;
}

static void drop_selectors(struct user *u, bool root)
{
    list_each_safe (l, &u->selectors)
        if (root || l != u->selectors.next)
            selector_destroy(list_entry(l, struct selector, link));
}

static void drop_passwords(struct user *u)
{
    mem_free(u->hashes);
    u->hashes = NULL;
    u->nhashes = 0;
}

struct user *user_ref(struct user *u)
{
    if (u)
        u->refs++;
    return u;
}

void user_unref(struct user *u)
{
    if (!u || --u->refs > 0)
        return;
    drop_selectors(u, true);
    drop_passwords(u);
    mem_free((char *)u->name.p);
    mem_free(u);
}

static void add_hash(struct user *u, const char *hex)
{
    for (int i = 0; i < u->nhashes; i++)
        if (password_same(u->hashes[i], hex))
            return;
    u->hashes = mem_realloc(u->hashes, (size_t)(u->nhashes + 1) * sizeof *u->hashes);
    memcpy(u->hashes[u->nhashes], hex, PASSWORD_HEX);
    u->hashes[u->nhashes++][PASSWORD_HEX] = 0;
}

struct user *user_copy(const struct user *u)
{
    struct user *copy = user_create(u->name);
    copy->flags = u->flags;
    copy->unlimited = u->unlimited;
    drop_selectors(copy, true);
    list_each (l, &u->selectors)
        add_selector(copy, selector_copy(list_entry(l, struct selector, link)));
    for (int i = 0; i < u->nhashes; i++)
        add_hash(copy, u->hashes[i]);
    return copy;
}

void user_take(struct user *u, struct user *from)
{
    drop_selectors(u, true);
    drop_passwords(u);
    u->flags = from->flags;
    u->unlimited = from->unlimited;
    u->hashes = from->hashes;
    u->nhashes = from->nhashes;
    from->hashes = NULL;
    from->nhashes = 0;
    list_each_safe (l, &from->selectors) {
        list_del(l);
        list_add_tail(&u->selectors, l);
    }
    user_unref(from);
}

void user_strip(struct user *u)
{
    struct user *nobody = user_create(u->name);
    selector_rule(user_root(nobody), SLICE("resetchannels"), NULL);
    user_take(u, nobody);
}

struct selector *user_root(const struct user *u)
{
    return list_entry(u->selectors.next, struct selector, link);
}

/* ---- rules ---- */

static int password_rule(struct user *u, struct slice rule, struct err *err)
{
    char hex[PASSWORD_HEX + 1];
    struct slice given = slice_of(rule.p + 1, rule.len - 1);
    bool hashed = rule.p[0] == '#' || rule.p[0] == '!', remove = rule.p[0] == '<' || rule.p[0] == '!';
    if (hashed && !password_is_hash(given))
        return err_set(err, ERR_INVALID,
                       "The password hash must be exactly 64 characters and contain only lowercase hexadecimal "
                       "characters");
    if (hashed)
        memcpy(hex, given.p, PASSWORD_HEX);
    else
        password_hash(given, hex);
    if (!remove) {
        add_hash(u, hex);
        u->flags &= ~(unsigned)USER_NOPASS;
        return 0;
    }
    for (int i = 0; i < u->nhashes; i++)
        if (password_same(u->hashes[i], hex)) {
            memmove(u->hashes + i, u->hashes + i + 1, (size_t)(u->nhashes - i - 1) * sizeof *u->hashes);
            u->nhashes--;
            return 0;
        }
    return err_set(err, ERR_INVALID, "The password you are trying to remove from the user does not exist");
}

/* The rules between the brackets, separated by spaces. Stricter than Redis in one thing: a pattern that ends with a bracket
 * is refused here. In a file its selector would be read as closed by it, and the file would be refused. */
static int selector_rules(struct user *u, struct slice text, struct err *err)
{
    struct selector *s = new_selector();
    for (size_t at = 0; at < text.len;) {
        const char *p = text.p + at, *space = memchr(p, ' ', text.len - at);
        struct slice rule = slice_of(p, space ? (size_t)(space - p) : text.len - at);
        at += rule.len + 1;
        int rc = 0;
        if (rule.len && rule.p[rule.len - 1] == ')')
            rc = err_set(err, ERR_INVALID, "Syntax error");
        else if (rule.len)
            rc = selector_rule(s, rule, err);
        if (rc < 0) {
            selector_destroy(s);
            return rc;
        }
    }
    add_selector(u, s);
    return 0;
}

static void reset(struct user *u)
{
    struct user *fresh = user_create(u->name);
    user_take(u, fresh);
}

static bool flag_rule(struct user *u, struct slice rule)
{
    if (slice_is(rule, "on")) {
        u->flags |= USER_ON;
    } else if (slice_is(rule, "off")) {
        u->flags &= ~(unsigned)USER_ON;
    } else if (slice_is(rule, "nopass")) {
        u->flags |= USER_NOPASS;
        drop_passwords(u);
    } else if (slice_is(rule, "resetpass")) {
        u->flags &= ~(unsigned)USER_NOPASS;
        drop_passwords(u);
    } else if (slice_is(rule, "skip-sanitize-payload")) {
        u->flags |= USER_SKIP_SANITIZE;
    } else if (slice_is(rule, "sanitize-payload")) {
        u->flags &= ~(unsigned)USER_SKIP_SANITIZE;
    } else if (slice_is(rule, "clearselectors")) {
        drop_selectors(u, false);
    } else if (slice_is(rule, "reset")) {
        reset(u);
    } else {
        return false;
    }
    return true;
}

int user_rule(struct user *u, struct slice rule, struct err *err)
{
    int rc = 0;
    if (rule.len == 0 || flag_rule(u, rule))
        rc = 0;
    else if (strchr("><#!", rule.p[0]))
        rc = password_rule(u, rule, err);
    else if (rule.p[0] == '(' && rule.p[rule.len - 1] == ')')
        rc = selector_rules(u, slice_of(rule.p + 1, rule.len - 2), err);
    else
        rc = selector_rule(user_root(u), rule, err);
    u->unlimited = (user_root(u)->flags & SELECTOR_ALL) == SELECTOR_ALL;
    return rc;
}

static bool opens(struct slice word)
{
    return word.len && word.p[0] == '(' && word.p[word.len - 1] != ')';
}

/* The selector that begins with rules[*i], put together; false when its bracket does not close. */
static bool gather(int n, const struct slice *rules, int *i, struct buf *to)
{
    for (int k = *i; k < n; k++) {
        if (k > *i)
            buf_add_char(to, ' ');
        buf_add(to, rules[k].p, rules[k].len);
        if (k > *i && rules[k].len && rules[k].p[rules[k].len - 1] == ')') {
            *i = k;
            return true;
        }
    }
    return false;
}

int user_rules(struct user *u, int n, const struct slice *rules, struct slice *at, struct err *err)
{
    struct user *next = user_copy(u);
    struct buf whole = {0};
    int rc = 0;
    for (int i = 0; rc == 0 && i < n; i++) {
        struct slice rule = *at = rules[i];
        if (opens(rule)) {
            buf_clear(&whole);
            if (!gather(n, rules, &i, &whole)) {
                rc = err_set(err, ERR_STATE, "Unmatched parenthesis in acl selector starting at '%.*s'.",
                             (int)(at->len < 128 ? at->len : 128), at->p);
                break;
            }
            rule = buf_slice(&whole);
        }
        rc = user_rule(next, rule, err);
    }
    buf_release(&whole);
    if (rc == 0)
        user_take(u, next);
    else
        user_unref(next);
    return rc;
}

/* ---- questions ---- */

bool user_password_fits(const struct user *u, struct slice clear)
{
    char hex[PASSWORD_HEX + 1];
    bool fits = u->flags & USER_NOPASS;
    password_hash(clear, hex);
    for (int i = 0; i < u->nhashes; i++)
        fits |= password_same(u->hashes[i], hex);
    return fits && (u->flags & USER_ON);
}

bool user_may_hear(const struct user *u, struct slice channel, bool pattern)
{
    list_each (l, &u->selectors) {
        const struct selector *s = list_entry(l, struct selector, link);
        if (pattern ? selector_may_hear_pattern(s, channel) : selector_may_hear(s, channel))
            return true;
    }
    return false;
}

void user_flag_names(const struct user *u, void (*fn)(void *arg, const char *name), void *arg)
{
    fn(arg, u->flags & USER_ON ? "on" : "off");
    if (u->flags & USER_NOPASS)
        fn(arg, "nopass");
    fn(arg, u->flags & USER_SKIP_SANITIZE ? "skip-sanitize-payload" : "sanitize-payload");
}

static void add_word(void *arg, const char *word)
{
    buf_add_char(arg, ' ');
    buf_add_str(arg, word);
}

void user_describe(const struct user *u, struct buf *to)
{
    buf_add_str(to, "user ");
    buf_add(to, u->name.p, u->name.len);
    user_flag_names(u, add_word, to);
    for (int i = 0; i < u->nhashes; i++)
        buf_addf(to, " #%s", u->hashes[i]);
    list_each (l, &u->selectors) {
        bool root = l == u->selectors.next;
        buf_add_str(to, root ? " " : " (");
        selector_describe(list_entry(l, struct selector, link), to);
        if (!root)
            buf_add_char(to, ')');
    }
}
