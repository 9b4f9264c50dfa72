/* Vector sets as values: making, saving, loading. The life of their files is in vset_files.c. */
#include "store/vset.h"

#include <string.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/rng.h"
#include "store/digest.h"
#include "store/vset_files.h"
#include "store/vset_optimize.h"
#include "text/text.h"
#include "store/vset_redis.h"

static void new_uid(char uid[VSET_UID + 1])
{
    unsigned char raw[VSET_UID / 2];
    rng_secure(raw, sizeof raw);
    for (int i = 0; i < VSET_UID / 2; i++) {
        uid[2 * i] = "0123456789abcdef"[raw[i] >> 4];
        uid[2 * i + 1] = "0123456789abcdef"[raw[i] & 15];
    }
    uid[VSET_UID] = 0;
}

static bool uid_ok(struct slice uid)
{
    return uid.len == VSET_UID && strspn(uid.p, "0123456789abcdef") >= VSET_UID;
}

static struct vset *vset_make(struct slice model)
{
    static uint64_t made;
    struct vset *s = mem_zero(sizeof *s);
    s->id = made++;
    list_init(&s->link);
    s->model = model.len ? mem_dup(model.p, model.len) : NULL;
    return s;
}

int vset_create(struct vset **out, const struct vec_config *config, const char *uid, struct slice model,
                struct err *err)
{
    struct vset *s = vset_make(model);
    int rc;
    if (!uid) {
        rc = vec_create(&s->index, config, err);
    } else {
        if (*uid)
            memcpy(s->uid, uid, VSET_UID);
        else
            new_uid(s->uid);
        rc = *uid ? vset_file_open(s, config, err) : vset_file_create(s, config, err);
    }
    if (rc < 0) {
        vset_destroy(s);
        return rc;
    }
    *out = s;
    return 0;
}

void vset_destroy(struct vset *s)
{
    if (!s)
        return;
    list_del(&s->link);
    vset_optimize_cancel(s);
    vec_unref(s->index);
    text_unref(s->text);
    projection_unref(s->projection);
    mem_free(s->model);
    mem_free(s->text_attr);
    mem_free(s->language);
    mem_free(s);
}

static char *copy_or_null(struct slice s)
{
    return s.len ? mem_dup(s.p, s.len) : NULL;
}

void vset_set_text(struct vset *s, struct slice attr, struct slice language)
{
    mem_free(s->text_attr);
    mem_free(s->language);
    s->text_attr = copy_or_null(attr);
    s->language = copy_or_null(language);
}

void vset_reduce(struct vset *s, uint32_t in)
{
    projection_unref(s->projection);
    s->projection = projection_create(in, vec_dim(s->index));
}

uint32_t vset_input_dim(const struct vset *s)
{
    return s->projection ? projection_in(s->projection) : vec_dim(s->index);
}

int vset_check_dim(const struct vset *s, uint32_t dim, struct err *err)
{
    uint32_t need = vset_input_dim(s);
    if (dim == need)
        return 0;
    if (s->projection)
        return err_set(err, ERR_GENERIC, "Input dimension mismatch for projection - got %u but projection expects %u",
                       dim, need);
    return err_set(err, ERR_GENERIC, "Vector dimension mismatch - got %u but set has %u", dim, need);
}

/* Every change of an element's goes through here, for a rebuild that may be under way. */
static void note(struct vset *s, struct slice name)
{
    if (s->optimize)
        vset_optimize_note(s->optimize, name);
}

int vset_add(struct vset *s, struct slice name, const float *x, uint32_t dim, struct slice attr, struct err *err)
{
    int rc = vset_check_dim(s, dim, err);
    note(s, name);
    if (rc < 0 || !s->projection)
        return rc < 0 ? rc : vec_add(s->index, name, x, dim, attr, err);
    uint32_t out = vec_dim(s->index);
    float *short_x = mem_alloc(out * sizeof *short_x);
    projection_apply(s->projection, x, short_x);
    rc = vec_add(s->index, name, short_x, out, attr, err);
    mem_free(short_x);
    return rc;
}

int vset_prepare(struct vset *s, struct vec_addition **out, const float *x, uint32_t dim, struct err *err)
{
    int rc = vset_check_dim(s, dim, err);
    if (rc < 0 || !s->projection)
        return rc < 0 ? rc : vec_prepare(out, s->index, x, dim, err);
    uint32_t to = vec_dim(s->index);
    float *short_x = mem_alloc(to * sizeof *short_x);
    projection_apply(s->projection, x, short_x);
    rc = vec_prepare(out, s->index, short_x, to, err);
    mem_free(short_x);
    return rc;
}

int vset_commit(struct vset *s, struct vec_addition *a, struct slice name, struct slice attr, struct err *err)
{
    note(s, name);
    return vec_commit(a, name, attr, err);
}

bool vset_remove(struct vset *s, struct slice name)
{
    note(s, name);
    return vec_remove(s->index, name);
}

int vset_set_attr(struct vset *s, struct slice name, struct slice attr, struct err *err)
{
    note(s, name);
    return vec_set_attr(s->index, name, attr, err);
}

const char *vset_quant_name(const struct vset *s)
{
    struct vec_stats st;
    vec_stats(s->index, &st);
    static const char *const names[] = {"f32", "int8", "f16", "bin"}; /* by enum vec_quant */
    return names[st.config.quant];
}

/* ---- struct type_ops ---- */

static struct slice or_empty(const char *s)
{
    return s ? slice_str(s) : SLICE("");
}

static void ops_free(uint8_t enc, void *ptr)
{
    vset_destroy(ptr);
}

static size_t ops_size(const struct obj *o, int samples)
{
    const struct vset *s = vset_of(o);
    struct vec_stats st;
    vec_stats(s->index, &st);
    return sizeof(struct vset) + st.memory + (s->projection ? projection_bytes(s->projection) : 0) +
           (s->text ? text_bytes(s->text) : 0);
}

/* By value, through the saved form: a copy is always in memory, because the replay of a COPY would otherwise copy a
 * file that is already ahead of it. */
static int ops_copy(const struct obj *o, struct value *out, struct err *err)
{
    const struct vset *s = vset_of(o);
    struct buf bytes = {0};
    if (*s->uid)
        return err_set(err, ERR_STATE,
                       "a vector set with STORAGE FILE cannot be copied; DUMP it and RESTORE it instead");
    struct vset *copy = vset_make(s->model ? slice_str(s->model) : SLICE(""));
    int rc = vec_save(s->index, &bytes) ? vec_load(&copy->index, buf_slice(&bytes), NULL, err)
                                        : err_set(err, ERR_OOM, "the vector set is too large to copy");
    buf_release(&bytes);
    if (rc < 0) {
        vset_destroy(copy);
        return rc;
    }
    copy->projection = projection_ref(s->projection);
    vset_set_text(copy, or_empty(s->text_attr), or_empty(s->language));
    *out = value_container(OBJ_VECTOR, ENC_OWN, copy);
    return 0;
}

enum { FORM_REFERENCE = 1, FORM_PROJECTION = 2, FORM_TEXT = 4, FORM_ALL = 7 };

static uint8_t ops_rdb_type(const struct obj *o)
{
    return RDB_MODULE_2;
}

/*   u8 form      bits: 1 by reference, else by value; 2 with a projection; 4 with words on its texts
 *   string       model, empty: none
 *   projection:  projection_save
 *   texts:       string attribute, string language; empty: the default
 *   by value:    the bytes of vec_save, to the end
 *   by reference: string uid, then what the index was made with, to say it when the file is missing:
 *                lengths dim, metric, kind, m, ef_construction, quant */
static void ops_save(const struct obj *o, struct rdb_out *to)
{
    const struct vset *s = vset_of(o);
    bool reference = to->by_reference && *s->uid;
    bool texts = s->text_attr || s->language;
    rdb_put_u8(to, (uint8_t)((reference ? FORM_REFERENCE : 0) | (s->projection ? FORM_PROJECTION : 0) |
                             (texts ? FORM_TEXT : 0)));
    rdb_put_str(to, s->model ? slice_str(s->model) : SLICE(""));
    if (s->projection)
        projection_save(s->projection, to);
    if (texts) {
        rdb_put_str(to, or_empty(s->text_attr));
        rdb_put_str(to, or_empty(s->language));
    }
    if (!reference) {
        vec_save(s->index, to->to);
        return;
    }
    struct vec_stats st;
    vec_stats(s->index, &st);
    rdb_put_str(to, slice_str(s->uid));
    rdb_put_len(to, st.config.dim);
    rdb_put_len(to, (uint64_t)st.config.metric);
    rdb_put_len(to, (uint64_t)st.config.kind);
    rdb_put_len(to, st.config.m);
    rdb_put_len(to, st.config.ef_construction);
    rdb_put_len(to, (uint64_t)st.config.quant);
}

static int load_reference(struct rdb_in *from, struct slice model, struct vset **out, struct err *err)
{
    char uid[VSET_UID + 1] = "";
    struct slice u = rdb_get_str(from);
    if (!uid_ok(u))
        return err_set(err, ERR_GENERIC, "a reference to a vector set's file without its id");
    memcpy(uid, u.p, VSET_UID);
    struct vec_config c = {.dim = (uint32_t)rdb_get_len(from),
                           .metric = (enum vec_metric)rdb_get_len(from),
                           .kind = (enum vec_kind)rdb_get_len(from)};
    c.m = (uint32_t)rdb_get_len(from);
    c.ef_construction = (uint32_t)rdb_get_len(from);
    c.quant = (enum vec_quant)rdb_get_len(from);
    if (from->bad)
        return err_set(err, ERR_GENERIC, "a reference to a vector set's file that is cut short");
    return vset_create(out, &c, uid, model, err);
}

static int load_index(uint8_t form, struct slice model, struct rdb_in *from, struct vset **out, struct err *err)
{
    if (form & FORM_REFERENCE)
        return load_reference(from, model, out, err);
    struct vset *s = vset_make(model);
    int rc = vec_load(&s->index, slice_of((const char *)from->p, (size_t)(from->end - from->p)), NULL, err);
    from->p = from->end;
    if (rc < 0)
        vset_destroy(s);
    else
        *out = s;
    return rc;
}

static int ops_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    uint8_t form = rdb_get_u8(from);
    struct slice m = rdb_get_str(from);
    struct projection *p = NULL;
    struct vset *s = NULL;
    int rc = 0;
    if (form > FORM_ALL || from->bad || ((form & FORM_REFERENCE) && !from->by_reference))
        return err_set(err, ERR_GENERIC, "not a vector set's payload");
    char *model = mem_dup(m.p, m.len); /* the next string may take its place */
    if (form & FORM_PROJECTION)
        rc = projection_load(&p, from, err);
    char *text_attr = NULL, *language = NULL;
    if (rc == 0 && (form & FORM_TEXT)) {
        text_attr = copy_or_null(rdb_get_str(from));
        language = copy_or_null(rdb_get_str(from));
    }
    if (rc == 0)
        rc = load_index(form, slice_str(model), from, &s, err);
    mem_free(model);
    if (rc == 0)
        vset_set_text(s, or_empty(text_attr), or_empty(language));
    mem_free(text_attr);
    mem_free(language);
    if (rc == 0 && p && projection_out(p) != vec_dim(s->index)) {
        vset_destroy(s);
        rc = err_set(err, ERR_INVALID, "a vector set with a projection to another number of components");
    }
    if (rc < 0) {
        projection_unref(p);
        return rc;
    }
    s->projection = p;
    *out = value_container(OBJ_VECTOR, ENC_OWN, s);
    return 0;
}

/* Order-independent: each element's name, vector and attributes are hashed alone. */
static void ops_digest(const struct obj *o, uint8_t sha[20])
{
    const struct vset *s = vset_of(o);
    struct slice name, attr;
    uint32_t cursor = 0;
    size_t bytes = vec_dim(s->index) * sizeof(float);
    float *x = mem_alloc(bytes);
    struct buf one = {0};
    while (vec_next(s->index, &cursor, &name, &attr)) {
        buf_clear(&one);
        buf_addf(&one, "%zu:", name.len);
        buf_add(&one, name.p, name.len);
        buf_add(&one, attr.p, attr.len);
        vec_get_vector(s->index, name, x);
        buf_add(&one, x, bytes);
        digest_xor(sha, buf_slice(&one));
    }
    buf_release(&one);
    mem_free(x);
}

static void ops_unlinked(struct obj *o)
{
    vset_optimize_cancel(vset_of(o));
    vset_file_drop(vset_of(o));
}

static size_t ops_effort(uint8_t enc, const void *ptr)
{
    return (size_t)vec_count(((const struct vset *)ptr)->index);
}

static struct type_ops ops = {
    .name = "vectorset",
    .id = OBJ_VECTOR,
    .free = ops_free,
    .size = ops_size,
    .copy = ops_copy,
    .rdb_type = ops_rdb_type,
    .save = ops_save,
    .load = ops_load,
    .digest = ops_digest,
    .unlinked = ops_unlinked,
    .effort = ops_effort,
    .load_foreign = vset_load_redis,
};

void vset_boot(void)
{
    ops.rdb_module = rdb_module_id("SkaldVecs", 1);
    ops.rdb_foreign = rdb_module_id("vectorset", 0);
    type_register(&ops);
    vset_settings();
}
