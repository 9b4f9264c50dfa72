/* The reader, see rdb_file.h: a loop over opcodes. The checksum comes last in the file, so a file whose middle is damaged
 * may have given keys before it is refused; the caller throws those away. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "persist/rdb_file.h"
#include "persist/rdb_format.h"
#include "store/rdb.h"

#define HEAD 9 /* REDIS and four digits */

struct reader {
    const struct rdb_read *o;
    struct rdb_in in;
    const uint8_t *start;
    struct buf name; /* a copy: reading on may overwrite what it was read into */
    struct rdb_key key;
};

static int damaged(const struct reader *r, struct err *err, const char *what)
{
    return err_set(err, ERR_IO, "the RDB data is damaged at byte %zu: %s", (size_t)(r->in.p - r->start), what);
}

static struct slice get_name(struct reader *r)
{
    struct slice s = rdb_get_str(&r->in);
    buf_clear(&r->name);
    buf_add(&r->name, s.p, s.len);
    return slice_of(buf_cstr(&r->name), r->name.len); /* bytes somewhere, also for the empty name */
}

static void forget_key(struct reader *r)
{
    r->key.expire_ms = r->key.idle_s = r->key.lfu = -1;
}

static int read_aux(struct reader *r, struct err *err)
{
    struct slice name = get_name(r), value = rdb_get_str(&r->in);
    if (r->in.bad)
        return damaged(r, err, "a field that ends too early");
    return r->o->aux ? r->o->aux(r->o->arg, name, value, err) : 0;
}

static int read_function(struct reader *r, struct err *err)
{
    struct slice code = rdb_get_str(&r->in);
    if (r->in.bad)
        return damaged(r, err, "a function library that ends too early");
    return r->o->function ? r->o->function(r->o->arg, code, err) : 0;
}

/* What a module keeps beside its keys: stepped over. */
static int skip_module(struct reader *r, struct err *err)
{
    enum { END, SIGNED, UNSIGNED, FLOAT, DOUBLE, STRING };
    rdb_get_len(&r->in); /* the module's id */
    for (uint64_t op; !r->in.bad && (op = rdb_get_len(&r->in)) != END;) {
        if (op == SIGNED || op == UNSIGNED)
            rdb_get_len(&r->in);
        else if (op == FLOAT)
            for (int i = 0; i < 4; i++)
                rdb_get_u8(&r->in);
        else if (op == DOUBLE)
            rdb_get_u64(&r->in);
        else if (op == STRING)
            rdb_get_str(&r->in);
        else
            return damaged(r, err, "a module's data of unknown form");
    }
    return r->in.bad ? damaged(r, err, "a module's data that ends too early") : 0;
}

static int read_key(struct reader *r, uint8_t type, struct err *err)
{
    struct value v;
    struct err why = {0};
    r->key.name = get_name(r);
    if (r->in.bad)
        return damaged(r, err, "a key that ends too early");
    if (rdb_get_value(type, &r->in, &v, &why) < 0)
        return damaged(r, err, why.msg[0] ? why.msg : "a value that cannot be read");
    int rc = 0;
    if (r->o->key)
        rc = r->o->key(r->o->arg, &r->key, &v, err);
    else
        value_release(&v);
    forget_key(r);
    return rc;
}

/* 1: the end was reached. */
static int read_one(struct reader *r, struct err *err)
{
    uint8_t op = rdb_get_u8(&r->in);
    if (r->in.bad)
        return damaged(r, err, "it ends too early");
    switch (op) {
    case RDB_OP_END: return 1;
    case RDB_OP_AUX: return read_aux(r, err);
    case RDB_OP_FUNCTION: return read_function(r, err);
    case RDB_OP_FUNCTION_DRAFT: return damaged(r, err, "a function in a form that only release candidates wrote");
    case RDB_OP_MODULE_AUX: return skip_module(r, err);
    case RDB_OP_EXPIRE_MS: r->key.expire_ms = (int64_t)rdb_get_u64(&r->in); break;
    case RDB_OP_EXPIRE_S:
        r->key.expire_ms = 0;
        for (int i = 0; i < 4; i++)
            r->key.expire_ms |= (int64_t)rdb_get_u8(&r->in) << 8 * i;
        r->key.expire_ms *= 1000;
        break;
    case RDB_OP_IDLE: r->key.idle_s = (int64_t)(rdb_get_len(&r->in) & UINT32_MAX); break;
    case RDB_OP_FREQ: r->key.lfu = rdb_get_u8(&r->in); break;
    case RDB_OP_SIZES:
        rdb_get_len(&r->in); /* hints; nothing is allocated on their word */
        rdb_get_len(&r->in);
        break;
    case RDB_OP_SELECT: {
        uint64_t db = rdb_get_len(&r->in);
        if (db > INT32_MAX)
            return damaged(r, err, "a database with an impossible number");
        r->key.db = (int)db;
        break;
    }
    default: return read_key(r, op, err);
    }
    return r->in.bad ? damaged(r, err, "it ends too early") : 0;
}

static int check_end(struct reader *r, int version, struct err *err)
{
    const uint8_t *end = r->in.p;
    if (version < 5)
        return 0;
    uint64_t crc = rdb_get_u64(&r->in);
    if (r->in.bad)
        return damaged(r, err, "it ends before its checksum");
    if (crc != 0 && crc != crc64_redis(0, r->start, (size_t)(end - r->start)))
        return damaged(r, err, "its checksum is wrong");
    return 0;
}

static int read_head(struct slice bytes, int *version, struct err *err)
{
    bool ok = bytes.len >= HEAD && memcmp(bytes.p, "REDIS", 5) == 0;
    *version = 0;
    for (int i = 5; ok && i < HEAD; i++) {
        ok = bytes.p[i] >= '0' && bytes.p[i] <= '9';
        *version = *version * 10 + (bytes.p[i] - '0');
    }
    if (!ok)
        return err_set(err, ERR_IO, "these are not RDB data: they do not begin with REDIS and a version");
    if (*version < 1 || *version > RDB_FILE_READ)
        return err_set(err, ERR_IO, "RDB version %d cannot be read; the newest that can is %d", *version, RDB_FILE_READ);
    return 0;
}

int rdb_file_parse(struct slice bytes, const struct rdb_read *o, size_t *used, struct err *err)
{
    const uint8_t *p = (const uint8_t *)bytes.p;
    int version, rc = read_head(bytes, &version, err);
    if (rc < 0)
        return rc;
    struct reader r = {.o = o, .start = p, .in = {.p = p + HEAD, .end = p + bytes.len}};
    forget_key(&r);
    while (rc == 0)
        rc = read_one(&r, err);
    if (rc > 0)
        rc = check_end(&r, version, err);
    if (used)
        *used = (size_t)(r.in.p - p);
    buf_release(&r.in.scratch);
    buf_release(&r.name);
    return rc;
}

int rdb_file_read(const char *path, const struct rdb_read *o, bool *found, struct err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;
    if (found)
        *found = fd >= 0 || errno != ENOENT;
    if (fd < 0)
        return err_set(err, ERR_IO, "cannot open %s: %s", path, strerror(errno));
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        rc = err_set(err, ERR_IO, "%s is not a file", path);
    void *map = rc == 0 && st.st_size ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0) : MAP_FAILED;
    if (rc == 0 && st.st_size && map == MAP_FAILED)
        rc = err_set(err, ERR_IO, "cannot map %s: %s", path, strerror(errno));
    struct err why;
    if (rc == 0 && rdb_file_parse(slice_of(map == MAP_FAILED ? "" : map, (size_t)st.st_size), o, NULL, &why) < 0)
        rc = err_set(err, ERR_IO, "%s: %s", path, why.msg);
    if (map != MAP_FAILED)
        munmap(map, (size_t)st.st_size);
    close(fd);
    return rc;
}
