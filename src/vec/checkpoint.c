/* A checkpoint, step by step, each step's end starting the next:
 *
 *   COPY      frozen pages, a batch at a time, to NAME.dw; then the new header as the last of them
 *             (waits here until the gate, if there is one, opens for its lsn)
 *   COMMIT    the list and the head of NAME.dw, datasync: from here on the checkpoint will be there, crash or not
 *   PLACE     the same pages to their places, datasync
 *   HEADER    the header to the slot that the old one does not hold, datasync
 *   FORGET    the head of NAME.dw is wiped (unsynced: applying it again changes nothing)
 *
 * The writer goes on meanwhile; pages it changes are saved first (space.c), so both passes see the state of the freeze.
 * When PLACE or HEADER fails the file is half new: NAME.dw holds the whole, and the next checkpoint puts it in place
 * before it writes anything else. */
#include "vec/checkpoint.h"

#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "io/file.h"

#define BATCH 64 /* pages on their way at once: what the loop copies and sums between two turns */

enum step { STEP_COPY, STEP_COMMIT, STEP_PLACE, STEP_PLACE_SYNC, STEP_HEADER, STEP_FORGET };

struct checkpoint {
    struct vec_index *v;
    struct file_io *io;
    void (*done)(void *arg, int res);
    void *arg;
    enum step step;
    uint64_t cursor;           /* over the frozen pages */
    uint64_t copied;           /* pages in NAME.dw */
    bool header_copied, waits; /* waits: for the gate, before the commit */
    struct dw_entry *list;
    uint64_t list_cap;
    int pending, failed;
    struct file_op ops[BATCH];
    struct vec_header header;
    struct dw_header dw;
    char pages[BATCH][SPACE_PAGE];
};

static void next_step(struct checkpoint *c);

static void op_done(struct file_op *op)
{
    struct checkpoint *c = op->arg;
    if (op->res < 0 || (op->kind == FILE_WRITE && op->moved != op->len))
        c->failed = ERR_IO;
    if (--c->pending == 0)
        next_step(c);
}

static struct file_op *op_set(struct checkpoint *c, int i, enum file_kind kind, int fd, void *data, size_t len,
                              uint64_t off)
{
    c->ops[i] =
        (struct file_op){.kind = kind, .fd = fd, .data = data, .len = len, .off = off, .done = op_done, .arg = c};
    return &c->ops[i];
}

/* Writes and a datasync that follow one another. */
static void submit_chain(struct checkpoint *c, int n)
{
    struct file_op *chain[3];
    for (int i = 0; i < n; i++)
        chain[i] = &c->ops[i];
    c->pending = n;
    file_submit(c->io, chain, n);
}

static void add_entry(struct checkpoint *c, const char *page, uint64_t off)
{
    if (c->copied == c->list_cap) {
        c->list_cap = c->list_cap ? c->list_cap * 2 : 1024;
        c->list = mem_realloc(c->list, c->list_cap * sizeof *c->list);
    }
    c->list[c->copied++] = (struct dw_entry){.off = off, .crc = crc32c(0, page, SPACE_PAGE)};
}

/* One write of up to BATCH pages to the double-write file. False: all are there. */
static bool copy_batch(struct checkpoint *c)
{
    uint64_t first = c->copied, off;
    int n = 0;
    const char *page;
    while (n < BATCH && space_frozen_next(&c->v->space, &c->cursor, &off, &page)) {
        memcpy(c->pages[n], page, SPACE_PAGE);
        add_entry(c, c->pages[n++], off);
    }
    if (n < BATCH && !c->header_copied) {
        memcpy(c->pages[n], &c->header, SPACE_PAGE);
        add_entry(c, c->pages[n++], (c->header.epoch & 1) * SPACE_PAGE);
        c->header_copied = true;
    }
    if (!n)
        return false;
    op_set(c, 0, FILE_WRITE, c->v->dw_fd, c->pages, (size_t)n * SPACE_PAGE, DW_PAGE(first));
    submit_chain(c, 1);
    return true;
}

static void commit(struct checkpoint *c)
{
    size_t bytes = c->copied * sizeof *c->list;
    c->dw = (struct dw_header){.magic = DW_MAGIC,
                               .version = VEC_VERSION,
                               .byte_order = VEC_BYTE_ORDER,
                               .uid = c->header.uid,
                               .epoch = c->header.epoch,
                               .count = c->copied,
                               .list_crc = crc32c(0, c->list, bytes)};
    c->dw.crc = crc32c(0, &c->dw, offsetof(struct dw_header, crc));
    op_set(c, 0, FILE_WRITE, c->v->dw_fd, c->list, bytes, DW_PAGE(c->copied));
    op_set(c, 1, FILE_WRITE, c->v->dw_fd, &c->dw, sizeof c->dw, 0);
    op_set(c, 2, FILE_DATASYNC, c->v->dw_fd, NULL, 0, 0);
    submit_chain(c, 3);
}

/* Up to BATCH pages to their places, neighbours in one write. False: all are there. */
static bool place_batch(struct checkpoint *c)
{
    uint64_t off;
    int n = 0, ops = 0;
    const char *page;
    while (n < BATCH && space_frozen_next(&c->v->space, &c->cursor, &off, &page)) {
        memcpy(c->pages[n], page, SPACE_PAGE);
        if (ops && c->ops[ops - 1].off + c->ops[ops - 1].len == off)
            c->ops[ops - 1].len += SPACE_PAGE;
        else
            op_set(c, ops++, FILE_WRITE, c->v->space.fd, c->pages[n], SPACE_PAGE, off);
        n++;
    }
    c->pending = ops;
    for (int i = 0; i < ops; i++) {
        struct file_op *op = &c->ops[i];
        file_submit(c->io, &op, 1);
    }
    return ops > 0;
}

static void end(struct checkpoint *c)
{
    struct vec_index *v = c->v;
    bool whole = c->step >= STEP_FORGET || !c->failed; /* FORGET may fail: the file is as it should be */
    space_thaw(&v->space, whole);
    if (whole) {
        v->h.epoch = c->header.epoch;
        v->lsn_on_file = v->h.lsn = c->header.lsn;
    } else if (c->step > STEP_COMMIT) {
        v->dw_pending = true;
    }
    v->checkpoint = NULL;
    void (*done)(void *, int) = c->done;
    void *arg = c->arg;
    mem_free(c->list);
    mem_free(c);
    if (done)
        done(arg, whole ? 0 : ERR_IO);
    vec_unref(v);
}

static void commit_if_open(struct checkpoint *c)
{
    c->waits = c->v->gate && !c->v->gate(c->header.lsn);
    if (!c->waits)
        commit(c);
}

void vec_checkpoint_go_on(struct vec_index *v)
{
    if (v->checkpoint && v->checkpoint->waits)
        commit_if_open(v->checkpoint);
}

void vec_checkpoint_gate(struct vec_index *v, bool (*open)(uint64_t lsn))
{
    v->gate = open;
}

static void next_step(struct checkpoint *c)
{
    int fd = c->v->space.fd;
    if (c->failed) {
        end(c);
        return;
    }
    switch (c->step) {
    case STEP_COPY:
        if (copy_batch(c))
            return;
        c->step = STEP_COMMIT;
        commit_if_open(c);
        return;
    case STEP_COMMIT:
        c->step = STEP_PLACE;
        c->cursor = 0;
        /* fall through */
    case STEP_PLACE:
        if (place_batch(c))
            return;
        c->step = STEP_PLACE_SYNC;
        op_set(c, 0, FILE_DATASYNC, fd, NULL, 0, 0);
        submit_chain(c, 1);
        return;
    case STEP_PLACE_SYNC:
        c->step = STEP_HEADER;
        op_set(c, 0, FILE_WRITE, fd, &c->header, sizeof c->header, (c->header.epoch & 1) * SPACE_PAGE);
        op_set(c, 1, FILE_DATASYNC, fd, NULL, 0, 0);
        submit_chain(c, 2);
        return;
    case STEP_HEADER:
        c->step = STEP_FORGET;
        memset(&c->dw, 0, sizeof c->dw);
        op_set(c, 0, FILE_WRITE, c->v->dw_fd, &c->dw, sizeof c->dw, 0);
        submit_chain(c, 1);
        return;
    case STEP_FORGET: end(c); return;
    }
}

/* The last checkpoint failed half-way in place. Its double-write area is whole: in place with it first. */
static int finish_last(struct vec_index *v, struct err *err)
{
    int rc = v->dw_pending ? dw_apply(v->space.fd, v->dw_fd, err) : 0;
    if (rc == 0 && v->dw_pending) {
        v->dw_pending = false;
        v->h.epoch++;
    }
    return rc;
}

int vec_checkpoint(struct vec_index *v, struct file_io *io, uint64_t lsn, void (*done)(void *arg, int res), void *arg,
                   struct err *err)
{
    if (v->space.fd < 0)
        return err_set(err, ERR_INVALID, "a vector index in memory has no checkpoints");
    if (v->checkpoint)
        return err_set(err, ERR_STATE, "a checkpoint of this vector index is under way");
    int rc = vec_check(v, err);
    if (rc == 0)
        rc = finish_last(v, err);
    if (rc < 0)
        return rc;
    struct checkpoint *c = mem_try(sizeof *c);
    if (!c)
        return err_set(err, ERR_OOM, "no memory for a checkpoint");
    memset(c, 0, offsetof(struct checkpoint, pages));
    c->v = vec_ref(v);
    c->io = io;
    c->done = done;
    c->arg = arg;
    uint64_t old = v->h.lsn;
    v->h.lsn = lsn;
    v->h.epoch++;
    header_fill(v, &c->header);
    v->h.epoch--;
    v->h.lsn = old;
    v->checkpoint = c;
    space_freeze(&v->space);
    next_step(c);
    return 0;
}

bool vec_checkpointing(const struct vec_index *v)
{
    return v->checkpoint != NULL;
}
