/* Filter expressions: a recursive-descent parser that writes a program for a stack machine. */
#include "vec/filter.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/num.h"
#include "vec/filter_run.h"

/* ---- parser ---- */

struct parser {
    struct filter *f;
    const char *p, *end;
    int depth, powers;
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

/* An operator needs no space behind it, even when it is made of letters: "1 and2". */
static bool take(struct parser *p, const char *what)
{
    skip_space(p);
    size_t n = strlen(what);
    if ((size_t)(p->end - p->p) < n || memcmp(p->p, what, n) != 0)
        return false;
    p->p += n;
    return true;
}

static bool take_word(struct parser *p, const char *what)
{
    const char *start = p->p;
    if (take(p, what) && (p->p == p->end || !word_char(*p->p)))
        return true;
    p->p = start;
    return false;
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
        if (!take(p, ","))
            break;
        skip_space(p);
    } while (p->p == p->end || *p->p != ']'); /* a comma may be the last thing in a list */
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
    if (take_word(p, "null"))
        return constant(p, (struct fvalue){.kind = FV_NULL});
    if (take_word(p, "true"))
        return constant(p, (struct fvalue){.kind = FV_NUM, .num = 1});
    if (take_word(p, "false"))
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

/* 2 ** 3 ** 2 is 2 ** 9: the operands of a chain wait on the stack, so their number has a limit. */
static int power(struct parser *p)
{
    int rc = unary(p), chain = 0;
    while (rc == 0 && take_operator(p, LEVELS - 1) >= 0) {
        chain++;
        if (++p->powers > FILTER_MAX_DEPTH)
            return err_set(p->err, ERR_GENERIC, "a FILTER expression nests at most %d deep", FILTER_MAX_DEPTH);
        rc = unary(p);
    }
    p->powers -= chain;
    for (; rc == 0 && chain > 0; chain--)
        emit(p, OP_POW, 0, 0);
    return rc;
}

static int parse_level(struct parser *p, int level)
{
    if (level == LEVELS - 1)
        return power(p);
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
    if (rc == 0) {
        f->numeric = filter_is_numeric(f);
        return f;
    }
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
