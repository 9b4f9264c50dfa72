/* The inside of a compiled filter: a program for a stack machine, in postfix order. filter.c writes it, filter_run.c
 * runs it on values that may come from elsewhere than a JSON text. any */
#ifndef VEC_FILTER_RUN_H
#define VEC_FILTER_RUN_H

#include "vec/filter.h"
#include "vec/filter_json.h"

/* A level of brackets holds at most one operand per level of precedence; the chains of ** hold their own. */
#define FILTER_STACK (FILTER_MAX_DEPTH * 9 + 8)

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
    bool numeric; /* when all fields are numbers, filter_run_numbers says what filter_run says */
};

/* f->field_n values, in the order of f->fields; all of them are there. scratch holds texts of list items for a moment.
 */
bool filter_run(const struct filter *f, const struct fvalue *fields, struct buf *scratch);

/* Does the program deal with nothing but numbers when its fields do? */
bool filter_is_numeric(const struct filter *f);
bool filter_run_numbers(const struct filter *f, const double *fields);

#endif
