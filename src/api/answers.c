#include "api/answers.h"

#include <stdint.h>
#include <string.h>

#define ANSWERS 200

static struct answers {
    const char *route;
    int status;
    uint64_t n;
} answers[ANSWERS];
static int nanswers;

void answers_add(const char *route, int status)
{
    int i = 0;
    while (i < nanswers && (answers[i].status != status || strcmp(answers[i].route, route) != 0))
        i++;
    if (i == ANSWERS)
        return;
    if (i == nanswers)
        answers[nanswers++] = (struct answers){route, status, 0};
    answers[i].n++;
}

void answers_print(struct buf *to)
{
    buf_add_str(to, "# HELP skald_http_answers_total Answers of the routes that call models, by status\n"
                    "# TYPE skald_http_answers_total counter\n");
    for (int i = 0; i < nanswers; i++)
        buf_addf(to, "skald_http_answers_total{route=\"%s\",status=\"%d\"} %llu\n", answers[i].route, answers[i].status,
                 (unsigned long long)answers[i].n);
}
