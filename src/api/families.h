/* The families of routes, defined each in its own file and listed in api.c. */
#ifndef API_FAMILIES_H
#define API_FAMILIES_H

#include <stdint.h>

#include "api/api.h"

extern const struct api_family api_health;  /* /healthz, /readyz */
extern const struct api_family api_metrics; /* /metrics */
extern const struct api_family api_chat;    /* /v1/chat/completions, /v1/messages */
extern const struct api_family api_count;   /* /v1/messages/count_tokens */
extern const struct api_family api_embed;   /* /v1/embeddings */
extern const struct api_family api_rerank;  /* /v1/rerank */
extern const struct api_family api_audio;   /* /v1/audio/speech, /v1/audio/transcriptions */
extern const struct api_family api_models;  /* /v1/models */

extern const char *(*api_why_not_ready)(void); /* NULL: always ready; api_set_ready */
extern const struct api_gateway *api_gate;     /* NULL: there is none, /v1 answers 503 */
extern int64_t api_stream_max;                 /* bytes of a stream that its client has not taken; http-stream-buffer */

#endif
