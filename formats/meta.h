/* meta.h - key-value metadata with GGUF's types: what a model file says of itself.
 *
 * Pairs keep the order in which they were set; setting a key again replaces its
 * value in place.  Keys, texts and arrays are copied into the meta's arena and live
 * until meta_close.  A setter that finds no memory marks the meta `failed`, which
 * gguf_write refuses: callers set many keys and need not ask after each.  A zeroed
 * struct meta is empty and ready.
 */
#ifndef FORMATS_META_H
#define FORMATS_META_H

#include "core/arena.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are those of the GGUF file format. */
enum meta_type {
    META_U8 = 0,
    META_I8 = 1,
    META_U16 = 2,
    META_I16 = 3,
    META_U32 = 4,
    META_I32 = 5,
    META_F32 = 6,
    META_BOOL = 7,
    META_TEXT = 8,
    META_ARRAY = 9,
    META_U64 = 10,
    META_I64 = 11,
    META_F64 = 12,
};

/* Bytes that need not be UTF-8; a NUL stands behind them, and may stand within. */
struct meta_text {
    const char *text;
    size_t length;
};

struct meta_value {
    enum meta_type type;
    enum meta_type elem; /* of an array: never META_ARRAY */
    size_t count;        /* of an array */
    union {
        uint64_t u; /* U8..U64, BOOL (0 or 1) */
        int64_t i;  /* I8..I64 */
        double f;   /* F32, F64 */
        struct meta_text text;
        const void
            *array; /* count values of the C type (BOOL: uint8_t), or count struct meta_text */
    } as;
};

struct meta_pair {
    const char *key;
    struct meta_value value;
};

struct meta {
    struct arena arena;
    struct meta_pair *pair;
    size_t pairs;
    bool failed;
};

void meta_close(struct meta *m);

/* Sets any value; its text or array is copied. */
void meta_set(struct meta *m, const char *key, const struct meta_value *value);

void meta_set_u32(struct meta *m, const char *key, uint32_t v);
void meta_set_u16(struct meta *m, const char *key, uint16_t v);
void meta_set_i32(struct meta *m, const char *key, int32_t v);
void meta_set_f32(struct meta *m, const char *key, float v);
void meta_set_bool(struct meta *m, const char *key, bool v);
void meta_set_text(struct meta *m, const char *key, const char *text);
void meta_set_texts(struct meta *m, const char *key, const struct meta_text *text, size_t count);
void meta_set_f32s(struct meta *m, const char *key, const float *v, size_t count);
void meta_set_i32s(struct meta *m, const char *key, const int32_t *v, size_t count);

/* Appends a pair whose key is new and which lies in the meta's arena (or outlives it)
 * already: for readers, which would copy large arrays twice otherwise. */
void meta_add(struct meta *m, const char *key, const struct meta_value *value);

/* Removes a key if it is there. */
void meta_remove(struct meta *m, const char *key);

/* Copies every pair of `from`. */
void meta_copy(struct meta *m, const struct meta *from);

/* printf for keys: "%s.block_count"; in the meta's arena ("" and `failed` without memory). */
const char *meta_key(struct meta *m, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The value of that key, or NULL. */
const struct meta_value *meta_find(const struct meta *m, const char *key);

/* The number of that key from any integer type (u64), any number (f64), or text: true if
 * the key is there with such a type and the value fits; else *v stays as it was. */
bool meta_get_u64(const struct meta *m, const char *key, uint64_t *v);
bool meta_get_f64(const struct meta *m, const char *key, double *v);
bool meta_get_bool(const struct meta *m, const char *key, bool *v);
const char *meta_get_text(const struct meta *m, const char *key); /* NULL: not there */

/* "u32", "text"; of a value also "array of text": for people. */
const char *meta_type_name(enum meta_type type);
const char *meta_value_kind(const struct meta_value *v);

/* The i-th value of an array. */
struct meta_value meta_element(const struct meta_value *array, size_t i);

/* The value of a type of fixed size whose little-endian bytes these are. */
struct meta_value meta_number(enum meta_type type, const uint8_t *bytes);

/* Bytes of one value of a fixed-size type; 0 for TEXT and ARRAY. */
size_t meta_type_bytes(enum meta_type type);

#endif
