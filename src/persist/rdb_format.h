/* The opcodes of RDB files, for the writer and the reader. */
#ifndef PERSIST_RDB_FORMAT_H
#define PERSIST_RDB_FORMAT_H

enum rdb_opcode {
    RDB_OP_FUNCTION = 0xf5,
    RDB_OP_FUNCTION_DRAFT = 0xf6, /* of release candidates of 7.0 */
    RDB_OP_MODULE_AUX = 0xf7,
    RDB_OP_IDLE = 0xf8,
    RDB_OP_FREQ = 0xf9,
    RDB_OP_AUX = 0xfa,
    RDB_OP_SIZES = 0xfb,
    RDB_OP_EXPIRE_MS = 0xfc,
    RDB_OP_EXPIRE_S = 0xfd,
    RDB_OP_SELECT = 0xfe,
    RDB_OP_END = 0xff,
};

#define RDB_FILE_READ 12 /* the newest version that is tried; an opcode or type that is not known is refused anyway */

#endif
