/* Words, lower case, stop words, sentences. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/buf.h"
#include "base/utf8.h"
#include "base/words.h"

static void words(const char *text, const char *want)
{
    struct buf got = {0};
    struct word w;
    for (size_t at = 0; word_next(slice_str(text), &at, &w);) {
        buf_add_str(&got, got.len ? "|" : "");
        buf_add(&got, w.text.p, w.text.len);
        buf_add_str(&got, w.cjk ? "*" : "");
    }
    assert_string_equal(buf_cstr(&got), want);
    buf_release(&got);
}

static void text_falls_into_words(void **state)
{
    words("", "");
    words(" ,;-- ", "");
    words("Hello, world!", "Hello|world");
    words("don't 'quote' it's rock 'n' roll'", "don't|quote|it's|rock|n|roll");
    words("GPL-3 v2.0 a_b", "GPL|3|v2|0|a|b");
    words("Stra\xc3\x9f"
          "e \xc3\x84rger \xd0\x9c\xd0\xb8\xd1\x80\xe2\x80\x94x",
          "Stra\xc3\x9f"
          "e|\xc3\x84rger|\xd0\x9c\xd0\xb8\xd1\x80|x");
    words("\xe4\xb8\xad\xe6\x96\x87"
          "abc\xe3\x80\x82\xe5\xa5\xbd",
          "\xe4\xb8\xad*|\xe6\x96\x87*|abc|\xe5\xa5\xbd*");
    words("a\xff"
          "b \xe4\xb8",
          "a|b"); /* broken UTF-8 separates */
}

static const char *fold(const char *s)
{
    static char to[64];
    to[word_fold(slice_str(s), to, sizeof to - 1)] = 0;
    return to;
}

static void lower_case(void **state)
{
    assert_string_equal(fold("HeLLo 12"), "hello 12");
    assert_string_equal(fold("\xc3\x84\xc3\x96\xc3\x9c\xc3\x9f"), "\xc3\xa4\xc3\xb6\xc3\xbc\xc3\x9f"); /* German */
    assert_string_equal(fold("\xc5\x81\xc5\xbb\xc4\x8c\xc5\xbd"),
                        "\xc5\x82\xc5\xbc\xc4\x8d\xc5\xbe"); /* Polish, Czech */
    assert_string_equal(fold("\xce\x91\xce\x86\xce\xa9\xcf\x82"), "\xce\xb1\xce\xac\xcf\x89\xcf\x83"); /* Greek */
    assert_string_equal(fold("\xd0\x96\xd0\x81\xd1\x8f\xd0\x99"), "\xd0\xb6\xd1\x91\xd1\x8f\xd0\xb9"); /* Russian */
    assert_string_equal(fold("\xef\xbc\xa1\xef\xbc\x91\xe4\xb8\xad"), "a1\xe4\xb8\xad");               /* full width */
    for (uint32_t c = 0; c < 0x20000; c++)
        assert_int_equal(letter_lower(letter_lower(c)), letter_lower(c));
    char to[4];
    assert_int_equal(word_fold(SLICE("ab\xc3\x84"), to, 3), 2); /* never half a character */
}

static void stop_words(void **state)
{
    static const char *const yes[] = {"a", "the", "of", "with", "which", "should", "\xe7\x9a\x84"};
    static const char *const no[] = {"", "license", "x", "th", "hat with", "copies", "\xe4\xb8\xad"};
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        assert_true(word_is_stop(slice_str(yes[i])));
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        assert_false(word_is_stop(slice_str(no[i])));
}

static void sentences(const char *text, const char *want)
{
    struct buf got = {0};
    struct slice s;
    for (size_t at = 0; sentence_next(slice_str(text), &at, &s);) {
        assert_true(s.len > 0);
        buf_add_str(&got, got.len ? "|" : "");
        buf_add(&got, s.p, s.len);
    }
    assert_string_equal(buf_cstr(&got), want);
    buf_release(&got);
}

static void text_falls_into_sentences(void **state)
{
    sentences("", "");
    sentences(" \n\n ", "");
    sentences("One. Two! Three? Four", "One.|Two!|Three?|Four");
    sentences("He said \"stop.\" Then (he left.) So", "He said \"stop.\"|Then (he left.)|So");
    sentences("Version 3.5 of it, e.g. by J. Smith, Dr. No etc. is out. Fine.",
              "Version 3.5 of it, e.g. by J. Smith, Dr. No etc. is out.|Fine.");
    sentences("5. Conveying Modified Versions.\nYou may.", "5. Conveying Modified Versions.|You may.");
    sentences("A title\n\nA line\nand its end", "A title|A line\nand its end");
    sentences("Do:\n- one\n- two\n1. three\n[4] four", "Do:|- one|- two|1. three|[4] four");
    sentences("\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82\xe5\x86\x8d\xe8\xa7\x81\xef\xbc\x81",
              "\xe4\xbd\xa0\xe5\xa5\xbd\xe3\x80\x82|\xe5\x86\x8d\xe8\xa7\x81\xef\xbc\x81");
    sentences("Wait... what?! Yes", "Wait...|what?!|Yes");
    sentences("\xff\xfe. x", "\xff\xfe.|x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_falls_into_words),
        cmocka_unit_test(lower_case),
        cmocka_unit_test(stop_words),
        cmocka_unit_test(text_falls_into_sentences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
