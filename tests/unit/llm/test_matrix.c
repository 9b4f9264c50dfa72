/* The table of what providers support: nothing is ignored without a note, and PROVIDERS.md is what the rows say. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>

#include "base/json.h"
#include "llm/matrix.h"

static void nothing_is_silently_dropped(void **state)
{
    for (int i = 0; llm_provider_at(i); i++)
        for (int k = 0; llm_matrix_feature(k); k++)
            if (strcmp(llm_matrix_cell(llm_provider_at(i), k), "ignored") == 0)
                fail_msg("%s ignores %s", llm_provider_at(i)->name, llm_matrix_feature(k));
}

static const char *cell(const char *provider, const char *feature)
{
    int k = 0;
    while (strcmp(llm_matrix_feature(k), feature) != 0)
        k++;
    return llm_matrix_cell(llm_provider_find(slice_str(provider)), k);
}

static void some_cells(void **state)
{
    assert_string_equal(cell("openai", "JSON schema"), "yes");
    assert_string_equal(cell("anthropic", "seed"), "dropped");
    assert_string_equal(cell("anthropic", "embeddings"), "-");
    assert_string_equal(cell("ollama", "image URL"), "refused");
    assert_string_equal(cell("ollama", "image data"), "yes");
    assert_string_equal(cell("glm", "tool choice"), "dropped");
    assert_string_equal(cell("deepseek", "JSON schema"), "mapped");
    assert_string_equal(cell("tei", "chat"), "-");
    assert_string_equal(cell("tei", "rerank"), "yes");
    assert_string_equal(cell("builtin", "stream"), "yes");
}

static void the_page_is_true(void **state)
{
    struct buf page = {0}, table = {0};
    FILE *f = fopen("src/llm/PROVIDERS.md", "r");
    assert_non_null(f);
    for (int c; (c = fgetc(f)) != EOF;)
        buf_add_char(&page, (char)c);
    fclose(f);
    llm_matrix(&table);
    if (!strstr(buf_cstr(&page), buf_cstr(&table)))
        fail_msg("src/llm/PROVIDERS.md does not have the table that `skald --providers` prints");
    buf_release(&page);
    buf_release(&table);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_silently_dropped),
        cmocka_unit_test(some_cells),
        cmocka_unit_test(the_page_is_true),
    };
    json_boot();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
