/* bytes.h - builds small files byte by byte, for tests of readers: no code of ours is
 * between the format's description and what the reader is given. */
#ifndef TESTS_FORMATS_BYTES_H
#define TESTS_FORMATS_BYTES_H

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

struct bytes {
    size_t size;
    uint8_t data[8192];
};

static inline void bytes_put(struct bytes *b, const void *data, size_t size)
{
    assert(size <= sizeof b->data - b->size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static inline void bytes_uint(struct bytes *b, uint64_t v, int size)
{
    for (int i = 0; i < size; i++)
        bytes_put(b, &(uint8_t){(uint8_t)(v >> 8 * i)}, 1);
}

static inline void bytes_u32(struct bytes *b, uint32_t v) { bytes_uint(b, v, 4); }
static inline void bytes_u64(struct bytes *b, uint64_t v) { bytes_uint(b, v, 8); }

static inline void bytes_f32(struct bytes *b, float v) { bytes_put(b, &v, sizeof v); }

/* A GGUF text: u64 length and bytes. */
static inline void bytes_text(struct bytes *b, const char *text)
{
    bytes_u64(b, strlen(text));
    bytes_put(b, text, strlen(text));
}

static inline void bytes_pad(struct bytes *b, size_t alignment)
{
    while (b->size % alignment)
        bytes_put(b, "", 1);
}

/* A GGUF header, a pair's key and type, a tensor info with one size. */
static inline void bytes_gguf(struct bytes *b, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    bytes_put(b, "GGUF", 4);
    bytes_u32(b, version);
    bytes_u64(b, tensors);
    bytes_u64(b, pairs);
}

static inline void bytes_key(struct bytes *b, const char *key, uint32_t type)
{
    bytes_text(b, key);
    bytes_u32(b, type);
}

static inline void bytes_info(struct bytes *b, const char *name, uint64_t cols, uint32_t type,
                              uint64_t offset)
{
    bytes_text(b, name);
    bytes_u32(b, 1);
    bytes_u64(b, cols);
    bytes_u32(b, type);
    bytes_u64(b, offset);
}

static inline void bytes_save(const struct bytes *b, const char *path)
{
    FILE *f = fopen(path, "wb");
    const int saved = f && fwrite(b->data, 1, b->size, f) == b->size && fclose(f) == 0;
    assert(saved);
    (void)saved;
}

#endif
