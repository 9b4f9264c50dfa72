/* Secrets at rest: texts that the journal and followers may hold, but not in clear. AES-256-GCM under one key, which
 * lies in a file of its own (setting secret-key-file, by default secret.key in the data directory).
 *
 *   sealed   base64 of   offset  0  u8       version, 1
 *                                1  12 bytes nonce, random
 *                               13           the encrypted bytes
 *                              end  16 bytes tag
 *   file     64 digits of hex and a line end, mode 0600
 *
 * `about` is what the secret belongs to: it is not kept, but must be the same for opening, so that a sealed text cannot
 * be moved to another place. The file is made when the first secret is sealed, and is on disk before seal_text returns.
 *
 * Thread: loop; and the forked child of a compaction. */
#ifndef AUTH_SEAL_H
#define AUTH_SEAL_H

#include "base/buf.h"
#include "base/err.h"
#include "base/slice.h"

#define SEAL_TEXT_MAX (64u << 10)

void seal_settings(void);

/* Appended to `to`. ERR_IO when the key file cannot be read or made, with what to do. */
int seal_text(struct slice clear, struct slice about, struct buf *to, struct err *err);
/* ERR_IO as above, or when there is no file; ERR_STATE when the text was sealed with another key, for something else,
 * or is damaged. The file is not made. */
int seal_open(struct slice sealed, struct slice about, struct buf *to, struct err *err);

#endif
