#include "base/base64.h"

#include <stdint.h>

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void base64_encode(struct buf *to, struct slice b)
{
    char *out = buf_room(to, (b.len + 2) / 3 * 4);
    if (!out)
        return;
    size_t n = 0;
    for (size_t i = 0; i < b.len; i += 3) {
        size_t left = b.len - i;
        uint32_t v = (uint32_t)(unsigned char)b.p[i] << 16;
        v |= left > 1 ? (uint32_t)(unsigned char)b.p[i + 1] << 8 : 0;
        v |= left > 2 ? (unsigned char)b.p[i + 2] : 0;
        out[n++] = alphabet[v >> 18];
        out[n++] = alphabet[v >> 12 & 63];
        out[n++] = left > 1 ? alphabet[v >> 6 & 63] : '=';
        out[n++] = left > 2 ? alphabet[v & 63] : '=';
    }
    buf_grow(to, n);
}

static int value_of(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool base64_decode(struct buf *to, struct slice t)
{
    if (t.len % 4)
        return false;
    if (t.len == 0)
        return true;
    size_t pad = (t.p[t.len - 1] == '=') + (size_t)(t.p[t.len - 1] == '=' && t.p[t.len - 2] == '='), n = 0;
    unsigned char *out = (unsigned char *)buf_room(to, t.len / 4 * 3);
    if (!out)
        return false;
    for (size_t i = 0; i < t.len; i += 4) {
        uint32_t v = 0;
        for (size_t k = 0; k < 4; k++) {
            int x = i + k >= t.len - pad ? 0 : value_of(t.p[i + k]);
            if (x < 0)
                return false;
            v = v << 6 | (uint32_t)x;
        }
        out[n++] = (unsigned char)(v >> 16);
        out[n++] = (unsigned char)(v >> 8);
        out[n++] = (unsigned char)v;
    }
    buf_grow(to, n - pad);
    return true;
}
