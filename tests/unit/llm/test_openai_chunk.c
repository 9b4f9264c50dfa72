/* Chunks read without a tree: which ones are, and that whatever is taken so means the same to the parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "base/json_scan.h"
#include "base/rng.h"
#include "llm/openai_chunk.h"

#define HEAD "{\"id\":\"c-1\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-x\","
#define CHOICE(delta)                                                                                                  \
    HEAD "\"choices\":[{\"index\":0,\"delta\":" delta ",\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}"

static const char *const quick[] = {
    CHOICE("{\"content\":\"hello\"}"),
    CHOICE("{\"role\":\"assistant\",\"content\":\"\",\"refusal\":null,\"tool_calls\":null}"),
    CHOICE("{\"content\":\"a \\\"quoted\\\" \\\\ line\\nand \\/ \\t\\b\\f\\r\"}"),
    CHOICE("{\"content\":null,\"reasoning_content\":\"thinking\\n\"}"),
    CHOICE("{\"content\":\"\xe4\xbd\xa0\xe5\xa5\xbd, \xf0\x9f\x98\x80 and more text than eight bytes\"}"),
    CHOICE("{}"),
    CHOICE("null"),
    " {\n \"choices\" : [ { \"delta\" : { \"content\" : \"x\" } , \"index\" : 0 } ] "
    ",\r\n\t\"more\":[1,-2.5e+3,{\"a\":[]}]}  ",
    HEAD "\"service_tier\":\"x\",\"p\":{\"q\":[true,false,null]},\"choices\":[{\"delta\":{\"content\":\"y\",\"extra\":{"
         "}}}]}",
};

static const char *const others[] = {
    CHOICE("{\"content\":\"\\u4f60\"}"),
    CHOICE("{\"content\":[{\"text\":\"a\"}]}"),
    CHOICE("{\"content\":\"a\",\"content\":\"b\"}"),
    CHOICE("{\"cont\\u0065nt\":\"a\"}"),
    CHOICE("{\"content\":\"a\",\"tool_calls\":[]}"),
    CHOICE("{\"refusal\":\"no\"}"),
    CHOICE("{\"reasoning\":\"hm\"}"),
    CHOICE("{\"content\":\"a\tb\"}"),
    CHOICE("{\"content\":\"a\xff\"}"),
    CHOICE("{\"content\":\"a\\x\"}"),
    CHOICE("{\"content\":\"a\"") "}",
    CHOICE("{\"content\":\"a\",}"),
    CHOICE("{\"content\" \"a\"}"),
    CHOICE("{\"n\":01.}"),
    CHOICE("{\"n\":[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]}"),
    CHOICE("{}") "x",
    HEAD "\"choices\":[]}",
    HEAD "\"choices\":[{\"index\":1,\"delta\":{\"content\":\"a\"}}]}",
    HEAD "\"choices\":[{\"index\":10,\"delta\":{\"content\":\"a\"}}]}",
    HEAD "\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"},\"finish_reason\":\"stop\"}]}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}},{\"delta\":{\"content\":\"b\"}}]}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"usage\":{\"prompt_tokens\":1}}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"},\"usage\":{\"prompt_tokens\":1}}]}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"error\":{\"message\":\"x\"}}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"}}],\"code\":7}",
    HEAD "\"choices\":[{\"delta\":{\"content\":\"a\"},\"delta\":{}}]}",
    HEAD "\"choices\":{\"a\":{\"delta\":{\"content\":\"a\"}}}}",
    "{\"model\":1,\"choices\":[{}]}",
    "[]",
    "{",
    "",
};

static const cJSON *member(const cJSON *o, const char *name)
{
    return cJSON_GetObjectItemCaseSensitive(o, name);
}

static void same_text(struct slice raw, const char *parsed)
{
    struct buf text = {0};
    assert_true(json_unescape(&text, raw));
    assert_string_equal(buf_cstr(&text), parsed);
    buf_release(&text);
}

/* What was taken without a tree, by the tree. */
static void judge(struct slice json, const struct openai_chunk *c)
{
    struct err err;
    cJSON *root = json_parse(json, 1u << 20, "chunk", &err);
    assert_non_null(root);
    const cJSON *choices = member(root, "choices"), *choice = cJSON_GetArrayItem(choices, 0),
                *d = member(choice, "delta");
    assert_true(cJSON_IsArray(choices) && cJSON_GetArraySize(choices) == 1);
    assert_true(json_num(choice, "index", 0) == 0);
    assert_null(json_str(choice, "finish_reason", NULL));
    same_text(c->model, json_str(root, "model", ""));
    same_text(c->content, json_str(d, "content", ""));
    assert_false(cJSON_IsArray(member(d, "content")));
    same_text(c->reasoning, json_str(d, "reasoning_content", json_str(d, "reasoning", "")));
    assert_null(json_str(d, "refusal", NULL));
    assert_int_equal(cJSON_GetArraySize(member(d, "tool_calls")), 0);
    assert_false(cJSON_IsObject(member(root, "usage")) || cJSON_IsObject(member(choice, "usage")));
    static const char *const errors[] = {"error", "code", "base_resp", "error_code"};
    for (int i = 0; i < 4; i++)
        assert_null(member(root, errors[i]));
    cJSON_Delete(root);
}

static void plain_chunks_are_read_without_a_tree(void **state)
{
    for (size_t i = 0; i < sizeof quick / sizeof *quick; i++) {
        struct openai_chunk c;
        if (!openai_chunk_read(slice_str(quick[i]), &c))
            fail_msg("not taken: %s", quick[i]);
        judge(slice_str(quick[i]), &c);
    }
}

static void others_are_left_to_the_parser(void **state)
{
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        struct openai_chunk c;
        if (openai_chunk_read(slice_str(others[i]), &c))
            fail_msg("taken: %s", others[i]);
    }
}

/* One byte after the other is changed, put in or taken away; cut anywhere, nothing is taken. */
static void what_is_taken_means_the_same(void **state)
{
    static const char bytes[] = "{}[]:,\"\\ntu0019.-+eE \t\xc3\xa9\x01lafkdr";
    struct rng rng;
    int taken = 0;
    rng_seed(&rng, 7);
    for (int round = 0; round < 60000; round++) {
        struct slice from = slice_str(quick[rng_below(&rng, sizeof quick / sizeof *quick)]);
        struct buf text = {0};
        struct openai_chunk c;
        buf_add(&text, from.p, from.len);
        for (uint64_t n = rng_below(&rng, 3) + 1; n; n--) {
            size_t at = rng_below(&rng, text.len);
            char byte = bytes[rng_below(&rng, sizeof bytes - 1)];
            uint64_t how = rng_below(&rng, 3);
            if (how == 0)
                text.p[at] = byte;
            else if (how == 1)
                buf_insert(&text, at, &byte, 1);
            else
                text.len -= text.len - at < 4 ? text.len - at : 0;
        }
        char *exact = memcpy(test_malloc(text.len + 1), text.p, text.len); /* so that a sanitizer sees its end */
        if (openai_chunk_read(slice_of(exact, text.len), &c)) {
            judge(slice_of(exact, text.len), &c);
            taken++;
        }
        test_free(exact);
        buf_release(&text);
    }
    assert_true(taken > 1000);
    for (size_t i = 0; i < strlen(quick[0]); i++) {
        struct openai_chunk c;
        assert_false(openai_chunk_read(slice_of(quick[0], i), &c));
    }
}

static void plain_bytes(void **state)
{
    char text[64];
    for (int c = 0; c < 256; c++)
        for (size_t at = 0; at < 40; at++) {
            memset(text, 'x', sizeof text);
            text[at] = (char)c;
            bool stops = c < 0x20 || c == '"' || c == '\\';
            assert_int_equal(json_plain(text, 40, false), stops ? at : 40);
            assert_int_equal(json_plain(text, 40, true), stops || c >= 0x80 ? at : 40);
        }
}

static void depth_is_limited(void **state)
{
    struct err err;
    for (int deep = 120; deep < 140; deep++) {
        struct buf text = {0};
        for (int i = 0; i < deep; i++)
            buf_add_str(&text, i % 2 ? "{\"a[{\":" : "[");
        buf_add_char(&text, '1');
        for (int i = deep - 1; i >= 0; i--)
            buf_add_char(&text, i % 2 ? '}' : ']');
        cJSON *v = json_parse(buf_slice(&text), 1u << 20, "deep", &err);
        assert_true((v != NULL) == (deep <= 128));
        cJSON_Delete(v);
        buf_release(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_chunks_are_read_without_a_tree),
        cmocka_unit_test(others_are_left_to_the_parser),
        cmocka_unit_test(what_is_taken_means_the_same),
        cmocka_unit_test(plain_bytes),
        cmocka_unit_test(depth_is_limited),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
