/* See redis_settings.h. Two kinds: what is kept as text and answered by CONFIG GET, because Redis's way of doing the thing is
 * not Skald's and any value is harmless; and what would change the meaning of the server if it were silently passed over
 * (encryption, cluster, following a leader), where only the value that means "off" is taken. */
#include "server/redis_settings.h"

#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/setting.h"

enum kind {
    KEPT, /* any value; has no effect */
    OFF,  /* only its default; the reason is the error */
    ALIAS /* another name of a setting, which stands where the default would */
};

static const struct row {
    const char *name, *dflt;
    enum kind kind;
    const char *why; /* of KEPT and OFF */
} rows[] = {
#define TITLE "the process keeps its command line as its title"
    {"set-proc-title", "yes", KEPT, TITLE},
    {"proc-title-template", "{title} {listen-addr} {server-mode}", KEPT, TITLE},
    {"always-show-logo", "no", KEPT, "no logo is printed"},
    {"ignore-warnings", "", KEPT, "warnings about the machine do not stop the start"},
    {"supervised", "no", KEPT, "a service manager needs no notice: the process stays in the foreground"},
    {"syslog-enabled", "no", OFF, "the log goes to a file or to standard output"},
    {"syslog-ident", "redis", KEPT, "the log goes to a file or to standard output"},
    {"syslog-facility", "local0", KEPT, "the log goes to a file or to standard output"},
#define CRASH "what a crash leaves is the system's core file"
    {"crash-log-enabled", "yes", KEPT, CRASH},
    {"crash-memcheck-enabled", "yes", KEPT, CRASH},
#define THREADS "commands run on one thread; searches, files and model calls have their own"
    {"io-threads", "1", KEPT, THREADS},
    {"io-threads-do-reads", "no", KEPT, THREADS},
#define SYSTEM "left as the system has it"
    {"disable-thp", "yes", KEPT, SYSTEM},
    {"oom-score-adj", "no", KEPT, SYSTEM},
    {"oom-score-adj-values", "0 200 800", KEPT, SYSTEM},
    {"server_cpulist", "", KEPT, SYSTEM},
    {"bio_cpulist", "", KEPT, SYSTEM},
    {"aof_rewrite_cpulist", "", KEPT, SYSTEM},
    {"bgsave_cpulist", "", KEPT, SYSTEM},
    {"socket-mark-id", "0", KEPT, SYSTEM},
    {"jemalloc-bg-thread", "yes", KEPT, "workers give memory back"},
    {"dynamic-hz", "yes", KEPT, "periodic work is bounded by time, not by the number of clients"},
    {"propagation-error-behavior", "ignore", KEPT, "effects that do not apply stop the start"},
    {"sanitize-dump-payload", "no", KEPT, "what RESTORE takes is always checked"},
    {"shutdown-on-sigint", "default", KEPT, "the journal is complete at any moment"},
    {"shutdown-on-sigterm", "default", KEPT, "the journal is complete at any moment"},
    {"rename-command", "", OFF, "commands keep their names; ACL rules take them away from users"},
    {"loadmodule", "", OFF, "there are no modules"},
    {"enable-module-command", "no", KEPT, "there are no modules"},
    {"bind-source-addr", "", KEPT, "there are no outgoing connections to other servers"},
#define JOURNAL "the journal is appended and compacted in its own way"
    {"no-appendfsync-on-rewrite", "no", KEPT, JOURNAL},
    {"aof-rewrite-incremental-fsync", "yes", KEPT, JOURNAL},
    {"rdb-save-incremental-fsync", "yes", KEPT, JOURNAL},
    {"aof-timestamp-enabled", "no", KEPT, JOURNAL},
    {"aof-disable-auto-gc", "no", KEPT, JOURNAL},
    {"maxmemory-eviction-tenacity", "10", KEPT, "a write waits until there is room"},
#define LAZY "large values are freed by workers in any case"
    {"lazyfree-lazy-eviction", "no", KEPT, LAZY},
    {"lazyfree-lazy-expire", "no", KEPT, LAZY},
    {"lazyfree-lazy-server-del", "no", KEPT, LAZY},
    {"lazyfree-lazy-user-del", "no", KEPT, LAZY},
    {"lazyfree-lazy-user-flush", "no", KEPT, LAZY},
    {"active-defrag-max-scan-fields", "1000", KEPT, "large values are moved in steps, whatever their size"},
#define REPL "there is no leader to follow and no follower with a backlog"
    {"replicaof", "", OFF, "following another server is not supported yet"},
    {"slaveof", "replicaof", ALIAS, NULL},
    {"acllog-max-len", "128", KEPT, "refused commands are not logged"},
    {"masterauth", "", KEPT, REPL},
    {"masteruser", "", KEPT, REPL},
    {"repl-backlog-size", "1048576", KEPT, REPL},
    {"repl-backlog-ttl", "3600", KEPT, REPL},
    {"repl-timeout", "60", KEPT, REPL},
    {"repl-disable-tcp-nodelay", "no", KEPT, REPL},
    {"repl-diskless-load", "disabled", KEPT, REPL},
    {"repl-diskless-sync", "yes", KEPT, REPL},
    {"repl-diskless-sync-delay", "5", KEPT, REPL},
    {"repl-diskless-sync-max-replicas", "0", KEPT, REPL},
    {"repl-ping-replica-period", "10", KEPT, REPL},
    {"repl-ping-slave-period", "repl-ping-replica-period", ALIAS, NULL},
    {"rdb-del-sync-files", "no", KEPT, REPL},
    {"replica-priority", "100", KEPT, REPL},
    {"slave-priority", "replica-priority", ALIAS, NULL},
    {"replica-read-only", "yes", KEPT, REPL},
    {"slave-read-only", "replica-read-only", ALIAS, NULL},
    {"replica-serve-stale-data", "yes", KEPT, REPL},
    {"slave-serve-stale-data", "replica-serve-stale-data", ALIAS, NULL},
    {"replica-lazy-flush", "no", KEPT, REPL},
    {"slave-lazy-flush", "replica-lazy-flush", ALIAS, NULL},
    {"replica-ignore-maxmemory", "yes", KEPT, REPL},
    {"slave-ignore-maxmemory", "replica-ignore-maxmemory", ALIAS, NULL},
    {"replica-ignore-disk-write-errors", "no", KEPT, REPL},
    {"replica-announced", "yes", KEPT, REPL},
    {"replica-announce-ip", "", KEPT, REPL},
    {"slave-announce-ip", "replica-announce-ip", ALIAS, NULL},
    {"replica-announce-port", "0", KEPT, REPL},
    {"slave-announce-port", "replica-announce-port", ALIAS, NULL},
    {"min-replicas-to-write", "0", OFF, "no followers are counted"},
    {"min-slaves-to-write", "min-replicas-to-write", ALIAS, NULL},
    {"min-replicas-max-lag", "10", KEPT, REPL},
    {"min-slaves-max-lag", "min-replicas-max-lag", ALIAS, NULL},
#define CLUSTER "there is no cluster mode"
    {"cluster-enabled", "no", OFF, CLUSTER},
    {"cluster-config-file", "nodes.conf", KEPT, CLUSTER},
    {"cluster-node-timeout", "15000", KEPT, CLUSTER},
    {"cluster-port", "0", KEPT, CLUSTER},
    {"cluster-announce-ip", "", KEPT, CLUSTER},
    {"cluster-announce-port", "0", KEPT, CLUSTER},
    {"cluster-announce-tls-port", "0", KEPT, CLUSTER},
    {"cluster-announce-bus-port", "0", KEPT, CLUSTER},
    {"cluster-announce-hostname", "", KEPT, CLUSTER},
    {"cluster-announce-human-nodename", "", KEPT, CLUSTER},
    {"cluster-preferred-endpoint-type", "ip", KEPT, CLUSTER},
    {"cluster-link-sendbuf-limit", "0", KEPT, CLUSTER},
    {"cluster-migration-barrier", "1", KEPT, CLUSTER},
    {"cluster-allow-replica-migration", "yes", KEPT, CLUSTER},
    {"cluster-allow-reads-when-down", "no", KEPT, CLUSTER},
    {"cluster-allow-pubsubshard-when-down", "yes", KEPT, CLUSTER},
    {"cluster-require-full-coverage", "yes", KEPT, CLUSTER},
    {"cluster-replica-validity-factor", "10", KEPT, CLUSTER},
    {"cluster-slave-validity-factor", "cluster-replica-validity-factor", ALIAS, NULL},
    {"cluster-replica-no-failover", "no", KEPT, CLUSTER},
    {"cluster-slave-no-failover", "cluster-replica-no-failover", ALIAS, NULL},
#define TLS "there is no encrypted port"
    {"tls-port", "0", OFF, TLS " yet"},
    {"tls-cluster", "no", KEPT, TLS},
    {"tls-replication", "no", KEPT, TLS},
    {"tls-auth-clients", "yes", KEPT, TLS},
    {"tls-prefer-server-ciphers", "no", KEPT, TLS},
    {"tls-session-caching", "yes", KEPT, TLS},
    {"tls-session-cache-size", "20480", KEPT, TLS},
    {"tls-session-cache-timeout", "300", KEPT, TLS},
    {"tls-cert-file", "", KEPT, TLS},
    {"tls-key-file", "", KEPT, TLS},
    {"tls-key-file-pass", "", KEPT, TLS},
    {"tls-client-cert-file", "", KEPT, TLS},
    {"tls-client-key-file", "", KEPT, TLS},
    {"tls-client-key-file-pass", "", KEPT, TLS},
    {"tls-dh-params-file", "", KEPT, TLS},
    {"tls-ca-cert-file", "", KEPT, TLS},
    {"tls-ca-cert-dir", "", KEPT, TLS},
    {"tls-protocols", "", KEPT, TLS},
    {"tls-ciphers", "", KEPT, TLS},
    {"tls-ciphersuites", "", KEPT, TLS},
};

#define ROWS (sizeof rows / sizeof *rows)
static struct setting settings[ROWS];
static char *values[ROWS];

/* The settings are made in the order of the rows that are needed: name tells which. */
static size_t index_of(const struct setting *s)
{
    size_t i = 0;
    while (strcmp(rows[i].name, s->name) != 0)
        i++;
    return i;
}

static int set(const struct setting *s, struct slice value, struct err *err)
{
    size_t i = index_of(s);
    if (rows[i].kind == ALIAS)
        return setting_set(setting_find(slice_str(rows[i].dflt)), value, true, err);
    if (rows[i].kind == OFF && !slice_is(value, rows[i].dflt))
        return err_set(err, ERR_GENERIC, "%s: %s", s->name, rows[i].why);
    if (values[i] && !slice_is(value, values[i]))
        log_notice("setting %s has no effect: %s", s->name, rows[i].why);
    mem_free(values[i]);
    values[i] = mem_dup(value.p, value.len);
    return 0;
}

static void get(const struct setting *s, struct buf *to)
{
    size_t i = index_of(s);
    if (rows[i].kind == ALIAS)
        setting_get(setting_find(slice_str(rows[i].dflt)), to);
    else
        buf_add_str(to, values[i]);
}

void redis_settings(void)
{
    int n = 0;
    for (size_t i = 0; i < ROWS; i++)
        if (!setting_find(slice_str(rows[i].name)))
            settings[n++] = (struct setting){
                .name = rows[i].name,
                .kind = SETTING_CALL,
                .dflt = rows[i].kind == ALIAS ? NULL : rows[i].dflt,
                .flags = rows[i].kind == ALIAS ? SETTING_HIDDEN | SETTING_ALIAS : SETTING_IDLE,
                .help = rows[i].kind == ALIAS ? NULL : rows[i].why,
                .set = set,
                .get = get,
            };
    setting_register(settings, n);
}
