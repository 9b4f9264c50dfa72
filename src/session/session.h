/* A session: a conversation as a value of the keyspace.
 *
 * Think of it as a stream of messages with a few named fields (system prompt, model, agent, title, meta, summary),
 * variables, and a rule for how much of the past a model is shown. Messages are added at the end and dropped at the
 * front; none is ever changed. Adding is O(1), finding an id O(log n), forking shares the messages.
 *
 * Nothing here reads a clock: whoever changes a session says what time it is, so that a change can be made again from
 * the journal with the same result.
 *
 * Slices that are returned are borrowed until the session changes; those of messages live as long as the message.
 * Thread: loop, except session_destroy (any). */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include "base/buf.h"
#include "session/message.h"

struct session;

/* Limits for what clients send. A replayed change has passed them once: pass NULL for it. */
struct session_limits {
    int64_t message_bytes; /* of one message's content, of a system prompt, of any one text */
    int64_t messages;      /* in one session */
    int64_t vars;          /* in one session */
};
extern struct session_limits session_limits; /* the settings session-max-* */
extern int64_t session_import_max;           /* session-max-import-bytes */
static inline uint64_t session_text_max(const struct session_limits *lim)
{
    return lim ? (uint64_t)lim->message_bytes : SESSION_TEXT_LIMIT;
}

enum session_field {
    SESSION_TITLE,
    SESSION_PROMPT,  /* "system": the system prompt */
    SESSION_MODEL,   /* a model's or a route's name */
    SESSION_AGENT,   /* the agent (role) that answers here */
    SESSION_META,    /* a JSON object */
    SESSION_SUMMARY, /* of the messages up to session_summary_to */
    SESSION_FIELDS,  /* how many */
};
extern const char *const session_field_names[SESSION_FIELDS];

/* How much of the past a model is shown, see session/context.h. */
enum session_keep { SESSION_ALL, SESSION_LAST, SESSION_TOKENS, SESSION_SUMMARISED, SESSION_KEEPS };
struct session_strategy {
    enum session_keep keep;
    uint32_t n;
};
/* word is LAST, TOKENS or SUMMARY, n what came behind it. ERR_INVALID for anything else or n out of range. */
int session_strategy_parse(struct slice word, struct slice n, struct session_strategy *out, struct err *err);
/* The same in one text: "LAST 20", "ALL"; empty is ALL. */
int session_strategy_from(struct slice text, struct session_strategy *out, struct err *err);
void session_strategy_print(struct session_strategy st, struct buf *to);

struct session *session_create(int64_t now_ms);
void session_destroy(struct session *s); /* NULL allowed; any thread */
/* A copy with the messages up to and including `upto` ({0, 0}: all). Messages are shared. Created and updated at
 * now_ms; a summary of messages behind `upto` does not go along. */
struct session *session_fork(const struct session *s, struct session_id upto, int64_t now_ms);
struct session *session_clone(const struct session *s); /* the same with all its times */

/* --- fields and variables --- */

struct slice session_get(const struct session *s, enum session_field f); /* empty: unset */
int session_field_check(enum session_field f, struct slice text, const struct session_limits *lim, struct err *err);
/* Takes a checked text; empty unsets. A summary counts for all messages that there are now. */
void session_set(struct session *s, enum session_field f, struct slice text);

struct session_strategy session_strategy(const struct session *s);
void session_set_strategy(struct session *s, struct session_strategy st);
struct session_id session_summary_to(const struct session *s); /* {0, 0}: no summary */
void session_set_summary_to(struct session *s, struct session_id id);

int64_t session_created(const struct session *s);
int64_t session_updated(const struct session *s);
void session_set_times(struct session *s, int64_t created_ms, int64_t updated_ms);
void session_touch(struct session *s, int64_t now_ms); /* updated: never goes back */

/* Variables, in the order of their names. */
uint32_t session_var_count(const struct session *s);
void session_var_at(const struct session *s, uint32_t i, struct slice *name, struct slice *value);
bool session_var_get(const struct session *s, struct slice name, struct slice *value);
/* ERR_INVALID for bad text, ERR_STATE when there are too many. */
int session_var_set(struct session *s, struct slice name, struct slice value, const struct session_limits *lim,
                    struct err *err);
bool session_var_del(struct session *s, struct slice name); /* false: there was none */

/* --- messages --- */

/* Adds n messages at the end, all or none. A message whose id is {0, 0} gets the next one for now_ms; the ids are
 * written to ids when it is not NULL. ERR_INVALID: a bad message or an id that is not greater than the last; ERR_STATE:
 * the session is full. */
int session_add(struct session *s, const struct session_msg *msgs, size_t n, int64_t now_ms, struct session_id *ids,
                const struct session_limits *lim, struct err *err);

uint32_t session_count(const struct session *s);
struct session_msg session_at(const struct session *s, uint32_t i); /* 0 is the oldest */
struct session_id session_last_id(const struct session *s);         /* of any message ever added; also after a trim */
void session_set_last_id(struct session *s, struct session_id id);  /* at least that of the newest message */
/* The index of the first message with an id of at least / greater than id; the count when there is none. */
uint32_t session_seek(const struct session *s, struct session_id id);
uint32_t session_seek_after(const struct session *s, struct session_id id);
void session_drop(struct session *s, uint32_t n);    /* the n oldest */
uint64_t session_token_sum(const struct session *s); /* system prompt and all messages, estimated */

size_t session_bytes(const struct session *s, int samples); /* samples 0: every message is looked at */

/* --- boot --- */

/* Registers the type `session` and the settings. Loop, once, before data is loaded. */
void session_boot(void);

#endif
