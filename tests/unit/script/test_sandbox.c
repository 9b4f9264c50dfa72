/* The Lua sandbox: values in and out, errors with their line, and every bound. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/mem.h"
#include "script/sandbox.h"

static struct err err;

/* Runs code; the result as JSON text (free with mem_free), or NULL with `err` filled. */
static char *run_with(const char *code, const char *input, const struct sandbox_limits *limits)
{
    cJSON *in = input ? cJSON_Parse(input) : NULL, *out;
    err = (struct err){0};
    int rc = sandbox_run(slice_str(code), "code", in, limits, &out, &err);
    cJSON_Delete(in);
    if (rc < 0) {
        assert_null(out);
        return NULL;
    }
    char *text = cJSON_PrintUnformatted(out);
    cJSON_Delete(out);
    return text;
}

static void gives(const char *code, const char *input, const char *want)
{
    char *got = run_with(code, input, NULL);
    if (!got)
        fail_msg("%s: %s", code, err.msg);
    assert_string_equal(got, want);
    cJSON_free(got);
}

static void fails(const char *code, const char *part)
{
    char *got = run_with(code, "{}", NULL);
    if (got)
        fail_msg("%s gave %s", code, got);
    if (!strstr(err.msg, part))
        fail_msg("%s: '%s' does not hold '%s'", code, err.msg, part);
}

static void is_stopped(const char *code, const char *part)
{
    struct sandbox_limits few = {.instructions = 1000000};
    assert_null(run_with(code, "{}", &few));
    if (!strstr(err.msg, part))
        fail_msg("%s: '%s' does not hold '%s'", code, err.msg, part);
}

static void values_go_in_and_out(void **state)
{
    gives("return input", "{\"a\":[1,2.5,\"x\",true,null],\"b\":{}}", "{\"a\":[1,2.5,\"x\",true,null],\"b\":{}}");
    gives("return input.list", "{\"list\":[]}", "[]");
    gives("return {}", NULL, "{}");
    gives("return json.array{}", NULL, "[]");
    gives("return {1,2,3}", NULL, "[1,2,3]");
    gives("return nil", NULL, "null");
    gives("local x = 1", NULL, "null");
    gives("return input.a == json.null", "{\"a\":null}", "true");
    gives("function main(args) return {sum = args.a + args.b} end", "{\"a\":1,\"b\":2}", "{\"sum\":3}");
    gives("return json.decode('[1,{\"k\":\"v\"}]')[2].k", NULL, "\"v\"");
    gives("return json.encode({a={1,2}})", NULL, "\"{\\\"a\\\":[1,2]}\"");
    gives("return {[10]=1}", NULL, "{\"10\":1}");
}

static void errors_have_their_line(void **state)
{
    fails("local x = 1\nlocal y = nil + x", "code line 2: attempt to perform arithmetic");
    assert_int_equal(err.code, ERR_INVALID);
    fails("x = = 2", "code line 1: unexpected symbol");
    fails("error('no stock')", "code line 1: no stock");
    fails("error({})", "not a string");
    fails("return function() end", "holds a function");
    fails("return 0/0", "JSON cannot");
    fails("return '\\255'", "not UTF-8");
    assert_int_equal(sandbox_check(SLICE("return 1 +"), "code", &err), ERR_INVALID);
    assert_int_equal(sandbox_check(SLICE("return 1 + 2"), "code", &err), 0);
}

static void doors_are_shut(void **state)
{
    static const char *const gone[] = {"io",      "os",      "require",        "load",     "loadstring", "dofile",
                                       "debug",   "package", "collectgarbage", "loadfile", "module",     "coroutine",
                                       "setfenv", "getfenv", "newproxy",       "print"};
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char code[128];
        snprintf(code, sizeof code, "return %s == nil", gone[i]);
        gives(code, NULL, "true");
    }
    gives("return string.dump == nil", NULL, "true");
    fails("\033Lua bytecode", "compiled Lua is not accepted");
    fails("return ('x'):dump()", "attempt to call method 'dump'");
}

static void loops_are_stopped(void **state)
{
    fails("while true do end", "more than 50000000 instructions");
    is_stopped("while true do pcall(function() while true do end end) end", "instructions");
    is_stopped("local function f() return f() end f()", "instructions");
    is_stopped("local function f() return pcall(f) or f() end f()", "");
    is_stopped("xpcall(function() while true do end end, function() while true do end end)", "instructions");
    struct sandbox_limits short_time = {.timeout_ms = 30, .instructions = UINT64_MAX / 2};
    assert_null(run_with("while true do end", NULL, &short_time));
    assert_non_null(strstr(err.msg, "still running after 30 ms"));
    assert_null(run_with("table.sort({3,2,1,5,4}, function() while true do end end)", NULL, &short_time));
    assert_non_null(strstr(err.msg, "still running after 30 ms"));
}

static void a_cancel_is_seen(void **state)
{
    atomic_bool cancelled = true;
    struct sandbox_limits limits = {.cancelled = &cancelled};
    assert_null(run_with("while true do end", NULL, &limits));
    assert_int_equal(err.code, ERR_CANCELLED);
}

static void memory_is_bounded(void **state)
{
    fails("local t = {} for i = 1, 1e9 do t[i] = 'x' .. i end", "memory");
    fails("local s = 'x' while true do s = s .. s end", "memory");
    fails("return string.rep('x', 1e9)", "memory");
    fails("return ('abc'):rep(1e8)", "memory");
    gives("return #string.rep('', 2^31)", NULL, "0");
    fails("local t = {} for i = 1, 40 do t = {t, t} end return t", "larger than");
    fails("local t = {} t.t = t return t", "nested deeper");
    fails("return string.rep('x', 2e6)", "larger than");
    is_stopped("local ok = pcall(string.rep, 'x', 1e9) while true do end", "instructions");
    size_t before = mem_used();
    assert_null(run_with("local t = {} while true do t = {t, json.decode('[[1]]')} end", NULL, NULL));
    assert_true(mem_used() < before + (1 << 20));
}

static void patterns_are_bounded(void **state)
{
    struct sandbox_limits limits = {.timeout_ms = 50};
    assert_null(run_with("return ('a'):rep(30000):find(('a-'):rep(30) .. 'b')", NULL, &limits));
    assert_non_null(strstr(err.msg, "still running after 50 ms"));
    assert_null(run_with("return (('a'):rep(50000):gsub('.-.-.-b', ''))", NULL, &limits));
    assert_non_null(strstr(err.msg, "still running after 50 ms"));
    fails("return ('a'):rep(1e6):find(('a?'):rep(1e5))", "pattern too complex");
    fails("for w in ('a'):gmatch('(') do end", "unfinished capture");
}

static void patterns_answer_as_lua(void **state)
{
    gives("return {('hello world'):find('o w')}", NULL, "[5,7]");
    gives("return {('hello'):find('l')}", NULL, "[3,3]");
    gives("return {('a.b'):find('.', 2, true)}", NULL, "[2,2]");
    gives("return {('key = val'):match('^(%w+)%s*=%s*(%w+)$')}", NULL, "[\"key\",\"val\"]");
    gives("return {('  trim  '):match('^%s*(.-)%s*$')}", NULL, "[\"trim\"]");
    gives("return {('f(a(b)c)d'):match('%b()')}", NULL, "[\"(a(b)c)\"]");
    gives("return {('THE (quick) fox'):find('%f[%a]%a+%f[%A]', 5)}", NULL, "[6,10]");
    gives("return {('\"x\" y'):match('([\"\\'])(.-)%1')}", NULL, "[\"\\\"\",\"x\"]");
    gives("return {('abc'):match('()b()')}", NULL, "[2,3]");
    gives("return {('hello'):gsub('l', 'L', 1)}", NULL, "[\"heLlo\",1]");
    gives("return {('abc'):gsub('', '-')}", NULL, "[\"-a-b-c-\",4]");
    gives("return {('abc'):gsub('%w', '%0%0')}", NULL, "[\"aabbcc\",3]");
    gives("return {('$a $b'):gsub('%$(%w)', {a = 1})}", NULL, "[\"1 $b\",2]");
    gives("return {('ab'):gsub('(a)(b)', function(x, y) return y .. x end)}", NULL, "[\"ba\",1]");
    gives("local t = {} for k, v in ('a=1,b=2'):gmatch('(%w)=(%w)') do t[#t+1] = k .. v end return t", NULL,
          "[\"a1\",\"b2\"]");
    gives("return {('x]y'):match('[]]')}", NULL, "[\"]\"]");
    gives("return {('a-z'):match('[a%-]+')}", NULL, "[\"a-\"]");
    gives("return {('zzz'):match('[^a-y]+')}", NULL, "[\"zzz\"]");
}

static void every_run_is_alone(void **state)
{
    gives("leak = 5 string.leak = 6 return 1", NULL, "1");
    gives("return {leak == nil, string.leak == nil}", NULL, "[true,true]");
    char *once = run_with("return math.random(1000000)", NULL, NULL);
    gives("return math.random(1000000)", NULL, once);
    cJSON_free(once);
}

int main(void)
{
    json_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_go_in_and_out), cmocka_unit_test(errors_have_their_line),
        cmocka_unit_test(doors_are_shut),       cmocka_unit_test(loops_are_stopped),
        cmocka_unit_test(a_cancel_is_seen),     cmocka_unit_test(memory_is_bounded),
        cmocka_unit_test(patterns_are_bounded), cmocka_unit_test(patterns_answer_as_lua),
        cmocka_unit_test(every_run_is_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
