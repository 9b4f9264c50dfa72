/* Every row of the command table is complete and its syntax parses; the argument trees of some are as redis-cli wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "cmd/acl_cat.h"
#include "cmd/syntax.h"
#include "cmd/table.h"

static int rows_seen;

static bool sentence(const char *s)
{
    return s && *s && s[strlen(s) - 1] == '.';
}

static void check_row(struct cmd_entry *e, void *arg)
{
    const struct cmd *c = e->cmd;
    bool ok;
    rows_seen++;
    syntax_parse(c->syntax ? c->syntax : "?]", &ok);
    if (!ok || !sentence(c->summary) || !c->since || !c->complexity || !c->arity)
        fail_msg("the row of %s is not complete: syntax \"%s\", summary \"%s\"", e->name, c->syntax, c->summary);
    if (!c->run && !c->nsubs)
        fail_msg("%s has neither a handler nor subcommands", e->name);
    if ((c->first != 0) != (c->step != 0) || (c->first && !c->last))
        fail_msg("%s: first, last and step of its keys do not agree", e->name);
    if ((c->flags & CMD_WRITE) && (c->flags & CMD_READONLY))
        fail_msg("%s both writes and only reads", e->name);
    for (const char *p = c->name; *p; p++)
        if (*p >= 'A' && *p <= 'Z')
            fail_msg("%s is not in lower case", e->name);
    for (int i = 0; i < c->nsubs; i++)
        check_row(table_find_sub(e, slice_str(c->subs[i].name)), NULL);
}

static void every_row_is_complete(void **state)
{
    table_each(check_row, NULL);
    assert_true(rows_seen > 150);
}

static void lookups_ignore_case(void **state)
{
    assert_non_null(table_find(SLICE("GeT")));
    assert_non_null(table_find_full(SLICE("config|GET")));
    assert_null(table_find(SLICE("nonsense")));
    assert_null(table_find_full(SLICE("config|nonsense")));
    assert_null(table_find(SLICE("")));
}

/* Any bytes in place of one of the name's: what is found has these bytes, case aside, for its name. */
static void check_lookup(struct cmd_entry *e, void *arg)
{
    char name[64];
    size_t len = strlen(e->cmd->name);
    assert_true(len < sizeof name);
    for (size_t i = 0; i < len; i++)
        name[i] = (char)(e->cmd->name[i] >= 'a' && e->cmd->name[i] <= 'z' ? e->cmd->name[i] - 32 : e->cmd->name[i]);
    assert_ptr_equal(table_find(slice_of(name, len)), e);
    for (size_t i = 0; i < len; i++)
        for (int byte = 0; byte < 256; byte++) {
            memcpy(name, e->cmd->name, len);
            name[i] = (char)byte;
            struct cmd_entry *found = table_find(slice_of(name, len));
            if (found)
                assert_true(slice_is(slice_of(name, len), found->cmd->name));
            else
                assert_false(slice_is(slice_of(name, len), e->cmd->name));
        }
    name[len] = name[len - 1];
    struct cmd_entry *longer = table_find(slice_of(name, len + 1)), *shorter = table_find(slice_of(name, len - 1));
    assert_true(longer != e && shorter != e);
}

static void lookups_are_exact(void **state)
{
    table_each(check_lookup, NULL);
}

static void options_become_trees(void **state)
{
    bool ok;
    struct arg *a = syntax_parse("key (FP32 vector|VALUES num vector...) [EX seconds] [STOP text]... [NX|XX]", &ok);
    assert_true(ok);
    assert_int_equal(syntax_count(a), 5);
    assert_string_equal(syntax_type(a), "key");
    struct arg *vector = a->next, *ex = vector->next, *stop = ex->next, *nx = stop->next;
    assert_int_equal(vector->kind, ARG_ONEOF);
    assert_int_equal(syntax_count(vector->child), 2);
    assert_int_equal(vector->child->next->kind, ARG_BLOCK);
    assert_true(slice_eq(vector->child->next->token, SLICE("VALUES")));
    assert_true(ex->optional && slice_eq(ex->token, SLICE("EX")));
    assert_string_equal(syntax_type(ex), "integer");
    assert_true(stop->optional && stop->multiple && stop->multiple_token);
    assert_true(nx->optional && nx->kind == ARG_ONEOF && nx->child->kind == ARG_TOKEN);
}

static void broken_syntax_is_refused(void **state)
{
    static const char *const bad[] = {"[key", "key]", "(a|b", "a|b)", "[]", "(|a)", "a)"};
    bool ok;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        syntax_parse(bad[i], &ok);
        if (ok)
            fail_msg("\"%s\" was taken for a syntax", bad[i]);
    }
}

static void keys_are_found(void **state)
{
    static int pos[CMD_MAX_KEYS];
    struct slice mset[] = {SLICE("mset"), SLICE("a"), SLICE("1"), SLICE("b"), SLICE("2")};
    assert_int_equal(table_keys(table_find(SLICE("mset"))->cmd, 5, mset, pos), 2);
    assert_int_equal(pos[1], 3);
    struct slice del[] = {SLICE("del"), SLICE("a"), SLICE("b"), SLICE("c")};
    assert_int_equal(table_keys(table_find(SLICE("del"))->cmd, 4, del, pos), 3);
    struct slice vsim[] = {SLICE("vsim"), SLICE("v"), SLICE("ELE"), SLICE("x")};
    assert_int_equal(table_keys(table_find(SLICE("vsim"))->cmd, 4, vsim, pos), 1);
}

static void categories_follow_flags(void **state)
{
    uint32_t get = acl_categories(table_find(SLICE("get"))->cmd), set = acl_categories(table_find(SLICE("set"))->cmd);
    assert_true((get & ACL_READ) && (get & ACL_FAST) && !(get & ACL_WRITE));
    assert_true((set & ACL_WRITE) && !(set & ACL_READ));
    assert_string_equal(acl_category(0), "keyspace");
    assert_null(acl_category(28));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_complete), cmocka_unit_test(lookups_ignore_case),
        cmocka_unit_test(options_become_trees),  cmocka_unit_test(broken_syntax_is_refused),
        cmocka_unit_test(keys_are_found),        cmocka_unit_test(categories_follow_flags),
        cmocka_unit_test(lookups_are_exact),
    };
    table_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
