/* What calls took: rows by label, their limit, the page. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/setting.h"
#include "llm/tally.h"

static struct buf page;

static const char *print(const struct tally *t)
{
    buf_clear(&page);
    tally_print(t, &page);
    return buf_cstr(&page);
}

static void has(const char *text, const char *line)
{
    if (!strstr(text, line))
        fail_msg("no '%s' in:\n%s", line, text);
}

static struct llm_facts facts(const char *model)
{
    return (struct llm_facts){.model = slice_str(model),
                              .tokens_in = 3,
                              .tokens_out = 4,
                              .cost = 250000000000,
                              .us_total = 2000,
                              .us_first = 90,
                              .attempts = 2};
}

static void counts(void **state)
{
    struct tally *t = tally_create();
    struct llm_facts f = facts("a\"\n");
    tally_add(t, &f, "none", LLM_DOOR_RESP, 100);
    tally_add(t, &f, "none", LLM_DOOR_RESP, 101);
    tally_add(t, &f, "none", LLM_DOOR_HTTP, 0);
    const char *text = print(t);
#define RESP "{model=\"a\\\"\\n\",route=\"\",class=\"none\",door=\"resp\""
    has(text, "skald_gateway_calls_total" RESP "} 2\n");
    has(text, "skald_gateway_attempts_total" RESP "} 4\n");
    has(text, "skald_gateway_cost_total" RESP "} 0.5\n");
    has(text, "skald_gateway_overhead_seconds_bucket" RESP ",le=\"0.0001\"} 1\n");
    has(text, "skald_gateway_overhead_seconds_bucket" RESP ",le=\"0.00025\"} 2\n");
    has(text, "skald_gateway_request_seconds_sum" RESP "} 0.004000\n");
    has(text, "class=\"none\",door=\"http\"} 1\n");
    tally_destroy(t);
}

/* However many names there are, the page has its limit and, of each class and door, one row for the rest. */
static void limited(void **state)
{
    struct tally *t = tally_create();
    char name[16];
    struct err err;
    assert_int_equal(setting_set(setting_find(SLICE("http-metrics-series")), SLICE("3"), true, &err), 0);
    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "m%d", i);
        struct llm_facts f = facts(name);
        tally_add(t, &f, "none", LLM_DOOR_RESP, 1);
        tally_add(t, &f, "rate", LLM_DOOR_HTTP, 1);
    }
    const char *text = print(t);
    has(text, "skald_gateway_calls_total{model=\"other\",route=\"other\",class=\"none\",door=\"resp\"} 998\n");
    has(text, "skald_gateway_calls_total{model=\"other\",route=\"other\",class=\"rate\",door=\"http\"} 999\n");
    int rows = 0;
    for (const char *p = text; (p = strstr(p, "skald_gateway_calls_total{")); p++)
        rows++;
    assert_int_equal(rows, 5);
    tally_destroy(t);
    tally_destroy(NULL);
}

static int up(void **state)
{
    tally_boot();
    return 0;
}

static int down(void **state)
{
    buf_release(&page);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(counts), cmocka_unit_test(limited)};
    return cmocka_run_group_tests(tests, up, down);
}
