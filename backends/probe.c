/* Runs on a device at the other end of an RPC session: reads what its kernel says of it. TVM's own download gives nothing
 * for files of /proc, which report no size. One call returns up to seven bytes, the count in the eighth. */
#include <stdint.h>

struct any { int32_t type; uint32_t zero; int64_t integer; }; /* TVMFFIAny that holds an integer */
enum { INTEGER = 1, BYTES = 7 };

int open(const char *path, int flags, ...);
long pread(int file, void *buffer, unsigned long size, long offset);
int close(int file);

static const char *const paths[] = {
    "/proc/sys/kernel/arch",
    "/proc/cpuinfo",
    "/sys/firmware/devicetree/base/compatible",
    "/sys/class/dmi/id/sys_vendor",
    "/sys/class/dmi/id/product_name",
};

/* (index of the path, offset) -> bytes */
int __tvm_ffi_galen_probe(void *self, const struct any *args, int32_t count, struct any *result) {
    uint8_t bytes[8] = {0};
    int64_t value = 0;
    int file = open(paths[args[0].integer], 0);
    (void)self, (void)count;
    if (file >= 0) {
        long size = pread(file, bytes, BYTES, args[1].integer);
        bytes[BYTES] = size > 0 ? (uint8_t)size : 0;
        close(file);
    }
    for (int i = BYTES; i >= 0; i--) value = value << 8 | bytes[i];
    result->type = INTEGER, result->zero = 0, result->integer = value;
    return 0;
}
