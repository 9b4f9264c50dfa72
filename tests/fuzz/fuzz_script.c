/* Arbitrary bytes for the parsers that scripts bring: the first byte picks cmsgpack.unpack, struct.unpack (format and
 * data divided by a zero byte), cjson.decode, or the text of a script, header and all. Each fails with an error or gives
 * values; what was decoded is encoded again. */
#include <stdint.h>
#include <string.h>

#include "script/engine.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void call(int argc, const struct slice *argv, int resp, struct buf *out)
{
    buf_add_str(out, "$-1\r\n");
}

static void set_repl(int what)
{
}

static int may_run(int argc, const struct slice *argv)
{
    return 1;
}

static int looks;

static bool look(void)
{
    return ++looks < 50;
}

static const char *const scripts[] = {
    "local t = {pcall(cmsgpack.unpack, ARGV[1])} for i = 2, #t do pcall(cmsgpack.pack, t[i]) end return t",
    "local f, d = string.match(ARGV[1], '^(%Z*)%z(.*)$') if not f then f, d = ARGV[1], ARGV[1] end pcall(struct.size, f) "
    "return {pcall(struct.unpack, f, d)}",
    "local ok, v = pcall(cjson.decode, ARGV[1]) if ok then pcall(cjson.encode, v) end return v",
};
#define SCRIPTS (sizeof scripts / sizeof *scripts)

static void run(struct engine *e, int chunk, struct slice arg)
{
    struct buf out = {0};
    struct reply reply = {.out = &out, .resp = 3};
    struct engine_run r = {.chunk = chunk, .name = "fuzz", .args = &arg, .nargs = 1, .as_globals = true};
    looks = 0;
    engine_run(e, &r, &reply);
    buf_release(&out);
}

static void run_text(struct engine *e, struct slice text)
{
    struct err err;
    unsigned flags;
    size_t skip;
    int chunk;
    if (script_header(text, &flags, &skip, &err) < 0 ||
        engine_compile(e, slice_of(text.p + skip, text.len - skip), &chunk, &err) < 0)
        return;
    run(e, chunk, text);
    engine_drop(e, chunk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct engine_host host = {call, set_repl, may_run, look, "7.2.4", 0x70204};
    static struct engine *e;
    static int chunks[SCRIPTS];
    for (size_t i = 0; !e && i < SCRIPTS; i++) {
        static struct engine *made;
        if (!made)
            made = engine_create(&host);
        engine_compile(made, slice_str(scripts[i]), &chunks[i], NULL);
        if (i == SCRIPTS - 1)
            e = made;
    }
    if (size == 0)
        return 0;
    struct slice rest = slice_of((const char *)data + 1, size - 1);
    if (*data % (SCRIPTS + 1) == SCRIPTS)
        run_text(e, rest);
    else
        run(e, chunks[*data % (SCRIPTS + 1)], rest);
    return 0;
}
