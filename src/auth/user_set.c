#include "auth/user_set.h"

#include "base/mem.h"

void user_set_init(struct user_set *s)
{
    *s = (struct user_set){0};
}

void user_set_release(struct user_set *s)
{
    for (int i = 0; i < s->n; i++)
        user_unref(s->list[i]);
    mem_free(s->list);
    user_set_init(s);
}

/* Where the name is, or where it would go. */
static int place(const struct user_set *s, struct slice name)
{
    int from = 0, to = s->n;
    while (from < to) {
        int mid = (from + to) / 2;
        if (slice_cmp(s->list[mid]->name, name) < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return from;
}

struct user *user_set_find(const struct user_set *s, struct slice name)
{
    int i = place(s, name);
    return i < s->n && slice_eq(s->list[i]->name, name) ? s->list[i] : NULL;
}

struct user *user_set_add(struct user_set *s, struct slice name)
{
    int i = place(s, name);
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 8;
        s->list = mem_realloc(s->list, (size_t)s->cap * sizeof(struct user *));
    }
    memmove(s->list + i + 1, s->list + i, (size_t)(s->n - i) * sizeof(struct user *));
    s->n++;
    return s->list[i] = user_create(name);
}

void user_set_remove(struct user_set *s, struct user *u)
{
    int i = place(s, u->name);
    memmove(s->list + i, s->list + i + 1, (size_t)(s->n - i - 1) * sizeof(struct user *));
    s->n--;
    user_unref(u);
}

void user_set_replace(struct user_set *s, struct user *now, struct user *was)
{
    int i = place(s, now->name);
    user_take(was, now);
    s->list[i] = user_ref(was);
}
