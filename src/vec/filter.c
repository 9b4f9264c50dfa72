/* Filter expressions: a recursive-descent parser that writes a program for a stack machine, and that machine. */
#include "vec/filter.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/filter_json.h"

#define STACK_MAX                                                                                                      \
    (FILTER_MAX_DEPTH * 8 + 8) /* a level of brackets holds at most one operand per level of precedence                \
                                */

enum op {
    OP_CONST,
    OP_LIST,
    OP_FIELD,
    OP_NOT,
    OP_POW,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_ADD,
    OP_SUB,
    OP_GT,
    OP_GE,
    OP_LT,
    OP_LE,
    OP_EQ,
    OP_NE,
    OP_IN,
    OP_AND,
    OP_OR
};

struct instr {
    enum op op;
    uint32_t at, n; /* CONST: constant; LIST: first constant and how many; FIELD: number of the field */
};

struct filter {
    struct instr *code;
    uint32_t code_n, code_cap;
    struct fvalue *consts;
    uint32_t const_n, const_cap;
    struct slice fields[FILTER_MAX_FIELDS];
    uint32_t field_n;
    char *text; /* unescaped texts and field names, in one piece as long as the expression */
    size_t text_n;
};

/* ---- parser ---- */

struct parser {
    struct filter *f;
    const char *p, *end;
    int depth;
    struct err *err;
};

static int fail(struct parser *p, const char *at)
{
    size_t n = (size_t)(p->end - at);
    return err_set(p->err, ERR_GENERIC, "syntax error in FILTER expression near: %.*s", (int)(n < 64 ? n : 64), at);
}

static void skip_space(struct parser *p)
{
    while (p->p < p->end && isspace((unsigned char)*p->p))
        p->p++;
}

static bool word_char(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '-';
}

/* Takes a symbol or, when it is made of letters, a whole word. */
static bool take(struct parser *p, const char *what)
{
    skip_space(p);
    size_t n = strlen(what);
    if ((size_t)(p->end - p->p) < n || memcmp(p->p, what, n) != 0)
        return false;
    if (isalpha((unsigned char)*what) && p->p + n < p->end && word_char(p->p[n]))
        return false;
    p->p += n;
    return true;
}

static void emit(struct parser *p, enum op op, uint32_t at, uint32_t n)
{
    struct filter *f = p->f;
    if (f->code_n == f->code_cap) {
        f->code_cap = f->code_cap ? f->code_cap * 2 : 16;
        f->code = mem_realloc(f->code, f->code_cap * sizeof *f->code);
    }
    f->code[f->code_n++] = (struct instr){op, at, n};
}

static uint32_t add_const(struct parser *p, struct fvalue c)
{
    struct filter *f = p->f;
    if (f->const_n == f->const_cap) {
        f->const_cap = f->const_cap ? f->const_cap * 2 : 16;
        f->consts = mem_realloc(f->consts, f->const_cap * sizeof *f->consts);
    }
    f->consts[f->const_n] = c;
    return f->const_n++;
}

/* A quoted text: backslash takes the next character as it is, but for \n, \r and \t. */
static int text(struct parser *p, struct fvalue *out)
{
    const char *start = p->p;
    char quote = *p->p++, *to = p->f->text + p->f->text_n;
    size_t n = 0;
    for (; p->p < p->end && *p->p != quote; p->p++) {
        char c = *p->p;
        if (c == '\\' && p->p + 1 < p->end) {
            c = *++p->p;
            c = c == 'n' ? '\n' : c == 'r' ? '\r' : c == 't' ? '\t' : c;
        }
        to[n++] = c;
    }
    if (p->p == p->end)
        return fail(p, start);
    p->p++;
    p->f->text_n += n;
    *out = (struct fvalue){.kind = FV_TEXT, .text = slice_of(to, n)};
    return 0;
}

/* Digits, fraction, exponent; a sign in front belongs to the number because it stands where an operand is due. */
static int number(struct parser *p, struct fvalue *out)
{
    const char *s = p->p, *start = s;
    if (s < p->end && (*s == '-' || *s == '+'))
        s++;
    while (s < p->end && (isdigit((unsigned char)*s) || *s == '.'))
        s++;
    if (s < p->end && (*s == 'e' || *s == 'E')) {
        const char *e = s + 1;
        if (e < p->end && (*e == '-' || *e == '+'))
            e++;
        if (e < p->end && isdigit((unsigned char)*e))
            for (s = e; s < p->end && isdigit((unsigned char)*s);)
                s++;
    }
    *out = (struct fvalue){.kind = FV_NUM};
    bool plus = *start == '+';
    if (!num_to_double(slice_of(start + plus, (size_t)(s - start) - plus), &out->num) ||
        (s < p->end && (isalnum((unsigned char)*s) || *s == '_')))
        return fail(p, start);
    p->p = s;
    return 0;
}

static bool number_begins(const struct parser *p)
{
    const char *s = p->p;
    if (s < p->end && (*s == '-' || *s == '+'))
        s++;
    return s < p->end &&
           (isdigit((unsigned char)*s) || (*s == '.' && s != p->p && s + 1 < p->end && isdigit((unsigned char)s[1])));
}

static int field(struct parser *p)
{
    const char *start = p->p++;
    size_t n = 0;
    while (p->p + n < p->end && word_char(p->p[n]))
        n++;
    if (!n)
        return fail(p, start);
    struct filter *f = p->f;
    uint32_t i = 0;
    while (i < f->field_n && !slice_eq(f->fields[i], slice_of(p->p, n)))
        i++;
    if (i == FILTER_MAX_FIELDS)
        return err_set(p->err, ERR_GENERIC, "a FILTER expression names at most %d fields", FILTER_MAX_FIELDS);
    if (i == f->field_n) {
        memcpy(f->text + f->text_n, p->p, n);
        f->fields[f->field_n++] = slice_of(f->text + f->text_n, n);
        f->text_n += n;
    }
    p->p += n;
    emit(p, OP_FIELD, i, 0);
    return 0;
}

static int list(struct parser *p)
{
    const char *start = p->p++;
    uint32_t first = p->f->const_n, n = 0;
    if (take(p, "]"))
        goto done;
    do {
        struct fvalue v;
        skip_space(p);
        if (p->p == p->end)
            return fail(p, start);
        int rc = *p->p == '"' || *p->p == '\'' ? text(p, &v) : number_begins(p) ? number(p, &v) : fail(p, p->p);
        if (rc < 0)
            return rc;
        add_const(p, v);
        n++;
    } while (take(p, ","));
    if (!take(p, "]"))
        return fail(p, p->p < p->end ? p->p : start);
done:
    emit(p, OP_LIST, first, n);
    return 0;
}

static int parse_level(struct parser *p, int level);

static int constant(struct parser *p, struct fvalue v)
{
    emit(p, OP_CONST, add_const(p, v), 0);
    return 0;
}

static int primary(struct parser *p)
{
    skip_space(p);
    const char *start = p->p;
    struct fvalue v;
    if (p->p == p->end)
        return err_set(p->err, ERR_GENERIC, "syntax error in FILTER expression near: end of the expression");
    if (take(p, "(")) {
        int rc = parse_level(p, 0);
        return rc < 0 ? rc : take(p, ")") ? 0 : fail(p, start);
    }
    if (*start == '[')
        return list(p);
    if (number_begins(p))
        return number(p, &v) < 0 ? ERR_GENERIC : constant(p, v);
    if (*start == '.')
        return field(p);
    if (*start == '"' || *start == '\'')
        return text(p, &v) < 0 ? ERR_GENERIC : constant(p, v);
    if (take(p, "null"))
        return constant(p, (struct fvalue){.kind = FV_NULL});
    if (take(p, "true"))
        return constant(p, (struct fvalue){.kind = FV_NUM, .num = 1});
    if (take(p, "false"))
        return constant(p, (struct fvalue){.kind = FV_NUM});
    return fail(p, start);
}

static int deeper(struct parser *p, int (*what)(struct parser *))
{
    if (++p->depth > FILTER_MAX_DEPTH)
        return err_set(p->err, ERR_GENERIC, "a FILTER expression nests at most %d deep", FILTER_MAX_DEPTH);
    int rc = what(p);
    p->depth--;
    return rc;
}

static int unary(struct parser *p)
{
    skip_space(p);
    bool bang = p->p + 1 < p->end && p->p[0] == '!' && p->p[1] != '=';
    if ((bang && take(p, "!")) || take(p, "not")) {
        int rc = deeper(p, unary);
        if (rc == 0)
            emit(p, OP_NOT, 0, 0);
        return rc;
    }
    return deeper(p, primary);
}

/* The operators of each level of precedence, loosest first; a longer symbol comes before its prefix. */
static const struct {
    const char *word;
    int level;
    enum op op;
} operators[] = {
    {"or", 0, OP_OR}, {"||", 0, OP_OR}, {"and", 1, OP_AND}, {"&&", 1, OP_AND}, {">=", 2, OP_GE},  {"<=", 2, OP_LE},
    {">", 2, OP_GT},  {"<", 2, OP_LT},  {"==", 2, OP_EQ},   {"!=", 2, OP_NE},  {"in", 2, OP_IN},  {"+", 3, OP_ADD},
    {"-", 3, OP_SUB}, {"*", 4, OP_MUL}, {"/", 4, OP_DIV},   {"%", 4, OP_MOD},  {"**", 5, OP_POW},
};
#define LEVELS 6

static int take_operator(struct parser *p, int level)
{
    skip_space(p);
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++) {
        if (operators[i].level != level)
            continue;
        if (operators[i].op == OP_MUL && p->p + 1 < p->end && p->p[1] == '*')
            continue;
        if (take(p, operators[i].word))
            return (int)operators[i].op;
    }
    return -1;
}

static int parse_level(struct parser *p, int level)
{
    if (level == LEVELS)
        return unary(p);
    int rc = parse_level(p, level + 1), op;
    while (rc == 0 && (op = take_operator(p, level)) >= 0) {
        rc = parse_level(p, level + 1);
        if (rc == 0)
            emit(p, (enum op)op, 0, 0);
    }
    return rc;
}

struct filter *filter_create(struct slice expr, struct err *err)
{
    if (expr.len > FILTER_MAX_LEN) {
        err_set(err, ERR_GENERIC, "a FILTER expression has at most %d bytes", FILTER_MAX_LEN);
        return NULL;
    }
    struct filter *f = mem_zero(sizeof *f);
    f->text = mem_alloc(expr.len + 1);
    struct parser p = {.f = f, .p = expr.p, .end = expr.p + expr.len, .err = err};
    int rc = parse_level(&p, 0);
    skip_space(&p);
    if (rc == 0 && p.p < p.end)
        rc = fail(&p, p.p);
    if (rc == 0)
        return f;
    filter_destroy(f);
    return NULL;
}

void filter_destroy(struct filter *f)
{
    if (!f)
        return;
    mem_free(f->code);
    mem_free(f->consts);
    mem_free(f->text);
    mem_free(f);
}

/* ---- machine ---- */

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
    if (a->kind >= FV_LIST || b->kind >= FV_LIST)
        return false;
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

bool filter_match(const struct filter *f, struct slice attributes, struct buf *scratch)
{
    struct fvalue fields[FILTER_MAX_FIELDS], stack[STACK_MAX];
    uint32_t n = 0;
    buf_clear(scratch);
    /* Room for all texts at once, so that those already there stay where they are. */
    if (!buf_room(scratch, 2 * attributes.len + 1) ||
        !filter_json_fields(attributes, f->fields, f->field_n, fields, scratch))
        return false;
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
