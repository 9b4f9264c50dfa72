/* See seal.h. The key is read once and kept: whoever can read this process's memory has the secrets anyway. */
#include "auth/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/gcm.h"
#include "base/base64.h"
#include "base/log.h"
#include "base/rng.h"
#include "base/setting.h"

#define VERSION 1
#define HEAD    (1 + GCM_NONCE)
#define HEX     (2 * GCM_KEY)

static char *path;
static unsigned char key[GCM_KEY];
static bool loaded;

static const struct setting settings[] = {
    {.name = "secret-key-file",
     .kind = SETTING_STR,
     .at = &path,
     .dflt = "secret.key",
     .flags = SETTING_FIXED,
     .help = "The file with the key that encrypts models' keys in the journal; made when it is first needed. Keep it "
             "apart from backups of the journal."},
};

void seal_settings(void)
{
    SETTING_REGISTER(settings);
}

/* ---- the key file ---- */

static int file_error(struct err *err, const char *what)
{
    return err_set(err, ERR_IO, "the secret key file '%.100s' (setting secret-key-file) cannot be %s: %s", path, what,
                   strerror(errno));
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static bool from_hex(const char *hex)
{
    for (int i = 0; i < GCM_KEY; i++) {
        int high = digit(hex[2 * i]), low = high < 0 ? -1 : digit(hex[2 * i + 1]);
        if (low < 0)
            return false;
        key[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

/* 1: read; 0: there is none. */
static int read_file(struct err *err)
{
    char hex[HEX + 3];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return errno == ENOENT ? 0 : file_error(err, "opened");
    bool plain = fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
    ssize_t n = plain ? read(fd, hex, sizeof hex) : -1;
    close(fd);
    while (n > HEX && (hex[n - 1] == '\n' || hex[n - 1] == '\r'))
        n--;
    loaded = n == HEX && from_hex(hex);
    explicit_bzero(hex, sizeof hex);
    if (!loaded)
        return err_set(err, ERR_IO, "the secret key file '%.100s' must hold %d digits of hex and nothing else", path,
                       HEX);
    if (st.st_mode & 077)
        log_warning("the secret key file '%s' can be read by others than its owner: chmod 600 it", path);
    return 1;
}

/* What is linked into a folder is there after a crash only once the folder is synced. */
static int sync_folder(void)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    int n = slash ? (int)(slash - path) + 1 : 1;
    snprintf(folder, sizeof folder, "%.*s", n, slash ? path : ".");
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = fd < 0 ? -1 : fsync(fd);
    if (fd >= 0)
        close(fd);
    return rc;
}

static int write_new(const char *name)
{
    char hex[HEX + 2];
    unsigned char fresh[GCM_KEY];
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -1;
    rng_secure(fresh, sizeof fresh);
    for (int i = 0; i < GCM_KEY; i++)
        snprintf(hex + 2 * i, 3, "%02x", fresh[i]);
    hex[HEX] = '\n';
    bool ok = write(fd, hex, HEX + 1) == HEX + 1 && fsync(fd) == 0;
    explicit_bzero(hex, sizeof hex);
    explicit_bzero(fresh, sizeof fresh);
    close(fd);
    return ok ? 0 : -1;
}

/* Made under another name and linked when it is whole. Who comes second (a compaction's child and its parent) takes
 * what is there. */
static int make_file(struct err *err)
{
    char name[4096];
    if (snprintf(name, sizeof name, "%s.%ld", path, (long)getpid()) >= (int)sizeof name)
        return err_set(err, ERR_IO, "the path of the secret key file is too long");
    unlink(name);
    bool ok = write_new(name) == 0 && (link(name, path) == 0 || errno == EEXIST) && sync_folder() == 0;
    int why = errno;
    unlink(name);
    errno = why;
    if (!ok)
        return file_error(err, "made");
    log_notice("made the secret key file '%s': keys in the journal cannot be read without it", path);
    return 0;
}

static int load(bool make, struct err *err)
{
    if (loaded)
        return 0;
    int rc = read_file(err);
    if (rc == 0 && !make)
        return err_set(err, ERR_IO, "the secret key file '%.100s' (setting secret-key-file) is not there", path);
    if (rc == 0 && (rc = make_file(err)) == 0)
        rc = read_file(err);
    if (rc == 0)
        return file_error(err, "opened");
    return rc < 0 ? rc : 0;
}

/* ---- sealing and opening ---- */

int seal_text(struct slice clear, struct slice about, struct buf *to, struct err *err)
{
    struct buf raw = {0};
    if (clear.len == 0 || clear.len > SEAL_TEXT_MAX)
        return err_set(err, ERR_INVALID, "a secret is 1 to %u bytes", SEAL_TEXT_MAX);
    int rc = load(true, err);
    if (rc < 0)
        return rc;
    size_t n = HEAD + clear.len + GCM_TAG;
    unsigned char *room = (unsigned char *)buf_room(&raw, n);
    room[0] = VERSION;
    rng_secure(room + 1, GCM_NONCE);
    bool ok = gcm_encrypt(key, room + 1, clear, about, room + HEAD);
    if (ok)
        base64_encode(to, slice_of((const char *)room, n));
    buf_release(&raw);
    return ok ? 0 : err_set(err, ERR_GENERIC, "a secret could not be encrypted");
}

static bool open_raw(struct slice raw, struct slice about, struct buf *to)
{
    if (raw.len <= HEAD + GCM_TAG || raw.p[0] != VERSION)
        return false;
    size_t n = raw.len - HEAD;
    unsigned char *room = (unsigned char *)buf_room(to, n);
    const unsigned char *nonce = (const unsigned char *)raw.p + 1;
    if (!room || !gcm_decrypt(key, nonce, slice_of(raw.p + HEAD, n), about, room))
        return false;
    buf_grow(to, n - GCM_TAG);
    return true;
}

int seal_open(struct slice sealed, struct slice about, struct buf *to, struct err *err)
{
    struct buf raw = {0};
    int rc = load(false, err);
    if (rc < 0)
        return rc;
    bool ok = sealed.len <= 2 * SEAL_TEXT_MAX && base64_decode(&raw, sealed) && open_raw(buf_slice(&raw), about, to);
    buf_release(&raw);
    return ok ? 0
              : err_set(err, ERR_STATE, "it was sealed with another key than that of '%.100s', or is damaged", path);
}
