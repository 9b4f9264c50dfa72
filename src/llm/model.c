/* The registry of models. Fields are described once, in the table below: it parses LLM.MODEL SET, writes the words for
 * the journal and the fields for LLM.MODEL GET. */
#include "llm/model.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/utf8.h"
#include "llm/deployment.h"
#include "llm/provider.h"

#define NAME_LEN_MAX 128
#define TEXT_MAX     8192
#define KEY_FILE_MAX 8192
#define TIMEOUT_MAX  (24 * 3600 * 1000)

enum field_type { TEXT, KEY, URL, JSON, NUMBER, RETRIES, KIND, PROVIDER, PRICE, CACHED, BUDGET, PER };

static const struct field {
    const char *word;
    enum field_type type;
    size_t at;
    int64_t max;
} fields[] = {
    {"PROVIDER", PROVIDER, offsetof(struct model, provider), 0},
    {"URL", URL, offsetof(struct model, url), 0},
    {"ID", TEXT, offsetof(struct model, id), 0},
    {"KEY", KEY, 0, 0}, /* may be repeated */
    {"KIND", KIND, offsetof(struct model, kind), 0},
    {"PARAMS", JSON, offsetof(struct model, params), 0},
    {"CONTEXT", NUMBER, offsetof(struct model, context), 1000000000},
    {"PRICE", PRICE, offsetof(struct model, price), 0},
    {"CACHED", CACHED, offsetof(struct model, price.cached), 0},
    {"RPM", NUMBER, offsetof(struct model, rpm), LIMITS_RPM_MAX},
    {"TPM", NUMBER, offsetof(struct model, tpm), LIMITS_TPM_MAX},
    {"CONCURRENCY", NUMBER, offsetof(struct model, concurrency), LIMITS_CONCURRENCY_MAX},
    {"BUDGET", BUDGET, offsetof(struct model, budget), 0},
    {"PER", PER, offsetof(struct model, per), 0},
    {"TIMEOUT", NUMBER, offsetof(struct model, timeout_ms), TIMEOUT_MAX},
    {"RETRIES", RETRIES, offsetof(struct model, retries), 10},
};
#define FIELDS (sizeof fields / sizeof *fields)

static const char *const kinds[] = {"CHAT", "EMBED", "RERANK", "SPEECH", "TRANSCRIBE"};

int model_retries(const struct model *m)
{
    return m->retries >= 0 ? (int)m->retries : MODEL_RETRIES;
}

const char *model_kind_name(enum model_kind k)
{
    return kinds[k];
}

static struct slice key_of(const void *entry)
{
    return slice_str(((const struct model *)entry)->name);
}

static void model_free(void *entry)
{
    struct model *m = entry;
    if (!m)
        return;
    mem_free(m->name);
    mem_free(m->url);
    mem_free(m->id);
    for (int i = 0; i < m->nkeys; i++)
        mem_free(m->keys[i]);
    mem_free(m->keys);
    deployment_unref(m->state);
    mem_free(m->params);
    mem_free(m);
}

static const struct dict_type by_name = {.key = key_of, .free = model_free};

static void add_builtin(struct models *ms, const char *name, const char *id, enum model_kind kind)
{
    struct model *m = mem_zero(sizeof *m);
    m->name = mem_strdup(name);
    m->provider = llm_provider_find(SLICE("builtin"));
    m->id = mem_strdup(id);
    m->kind = kind;
    m->price.known = true;
    m->enabled = m->builtin = true;
    m->state = deployment_create();
    dict_add(&ms->by_name, m);
}

void models_init(struct models *ms)
{
    dict_init(&ms->by_name, &by_name);
    add_builtin(ms, "builtin/extract", "extract", MODEL_CHAT);
    add_builtin(ms, "builtin/hash", "hash", MODEL_EMBED);
}

void models_release(struct models *ms)
{
    dict_release(&ms->by_name);
}

struct model *models_find(struct models *ms, struct slice name)
{
    return dict_find(&ms->by_name, name);
}

/* ---- from words ---- */

static bool is_plain_text(struct slice s, size_t max)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.p[i] < 0x20 || s.p[i] == 0x7f)
            return false;
    return s.len > 0 && s.len <= max && utf8_valid(s);
}

static int take_text(char **to, struct slice v, const char *word, struct err *err)
{
    if (!is_plain_text(v, TEXT_MAX))
        return err_set(err, ERR_INVALID, "%s must be 1 to %d bytes of text without control characters", word, TEXT_MAX);
    mem_free(*to);
    *to = mem_dup(v.p, v.len);
    return 0;
}

static int take_key(struct model *m, struct slice v, struct err *err)
{
    char *key = NULL;
    if (m->nkeys == KEYS_MAX)
        return err_set(err, ERR_INVALID, "a model has at most %d keys", KEYS_MAX);
    int rc = take_text(&key, v, "KEY", err);
    if (rc < 0)
        return rc;
    m->keys = mem_realloc(m->keys, (size_t)(m->nkeys + 1) * sizeof *m->keys);
    m->keys[m->nkeys++] = key;
    return 0;
}

static int take_url(char **to, struct slice v, struct err *err)
{
    while (v.len && v.p[v.len - 1] == '/')
        v.len--;
    bool http = v.len > 7 && strncasecmp(v.p, "http://", 7) == 0,
         https = v.len > 8 && strncasecmp(v.p, "https://", 8) == 0;
    if (!http && !https)
        return err_set(err, ERR_INVALID, "URL must start with http:// or https://");
    return take_text(to, v, "URL", err);
}

static int take_json(char **to, struct slice v, struct err *err)
{
    cJSON *o = json_parse(v, 1u << 20, "PARAMS", err);
    bool object = cJSON_IsObject(o);
    cJSON_Delete(o);
    if (!o)
        return ERR_INVALID;
    if (!object)
        return err_set(err, ERR_INVALID, "PARAMS must be a JSON object");
    mem_free(*to);
    *to = mem_dup(v.p, v.len);
    return 0;
}

static int take_kind(enum model_kind *to, struct slice v, struct err *err)
{
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (slice_is(v, kinds[i])) {
            *to = (enum model_kind)i;
            return 0;
        }
    return err_set(err, ERR_INVALID, "KIND must be CHAT, EMBED, RERANK, SPEECH or TRANSCRIBE");
}

static int take_provider(const struct llm_provider **to, struct slice v, struct err *err)
{
    struct buf names = {0};
    if ((*to = llm_provider_find(v)))
        return 0;
    llm_provider_names(&names);
    err_set(err, ERR_INVALID, "unknown provider '%.*s'; there are %s", (int)utf8_cut(v, 40), v.p, buf_cstr(&names));
    buf_release(&names);
    return ERR_INVALID;
}

/* What cached tokens cost is what the others do, until CACHED says otherwise. */
static int take_price(struct price *to, const struct slice *v, struct err *err)
{
    int rc = price_parse(v[0], "PRICE", &to->in, err);
    if (rc == 0)
        rc = price_parse(v[1], "PRICE", &to->out, err);
    to->known = true;
    to->cached = to->in;
    return rc;
}

static int take_cached(struct model *m, struct slice v, struct err *err)
{
    if (!m->price.known)
        return err_set(err, ERR_INVALID, "CACHED goes behind PRICE in out");
    return price_parse(v, "CACHED", &m->price.cached, err);
}

static int take_budget(struct model *m, struct slice v, struct err *err)
{
    m->has_budget = true;
    return money_parse(v, "BUDGET", &m->budget, err);
}

static int take_per(struct model *m, struct slice v, struct err *err)
{
    if (!m->has_budget)
        return err_set(err, ERR_INVALID, "PER goes behind BUDGET amount");
    return budget_per_parse(v, &m->per, err);
}

static int take_number(int64_t *to, struct slice v, const struct field *f, struct err *err)
{
    if (!num_to_i64(v, to) || *to < 0 || *to > f->max)
        return err_set(err, ERR_INVALID, "%s must be a number from 0 to %lld", f->word, (long long)f->max);
    return 0;
}

static int take_field(struct model *m, const struct field *f, const struct slice *v, struct err *err)
{
    void *at = (char *)m + f->at;
    switch (f->type) {
    case TEXT: return take_text(at, *v, f->word, err);
    case KEY: return take_key(m, *v, err);
    case URL: return take_url(at, *v, err);
    case JSON: return take_json(at, *v, err);
    case RETRIES:
    case NUMBER: return take_number(at, *v, f, err);
    case KIND: return take_kind(at, *v, err);
    case PROVIDER: return take_provider(at, *v, err);
    case PRICE: return take_price(at, v, err);
    case CACHED: return take_cached(m, *v, err);
    case BUDGET: return take_budget(m, *v, err);
    case PER: return take_per(m, *v, err);
    }
    return 0;
}

static const struct field *field_find(struct slice word)
{
    for (size_t k = 0; k < FIELDS; k++)
        if (slice_is(word, fields[k].word))
            return &fields[k];
    return NULL;
}

static int values_of(const struct field *f)
{
    return f->type == PRICE ? 2 : 1;
}

enum model_word model_word(const struct slice *w, int n, int i)
{
    for (int at = 1; at <= i && i < n;) {
        const struct field *f = field_find(w[at]);
        if (!f)
            return MODEL_WORD_STRAY;
        if (i > at && i <= at + values_of(f))
            return f->type == KEY ? MODEL_WORD_KEY : MODEL_WORD_OPEN;
        at += 1 + values_of(f);
    }
    return MODEL_WORD_OPEN;
}

static bool begins(struct slice s, const char *with)
{
    return s.len >= strlen(with) && memcmp(s.p, with, strlen(with)) == 0;
}

bool model_key_is_secret(struct slice key)
{
    return !begins(key, "env:") && !begins(key, "file:") && !begins(key, MODEL_SEALED);
}

/* A word that may be a key in the wrong place is not repeated. */
static int unknown_option(struct slice word, struct err *err)
{
    bool word_like = word.len <= 20;
    for (size_t i = 0; i < word.len && word_like; i++)
        word_like = strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ-abcdefghijklmnopqrstuvwxyz", word.p[i]) && word.p[i];
    if (!word_like)
        return err_set(err, ERR_INVALID, "unknown option of LLM.MODEL SET; a value with spaces needs quotes");
    return err_set(err, ERR_INVALID, "unknown option '%.*s' of LLM.MODEL SET", (int)word.len, word.p);
}

static int take_words(struct model *m, const struct slice *w, int n, struct err *err)
{
    for (int i = 1; i < n;) {
        const struct field *f = field_find(w[i]);
        if (!f)
            return unknown_option(w[i], err);
        int values = values_of(f);
        if (i + values >= n)
            return err_set(err, ERR_INVALID, "%s needs %s", f->word, values == 2 ? "two values" : "a value");
        int r = take_field(m, f, &w[i + 1], err);
        if (r < 0)
            return r;
        i += 1 + values;
    }
    return 0;
}

static int check(struct model *m, struct err *err)
{
    if (!m->provider)
        return err_set(err, ERR_INVALID, "a model needs a PROVIDER");
    if (!m->id)
        m->id = mem_strdup(m->name);
    if (m->provider->local && !m->provider->knows(m->id, m->kind))
        return err_set(err, ERR_INVALID, "provider %s has no %s model with the ID '%.40s'", m->provider->name,
                       kinds[m->kind], m->id);
    if (!m->provider->local && !m->url && !m->provider->url)
        return err_set(err, ERR_INVALID, "provider %s needs a URL", m->provider->name);
    if (!m->provider->local && !llm_provider_path(m->provider, m->kind))
        return err_set(err, ERR_INVALID, "provider %s has no models of kind %s", m->provider->name, kinds[m->kind]);
    return 0;
}

static int not_builtin(struct slice name, struct err *err)
{
    if (name.len >= 8 && memcmp(name.p, "builtin/", 8) == 0)
        return err_set(err, ERR_STATE, "models named builtin/... are part of the server and cannot be changed");
    return 0;
}

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_target(const struct model *a, const struct model *b)
{
    bool same = a->provider == b->provider && same_text(a->url, b->url) && same_text(a->id, b->id) &&
                a->kind == b->kind && a->nkeys == b->nkeys;
    for (int i = 0; same && i < a->nkeys; i++)
        same = same_text(a->keys[i], b->keys[i]);
    return same;
}

int models_set(struct models *ms, const struct slice *w, int n, struct err *err)
{
    if (n < 1 || !is_plain_text(w[0], NAME_LEN_MAX))
        return err_set(err, ERR_INVALID, "a model's name is 1 to %d bytes of text", NAME_LEN_MAX);
    if (not_builtin(w[0], err) < 0)
        return ERR_STATE;
    struct model *m = mem_zero(sizeof *m);
    m->name = mem_dup(w[0].p, w[0].len);
    m->enabled = true;
    m->retries = -1;
    int r = take_words(m, w, n, err);
    if (r == 0)
        r = check(m, err);
    if (r < 0) {
        model_free(m);
        return r;
    }
    m->serial = ++ms->serials;
    struct model *old = dict_remove(&ms->by_name, w[0]);
    m->state = old && same_target(old, m) ? deployment_ref(old->state) : deployment_create();
    model_free(old);
    dict_add(&ms->by_name, m);
    return 0;
}

static int no_such(struct slice name, struct err *err)
{
    int n = (int)utf8_cut(name, 60);
    return err_set(err, ERR_STATE, "there is no model '%.*s'; make it with LLM.MODEL SET", n, name.p ? name.p : "");
}

int models_del(struct models *ms, struct slice name, struct err *err)
{
    if (not_builtin(name, err) < 0)
        return ERR_STATE;
    struct model *m = dict_remove(&ms->by_name, name);
    model_free(m);
    return m ? 0 : no_such(name, err);
}

int models_enable(struct models *ms, struct slice name, bool on, struct err *err)
{
    struct model *m = models_find(ms, name);
    if (!m)
        return no_such(name, err);
    if (not_builtin(name, err) < 0)
        return ERR_STATE;
    m->enabled = on;
    return 0;
}

int models_pick(struct models *ms, struct slice name, enum model_kind kind, struct model **out, struct err *err)
{
    struct model *m = models_find(ms, name);
    if (!m)
        return no_such(name, err);
    if (m->kind != kind)
        return err_set(err, ERR_STATE, "model '%.60s' is of kind %s and this needs one of kind %s", m->name,
                       kinds[m->kind], kinds[kind]);
    if (!m->enabled)
        return err_set(err, ERR_STATE, "model '%.60s' is disabled; LLM.MODEL ENABLE brings it back", m->name);
    *out = m;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp((*(struct model *const *)a)->name, (*(struct model *const *)b)->name);
}

void models_each(struct models *ms, void (*fn)(void *arg, struct model *m), void *arg)
{
    struct model **all = mem_alloc(dict_count(&ms->by_name) * sizeof *all), *m;
    size_t n = 0;
    struct dict_iter it;
    for (dict_iter_begin(&it, &ms->by_name); (m = dict_iter_next(&it));)
        all[n++] = m;
    dict_iter_end(&it);
    qsort(all, n, sizeof *all, compare);
    for (size_t i = 0; i < n; i++)
        fn(arg, all[i]);
    mem_free(all);
}

/* ---- to words ---- */

struct sink {
    void (*word)(void *arg, struct slice word);
    void (*field)(void *arg, const char *field, struct slice value);
    void *arg;
};

static void give(const struct sink *s, const char *name, struct slice value)
{
    if (s->field) {
        s->field(s->arg, name, value);
        return;
    }
    s->word(s->arg, slice_str(name));
    s->word(s->arg, value);
}

static struct slice masked(const char *key)
{
    if (model_key_is_secret(slice_str(key)))
        return SLICE("(set)");
    return begins(slice_str(key), MODEL_SEALED) ? SLICE("(sealed)") : slice_str(key);
}

static void give_keys(const struct model *m, const struct sink *s)
{
    for (int i = 0; i < m->nkeys; i++)
        give(s, s->field ? "key" : "KEY", s->field ? masked(m->keys[i]) : slice_str(m->keys[i]));
}

static void give_retries(const struct model *m, const struct sink *s)
{
    char number[NUM_I64_MAX];
    int64_t v = s->field ? model_retries(m) : m->retries;
    if (v >= 0)
        give(s, s->field ? "retries" : "RETRIES", slice_of(number, num_from_i64(number, v)));
}

static void give_price(const struct model *m, const struct sink *s)
{
    char in[MONEY_TEXT], out[MONEY_TEXT];
    struct slice i = slice_of(in, price_text(in, m->price.in)), o = slice_of(out, price_text(out, m->price.out));
    if (!m->price.known)
        return;
    if (s->field) {
        s->field(s->arg, "price_in", i);
        s->field(s->arg, "price_out", o);
        return;
    }
    give(s, "PRICE", i);
    s->word(s->arg, o);
}

static void give_cached(const struct model *m, const struct sink *s)
{
    char text[MONEY_TEXT];
    if (m->price.known && m->price.cached != m->price.in)
        give(s, s->field ? "price_cached" : "CACHED", slice_of(text, price_text(text, m->price.cached)));
}

static void give_budget(const struct model *m, const struct sink *s)
{
    char text[MONEY_TEXT];
    if (!m->has_budget)
        return;
    give(s, s->field ? "budget" : "BUDGET", slice_of(text, money_text(text, m->budget)));
    give(s, s->field ? "budget_per" : "PER", slice_str(budget_per_name(m->per)));
}

static void give_field(const struct model *m, const struct field *f, const struct sink *s)
{
    const void *at = (const char *)m + f->at;
    char lower[16], number[NUM_I64_MAX];
    for (size_t i = 0; i <= strlen(f->word); i++)
        lower[i] = f->word[i] >= 'A' && f->word[i] <= 'Z' ? (char)(f->word[i] + 32) : f->word[i];
    const char *name = s->field ? lower : f->word, *text = NULL;
    switch (f->type) {
    case PROVIDER: text = m->provider->name; break;
    case KIND: text = kinds[m->kind]; break;
    case KEY: give_keys(m, s); return;
    case RETRIES: give_retries(m, s); return;
    case PRICE: give_price(m, s); return;
    case CACHED: give_cached(m, s); return;
    case BUDGET: give_budget(m, s); return;
    case PER: return; /* with BUDGET */
    case NUMBER: {
        int64_t v = *(const int64_t *)at;
        if (v || s->field)
            give(s, name, slice_of(number, num_from_i64(number, v)));
        return;
    }
    default: text = *(char *const *)at;
    }
    if (text)
        give(s, name, slice_str(text));
}

void model_words(const struct model *m, void (*emit)(void *arg, struct slice word), void *arg)
{
    struct sink s = {.word = emit, .arg = arg};
    emit(arg, slice_str(m->name));
    for (size_t i = 0; i < FIELDS; i++)
        give_field(m, &fields[i], &s);
}

void model_fields(const struct model *m, void (*emit)(void *arg, const char *field, struct slice value), void *arg)
{
    struct sink s = {.field = emit, .arg = arg};
    emit(arg, "name", slice_str(m->name));
    for (size_t i = 0; i < FIELDS; i++)
        give_field(m, &fields[i], &s);
    emit(arg, "enabled", m->enabled ? SLICE("yes") : SLICE("no"));
    if (m->provider->local)
        emit(arg, "about", slice_str(m->provider->about));
}

/* ---- the key ---- */

static int read_key_file(const struct model *m, const char *path, struct buf *to, struct err *err)
{
    struct stat st;
    char room[KEY_FILE_MAX];
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return err_set(err, ERR_STATE, "the key file of model '%.60s' cannot be opened: %s", m->name, strerror(errno));
    bool plain = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size < KEY_FILE_MAX;
    ssize_t n = plain ? read(fd, room, sizeof room) : -1;
    close(fd);
    while (n > 0 && (room[n - 1] == '\n' || room[n - 1] == '\r' || room[n - 1] == ' '))
        n--;
    if (n <= 0 || !is_plain_text(slice_of(room, (size_t)n), KEY_FILE_MAX))
        return err_set(err, ERR_STATE, "the key file of model '%.60s' must be a file with one line of text", m->name);
    buf_add(to, room, (size_t)n);
    return 0;
}

int model_key(const struct model *m, int index, struct buf *to, struct err *err)
{
    const char *key = m->keys[index];
    if (strncmp(key, "file:", 5) == 0)
        return read_key_file(m, key + 5, to, err);
    if (begins(slice_str(key), MODEL_SEALED))
        return err_set(err, ERR_STATE,
                       "the key of model '%.60s' was sealed with another secret-key-file; start with that file or set "
                       "the key again",
                       m->name);
    if (strncmp(key, "env:", 4) != 0) {
        buf_add_str(to, key);
        return 0;
    }
    const char *v = getenv(key + 4);
    if (!v || !is_plain_text(slice_str(v), KEY_FILE_MAX))
        return err_set(err, ERR_STATE,
                       "the key of model '%.60s' should be in the environment variable %.60s, which is not set",
                       m->name, key + 4);
    buf_add_str(to, v);
    return 0;
}
