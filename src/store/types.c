/* The list of the store's value types: a new one is its file and its lines here. */
#include "store/types.h"

#include "store/hll.h"

void types_boot(void)
{
    static const struct type_ops *const all[] = {
        &string_ops,
        &hash_ops,
        &list_ops,
        &set_ops,
        &zset_ops,
        &stream_ops,
    };
    static void (*const settings[])(void) = {
        obj_settings,
        hash_settings,
        hll_settings,
        list_settings,
        set_settings,
        zset_settings,
        stream_settings,
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        type_register(all[i]);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        settings[i]();
}
