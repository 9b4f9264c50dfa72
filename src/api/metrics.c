/* /metrics: Prometheus text format 0.0.4, out of the same rows as INFO, and what calls took (llm/tally.h). A row whose
 * value is not a number is left out, because one bad line makes a scraper throw the whole page away. */
#include "api/families.h"

#include <math.h>
#include <string.h>

#include "api/answers.h"
#include "base/buf.h"
#include "base/info.h"
#include "base/num.h"
#include "llm/llm.h"

static void add_help(struct buf *to, const char *help)
{
    for (; *help; help++) {
        if (*help == '\\')
            buf_add_str(to, "\\\\");
        else if (*help == '\n')
            buf_add_str(to, "\\n");
        else
            buf_add_char(to, *help);
    }
}

static void add_row(const struct info_row *row, void *arg)
{
    struct buf *to = arg, value = {0};
    double number;
    if (!row->metric || row->kind == INFO_TEXT)
        return;
    row->value(&value);
    if (num_to_double(buf_slice(&value), &number)) {
        buf_addf(to, "# HELP %s ", row->metric);
        add_help(to, row->help ? row->help : row->name);
        buf_addf(to, "\n# TYPE %s %s\n%s ", row->metric, row->kind == INFO_COUNTER ? "counter" : "gauge", row->metric);
        if (isinf(number))
            buf_add_str(to, number > 0 ? "+Inf" : "-Inf");
        else
            buf_add(to, value.p, value.len);
        buf_add_char(to, '\n');
    }
    buf_release(&value);
}

static void metrics(struct httpd_req *r)
{
    struct buf body = {0};
    info_each(add_row, &body);
    if (api_gate && api_gate->llm())
        llm_metrics(api_gate->llm(), &body);
    answers_print(&body);
    httpd_reply_take(r, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}

static const struct api_route rows[] = {
    {"GET", "/metrics", metrics},
};

const struct api_family api_metrics = API_FAMILY(rows);
