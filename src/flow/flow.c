/* The room's door: what the host gives, and the settings of flows. */
#include "flow/flow.h"

#include "base/setting.h"
#include "flow/registry.h"
#include "flow/run.h"

struct flow_settings flow_settings;
static const struct flow_host *host;

static const struct setting rows[] = {
    {.name = "flow-timeout",
     .kind = SETTING_INT,
     .at = &flow_settings.timeout_ms,
     .dflt = "600000",
     .min = 1,
     .max = 86400000,
     .help = "Milliseconds after which a flow's run is ended when FLOW.RUN names no TIMEOUT."},
    {.name = "flow-max-steps",
     .kind = SETTING_INT,
     .at = &flow_settings.max_steps,
     .dflt = "1000",
     .min = 1,
     .max = 1000000,
     .help = "How many steps (nodes and their retries) one run may take."},
    {.name = "flow-code-memory",
     .kind = SETTING_BYTES,
     .at = &flow_settings.code_memory,
     .dflt = "32mb",
     .min = 1 << 20,
     .max = INT64_C(4) << 30,
     .help = "Memory of one run of a code node's Lua."},
    {.name = "flow-code-timeout",
     .kind = SETTING_INT,
     .at = &flow_settings.code_timeout_ms,
     .dflt = "5000",
     .min = 1,
     .max = 600000,
     .help = "Milliseconds that one run of a code node's Lua may take."},
    {.name = "flow-http-timeout",
     .kind = SETTING_INT,
     .at = &flow_settings.http_timeout_ms,
     .dflt = "30000",
     .min = 1,
     .max = 3600000,
     .help = "Milliseconds that an http node waits when it names no timeout."},
    {.name = "flow-http-allow",
     .kind = SETTING_STR,
     .at = &flow_settings.http_allow,
     .dflt = "",
     .help = "Hosts that http nodes may call, separated by spaces: example.com, *.example.com, host:port, or * for "
             "all. Empty allows none."},
    {.name = "flow-http-private",
     .kind = SETTING_BOOL,
     .at = &flow_settings.http_private,
     .dflt = "no",
     .help = "Whether http nodes may call loopback, private and link-local addresses that flow-http-allow names."},
};

void flow_boot_settings(void)
{
    SETTING_REGISTER(rows);
}

void flow_boot(const struct flow_host *h)
{
    host = h;
}

void flow_shutdown(void)
{
    runs_shutdown();
    flow_registry_clear();
}

const struct flow_host *flow_host(void)
{
    return host;
}
