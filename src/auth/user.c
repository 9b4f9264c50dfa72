#include "auth/user.h"

#include <string.h>

#include "base/hash.h"
#include "base/setting.h"

static char *requirepass;

static const struct setting rows[] = {
    {.name = "requirepass",
     .kind = SETTING_STR,
     .at = &requirepass,
     .dflt = "",
     .flags = SETTING_SECRET,
     .help = "The password that clients must give with AUTH; empty: none is asked."},
};

void user_boot(void)
{
    SETTING_REGISTER(rows);
}

bool user_password_needed(void)
{
    return *requirepass != 0;
}

/* The time does not depend on where the bytes differ, nor on the length of the right password. */
static bool same_secret(struct slice given, const char *right)
{
    size_t n = strlen(right);
    unsigned char diff = (unsigned char)(given.len != n);
    for (size_t i = 0; i < given.len; i++)
        diff |= (unsigned char)(given.p[i] ^ right[n ? i % n : 0]);
    return diff == 0;
}

int user_check(struct slice name, struct slice password, struct err *err)
{
    if (slice_eq(name, SLICE("default")) && (!*requirepass || same_secret(password, requirepass)))
        return 0;
    return err_set(err, ERR_NOPERM, "WRONGPASS invalid username-password pair or user is disabled.");
}
