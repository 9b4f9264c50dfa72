/* skald [file] [--setting value ...] */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "llm/matrix.h"
#include "server/config.h"
#include "server/server.h"
#include "server/version.h"

static int usage(void)
{
    printf("usage: skald [configuration-file] [--setting value ...]\n"
           "       skald --version | --help | --sample-config | --providers\n"
           "Settings are those of the configuration file: skald --port 6379 --dir /var/lib/skald --appendonly yes\n");
    return 0;
}

/* What each of them supports, as the table of src/llm/PROVIDERS.md. */
static int print_providers(void)
{
    struct buf table = {0};
    llm_matrix(&table);
    size_t n = fwrite(table.p, 1, table.len, stdout);
    bool whole = n == table.len;
    buf_release(&table);
    return whole ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct err err;
    json_boot();
    server_settings();
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
        return usage();
    if (argc == 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-v") == 0))
        return printf("Skald server v=%s\n", SKALD_VERSION) < 0;
    if (argc == 2 && strcmp(argv[1], "--sample-config") == 0) {
        config_print_sample();
        return 0;
    }
    if (argc == 2 && strcmp(argv[1], "--providers") == 0)
        return print_providers();
    if (config_load(argc, argv, &err) < 0 || server_run(&err) < 0) {
        fprintf(stderr, "skald: %s\n", err.msg);
        return 1;
    }
    return 0;
}
