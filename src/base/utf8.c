#include "base/utf8.h"

#include <string.h>

/* Length of the well-formed sequence at p (n bytes left), 0 when broken. */
static size_t sequence(const unsigned char *p, size_t n, uint32_t *cp)
{
    if (p[0] < 0x80) {
        *cp = p[0];
        return 1;
    }
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || n < len)
        return 0;
    uint32_t v = p[0] & (0x7f >> len);
    for (size_t i = 1; i < len; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        v = v << 6 | (p[i] & 0x3f);
    }
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    if (v < least[len] || v > 0x10ffff || (v >= 0xd800 && v <= 0xdfff))
        return 0;
    *cp = v;
    return len;
}

/* Most text is ASCII: how much of it at p is, in steps of eight bytes. */
static size_t ascii_run(const char *p, size_t n)
{
    size_t i = 0;
    for (uint64_t v; n - i >= sizeof v; i += sizeof v) {
        memcpy(&v, p + i, sizeof v);
        if (v & UINT64_C(0x8080808080808080))
            break;
    }
    return i;
}

bool utf8_valid(struct slice s)
{
    uint32_t cp;
    for (size_t i = ascii_run(s.p, s.len), n; i < s.len; i += n) {
        if ((n = sequence((const unsigned char *)s.p + i, s.len - i, &cp)) == 0)
            return false;
        if (n == 1)
            n += ascii_run(s.p + i + 1, s.len - i - 1);
    }
    return true;
}

uint32_t utf8_next_wide(struct slice s, size_t *at)
{
    uint32_t cp;
    size_t n = sequence((const unsigned char *)s.p + *at, s.len - *at, &cp);
    *at += n ? n : 1;
    return n ? cp : 0xfffd;
}

size_t utf8_put(char to[4], uint32_t cp)
{
    if (cp < 0x80) {
        to[0] = (char)cp;
        return 1;
    }
    size_t len = cp < 0x800 ? 2 : cp < 0x10000 ? 3 : 4;
    for (size_t i = len - 1; i > 0; i--, cp >>= 6)
        to[i] = (char)(0x80 | (cp & 0x3f));
    to[0] = (char)((0xf00 >> len) | cp);
    return len;
}

size_t utf8_cut(struct slice s, size_t max)
{
    if (s.len <= max)
        return s.len;
    while (max > 0 && ((unsigned char)s.p[max] & 0xc0) == 0x80)
        max--;
    return max;
}

bool utf8_is_cjk(uint32_t cp)
{
    return (cp >= 0x2e80 && cp <= 0x2fdf) || (cp >= 0x3040 && cp <= 0x31ff) || (cp >= 0x3400 && cp <= 0x4dbf) ||
           (cp >= 0x4e00 && cp <= 0x9fff) || (cp >= 0xac00 && cp <= 0xd7af) || (cp >= 0xf900 && cp <= 0xfaff) ||
           (cp >= 0xff66 && cp <= 0xff9f) || (cp >= 0x20000 && cp <= 0x3ffff);
}
