/* The value type behind a vector set's key: an index (vec/), the name of its embedding model, and, with STORAGE FILE,
 * the file that the index lives on.
 *
 * A set on a file is <dir>/vectors/<uid>.vec. The file is always the last complete checkpoint, marked with the journal
 * position (lsn) up to which it holds the set's effects; the journal has the rest. So, while the journal is replayed:
 *
 *   1. a set that is made again (VCREATE with its uid, or RESTORE by reference) opens its file if it is there,
 *   2. effects at or before the file's lsn are passed over (vset_has), later ones are applied,
 *   3. a file that is missing is no error yet: a later effect may delete the key. Sets whose file is missing at the end
 *      stop the start; files that no set names are removed; a set whose file is ahead of the journal (the machine lost
 *      power before the journal was synced) is checkpointed again with the journal's lsn before anybody is served.
 *
 * A deleted set's file is removed only when the deletion is on disk, and the journal is compacted only when every file
 * has reached the new base's lsn (vset_files_switch).
 *
 * Thread: loop, except that the index may be searched by workers that hold a reference. */
#ifndef STORE_VSET_H
#define STORE_VSET_H

#include "io/file.h"
#include "store/obj.h"
#include "store/projection.h"
#include "store/rdb.h"
#include "vec/vec.h"

#define VSET_UID       32 /* hex digits */
#define VSET_TEXT_ATTR "text"
#define VSET_LANGUAGE  "english"

struct text_index;
struct vset_optimize;

struct vset {
    struct vec_index *index;       /* VOPTIMIZE may put another in its place between two turns of the loop */
    struct projection *projection; /* NULL: vectors are kept as they come */
    char *model;                   /* embedding model for TEXT; NULL: builtin/hash */
    uint64_t id;                   /* of this process alone: VINFO's vset-uid */
    char uid[VSET_UID + 1];        /* empty: in memory */
    uint64_t file_lsn;             /* during a replay: the file holds the effects up to here */
    bool missing;                  /* during a replay: the file was not there */
    int64_t checkpoint_ms;         /* when the last checkpoint began, monotonic */
    struct list link;              /* among the sets on files */
    char *text_attr, *language;    /* of the text index (vset_text.h); NULL: the defaults */
    struct text_index *text;       /* NULL until it is asked for */
    uint32_t text_cursor;          /* while it is being made */
    bool text_whole;
    struct vset_optimize *optimize; /* NULL: none under way */
    int64_t optimize_ms;            /* how long the last one took; 0: none yet */
};

void vset_boot(void); /* registers the type `vectorset` and the settings */

/* uid NULL: in memory. "" : on a new file. Else, in a replay: on the file of that uid. Errors: ERR_STATE when files are
 * not kept (no journal), and those of vec_create. model is copied, NULL allowed. */
int vset_create(struct vset **out, const struct vec_config *config, const char *uid, struct slice model,
                struct err *err);
/* Of a set that is empty and was made with as many components as are to be kept: vectors come with `in` of them. */
void vset_reduce(struct vset *s, uint32_t in);
/* Which attribute is the text of an element, and its language as text/tokens.h has it; empty: the default. */
void vset_set_text(struct vset *s, struct slice attr, struct slice language);
void vset_destroy(struct vset *s); /* drops the reference to the index; the file stays */
static inline struct vset *vset_of(const struct obj *o)
{
    return o->v.ptr;
}
/* How many components a vector must have that is added or searched for. */
uint32_t vset_input_dim(const struct vset *s);
/* ERR_GENERIC, in Redis's words, when that is not dim. */
int vset_check_dim(const struct vset *s, uint32_t dim, struct err *err);
/* vec_prepare and vec_add of a vector as it came: it is checked, and projected where the set has a projection. */
int vset_prepare(struct vset *s, struct vec_addition **out, const float *x, uint32_t dim, struct err *err);
int vset_add(struct vset *s, struct slice name, const float *x, uint32_t dim, struct slice attr, struct err *err);
/* vec_commit, vec_remove, vec_set_attr. */
int vset_commit(struct vset *s, struct vec_addition *a, struct slice name, struct slice attr, struct err *err);
bool vset_remove(struct vset *s, struct slice name);
int vset_set_attr(struct vset *s, struct slice name, struct slice attr, struct err *err);
/* The name of how its vectors are kept, in Redis's words: f32, int8, bin; ours beside them. */
const char *vset_quant_name(const struct vset *s);
/* In a replay: is the effect at lsn in the file already? */
static inline bool vset_has(const struct vset *s, uint64_t lsn)
{
    return s->file_lsn && lsn <= s->file_lsn;
}

/* ---- files ---- */

struct vset_files {
    struct file_io *io;
    const char *dir;            /* the folder of the files, made when it is needed */
    bool (*enabled)(void);      /* is there a journal? sets on files are refused without one */
    bool (*whole)(void);        /* did the replay apply everything? else no file is removed as an orphan */
    uint64_t (*appended)(void); /* journal positions */
    uint64_t (*synced)(void);
    uint64_t (*released)(void); /* what a crash of the process cannot lose: a file may hold effects up to here */
    void (*switched)(bool ok);  /* answers vset_files_switch */
};
void vset_settings(void);
void vset_files_boot(const struct vset_files *f);
int vset_files_loaded(struct err *err); /* after the replay: point 3 above; blocks */
void vset_files_tick(void);             /* periodic: checkpoints, removals */
void vset_files_switch(uint64_t lsn);   /* the journal asks; `switched` is called when all files hold lsn */
void vset_files_close(void);            /* a clean stop: checkpoints everything; blocks */

#endif
