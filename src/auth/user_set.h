/* A set of users by name, kept in alphabetical order. Thread: whoever owns it. */
#ifndef AUTH_USER_SET_H
#define AUTH_USER_SET_H

#include "auth/user.h"

struct user_set {
    struct user **list;
    int n, cap;
};

void user_set_init(struct user_set *s);
void user_set_release(struct user_set *s); /* drops the references */
struct user *user_set_find(const struct user_set *s, struct slice name);
struct user *user_set_add(struct user_set *s, struct slice name); /* absent so far; the set's reference */
void user_set_remove(struct user_set *s, struct user *u);         /* drops the reference */
/* `was` takes over what `now` is and stands in its place; the set has a reference to it instead. */
void user_set_replace(struct user_set *s, struct user *now, struct user *was);

#endif
