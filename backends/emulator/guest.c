/* What compiled kernels expect of their runtime, as code of the emulated core: workspaces, threads, errors, memory. */
#include <stddef.h>
#include <stdint.h>

typedef uint8_t bytes16 __attribute__((vector_size(16), aligned(1)));

uint8_t *galen_workspace; /* next free byte; the host sets both before every call */
uint8_t *galen_workspace_end;
struct { const char *kind; const char **parts; uint64_t count; } galen_error;

void *TVMBackendAllocWorkspace(int device, int id, uint64_t size, int code, int bits) {
    (void)device, (void)id, (void)code, (void)bits;
    size = (size + 63) & ~(uint64_t)63;
    if (size > (uint64_t)(galen_workspace_end - galen_workspace)) return NULL;
    galen_workspace += size;
    return galen_workspace - size;
}

/* Workspaces are freed in reverse order, so that the next one uses the same, still cached memory. */
int TVMBackendFreeWorkspace(int device, int id, void *pointer) {
    (void)device, (void)id;
    galen_workspace = pointer;
    return 0;
}

struct environment { void *sync; int32_t tasks; };

/* One core: the whole parallel region is one task. */
int TVMBackendParallelLaunch(int (*task)(int, struct environment *, void *), void *closure, int tasks) {
    struct environment one = {NULL, 1};
    (void)tasks;
    return task(0, &one, closure);
}

int TVMBackendParallelBarrier(int task, struct environment *environment) {
    (void)task, (void)environment;
    return 0;
}

void TVMFFIErrorSetRaisedFromCStrParts(const char *kind, const char **parts, int32_t count) {
    galen_error.kind = kind, galen_error.parts = parts, galen_error.count = (uint64_t)count;
}

void TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message) {
    static const char *whole[1];
    whole[0] = message;
    TVMFFIErrorSetRaisedFromCStrParts(kind, whole, 1);
}

void *memcpy(void *to, const void *from, size_t size) {
    uint8_t *out = to;
    const uint8_t *in = from;
    for (; size >= 16; size -= 16, in += 16, out += 16) *(bytes16 *)out = *(const bytes16 *)in;
    for (; size; size--) *out++ = *in++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    uint8_t *out = (uint8_t *)to + size;
    const uint8_t *in = (const uint8_t *)from + size;
    if (to <= from) return memcpy(to, from, size);
    for (; size >= 16; size -= 16) in -= 16, out -= 16, *(bytes16 *)out = *(const bytes16 *)in;
    for (; size; size--) *--out = *--in;
    return to;
}

void *memset(void *to, int value, size_t size) {
    uint8_t *out = to;
    bytes16 wide = (bytes16){} + (uint8_t)value;
    for (; size >= 16; size -= 16, out += 16) *(bytes16 *)out = wide;
    for (; size; size--) *out++ = (uint8_t)value;
    return to;
}
