/* Texts of elements, from their attributes to the text index. */
#include "store/vset_text.h"

#include <cjson/cJSON.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/utf8.h"

#define MOST_WAITING (64 << 20) /* bytes of changes that nobody has searched since */
#define AT_A_TIME    32         /* elements between two looks at the clock */

const char *vset_text_attr(const struct vset *s)
{
    return s->text_attr ? s->text_attr : VSET_TEXT_ATTR;
}

/* The string under the set's text attribute, or an empty one. *root owns it. */
static struct slice text_of(const struct vset *s, struct slice attr, cJSON **root)
{
    *root = attr.len ? cJSON_ParseWithLength(attr.p, attr.len) : NULL;
    const cJSON *o = cJSON_GetObjectItemCaseSensitive(*root, vset_text_attr(s));
    const char *text = cJSON_GetStringValue(o);
    return text ? slice_str(text) : slice_of("", 0);
}

bool vset_text_of(struct slice attr, const char *name, size_t max, struct buf *to)
{
    cJSON *root = attr.len ? cJSON_ParseWithLength(attr.p, attr.len) : NULL;
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, name));
    if (text)
        buf_add(to, text, utf8_cut(slice_str(text), max));
    bool any = text && *text;
    cJSON_Delete(root);
    return any;
}

static void put(struct vset *s, struct slice name, struct slice attr, bool fresh)
{
    cJSON *root;
    struct slice text = text_of(s, attr, &root);
    if (text.len || !fresh)
        text_put(s->text, name, text);
    cJSON_Delete(root);
}

int vset_text_make(struct vset *s, int64_t until_us, struct err *err)
{
    struct slice name, attr;
    if (!s->text) {
        int rc = text_create(&s->text, s->language ? s->language : VSET_LANGUAGE, err);
        if (rc < 0)
            return rc;
        s->text_cursor = 0;
        s->text_whole = false;
    }
    for (int n = 1; !s->text_whole; n++) {
        s->text_whole = !vec_next(s->index, &s->text_cursor, &name, &attr);
        if (!s->text_whole)
            put(s, name, attr, true);
        if (until_us && n % AT_A_TIME == 0 && clock_mono_us() >= until_us)
            break;
    }
    return s->text_whole;
}

void vset_text_changed(struct vset *s, struct slice name)
{
    struct slice attr;
    if (!s->text)
        return;
    if (text_waiting(s->text) > MOST_WAITING) {
        vset_text_drop(s);
        return;
    }
    vec_get_attr(s->index, name, &attr);
    put(s, name, attr, false);
}

void vset_text_drop(struct vset *s)
{
    text_unref(s->text);
    s->text = NULL;
}
