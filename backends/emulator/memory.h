/* Caches of one core, simulated from the addresses that it really loads and stores: write-back, write-allocate, least
 * recently used out first. Both emulators, the one for kernels and the one for programs, count with this file. */
#ifndef GALEN_MEMORY_H
#define GALEN_MEMORY_H
#include <stdint.h>

enum { LEVELS = 3, MAX_WAYS = 32, STREAMS = 16 };

struct level {
    uint64_t sets, ways; /* none when there is no such level */
    uint64_t *lines;     /* [sets][ways], most recently used first: line * 2 + dirty, or 0 */
};

/* What the code at one place did to memory. Streamed misses follow on the line that was missed before them, in either
 * direction, so that hardware prefetches them. */
struct traffic {
    uint64_t accesses;
    uint64_t missed[LEVELS];   /* lines not found in this level: all of them */
    uint64_t streamed[LEVELS]; /* ... and those that continue a stream */
    uint64_t written;          /* lines written back to memory */
};

struct memory {
    uint64_t line_shift;
    struct level levels[LEVELS];
    uint64_t streams[LEVELS][STREAMS]; /* most recent first: the last line missed by each */
    uint64_t last;                     /* the line of the last access, which is surely in the first level */
};

/* Record that a level missed `line`; tell whether a stream led there. */
static int follows_stream(uint64_t *streams, uint64_t line) {
    int found = 0, at = STREAMS - 1;
    for (int i = 0; i < STREAMS; i++) {
        uint64_t ahead = line - streams[i];
        if (ahead + 2 <= 4) {
            found = 1, at = i;
            break;
        }
    }
    for (; at > 0; at--) streams[at] = streams[at - 1];
    streams[0] = line;
    return found;
}

/* Bring `line` to the front of its set; return whether it was there, and in `*out` what had to leave (0: nothing). */
static int touch(struct level *level, uint64_t line, uint64_t dirty, uint64_t *out) {
    uint64_t *set = level->lines + line % level->sets * level->ways, i = 0, tag = line << 1;
    while (i < level->ways && (set[i] & ~1ull) != tag) i++;
    int hit = i < level->ways;
    uint64_t entry = (hit ? set[i] : tag) | dirty;
    *out = 0;
    if (!hit) *out = set[--i];
    for (; i > 0; i--) set[i] = set[i - 1];
    set[0] = entry;
    return hit;
}

/* Put a dirty line that left a level into the next ones; count it when it leaves the last. */
static void write_back(struct memory *memory, int at, uint64_t entry, struct traffic *traffic) {
    for (; entry & 1; at++) {
        if (at == LEVELS || !memory->levels[at].sets) {
            traffic->written++;
            return;
        }
        touch(&memory->levels[at], entry >> 1, 1, &entry);
    }
}

static void access_line(struct memory *memory, uint64_t line, uint64_t dirty, struct traffic *traffic) {
    for (int at = 0; at < LEVELS && memory->levels[at].sets; at++) {
        uint64_t out;
        int hit = touch(&memory->levels[at], line, at ? 0 : dirty, &out);
        write_back(memory, at + 1, out, traffic);
        if (hit) return;
        traffic->missed[at]++;
        traffic->streamed[at] += (uint64_t)follows_stream(memory->streams[at], line);
    }
}

static void access_memory(struct memory *memory, uint64_t address, uint64_t bytes, uint64_t dirty,
                          struct traffic *traffic) {
    uint64_t line = address >> memory->line_shift, end = (address + bytes - 1) >> memory->line_shift;
    traffic->accesses++;
    for (line++, end++; line <= end; line++) { /* counted from one: an empty entry is 0 */
        if ((line << 1 | dirty) == memory->last) continue;
        access_line(memory, line, dirty, traffic);
        memory->last = line << 1 | dirty;
    }
}
#endif
