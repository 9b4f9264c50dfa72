/* Globs by the two-pointer method: only the last star is ever returned to. That is enough, because a star takes the
 * shortest run that lets the part up to the next star match, and a longer one could not help what follows. */
#include "base/glob.h"

static unsigned char fold(unsigned char c, bool nocase)
{
    return nocase && c >= 'A' && c <= 'Z' ? (unsigned char)(c | 0x20) : c;
}

/* Matches c against the class that begins behind '[' at *at; *at moves behind the class. */
static bool class_match(struct slice pat, size_t *at, unsigned char c, bool nocase)
{
    size_t i = *at;
    bool not = i < pat.len && pat.p[i] == '^', hit = false;
    for (i += not ; i < pat.len && pat.p[i] != ']'; i++) {
        if (pat.p[i] == '\\' && i + 1 < pat.len) {
            hit |= fold((unsigned char)pat.p[++i], nocase) == c;
        } else if (i + 2 < pat.len && pat.p[i + 1] == '-') {
            unsigned char lo = fold((unsigned char)pat.p[i], nocase), hi = fold((unsigned char)pat.p[i + 2], nocase);
            hit |= lo <= hi ? c >= lo && c <= hi : c >= hi && c <= lo;
            i += 2;
        } else {
            hit |= fold((unsigned char)pat.p[i], nocase) == c;
        }
    }
    *at = i < pat.len ? i + 1 : i;
    return hit != not ;
}

/* Does the one-byte item at *at match c? Moves *at behind it. */
static bool item_match(struct slice pat, size_t *at, char ch, bool nocase)
{
    unsigned char c = fold((unsigned char)ch, nocase);
    char p = pat.p[(*at)++];
    if (p == '?')
        return true;
    if (p == '[')
        return class_match(pat, at, c, nocase);
    if (p == '\\' && *at < pat.len)
        p = pat.p[(*at)++];
    return fold((unsigned char)p, nocase) == c;
}

bool glob_match(struct slice pat, struct slice text, bool nocase)
{
    size_t p = 0, t = 0, star = 0, resume = 0;
    bool starred = false;
    while (t < text.len) {
        if (p < pat.len && pat.p[p] == '*') {
            while (p < pat.len && pat.p[p] == '*')
                p++;
            if (p == pat.len)
                return true;
            starred = true;
            star = p;
            resume = t;
            continue;
        }
        if (p < pat.len && item_match(pat, &p, text.p[t], nocase)) {
            t++;
            continue;
        }
        if (!starred)
            return false;
        p = star;
        t = ++resume;
    }
    while (p < pat.len && pat.p[p] == '*')
        p++;
    return p == pat.len;
}

bool glob_is_literal(struct slice pat)
{
    for (size_t i = 0; i < pat.len; i++)
        if (strchr("*?[\\", pat.p[i]) && pat.p[i])
            return false;
    return true;
}
