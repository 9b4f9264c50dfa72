/* One message of a session: its id, its role, its texts, and the block that keeps it.
 *
 * Two forms. A struct session_msg is a view: slices borrowed from wherever the message lies now (a client's arguments,
 * a JSON tree, a block). A struct msg is how a session keeps it: one allocation, never changed after it was made,
 * counted references, so that a fork shares its past with the session it came from.
 *
 *   block     offset  0  u32  references (atomic: a worker may free a session that shares blocks with a live one)
 *                     4  u32  estimated tokens
 *                     8  u64  id: milliseconds since 1970
 *                    16  u32  id: sequence number within the millisecond
 *                    20  u32  bytes of content
 *                    24  u8   role
 *                    25  u8   which of the parts are there, in the order of enum session_part (bits 0 to 6)
 *                    26  u32  bytes of each part that is there, in that order
 *                        the content's bytes, then each part's bytes
 *
 * So a plain message costs 26 bytes, its text, and 8 bytes in the session's index.
 *
 * All texts are UTF-8 without U+0000. tool_calls, content_parts and thinking are JSON arrays and meta a JSON object,
 * kept as the text they came as. content_parts (text and images as OpenAI writes them) are what a model is sent in the
 * place of the content; the content stays what people read and search. reasoning and thinking (signed blocks, as
 * Anthropic writes them) are what a model thought before its answer: never part of the text, kept because some vendors
 * want them back. Thread: any for the views and checks; a block's references may be counted on any thread. */
#ifndef SESSION_MESSAGE_H
#define SESSION_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/slice.h"

/* Ordered by ms, then seq; strictly increasing within a session. {0, 0} is no id. */
struct session_id {
    uint64_t ms;
    uint32_t seq;
};

#define SESSION_ID_TEXT 32           /* room for "<ms>-<seq>" */
#define SESSION_ID_MS   (1ull << 53) /* ms stays below this, so that JSON can carry it */

static inline int session_id_cmp(struct session_id a, struct session_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

static inline bool session_id_none(struct session_id id)
{
    return id.ms == 0 && id.seq == 0;
}

size_t session_id_text(struct session_id id, char to[SESSION_ID_TEXT]); /* no NUL; the length */
/* "<ms>-<seq>", or "<ms>" alone, which then means seq. */
bool session_id_parse(struct slice s, uint32_t seq, struct session_id *out);

enum session_role {
    SESSION_SYSTEM,
    SESSION_DEVELOPER,
    SESSION_USER,
    SESSION_ASSISTANT,
    SESSION_TOOL,
    SESSION_ROLES, /* how many */
};

bool session_role_parse(struct slice s, enum session_role *out); /* ASCII case ignored */
const char *session_role_name(enum session_role role);

struct session_msg {
    struct session_id id;
    enum session_role role;
    uint32_t tokens; /* estimated; filled by msg_view, ignored when a message is added */
    struct slice content, name, tool_calls, tool_call_id, meta, content_parts, reasoning,
        thinking; /* length 0: absent */
};

/* The texts that a message may have beside its content. Their order is part of the saved forms: add at the end only. */
enum session_part {
    SESSION_PART_NAME,
    SESSION_PART_TOOL_CALLS,
    SESSION_PART_TOOL_CALL_ID,
    SESSION_PART_META,
    SESSION_PART_CONTENT,
    SESSION_PART_REASONING,
    SESSION_PART_THINKING,
    SESSION_PARTS, /* how many */
};
extern const char *const session_part_names[SESSION_PARTS]; /* as JSON and maps have them */
extern const char *const session_part_words[SESSION_PARTS]; /* as options of SESSION.ADD */
struct slice *session_part(struct session_msg *m, enum session_part part);
struct slice session_part_of(const struct session_msg *m, enum session_part part);

#define SESSION_NAME_MAX     256 /* bytes of names: of a speaker, a tool call id, a variable, a model, an agent */
#define SESSION_CALLS_MAX    128 /* tool calls of one message */
#define SESSION_IMAGE_TOKENS 800 /* what an image counts, about */
#define SESSION_TEXT_LIMIT   (512u << 20) /* no text is longer than this, whatever the settings say */

/* Each of these is 0, or ERR_INVALID with a sentence that begins with `what`. max is the limit in bytes. */
int session_text_check(struct slice s, const char *what, uint64_t max, struct err *err);
int session_object_check(struct slice json, const char *what, uint64_t max, struct err *err); /* a JSON object */
int session_msg_check(const struct session_msg *m, uint64_t max, struct err *err);

/* Does this JSON text hold U+0000, raw or escaped? C strings would end there. */
bool session_json_has_nul(struct slice json);

struct msg;
struct msg *msg_make(const struct session_msg *m); /* a checked one with its id; one reference, the caller's */
struct msg *msg_ref(struct msg *b);
void msg_unref(struct msg *b); /* NULL allowed */
struct session_msg msg_view(const struct msg *b);
struct session_id msg_id(const struct msg *b);
uint32_t msg_tokens(const struct msg *b);
size_t msg_bytes(const struct msg *b); /* memory, divided among those who share it */

/* What a text, and what a message with its envelope, will count for a model; about right, never exact. */
uint32_t session_tokens(struct slice text);
uint32_t session_msg_tokens(const struct session_msg *m);

#endif
