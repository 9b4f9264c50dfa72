/* The estimate: one pass over the text, a class per character, a cost per run of one class. */
#include "llm/tokens.h"

#include "base/utf8.h"

enum shape { MARK, SPACE, LINE, LETTER, DIGIT, FOREIGN, CJK };

static const uint8_t ascii[128] = {
    [' '] = SPACE,          ['\t'] = SPACE,         ['\r'] = SPACE,        ['\n'] = LINE,
    ['a' ... 'z'] = LETTER, ['A' ... 'Z'] = LETTER, ['0' ... '9'] = DIGIT,
};

static enum shape shape_of(uint32_t c)
{
    if (c < 0x80)
        return ascii[c];
    if (utf8_is_cjk(c) || (c >= 0x3000 && c <= 0x303f) || (c >= 0xff00 && c <= 0xffef) || c >= 0x1f000)
        return CJK;
    return FOREIGN;
}

static int64_t cost(enum shape s, int64_t run)
{
    switch (s) {
    case SPACE: return run > 1 ? 1 : 0; /* one space belongs to the word after it */
    case LINE: return 1;
    case LETTER: return 1 + (run - 1) / 8;
    case DIGIT: return (run + 2) / 3;
    case FOREIGN: return (run + 2) / 3;
    case CJK: return run;
    case MARK: return (run + 2) / 3;
    }
    return run;
}

int64_t tokens_estimate(struct slice text)
{
    int64_t total = 0, run = 0;
    enum shape now = SPACE;
    for (size_t i = 0; i < text.len;) {
        enum shape s = shape_of(utf8_next(text, &i));
        if (s != now) {
            total += run ? cost(now, run) : 0;
            run = 0;
            now = s;
        }
        run++;
    }
    return total + (run ? cost(now, run) : 0);
}
