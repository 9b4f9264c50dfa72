/* See errorstats.h. A script can make up error words without end: beyond a limit they are counted together. */
#include "cmd/errorstats.h"

#include <string.h>

#include "base/info.h"
#include "net/reply.h"

#define KINDS_MAX 128
#define WORD_MAX  32

static struct kind {
    char word[WORD_MAX];
    uint64_t n;
} kinds[KINDS_MAX];
static int nkinds;

static struct kind *kind_of(struct slice word)
{
    for (int i = 0; i < nkinds; i++)
        if (slice_eq(word, slice_str(kinds[i].word)))
            return &kinds[i];
    if (nkinds == KINDS_MAX - 1) /* the last place is for all others */
        word = SLICE("OTHER");
    if (nkinds == KINDS_MAX)
        return &kinds[KINDS_MAX - 1];
    memcpy(kinds[nkinds].word, word.p, word.len);
    kinds[nkinds].word[word.len] = 0;
    return &kinds[nkinds++];
}

static void count(struct slice line)
{
    const char *space = line.len ? memchr(line.p, ' ', line.len) : NULL;
    struct slice word = slice_of(line.p, space ? (size_t)(space - line.p) : line.len);
    if (word.len == 0 || word.len >= WORD_MAX)
        word = SLICE("ERR");
    kind_of(word)->n++;
}

static void lines(struct buf *to)
{
    for (int i = 0; i < nkinds; i++)
        buf_addf(to, "errorstat_%s:count=%llu\r\n", kinds[i].word, (unsigned long long)kinds[i].n);
}

void errorstats_reset(void)
{
    memset(kinds, 0, sizeof kinds);
    nkinds = 0;
}

void errorstats_boot(void)
{
    reply_on_error = count;
    info_register_lines("Errorstats", lines, true);
}
