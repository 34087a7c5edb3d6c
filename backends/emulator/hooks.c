/* Called by the emulated core (unicorn) in the host's own code, because a Python callback would halve the speed. */
#include <stdint.h>

#include "memory.h"

struct blocks {
    uint64_t base;   /* address of the first instruction that is counted */
    uint64_t length; /* instructions after it */
    uint64_t *count; /* executions of the block that starts at an instruction */
    uint32_t *bytes; /* its size */
};

void on_block(void *core, uint64_t address, uint32_t size, struct blocks *blocks) {
    uint64_t index = (address - blocks->base) >> 2;
    (void)core;
    if (index < blocks->length) {
        blocks->count[index]++;
        blocks->bytes[index] = size;
    }
}

struct observed {
    struct memory memory;
    struct traffic traffic;
};

enum { MEM_WRITE = 17 }; /* unicorn's UC_MEM_WRITE; a read is 16 */

void on_access(void *core, int kind, uint64_t address, int size, int64_t value, struct observed *observed) {
    (void)core, (void)value;
    access_memory(&observed->memory, address, (uint64_t)size, kind == MEM_WRITE, &observed->traffic);
}

/* Unicorn's functions that a callback needs, and what it met that it cannot compute. */
struct core {
    int (*read)(void *core, int reg, void *value);
    int (*write)(void *core, int reg, const void *value);
    int (*load)(void *core, uint64_t address, void *bytes, uint64_t size);
    int (*stop)(void *core);
    int32_t pc, q0; /* its numbers of registers */
    uint32_t unknown;
};

/* smmla, which unicorn's core does not know: add the product of 2x8 and, transposed, 2x8 bytes to 2x2 integers. */
static void multiply_matrices(void *core, struct core *use, uint32_t word) {
    int8_t a[2][8], b[2][8];
    int32_t sum[2][2];
    int into = use->q0 + (int)(word & 31);
    use->read(core, into, sum);
    use->read(core, use->q0 + (int)(word >> 5 & 31), a);
    use->read(core, use->q0 + (int)(word >> 16 & 31), b);
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < 2; j++)
            for (int k = 0; k < 8; k++) sum[i][j] += a[i][k] * b[j][k];
    use->write(core, into, sum);
}

void on_exception(void *core, uint32_t number, struct core *use) {
    uint64_t pc = 0;
    uint32_t word = 0;
    (void)number;
    use->read(core, use->pc, &pc);
    if (use->load(core, pc, &word, sizeof word) == 0 && (word & 0xFFE0FC00) == 0x4E80A400) {
        multiply_matrices(core, use, word);
        pc += 4;
        use->write(core, use->pc, &pc);
    } else {
        use->unknown = 1;
        use->stop(core);
    }
}
