/* The machine that runs a compiled filter, on values of all kinds and, where all are numbers, on numbers. */
#include "vec/filter_run.h"

#include <math.h>
#include <string.h>

#include "base/num.h"

static double to_num(const struct fvalue *v)
{
    double d = 0;
    if (v->kind == FV_NUM)
        return v->num;
    return v->kind == FV_TEXT && num_to_double(v->text, &d) ? d : 0;
}

static bool to_bool(const struct fvalue *v)
{
    switch (v->kind) {
    case FV_NUM: return v->num != 0;
    case FV_TEXT: return v->text.len > 0;
    case FV_NULL: return false;
    default: return true;
    }
}

static bool equal(const struct fvalue *a, const struct fvalue *b)
{
    if (a->kind == FV_NULL || b->kind == FV_NULL)
        return a->kind == b->kind;
    if (a->kind == FV_TEXT && b->kind == FV_TEXT)
        return slice_eq(a->text, b->text);
    return to_num(a) == to_num(b);
}

static bool member(const struct fvalue *a, const struct fvalue *b, struct buf *scratch)
{
    if (b->kind == FV_LIST) {
        for (uint32_t i = 0; i < b->list_n; i++)
            if (equal(a, &b->list[i]))
                return true;
        return false;
    }
    if (b->kind == FV_JSON_LIST) {
        size_t at = 0, kept = scratch->len;
        struct fvalue x;
        bool hit = false;
        while (!hit && filter_json_item(b->text, &at, &x, scratch)) {
            hit = equal(a, &x);
            scratch->len = kept;
        }
        return hit;
    }
    if (a->kind == FV_TEXT && b->kind == FV_TEXT)
        return a->text.len == 0 || memmem(b->text.p, b->text.len, a->text.p, a->text.len) != NULL;
    return false;
}

static double binary(enum op op, const struct fvalue *a, const struct fvalue *b, struct buf *scratch)
{
    switch (op) {
    case OP_POW: return pow(to_num(a), to_num(b));
    case OP_MUL: return to_num(a) * to_num(b);
    case OP_DIV: return to_num(a) / to_num(b);
    case OP_MOD: return fmod(to_num(a), to_num(b));
    case OP_ADD: return to_num(a) + to_num(b);
    case OP_SUB: return to_num(a) - to_num(b);
    case OP_GT: return to_num(a) > to_num(b);
    case OP_GE: return to_num(a) >= to_num(b);
    case OP_LT: return to_num(a) < to_num(b);
    case OP_LE: return to_num(a) <= to_num(b);
    case OP_EQ: return equal(a, b);
    case OP_NE: return !equal(a, b);
    case OP_IN: return member(a, b, scratch);
    case OP_AND: return to_bool(a) && to_bool(b);
    default: return to_bool(a) || to_bool(b);
    }
}

bool filter_run(const struct filter *f, const struct fvalue *fields, struct buf *scratch)
{
    struct fvalue stack[FILTER_STACK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->code_n; i++) {
        const struct instr *c = &f->code[i];
        switch (c->op) {
        case OP_CONST: stack[n++] = f->consts[c->at]; break;
        case OP_LIST:
            stack[n++] = (struct fvalue){.kind = FV_LIST, .list = c->n ? f->consts + c->at : NULL, .list_n = c->n};
            break;
        case OP_FIELD: stack[n++] = fields[c->at]; break;
        case OP_NOT: stack[n - 1] = (struct fvalue){.kind = FV_NUM, .num = !to_bool(&stack[n - 1])}; break;
        default:
            n--;
            stack[n - 1] = (struct fvalue){.kind = FV_NUM, .num = binary(c->op, &stack[n - 1], &stack[n], scratch)};
        }
    }
    return to_bool(&stack[0]);
}

bool filter_match(const struct filter *f, struct slice attributes, struct buf *scratch)
{
    struct fvalue fields[FILTER_MAX_FIELDS];
    buf_clear(scratch);
    /* Room for all texts at once, so that those already there stay where they are. */
    return buf_room(scratch, 2 * attributes.len + 1) &&
           filter_json_fields(attributes, f->fields, f->field_n, fields, scratch) && filter_run(f, fields, scratch);
}

/* ---- numbers only ---- */

/* A list may only be what `in` looks into. */
bool filter_is_numeric(const struct filter *f)
{
    for (uint32_t i = 0; i < f->code_n; i++)
        if (f->code[i].op == OP_LIST ? i + 1 == f->code_n || f->code[i + 1].op != OP_IN
                                     : f->code[i].op == OP_IN && (i == 0 || f->code[i - 1].op != OP_LIST))
            return false;
    for (uint32_t i = 0; i < f->const_n; i++)
        if (f->consts[i].kind != FV_NUM)
            return false;
    return true;
}

static bool listed(const struct filter *f, const struct instr *c, double x)
{
    for (uint32_t i = 0; i < c->n; i++)
        if (f->consts[c->at + i].num == x)
            return true;
    return false;
}

static inline double combine(enum op op, double a, double b)
{
    switch (op) {
    case OP_POW: return pow(a, b);
    case OP_MUL: return a * b;
    case OP_DIV: return a / b;
    case OP_MOD: return fmod(a, b);
    case OP_ADD: return a + b;
    case OP_SUB: return a - b;
    case OP_GT: return a > b;
    case OP_GE: return a >= b;
    case OP_LT: return a < b;
    case OP_LE: return a <= b;
    case OP_EQ: return a == b;
    case OP_NE: return a != b;
    case OP_AND: return a != 0 && b != 0;
    default: return a != 0 || b != 0;
    }
}

bool filter_run_numbers(const struct filter *f, const double *fields)
{
    double stack[FILTER_STACK];
    uint32_t n = 0;
    for (uint32_t i = 0; i < f->code_n; i++) {
        const struct instr *c = &f->code[i];
        switch (c->op) {
        case OP_CONST: stack[n++] = f->consts[c->at].num; break;
        case OP_FIELD: stack[n++] = fields[c->at]; break;
        case OP_NOT: stack[n - 1] = stack[n - 1] == 0; break;
        case OP_LIST: stack[n - 1] = listed(f, c, stack[n - 1]); break;
        case OP_IN: break; /* done with its list */
        default: n--; stack[n - 1] = combine(c->op, stack[n - 1], stack[n]);
        }
    }
    return stack[0] != 0;
}
