/* Templates: places, filters, escapes, missing values, limits. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "flow/template.h"

static cJSON *scope;
static struct err err;

static int setup(void **state)
{
    json_boot();
    scope = cJSON_Parse("{\"input\":{\"q\":\"a \\\"b\\\" & c\",\"n\":5,\"half\":0.5,\"yes\":true,\"none\":null},"
                        "\"find\":{\"list\":[{\"text\":\"one\"},{\"text\":\"two\"}]},\"evil\":{\"x\":\"{{input.q}}\"},"
                        "\"de\":{\"w\":\"  Gr\\u00fc\\u00dfe \"}}");
    return 0;
}

static int teardown(void **state)
{
    cJSON_Delete(scope);
    return 0;
}

static void gives(const char *text, const char *want)
{
    struct buf b = {.max = 1000};
    if (template_expand(slice_str(text), scope, &b, &err) < 0)
        fail_msg("%s: %s", text, err.msg);
    assert_string_equal(buf_cstr(&b), want);
    buf_release(&b);
}

static void fails(const char *text, const char *part)
{
    struct buf b = {.max = 1000};
    assert_int_equal(template_expand(slice_str(text), scope, &b, &err), ERR_INVALID);
    if (!strstr(err.msg, part))
        fail_msg("'%s' does not hold '%s'", err.msg, part);
    buf_release(&b);
}

static void places_are_filled(void **state)
{
    gives("", "");
    gives("plain } { text", "plain } { text");
    gives("{{input.q}}", "a \"b\" & c");
    gives("n={{ input.n }}, {{input.half}}, {{input.yes}}", "n=5, 0.5, true");
    gives("[{{input.none}}{{input.nothing}}{{nobody.x}}]", "[]");
    gives("{{find.list.1.text}}{{find.list.7.text}}", "two");
    gives("{{find.list}}", "[{\"text\":\"one\"},{\"text\":\"two\"}]");
    gives("{{evil.x}}", "{{input.q}}");
}

static void filters_and_escapes(void **state)
{
    gives("{{input.q | json}}", "\"a \\\"b\\\" & c\"");
    gives("{{input.none|json}}", "null");
    gives("{{input.q|url}}", "a%20%22b%22%20%26%20c");
    gives("[{{de.w|trim}}]", "[Grüße]");
    gives("{{input.q|upper}}", "A \"B\" & C");
    gives("{{find.list|length}} {{de.w|length}}", "2 8");
    gives("{{input.nothing | default: some text }}", "some text");
    gives("{{input.n|default:x}}", "5");
    gives("\\{{input.q}}", "{{input.q}}");
    gives("a\\b \\{{{input.n}}", "a\\b {{{input.n}}");
}

static void mistakes_have_a_sentence(void **state)
{
    fails("{{", "without '}}'");
    fails("{{}}", "is no variable");
    fails("{{a b}}", "is no variable");
    fails("{{a..b}}", "is no variable");
    fails("{{a.b | nope}}", "unknown filter 'nope'");
    fails("{{a.b | json: x}}", "unknown filter");
    fails("{{a.b | default}}", "unknown filter");
    fails("{{a.b.c.d.e.f.g.h.i.j.k}}", "is no variable");
    struct buf b = {.max = 4};
    assert_int_equal(template_expand(SLICE("{{input.q}}"), scope, &b, &err), ERR_INVALID);
    buf_release(&b);
}

static void json_keeps_types(void **state)
{
    cJSON
        *v = cJSON_Parse(
            "{\"a\":\"{{input.n}}\",\"b\":\"n {{input.n}}\",\"c\":[\"{{find.list}}\",true,null,3],\"d\":\"{{no.x}}\"}"),
        *out;
    assert_int_equal(template_expand_json(v, scope, 10000, &out, &err), 0);
    char *text = cJSON_PrintUnformatted(out);
    assert_string_equal(
        text, "{\"a\":5,\"b\":\"n 5\",\"c\":[[{\"text\":\"one\"},{\"text\":\"two\"}],true,null,3],\"d\":null}");
    cJSON_free(text);
    cJSON_Delete(out);
    assert_int_equal(template_expand_json(v, scope, 100, &out, &err), ERR_INVALID);
    assert_null(out);
    cJSON_Delete(v);
}

static void note(void *arg, struct slice path)
{
    buf_add(arg, path.p, path.len);
    buf_add_char(arg, ' ');
}

static void refs_are_listed(void **state)
{
    struct buf b = {0};
    cJSON *v = cJSON_Parse("[\"{{a.b}} \\\\{{no}} {{c.d|json}}\",{\"x\":\"{{e}}\"}]");
    assert_int_equal(template_refs_json(v, note, &b, &err), 0);
    assert_string_equal(buf_cstr(&b), "a.b c.d e ");
    buf_release(&b);
    cJSON_Delete(v);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_are_filled),        cmocka_unit_test(filters_and_escapes),
        cmocka_unit_test(mistakes_have_a_sentence), cmocka_unit_test(json_keeps_types),
        cmocka_unit_test(refs_are_listed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
