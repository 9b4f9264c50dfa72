/* Strings as a type: what persistence needs of them. How they sit in an object is obj.c's business, the commands are in
 * cmd/cmd_string.c. */
#include "base/mem.h"
#include "store/digest.h"
#include "store/rdb.h"
#include "store/types.h"

static void string_free(uint8_t enc, void *ptr)
{
    if (enc == ENC_RAW)
        mem_free(ptr);
}

static size_t string_size(const struct obj *o, int samples)
{
    return o->enc == ENC_RAW ? mem_size(o->v.ptr) : 0;
}

/* Of a large string this is a copy of the bytes, of a small one a loan of them: db_add copies it into its object. */
static int string_copy(const struct obj *o, struct value *out, struct err *err)
{
    *out = (struct value){.type = OBJ_STRING, .enc = o->enc};
    if (o->enc == ENC_INT) {
        out->num = o->v.num;
    } else if (o->enc == ENC_RAW) {
        const struct rawstr *r = o->v.ptr;
        out->ptr = rawstr_make(slice_of(r->p, r->len), 0);
    } else {
        out->str = obj_str(o, NULL);
    }
    return 0;
}

static uint8_t string_rdb_type(const struct obj *o)
{
    return RDB_STRING;
}

static void string_save(const struct obj *o, struct rdb_out *to)
{
    char tmp[NUM_I64_MAX];
    rdb_put_str(to, obj_str(o, tmp));
}

static int string_load(uint8_t rdb_type, struct rdb_in *from, struct value *out, struct err *err)
{
    struct slice s = rdb_get_str(from);
    int64_t num;
    if (from->bad)
        return err_set(err, ERR_GENERIC, "a string that ends too early");
    if (s.len < NUM_I64_MAX && num_to_i64(s, &num))
        *out = (struct value){.type = OBJ_STRING, .enc = ENC_INT, .num = num};
    else if (s.p == from->scratch.p || s.len > OBJ_EMBED_MAX) /* scratch does not live as long as the payload */
        *out = (struct value){.type = OBJ_STRING, .enc = ENC_RAW, .ptr = rawstr_make(s, 0)};
    else
        *out = value_string(s);
    return 0;
}

static void string_digest(const struct obj *o, uint8_t sha[20])
{
    char tmp[NUM_I64_MAX];
    digest_mix(sha, obj_str(o, tmp));
}

static uint64_t string_relocate(struct obj *o, uint64_t cursor)
{
    if (o->enc == ENC_RAW)
        o->v.ptr = mem_relocated(o->v.ptr);
    return 0;
}

const struct type_ops string_ops = {
    .name = "string",
    .id = OBJ_STRING,
    .free = string_free,
    .size = string_size,
    .copy = string_copy,
    .rdb_type = string_rdb_type,
    .save = string_save,
    .load = string_load,
    .digest = string_digest,
    .relocate = string_relocate,
};
