/* ACL LOG: who was refused what, and failed logins. The same thing again within a minute counts up its entry instead of
 * making a new one, and moves it to the front. Thread: loop. */
#ifndef AUTH_ACL_LOG_H
#define AUTH_ACL_LOG_H

#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

enum acl_reason { ACL_REASON_COMMAND, ACL_REASON_KEY, ACL_REASON_CHANNEL, ACL_REASON_AUTH };
enum acl_context { ACL_CONTEXT_TOPLEVEL, ACL_CONTEXT_MULTI, ACL_CONTEXT_LUA };

struct acl_entry {
    struct list link;
    uint64_t count, id;
    enum acl_reason reason;
    enum acl_context context;
    int64_t made_ms, seen_ms;     /* wall */
    struct slice object;          /* the command, key or channel; owned, as the rest */
    struct slice username, client; /* who tried; a line as CLIENT LIST has it */
};

void acl_log_settings(void); /* acllog-max-len */
void acl_log_add(enum acl_reason reason, enum acl_context context, struct slice object, struct slice username,
                 struct slice client);
struct list *acl_log_entries(void); /* struct acl_entry, the latest first */
void acl_log_reset(void);
uint64_t acl_log_denied(enum acl_reason reason); /* since the start */

const char *acl_reason_name(enum acl_reason r);
const char *acl_context_name(enum acl_context c);

#endif
