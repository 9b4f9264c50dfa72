/* skald [file] [--setting value ...] */
#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "server/config.h"
#include "server/server.h"
#include "server/version.h"

static int usage(void)
{
    printf("usage: skald [configuration-file] [--setting value ...]\n"
           "       skald --version | --help | --sample-config\n"
           "Settings are those of the configuration file: skald --port 6379 --dir /var/lib/skald --appendonly yes\n");
    return 0;
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
    if (config_load(argc, argv, &err) < 0 || server_run(&err) < 0) {
        fprintf(stderr, "skald: %s\n", err.msg);
        return 1;
    }
    return 0;
}
