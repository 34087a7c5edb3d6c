/* A plugin of qemu-user: counts the blocks of any AArch64 program and what they do to memory, and writes both at exit.
 *
 *   qemu-aarch64 -plugin file=plugin.so,out=PATH,line=6,l1=SETS:WAYS,l2=SETS:WAYS program
 *
 * Declares the part of QEMU's plugin interface that it uses: the header is not packaged, and this part is the same in
 * all versions of it. */
#include <stddef.h>
#include <stdint.h>

#include "memory.h"

/* The C library is that of the process that loads this file; zig brings no headers for a file that is not linked. */
void *malloc(size_t), *calloc(size_t, size_t), *memcpy(void *, const void *, size_t), *memset(void *, int, size_t);
void free(void *);
int memcmp(const void *, const void *, size_t), strncmp(const char *, const char *, size_t);
char *strchr(const char *, int), *strdup(const char *);
unsigned long long strtoull(const char *, char **, int);
typedef struct file FILE;
FILE *fopen(const char *, const char *);
size_t fwrite(const void *, size_t, size_t, FILE *);
int fclose(FILE *);

typedef uint64_t plugin_id;
struct tb;
struct insn;
typedef struct { const char *target; struct { int minimum, current; } version; } plugin_info;
enum { NO_REGISTERS = 0, READ_WRITE = 3 };

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct tb *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct tb *, void (*)(unsigned, void *), int flags, void *);
void qemu_plugin_register_vcpu_mem_cb(struct insn *, void (*)(unsigned, uint32_t, uint64_t, void *), int flags, int kind,
                                      void *);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *);
size_t qemu_plugin_tb_n_insns(const struct tb *);
uint64_t qemu_plugin_tb_vaddr(const struct tb *);
struct insn *qemu_plugin_tb_get_insn(const struct tb *, size_t);
void *qemu_plugin_insn_haddr(const struct insn *);
unsigned qemu_plugin_mem_size_shift(uint32_t);
_Bool qemu_plugin_mem_is_store(uint32_t);

struct block {
    uint64_t address, instructions, executions;
    struct traffic traffic;
    struct block *next;
    uint32_t code[];
};

enum { BUCKETS = 1 << 16 };
static struct block *blocks[BUCKETS];
static struct memory memory;
static const char *path;

/* QEMU translates a block anew after it has flushed its cache, so a block is looked up by its address and code. */
static struct block *find_block(struct tb *tb) {
    uint64_t address = qemu_plugin_tb_vaddr(tb), count = qemu_plugin_tb_n_insns(tb);
    struct block **bucket = &blocks[(address >> 2 ^ address >> 18) % BUCKETS], *block;
    block = malloc(sizeof *block + 4 * count);
    memset(block, 0, sizeof *block);
    block->address = address, block->instructions = count;
    for (uint64_t i = 0; i < count; i++)
        memcpy(&block->code[i], qemu_plugin_insn_haddr(qemu_plugin_tb_get_insn(tb, i)), 4);
    for (struct block *old = *bucket; old; old = old->next)
        if (old->address == address && old->instructions == count && !memcmp(old->code, block->code, 4 * count)) {
            free(block);
            return old;
        }
    block->next = *bucket;
    return *bucket = block;
}

static void on_execution(unsigned cpu, void *block) {
    (void)cpu;
    ((struct block *)block)->executions++;
}

static void on_access(unsigned cpu, uint32_t info, uint64_t address, void *block) {
    (void)cpu;
    access_memory(&memory, address, 1ull << qemu_plugin_mem_size_shift(info), qemu_plugin_mem_is_store(info),
                  &((struct block *)block)->traffic);
}

static void on_translation(plugin_id id, struct tb *tb) {
    struct block *block = find_block(tb);
    (void)id;
    qemu_plugin_register_vcpu_tb_exec_cb(tb, on_execution, NO_REGISTERS, block);
    for (uint64_t i = 0; i < block->instructions; i++)
        qemu_plugin_register_vcpu_mem_cb(qemu_plugin_tb_get_insn(tb, i), on_access, NO_REGISTERS, READ_WRITE, block);
}

/* One record for each block: address, instructions, executions, traffic, code. */
static void write_blocks(plugin_id id, void *unused) {
    FILE *file = fopen(path, "wb");
    (void)id, (void)unused;
    if (!file) return;
    for (int i = 0; i < BUCKETS; i++)
        for (struct block *block = blocks[i]; block; block = block->next) {
            if (!block->executions) continue;
            fwrite(block, offsetof(struct block, next), 1, file);
            fwrite(block->code, 4, block->instructions, file);
        }
    fclose(file);
}

static int read_option(const char *option) {
    const char *value = strchr(option, '=');
    if (!value) return 0;
    value++;
    if (!strncmp(option, "out=", 4)) path = strdup(value);
    else if (!strncmp(option, "line=", 5)) memory.line_shift = strtoull(value, NULL, 10);
    else if (option[0] == 'l' && option[1] >= '1' && option[1] <= '0' + LEVELS) {
        struct level *level = &memory.levels[option[1] - '1'];
        char *ways;
        level->sets = strtoull(value, &ways, 10);
        level->ways = strtoull(ways + 1, NULL, 10);
        level->lines = calloc(level->sets * level->ways, sizeof *level->lines);
    } else return 0;
    return 1;
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const plugin_info *info, int count,
                                                               char **options) {
    (void)info;
    for (int i = 0; i < count; i++)
        if (!read_option(options[i])) return -1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
    qemu_plugin_register_atexit_cb(id, write_blocks, NULL);
    return 0;
}
