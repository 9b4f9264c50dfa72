#include "store/lazyfree.h"

#include "base/mem.h"
#include "store/obj_build.h"

#define LAZY_EFFORT 64 /* elements; below that a hand-over costs more than the work */

static struct job_pool *lazy_pool;
static size_t pending;
uint64_t lazyfree_done;

struct lazy {
    struct job job;
    uint8_t type, enc;
    void *ptr;
};

void lazyfree_boot(struct job_pool *pool)
{
    lazy_pool = pool;
}

size_t lazyfree_pending(void)
{
    return pending;
}

static void lazy_run(struct job *j)
{
    struct lazy *z = (struct lazy *)j;
    value_free(z->type, z->enc, z->ptr);
    z->ptr = NULL;
}

static void lazy_done(struct job *j)
{
    struct lazy *z = (struct lazy *)j;
    if (z->ptr) /* cancelled before a worker took it: the server is going down */
        value_free(z->type, z->enc, z->ptr);
    else
        lazyfree_done++;
    pending--;
    mem_free(z);
}

void lazyfree_value(uint8_t type, uint8_t enc, void *ptr)
{
    const struct type_ops *ops = type == OBJ_STRING ? NULL : type_by_id(type);
    if (!lazy_pool || !ops || !ops->effort || ops->effort(enc, ptr) <= LAZY_EFFORT) {
        value_free(type, enc, ptr);
        return;
    }
    struct lazy *z = mem_zero(sizeof *z);
    z->job = (struct job){.run = lazy_run, .done = lazy_done};
    z->type = type;
    z->enc = enc;
    z->ptr = ptr;
    pending++;
    job_submit(lazy_pool, &z->job);
}

void lazyfree_obj(struct obj *o)
{
    lazyfree_value(o->type, o->enc, o->v.ptr);
    mem_free(o);
}
