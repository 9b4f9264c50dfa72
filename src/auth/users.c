#include "auth/users.h"

#include <errno.h>

#include "auth/acl_file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"

static struct user_set users;
static struct user *the_default;
static char *requirepass, *aclfile;
static struct buf pending; /* the configuration's `user` lines, until the commands are known */

/* ---- the default user ---- */

static void set_password(struct user *u)
{
    struct buf rule = {0};
    user_rule(u, SLICE("resetpass"), NULL);
    buf_addf(&rule, ">%s", requirepass);
    user_rule(u, *requirepass ? buf_slice(&rule) : SLICE("nopass"), NULL);
    buf_release(&rule);
}

/* What `default` is as long as nobody says otherwise. */
static void make_default(struct user *u)
{
    struct slice at, rules[] = {SLICE("reset"), SLICE("on"), SLICE("+@all"), SLICE("~*"), SLICE("&*")};
    user_rules(u, 5, rules, &at, NULL);
    set_password(u);
}

static int apply_requirepass(struct err *err)
{
    set_password(the_default);
    return 0;
}

/* ---- settings ---- */

static int keep_user_line(const struct setting *s, struct slice v, struct err *err)
{
    buf_add_str(&pending, "user ");
    buf_add(&pending, v.p, v.len);
    buf_add_char(&pending, '\n');
    return 0;
}

static void no_value(const struct setting *s, struct buf *to)
{
}

static const struct setting rows[] = {
    {.name = "requirepass",
     .kind = SETTING_STR,
     .at = &requirepass,
     .dflt = "",
     .flags = SETTING_SECRET,
     .apply = apply_requirepass,
     .help = "The password of the user `default`; empty: none is asked."},
    {.name = "aclfile",
     .kind = SETTING_STR,
     .at = &aclfile,
     .dflt = "",
     .flags = SETTING_FIXED,
     .help = "File with the users, a `user` line each; ACL LOAD and ACL SAVE read and write it. Empty: none."},
    {.name = "user",
     .kind = SETTING_CALL,
     .set = keep_user_line,
     .get = no_value,
     .flags = SETTING_FIXED | SETTING_HIDDEN | SETTING_SECRET,
     .help = "A user: its name and its rules."},
};

void users_settings(void)
{
    SETTING_REGISTER(rows);
    user_settings();
}

int users_open(struct err *err)
{
    user_set_init(&users);
    the_default = user_set_add(&users, SLICE("default"));
    make_default(the_default);
    if (pending.len && *aclfile)
        return err_set(err, ERR_INVALID,
                       "users are declared both by `user` lines of the configuration and by an aclfile; one of the two "
                       "must go, or it would be anybody's guess which counts");
    if (*aclfile)
        return users_load(NULL, err);
    int rc = acl_text_read(&users, buf_slice(&pending), "configuration", err);
    buf_release(&pending);
    return rc;
}

/* ---- the registry ---- */

struct user *users_default(void)
{
    return the_default;
}

struct user *users_find(struct slice name)
{
    return user_set_find(&users, name);
}

struct user *users_add(struct slice name)
{
    return user_set_add(&users, name);
}

bool users_remove(struct user *u)
{
    if (u == the_default || user_set_find(&users, u->name) != u)
        return false;
    user_strip(u);
    user_set_remove(&users, u);
    return true;
}

int users_count(void)
{
    return users.n;
}

struct user *users_at(int i)
{
    return users.list[i];
}

bool users_default_open(void)
{
    return (the_default->flags & (USER_NOPASS | USER_ON)) == (USER_NOPASS | USER_ON);
}

int users_login(struct slice name, struct slice password, struct user **who, struct err *err)
{
    struct user *u = users_find(name);
    if (u && user_password_fits(u, password)) {
        *who = u;
        return 0;
    }
    return err_set(err, ERR_NOPERM, "WRONGPASS invalid username-password pair or user is disabled.");
}

/* ---- the file ---- */

const char *users_file(void)
{
    return aclfile;
}

/* Users keep their identity by name, so that their clients stay theirs. */
int users_load(void (*changed)(struct user *was, struct user *now), struct err *err)
{
    struct user_set next;
    user_set_init(&next);
    int rc = acl_file_read(&next, aclfile, err);
    if (rc < 0) {
        user_set_release(&next);
        return rc;
    }
    if (!user_set_find(&next, SLICE("default"))) /* a file that does not name it leaves it as it is by itself */
        make_default(user_set_add(&next, SLICE("default")));
    struct user_set before = users;
    users = next;
    for (int i = 0; i < before.n; i++) {
        struct user *was = before.list[i], *now = user_set_find(&users, was->name);
        if (now)
            user_set_replace(&users, now, was);
        else
            user_strip(was);
        if (changed)
            changed(was, now ? was : NULL);
    }
    user_set_release(&before);
    return 0;
}

int users_save(struct err *err)
{
    return acl_file_write(&users, aclfile, err);
}

/* Is `default` what requirepass alone makes of it? */
static bool default_is_plain(void)
{
    struct buf now = {0}, plain = {0};
    struct user *fresh = user_create(the_default->name);
    make_default(fresh);
    user_describe(the_default, &now);
    user_describe(fresh, &plain);
    user_unref(fresh);
    bool same = slice_eq(buf_slice(&now), buf_slice(&plain));
    buf_release(&now);
    buf_release(&plain);
    return same;
}

void users_config_lines(struct buf *to)
{
    if (*aclfile)
        return;
    for (int i = 0; i < users.n; i++) {
        if (users.list[i] == the_default && default_is_plain())
            continue;
        user_describe(users.list[i], to);
        buf_add_char(to, '\n');
    }
}
