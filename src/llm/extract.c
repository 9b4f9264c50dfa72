/* Extractive answering.
 *
 *   messages ─► question + blocks ─► passages (label, text) ─► sentences ─► score ─► the best few, with labels
 *
 * Score of a sentence: the sum of the inverse document frequencies of the question's terms it holds, as a share of the
 * sum over all of them, damped for very short and very long sentences, plus a little for a passage that as a whole
 * fits the question and for passages that come first (who retrieved them put the best first). A further sentence is
 * quoted when it brings terms that the answer does not have yet and scores a third of the best, or, without new terms,
 * scores nearly as well as the best.
 *
 * Terms are stemmed lower-case words without stop words; for CJK, pairs of neighbouring characters. */
#include "llm/extract.h"

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/utf8.h"
#include "base/words.h"
#include "llm/tokens.h"

#define TERMS_MAX     128
#define SENTENCES_MAX 50000
#define QUOTED_MAX    3
#define QUOTE_BYTES   700
#define LABEL_MAX     120

struct term {
    uint64_t hash;
    int df; /* sentences that hold it */
    double idf;
    double weight; /* of a single CJK character less than of a word */
};

struct passage {
    struct slice label, text;
    uint64_t terms[2]; /* of the question, found in it */
};

struct sentence {
    struct slice text;
    int passage, words;
    uint64_t terms[2];
    double score;
};

struct work {
    struct slice question;
    struct term terms[TERMS_MAX];
    int nterms;
    struct passage *passages;
    int npassages, cap_passages;
    struct sentence *sentences;
    int nsentences, cap_sentences;
    bool labelled; /* passages carry labels */
};

/* ---- words to terms ---- */

/* A crude stemmer for English endings; other languages pass through nearly unharmed. */
static size_t stem(char *w, size_t n)
{
    static const struct {
        const char *end;
        const char *with;
    } rules[] = {{"ations", "at"}, {"ation", "at"}, {"ments", ""}, {"ment", ""}, {"ings", ""}, {"ing", ""},
                 {"ies", "i"},     {"ied", "i"},    {"ers", ""},   {"er", ""},   {"ed", ""},   {"ly", ""},
                 {"es", ""},       {"s", ""},       {"e", ""},     {"y", "i"}};
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        size_t k = strlen(rules[i].end), r = strlen(rules[i].with);
        if (n < k + 3 || memcmp(w + n - k, rules[i].end, k) != 0)
            continue;
        memcpy(w + n - k, rules[i].with, r);
        n = n - k + r;
        break;
    }
    if (n > 3 && w[n - 1] == w[n - 2]) /* stopp(ed) */
        n--;
    return n;
}

struct terms {
    struct slice text;
    size_t at;
    struct word before; /* the CJK character just before */
    int words;
};

/* The next term of a text: 0 at the end. *weight tells how much it counts. */
static uint64_t next_term(struct terms *t, double *weight)
{
    struct word w;
    while (word_next(t->text, &t->at, &w)) {
        t->words++;
        if (!w.cjk) {
            char word[64];
            size_t n = word_fold(w.text, word, sizeof word);
            t->before.cjk = false;
            if (word_is_stop(slice_of(word, n)))
                continue;
            *weight = 1;
            return hash_stable(word, stem(word, n), 1) | 1;
        }
        struct word b = t->before;
        bool stop = word_is_stop(w.text);
        t->before = w;
        t->before.cjk = !stop;
        if (stop || !b.cjk || b.text.p + b.text.len != w.text.p)
            continue;
        *weight = 0.7;
        return hash_stable(b.text.p, b.text.len + w.text.len, 2) | 1;
    }
    return 0;
}

static void take_question(struct work *w, struct slice question)
{
    struct terms t = {.text = question};
    uint64_t h;
    double weight;
    w->question = question;
    while (w->nterms < TERMS_MAX && (h = next_term(&t, &weight))) {
        int i = 0;
        while (i < w->nterms && w->terms[i].hash != h)
            i++;
        if (i == w->nterms)
            w->terms[w->nterms++] = (struct term){.hash = h, .weight = weight};
    }
}

static int words_and_terms(const struct work *w, struct slice text, uint64_t found[2])
{
    struct terms t = {.text = text};
    uint64_t h;
    double weight;
    while ((h = next_term(&t, &weight)))
        for (int i = 0; i < w->nterms; i++)
            if (w->terms[i].hash == h)
                found[i / 64] |= 1ull << (i % 64);
    return t.words;
}

/* ---- messages to passages ---- */

static struct slice trim(struct slice s)
{
    while (s.len && strchr(" \t\r\n", s.p[0]))
        s = slice_of(s.p + 1, s.len - 1);
    while (s.len && strchr(" \t\r\n", s.p[s.len - 1]))
        s.len--;
    return s;
}

/* A label at the start of a line: "[1] text". Its text without brackets and "source:"; empty when there is none. */
static struct slice label_at(struct slice t, size_t at, size_t *after)
{
    struct slice none = {NULL, 0};
    while (at < t.len && (t.p[at] == ' ' || t.p[at] == '\t'))
        at++;
    if (at >= t.len || t.p[at] != '[')
        return none;
    const char *from = t.p + at + 1, *end = t.p + t.len;
    const char *close = memchr(from, ']', (size_t)(end - from) < LABEL_MAX ? (size_t)(end - from) : LABEL_MAX);
    if (!close || memchr(from, '\n', (size_t)(close - from)))
        return none;
    struct slice label = trim(slice_of(from, (size_t)(close - from)));
    if (label.len > 7 && strncasecmp(label.p, "source:", 7) == 0)
        label = trim(slice_of(label.p + 7, label.len - 7));
    *after = (size_t)(close + 1 - t.p);
    return label;
}

static void add_passage(struct work *w, struct slice label, struct slice text)
{
    text = trim(text);
    if (text.len == 0)
        return;
    if (w->npassages == w->cap_passages) {
        w->cap_passages = w->cap_passages ? 2 * w->cap_passages : 16;
        w->passages = mem_realloc(w->passages, (size_t)w->cap_passages * sizeof *w->passages);
    }
    w->passages[w->npassages++] = (struct passage){.label = label, .text = text};
    w->labelled |= label.len > 0;
}

static size_t next_line(struct slice t, size_t at)
{
    const char *lf = at < t.len ? memchr(t.p + at, '\n', t.len - at) : NULL;
    return lf ? (size_t)(lf + 1 - t.p) : t.len;
}

/* Cuts a text at its labels; what stands before the first one is a passage without a label. */
static void add_block(struct work *w, struct slice t)
{
    struct slice label = {NULL, 0};
    size_t from = 0;
    for (size_t at = 0; at < t.len; at = next_line(t, at)) {
        size_t after;
        struct slice l = label_at(t, at, &after);
        if (l.len == 0)
            continue;
        add_passage(w, label, slice_of(t.p + from, at - from));
        label = l;
        from = after;
    }
    add_passage(w, label, slice_of(t.p + from, t.len - from));
}

/* The last line that begins with a word such as "Question:"; the text after it. */
static bool split_at_marker(struct slice t, struct slice *before, struct slice *question)
{
    static const char *const markers[] = {"question:",
                                          "user question:",
                                          "q:",
                                          "query:",
                                          "\xe9\x97\xae\xe9\xa2\x98:",
                                          "\xe9\x97\xae\xe9\xa2\x98\xef\xbc\x9a",
                                          "\xe9\x97\xae:",
                                          "\xe9\x97\xae\xef\xbc\x9a"};
    bool found = false;
    for (size_t at = 0; at < t.len; at = next_line(t, at)) {
        struct slice line = trim(slice_of(t.p + at, t.len - at));
        for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) {
            size_t n = strlen(markers[i]);
            if (line.len <= n || strncasecmp(line.p, markers[i], n) != 0)
                continue;
            *before = slice_of(t.p, at);
            *question = trim(slice_of(line.p + n, line.len - n));
            found = true;
        }
    }
    return found;
}

static bool has_label(struct slice t)
{
    size_t after;
    for (size_t at = 0; at < t.len; at = next_line(t, at))
        if (label_at(t, at, &after).len)
            return true;
    return false;
}

/* The last user message: question, and context before it when it brings its own. */
static struct slice read_last(struct work *w, struct slice t)
{
    struct slice before = {NULL, 0}, question;
    t = trim(t);
    if (split_at_marker(t, &before, &question)) {
        add_block(w, before);
        const char *blank = memmem(question.p, question.len, "\n\n", 2); /* "Answer:" and the like may follow */
        return blank ? slice_of(question.p, (size_t)(blank - question.p)) : question;
    }
    if (!has_label(t))
        return t;
    size_t last = 0; /* of the labelled message, the last paragraph is the question, unless it has a label itself */
    for (size_t i = 0; i + 1 < t.len; i++)
        if (t.p[i] == '\n' && t.p[i + 1] == '\n')
            last = i + 2;
    struct slice tail = trim(slice_of(t.p + last, t.len - last));
    if (last == 0 || has_label(tail)) {
        add_block(w, t);
        return t;
    }
    add_block(w, slice_of(t.p, last));
    return tail;
}

static int read_messages(struct work *w, const struct llm_request *q, struct err *err)
{
    int last = -1;
    size_t bytes = q->system.len;
    for (int i = 0; i < q->nmessages; i++) {
        bytes += q->messages[i].content.len;
        if (slice_is(q->messages[i].role, "user") && q->messages[i].content.len)
            last = i;
    }
    if (last < 0)
        return err_set(err, ERR_INVALID, "builtin/extract needs a user message with a question");
    if (bytes > EXTRACT_CONTEXT_MAX)
        return err_set(err, ERR_INVALID, "a context of %zu bytes is over builtin/extract's limit of %u", bytes,
                       EXTRACT_CONTEXT_MAX);
    struct slice question = read_last(w, q->messages[last].content);
    take_question(w, question);
    add_block(w, q->system);
    for (int i = 0; i < q->nmessages; i++) {
        struct slice before, ignored, content = q->messages[i].content;
        if (i == last || slice_is(q->messages[i].role, "assistant"))
            continue; /* quoting itself would give its own words as a source */
        if (slice_is(q->messages[i].role, "user") && split_at_marker(content, &before, &ignored))
            content = before;
        add_block(w, content);
    }
    return 0;
}

/* ---- sentences and their scores ---- */

static void add_sentences(struct work *w, int passage)
{
    struct passage *p = &w->passages[passage];
    struct slice s;
    for (size_t at = 0; w->nsentences < SENTENCES_MAX && sentence_next(p->text, &at, &s);) {
        if (w->nsentences == w->cap_sentences) {
            w->cap_sentences = w->cap_sentences ? 2 * w->cap_sentences : 64;
            w->sentences = mem_realloc(w->sentences, (size_t)w->cap_sentences * sizeof *w->sentences);
        }
        struct sentence *to = &w->sentences[w->nsentences++];
        *to = (struct sentence){.text = s, .passage = passage};
        to->words = words_and_terms(w, s, to->terms);
        for (int i = 0; i < w->nterms; i++)
            w->terms[i].df += (int)(to->terms[i / 64] >> (i % 64) & 1);
        p->terms[0] |= to->terms[0];
        p->terms[1] |= to->terms[1];
    }
}

static double weigh(const struct work *w, const uint64_t found[2])
{
    double s = 0;
    for (int i = 0; i < w->nterms; i++)
        if (found[i / 64] >> (i % 64) & 1)
            s += w->terms[i].idf;
    return s;
}

static bool is_question(struct slice s)
{
    return s.p[s.len - 1] == '?' || (s.len >= 3 && memcmp(s.p + s.len - 3, "\xef\xbc\x9f", 3) == 0);
}

static void score_all(struct work *w)
{
    double whole = 0;
    for (int i = 0; i < w->nterms; i++) {
        w->terms[i].idf = w->terms[i].weight * log(1 + (double)w->nsentences / (1 + w->terms[i].df));
        whole += w->terms[i].idf;
    }
    for (int i = 0; i < w->nsentences && whole > 0; i++) {
        struct sentence *s = &w->sentences[i];
        double own = weigh(w, s->terms) / whole, around = weigh(w, w->passages[s->passage].terms) / whole;
        if (own == 0)
            continue;
        double shape = s->words < 4 ? 0.5 : 1 / (0.8 + 0.2 * s->words / 25);
        if (is_question(s->text))
            shape *= 0.5;
        s->score = own * shape + 0.1 * around + 0.05 / (1 + s->passage);
    }
}

/* ---- the answer ---- */

static int count_new(const uint64_t a[2], const uint64_t have[2])
{
    return __builtin_popcountll(a[0] & ~have[0]) + __builtin_popcountll(a[1] & ~have[1]);
}

static int pick(const struct work *w, int *picked)
{
    uint64_t have[2] = {0, 0};
    int n = 0;
    double best = 0;
    while (n < QUOTED_MAX) {
        int top = -1;
        double top_score = 0;
        for (int i = 0; i < w->nsentences; i++) {
            const struct sentence *s = &w->sentences[i];
            bool taken = false;
            for (int k = 0; k < n; k++)
                taken |= picked[k] == i || slice_eq(w->sentences[picked[k]].text, s->text);
            double worth = n && count_new(s->terms, have) == 0 ? s->score * 0.5 : s->score;
            if (!taken && worth > top_score) {
                top = i;
                top_score = worth;
            }
        }
        if (top < 0 || top_score < (n ? best * 0.35 : 0.2))
            break;
        best = n ? best : top_score;
        have[0] |= w->sentences[top].terms[0];
        have[1] |= w->sentences[top].terms[1];
        picked[n++] = top;
    }
    return n;
}

static void quote(struct buf *to, struct slice s)
{
    size_t n = utf8_cut(s, QUOTE_BYTES);
    bool space = false;
    for (size_t i = 0; i < n; i++) {
        bool is_space = s.p[i] == ' ' || s.p[i] == '\n' || s.p[i] == '\t' || s.p[i] == '\r';
        if (!is_space)
            buf_add_char(to, s.p[i]);
        else if (!space)
            buf_add_char(to, ' ');
        space = is_space;
    }
    if (n < s.len)
        buf_add_str(to, "\xe2\x80\xa6");
}

static bool is_chinese(struct slice s)
{
    int cjk = 0, all = 0;
    struct word w;
    for (size_t at = 0; word_next(s, &at, &w); all++)
        cjk += w.cjk;
    return 2 * cjk > all;
}

static const char *nothing_found(const struct work *w)
{
    bool zh = is_chinese(w->question);
    if (w->nsentences == 0)
        return zh ? "\xe6\xb2\xa1\xe6\x9c\x89\xe5\x8f\xaf\xe4\xbe\x9b\xe5\xbc\x95\xe7\x94\xa8\xe7\x9a\x84\xe5\x86\x85"
                    "\xe5"
                    "\xae\xb9\xef\xbc\x9a"
                    "builtin/extract \xe5\x8f\xaa\xe8\x83\xbd\xe5\xbc\x95\xe7\x94\xa8\xe7\xbb\x99"
                    "\xe5\xae\x83\xe7\x9a\x84\xe6\x96\x87\xe5\xad\x97\xe3\x80\x82"
                  : "I have no text to quote from: builtin/extract answers only with sentences of the context it is "
                    "given.";
    return zh ? "\xe7\xbb\x99\xe5\x87\xba\xe7\x9a\x84\xe5\x86\x85\xe5\xae\xb9\xe9\x87\x8c\xe6\xb2\xa1\xe6\x9c\x89\xe8"
                "\x83"
                "\xbd\xe5\x9b\x9e\xe7\xad\x94\xe8\xbf\x99\xe4\xb8\xaa\xe9\x97\xae\xe9\xa2\x98\xe7\x9a\x84\xe5\x8f\xa5"
                "\xe5"
                "\xad\x90\xe3\x80\x82"
              : "I found no sentence in the given context that answers this question.";
}

static void write_text(const struct work *w, const int *picked, int n, int64_t max_tokens, struct buf *to, bool *cut)
{
    for (int i = 0; i < n; i++) {
        const struct sentence *s = &w->sentences[picked[i]];
        struct slice label = w->passages[s->passage].label;
        struct buf one = {0};
        quote(&one, s->text);
        if (label.len)
            buf_addf(&one, " [%.*s]", (int)label.len, label.p);
        if (max_tokens > 0 && tokens_estimate(buf_slice(to)) + tokens_estimate(buf_slice(&one)) > max_tokens) {
            *cut = true;
            if (to->len == 0) /* at least the beginning of the best one */
                buf_add(to, one.p, utf8_cut(buf_slice(&one), (size_t)(max_tokens < 1000 ? max_tokens * 3 : 3000)));
            i = n;
        } else {
            buf_add_str(to, to->len ? " " : "");
            buf_add(to, one.p, one.len);
        }
        buf_release(&one);
    }
}

static void write_json(const struct work *w, const int *picked, int n, struct slice text, struct buf *to)
{
    buf_add_str(to, "{\"answer\":");
    json_quote(to, text);
    buf_add_str(to, ",\"sources\":[");
    for (int i = 0, written = 0; i < n; i++) {
        struct slice label = w->passages[w->sentences[picked[i]].passage].label;
        if (label.len == 0)
            continue;
        buf_add_str(to, written++ ? "," : "");
        json_quote(to, label);
    }
    buf_add_str(to, "]}");
}

static void write_answer(const struct work *w, const struct llm_request *q, struct buf *answer, struct buf *finish)
{
    int picked[QUOTED_MAX];
    int n = pick(w, picked);
    bool cut = false;
    struct buf text = {0};
    if (n)
        write_text(w, picked, n, q->max_tokens, &text, &cut);
    else
        buf_add_str(&text, nothing_found(w));
    if (q->json || q->schema.len)
        write_json(w, picked, n, buf_slice(&text), answer);
    else
        buf_add(answer, text.p, text.len);
    buf_add_str(finish, cut ? "length" : "stop");
    buf_release(&text);
}

int extract_answer(const struct llm_request *q, struct buf *answer, struct buf *finish, struct err *err)
{
    struct work *w = mem_zero(sizeof *w);
    int r = read_messages(w, q, err);
    if (r == 0) {
        for (int i = 0; i < w->npassages; i++)
            if (w->passages[i].label.len || !w->labelled)
                add_sentences(w, i);
        score_all(w);
        write_answer(w, q, answer, finish);
    }
    mem_free(w->passages);
    mem_free(w->sentences);
    mem_free(w);
    return r;
}
