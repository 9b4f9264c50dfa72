#include "cmd/secret.h"

#include "base/setting.h"

/* MIGRATE host port key db timeout ... AUTH password | AUTH2 username password ... KEYS key ... */
static bool secret_of_migrate(int argc, const struct slice *argv, int i)
{
    for (int k = 6; k < i; k++) {
        if (slice_is(argv[k], "keys"))
            return false;
        if (slice_is(argv[k], "auth") || slice_is(argv[k], "auth2")) {
            int n = argv[k].len == 4 ? 1 : 2;
            if (i <= k + n)
                return true;
            k += n;
        }
    }
    return false;
}

/* HELLO version AUTH username password SETNAME name */
static bool secret_of_hello(const struct slice *argv, int i)
{
    for (int k = 2; k < i; k += slice_is(argv[k], "auth") ? 3 : 2)
        if (slice_is(argv[k], "auth") && i <= k + 2)
            return true;
    return false;
}

bool secret_argument(int argc, const struct slice *argv, int i)
{
    struct slice name = argv[0];
    if (i >= 1 && slice_is(name, "auth"))
        return true;
    if (i >= 2 && slice_is(name, "hello"))
        return secret_of_hello(argv, i);
    if (i >= 2 && slice_is(name, "acl"))
        return slice_is(argv[1], "setuser");
    if (i >= 3 && slice_is(name, "config") && slice_is(argv[1], "set")) {
        const struct setting *s = i % 2 ? setting_find(argv[i - 1]) : NULL;
        return s && (s->flags & SETTING_SECRET);
    }
    if (i >= 4 && slice_is(name, "llm.model"))
        return slice_is(argv[i - 1], "key");
    return i > 6 && slice_is(name, "migrate") && secret_of_migrate(argc, argv, i);
}
