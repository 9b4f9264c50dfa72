/* A small catalog for tests: get, set, hget, config with get and set, select. */
#ifndef TESTS_AUTH_CATALOG_H
#define TESTS_AUTH_CATALOG_H

#include "auth/catalog.h"

static const struct {
    const char *name;
    int nsubs;
    bool sub;
    uint32_t categories;
} catalog_rows[] = {
    {"get", 0, false, 1},        {"set", 0, false, 2},        {"hget", 0, false, 1 | 4}, {"config", 2, false, 8},
    {"config|get", 0, true, 8},  {"config|set", 0, true, 8},  {"select", 0, false, 0},
};
#define TEST_NCOMMANDS ((int)(sizeof catalog_rows / sizeof *catalog_rows))
enum { GET, SET, HGET, CONFIG, CONFIG_GET, CONFIG_SET, SELECT };

static int test_find(struct slice name)
{
    for (int i = 0; i < TEST_NCOMMANDS; i++)
        if (slice_is(name, catalog_rows[i].name))
            return i;
    return -1;
}

static const char *test_name(int id)
{
    return catalog_rows[id].name;
}

static int test_nsubs(int id)
{
    return catalog_rows[id].nsubs;
}

static bool test_is_sub(int id)
{
    return catalog_rows[id].sub;
}

static uint32_t test_categories(int id)
{
    return catalog_rows[id].categories;
}

static const char *test_category(int bit)
{
    static const char *const names[] = {"read", "write", "hash", "admin"};
    return bit >= 0 && bit < 4 ? names[bit] : NULL;
}

static const struct catalog test_catalog = {TEST_NCOMMANDS, test_find,       test_name,    test_nsubs,
                                            test_is_sub,    test_categories, test_category};

#endif
