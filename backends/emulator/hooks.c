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
