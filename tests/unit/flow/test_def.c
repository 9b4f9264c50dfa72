/* Definitions: a sound one, and every kind of mistake with the node it belongs to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "flow/def.h"
#include "flow/kind.h"

/* Single quotes stand for double ones, so that the definitions can be read. */
static char *quoted(const char *text)
{
    char *s = mem_strdup(text);
    for (char *p = s; *p; p++)
        if (*p == '\'')
            *p = '"';
    return s;
}

static void sound(const char *text)
{
    struct flow *f;
    struct flow_problems problems;
    char *json = quoted(text);
    if (flow_parse(slice_str(json), &f, &problems) < 0)
        fail_msg("node %s: %s", problems.item[0].node, problems.item[0].text);
    flow_problems_release(&problems);
    flow_unref(f);
    mem_free(json);
}

static void refused(const char *text, const char *node, const char *part)
{
    struct flow *f;
    struct flow_problems problems;
    char *json = quoted(text);
    assert_int_equal(flow_parse(slice_str(json), &f, &problems), ERR_INVALID);
    assert_null(f);
    bool found = false;
    for (int i = 0; i < problems.n; i++)
        found |= strcmp(problems.item[i].node, node) == 0 && strstr(problems.item[i].text, part);
    if (!found)
        fail_msg("no problem '%s' of node '%s'; the first of %d is node '%s': %s", part, node, problems.n,
                 problems.item[0].node, problems.item[0].text);
    flow_problems_release(&problems);
    mem_free(json);
}

#define FLOW(nodes, edges) "{'nodes':[" nodes "],'edges':[" edges "]}"
#define START              "{'id':'s','kind':'start'}"
#define END                "{'id':'e','kind':'answer','params':{'text':'done'}}"
#define EDGE(a, b)         "{'from':'" a "','to':'" b "'}"

static void sound_flows_parse(void **state)
{
    sound(FLOW(START "," END, EDGE("s", "e")));
    sound("{'title':'x','nodes':[{'id':'s','kind':'start','params':{'inputs':[{'name':'q','type':'string'}]}},"
          "{'id':'f','kind':'search','params':{'key':'docs','query':'{{input.q}}','count':3}},"
          "{'id':'c','kind':'condition','params':{'cases':[{'branch':'some','all':[{'value':'{{f.count}}','op':'>','to'"
          ":0}]}]}},"
          "{'id':'m','kind':'llm','params':{'prompt':'{{f.text}} {{s.q}} {{sys.session}}'},'on_error':'branch'},"
          "{'id':'a','kind':'answer','params':{'text':'{{m.text}}'}},"
          "{'id':'n','kind':'answer','params':{'text':'nothing {{m.error}}'}}],"
          "'edges':[{'from':'s','to':'f'},{'from':'f','to':'c'},{'from':'c','to':'m','branch':'some'},"
          "{'from':'c','to':'n','branch':'else'},{'from':'m','to':'a'},{'from':'m','to':'n','branch':'error'}]}");
}

static void shapes_are_checked(void **state)
{
    refused("{", "", "bad JSON");
    refused("[]", "", "JSON object");
    refused("{'nodes':[]}", "", "1 to 500 nodes");
    refused("{'nodes':[5]}", "", "not an object");
    refused(FLOW("{'kind':'start'}," END, ""), "", "needs an 'id'");
    refused(FLOW("{'id':'a b','kind':'start'}," END, ""), "", "needs an 'id'");
    refused(FLOW(START "," START "," END, EDGE("s", "e")), "s", "two nodes");
    refused(FLOW("{'id':'sys','kind':'start'}," END, EDGE("sys", "e")), "sys", "reserved");
    refused(FLOW(START "," END ",{'id':'x','kind':'serch'}", EDGE("s", "e")), "x", "unknown kind 'serch'");
    refused(FLOW(START ",{'id':'e','kind':'end','parms':{}}", EDGE("s", "e")), "e", "no member 'parms'");
    refused(FLOW(START ",{'id':'e','kind':'end','retries':1.5}", EDGE("s", "e")), "e", "'retries'");
    refused(FLOW(START ",{'id':'e','kind':'end','on_error':'default'}", EDGE("s", "e")), "e", "'default' must be");
}

static void graphs_are_checked(void **state)
{
    refused(FLOW(END, ""), "", "no start node");
    refused(FLOW(START, ""), "", "no answer and no end");
    refused(FLOW(START "," END, EDGE("s", "x")), "", "there is no node 'x'");
    refused(FLOW(START "," END, ""), "e", "cannot be reached");
    refused(FLOW(START "," END, EDGE("s", "e") "," EDGE("s", "e")), "s", "two equal edges");
    refused(FLOW(START "," END ",{'id':'t','kind':'start'}", EDGE("s", "e")), "t", "a start node already");
    refused(FLOW(START "," END, EDGE("s", "e") "," EDGE("e", "s")), "s", "no incoming");
    const char *cycle = FLOW(START "," END ",{'id':'a','kind':'template','params':{'text':'x'}},"
                                   "{'id':'b','kind':'template','params':{'text':'x'}}",
                             EDGE("s", "a") "," EDGE("a", "b") "," EDGE("b", "a") "," EDGE("b", "e"));
    refused(cycle, "a", "cycle");
    refused(cycle, "b", "cycle");
    refused(FLOW(START "," END, "{'from':'s','to':'e','branch':'x'}"), "s", "no branch 'x'");
}

#define WITH(kind, params)                                                                                             \
    FLOW(START "," END ",{'id':'x','kind':'" kind "','params':{" params "}}", EDGE("s", "x") "," EDGE("x", "e"))

static void params_are_checked(void **state)
{
    refused(WITH("search", "'key':'k'"), "x", "needs 'query'");
    refused(WITH("search", "'key':'k','query':'q','count':0"), "x", "'count' must be");
    refused(WITH("search", "'key':'k','query':'q','cuont':1"), "x", "no parameter 'cuont'");
    refused(WITH("template", "'text':5"), "x", "must be a text");
    refused(WITH("template", "'text':'{{'"), "x", "without '}}'");
    refused(WITH("code", "'code':'return +'"), "x", "code line 1");
    refused(WITH("http", "'url':'http://x','method':'FETCH'"), "x", "unknown method");
    refused(WITH("llm", "'prompt':'x','temperature':9"), "x", "'temperature' must be");
    refused(WITH("variable", ""), "x", "needs 'assign'");
    refused(WITH("variable", "'first':{'v':['{{a}}']}"), "x", "must name variables");
    refused(WITH("condition", "'cases':[{'branch':'b','all':[{'value':1,'op':'like','to':2}]}]"), "x",
            "operator 'like'");
    refused(WITH("condition", "'cases':[{'branch':'else','all':[{'value':1,'op':'empty'}]}]"), "x", "'else' is taken");
    refused(WITH("condition", "'cases':[{'branch':'b','all':[{'value':1,'op':'empty'}]}]"), "x", "needs a 'branch'");
}

static void variables_are_checked(void **state)
{
    refused(WITH("template", "'text':'{{nobody.x}}'"), "x", "there is no node 'nobody'");
    refused(WITH("template", "'text':'{{e.text}}'"), "x", "does not run before");
    refused(WITH("template", "'text':'{{x.text}}'"), "x", "does not run before");
    refused(WITH("template", "'text':'{{sys.user}}'"), "x", "sys has session");
    refused(FLOW(START ",{'id':'t','kind':'template','params':{'text':'x'}},"
                       "{'id':'e','kind':'answer','params':{'text':'{{t.txt}}'}}",
                 EDGE("s", "t") "," EDGE("t", "e")),
            "e", "no such output (it has: text)");
    refused(FLOW("{'id':'s','kind':'start','params':{'inputs':[{'name':'q'}]}},"
                 "{'id':'e','kind':'answer','params':{'text':'{{input.x}}'}}",
                 EDGE("s", "e")),
            "e", "does not declare");
}

static void places_are_bounded(void **state)
{
    struct buf text = {0};
    buf_add_str(&text, "{'nodes':[{'id':'s','kind':'start'},{'id':'e','kind':'answer','params':{'text':'");
    for (int i = 0; i < FLOW_REFS_MAX + 1; i++)
        buf_add_str(&text, "{{input.x}}");
    buf_add_str(&text, "'}}],'edges':[{'from':'s','to':'e'}]}");
    refused(buf_cstr(&text), "", "at more than 10000 places");
    buf_release(&text);
}

static void all_problems_come_at_once(void **state)
{
    struct flow *f;
    struct flow_problems problems;
    struct err err;
    char *json = quoted(FLOW("{'id':'a','kind':'x'},{'id':'b','kind':'y'}", EDGE("a", "q")));
    assert_int_equal(flow_parse(slice_str(json), &f, &problems), ERR_INVALID);
    assert_true(problems.n >= 5);
    flow_problems_err(&problems, &err);
    assert_non_null(strstr(err.msg, "node a: unknown kind 'x' (and "));
    flow_problems_release(&problems);
    mem_free(json);
}

int main(void)
{
    json_boot();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_flows_parse),         cmocka_unit_test(shapes_are_checked),
        cmocka_unit_test(graphs_are_checked),        cmocka_unit_test(params_are_checked),
        cmocka_unit_test(variables_are_checked),     cmocka_unit_test(places_are_bounded),
        cmocka_unit_test(all_problems_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
