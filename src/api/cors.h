/* Which web pages of other origins may read answers (CORS): none, unless http-allow-origin names theirs.
 * Thread: loop. */
#ifndef API_CORS_H
#define API_CORS_H

#include <stdbool.h>

#include "net/httpd.h"

void cors_settings(void);
bool cors_named(const struct httpd_req *r); /* its origin is in the list, and not only by "*" */
void cors_headers(struct httpd_req *r);     /* for an answer: that its page may read it, when it may */
void cors_preflight(struct httpd_req *r,
                    const char *methods); /* replies to OPTIONS; methods: of the path, "GET, POST" */

#endif
