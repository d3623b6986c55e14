#include "formats/meta.h"

#include "core/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *array_name;
    size_t bytes;
} types[] = {
    [META_U8] = {"u8", "array of u8", 1},       [META_I8] = {"i8", "array of i8", 1},
    [META_U16] = {"u16", "array of u16", 2},    [META_I16] = {"i16", "array of i16", 2},
    [META_U32] = {"u32", "array of u32", 4},    [META_I32] = {"i32", "array of i32", 4},
    [META_F32] = {"f32", "array of f32", 4},    [META_BOOL] = {"bool", "array of bool", 1},
    [META_TEXT] = {"text", "array of text", 0}, [META_ARRAY] = {"array", "array of arrays", 0},
    [META_U64] = {"u64", "array of u64", 8},    [META_I64] = {"i64", "array of i64", 8},
    [META_F64] = {"f64", "array of f64", 8},
};

const char *meta_type_name(enum meta_type type) { return types[type].name; }

const char *meta_value_kind(const struct meta_value *v)
{
    return v->type == META_ARRAY ? types[v->elem].array_name : types[v->type].name;
}

size_t meta_type_bytes(enum meta_type type) { return types[type].bytes; }

void meta_close(struct meta *m)
{
    arena_close(&m->arena);
    free(m->pair);
    *m = (struct meta){0};
}

static struct meta_pair *find_pair(const struct meta *m, const char *key)
{
    for (size_t i = 0; i < m->pairs; i++)
        if (strcmp(m->pair[i].key, key) == 0)
            return &m->pair[i];
    return NULL;
}

void meta_add(struct meta *m, const char *key, const struct meta_value *value)
{
    struct meta_pair *pair = mem_grow(m->pair, m->pairs, sizeof *pair);
    if (!pair) {
        m->failed = true;
        return;
    }
    m->pair = pair;
    m->pair[m->pairs++] = (struct meta_pair){.key = key, .value = *value};
}

static bool copy_text(struct meta *m, struct meta_text *to, const struct meta_text *from)
{
    *to = (struct meta_text){arena_text(&m->arena, from->text, from->length), from->length};
    return to->text != NULL;
}

static bool copy_array(struct meta *m, struct meta_value *v)
{
    const size_t size = v->elem == META_TEXT ? sizeof(struct meta_text) : types[v->elem].bytes;
    void *array = arena_alloc(&m->arena, v->count, size);
    if (!array)
        return false;
    if (v->elem == META_TEXT) {
        const struct meta_text *from = v->as.array;
        struct meta_text *to = array;
        for (size_t i = 0; i < v->count; i++)
            if (!copy_text(m, &to[i], &from[i]))
                return false;
    } else if (v->count > 0) {
        memcpy(array, v->as.array, v->count * size);
    }
    v->as.array = array;
    return true;
}

/* Points the value's text or array at a copy in the arena. */
static bool copy_value(struct meta *m, struct meta_value *v)
{
    if (v->type == META_TEXT) {
        const struct meta_text from = v->as.text;
        return copy_text(m, &v->as.text, &from);
    }
    return v->type != META_ARRAY || copy_array(m, v);
}

void meta_set(struct meta *m, const char *key, const struct meta_value *value)
{
    assert(value->type != META_ARRAY || value->elem != META_ARRAY);
    struct meta_value v = *value;
    struct meta_pair *old = find_pair(m, key);
    const char *name = old ? old->key : arena_text(&m->arena, key, strlen(key));
    if (!name || !copy_value(m, &v))
        m->failed = true;
    else if (old)
        old->value = v;
    else
        meta_add(m, name, &v);
}

void meta_set_u32(struct meta *m, const char *key, uint32_t v)
{
    meta_set(m, key, &(struct meta_value){.type = META_U32, .as.u = v});
}

void meta_set_u16(struct meta *m, const char *key, uint16_t v)
{
    meta_set(m, key, &(struct meta_value){.type = META_U16, .as.u = v});
}

void meta_set_i32(struct meta *m, const char *key, int32_t v)
{
    meta_set(m, key, &(struct meta_value){.type = META_I32, .as.i = v});
}

void meta_set_f32(struct meta *m, const char *key, float v)
{
    meta_set(m, key, &(struct meta_value){.type = META_F32, .as.f = (double)v});
}

void meta_set_bool(struct meta *m, const char *key, bool v)
{
    meta_set(m, key, &(struct meta_value){.type = META_BOOL, .as.u = v});
}

void meta_set_text(struct meta *m, const char *key, const char *text)
{
    meta_set(m, key, &(struct meta_value){.type = META_TEXT, .as.text = {text, strlen(text)}});
}

static void set_array(struct meta *m, const char *key, enum meta_type elem, const void *array,
                      size_t count)
{
    meta_set(
        m, key,
        &(struct meta_value){.type = META_ARRAY, .elem = elem, .count = count, .as.array = array});
}

void meta_set_texts(struct meta *m, const char *key, const struct meta_text *text, size_t count)
{
    set_array(m, key, META_TEXT, text, count);
}

void meta_set_f32s(struct meta *m, const char *key, const float *v, size_t count)
{
    set_array(m, key, META_F32, v, count);
}

void meta_set_i32s(struct meta *m, const char *key, const int32_t *v, size_t count)
{
    set_array(m, key, META_I32, v, count);
}

void meta_remove(struct meta *m, const char *key)
{
    struct meta_pair *p = find_pair(m, key);
    if (!p)
        return;
    const size_t after = (size_t)(m->pair + m->pairs - (p + 1));
    memmove(p, p + 1, after * sizeof *p);
    m->pairs--;
}

void meta_copy(struct meta *m, const struct meta *from)
{
    const bool fresh = m->pairs == 0; /* then no key of `from` can be there already */
    for (size_t i = 0; i < from->pairs; i++) {
        if (!fresh) {
            meta_set(m, from->pair[i].key, &from->pair[i].value);
            continue;
        }
        struct meta_value v = from->pair[i].value;
        const char *key = arena_text(&m->arena, from->pair[i].key, strlen(from->pair[i].key));
        if (key && copy_value(m, &v))
            meta_add(m, key, &v);
        else
            m->failed = true;
    }
    m->failed |= from->failed;
}

const char *meta_key(struct meta *m, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *key = n >= 0 ? arena_alloc(&m->arena, (size_t)n + 1, 1) : NULL;
    if (!key) {
        m->failed = true;
        return "";
    }
    va_start(ap, fmt);
    vsnprintf(key, (size_t)n + 1, fmt, ap);
    va_end(ap);
    return key;
}

const struct meta_value *meta_find(const struct meta *m, const char *key)
{
    const struct meta_pair *p = find_pair(m, key);
    return p ? &p->value : NULL;
}

static bool is_unsigned(enum meta_type t)
{
    return t == META_U8 || t == META_U16 || t == META_U32 || t == META_U64;
}

static bool is_signed(enum meta_type t)
{
    return t == META_I8 || t == META_I16 || t == META_I32 || t == META_I64;
}

bool meta_get_u64(const struct meta *m, const char *key, uint64_t *v)
{
    const struct meta_value *value = meta_find(m, key);
    if (!value)
        return false;
    if (is_unsigned(value->type))
        *v = value->as.u;
    else if (is_signed(value->type) && value->as.i >= 0)
        *v = (uint64_t)value->as.i;
    else
        return false;
    return true;
}

bool meta_get_f64(const struct meta *m, const char *key, double *v)
{
    const struct meta_value *value = meta_find(m, key);
    if (!value)
        return false;
    if (value->type == META_F32 || value->type == META_F64)
        *v = value->as.f;
    else if (is_unsigned(value->type))
        *v = (double)value->as.u;
    else if (is_signed(value->type))
        *v = (double)value->as.i;
    else
        return false;
    return true;
}

bool meta_get_bool(const struct meta *m, const char *key, bool *v)
{
    const struct meta_value *value = meta_find(m, key);
    if (!value || value->type != META_BOOL)
        return false;
    *v = value->as.u != 0;
    return true;
}

const char *meta_get_text(const struct meta *m, const char *key)
{
    const struct meta_value *value = meta_find(m, key);
    return value && value->type == META_TEXT ? value->as.text.text : NULL;
}

static int64_t sign_extend(uint64_t bits, size_t bytes)
{
    const uint64_t sign = 1ull << (8 * bytes - 1);
    return (int64_t)((bits ^ sign) - sign);
}

struct meta_value meta_number(enum meta_type type, const uint8_t *bytes)
{
    struct meta_value v = {.type = type};
    const size_t size = types[type].bytes;
    uint64_t bits = 0;
    assert(size > 0);
    for (size_t i = 0; i < size; i++)
        bits |= (uint64_t)bytes[i] << 8 * i;
    if (type == META_F32) {
        const uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        v.as.f = (double)single;
    } else if (type == META_F64) {
        memcpy(&v.as.f, &bits, sizeof v.as.f);
    } else if (is_signed(type)) {
        v.as.i = sign_extend(bits, size);
    } else {
        v.as.u = bits;
    }
    return v;
}

struct meta_value meta_element(const struct meta_value *array, size_t i)
{
    assert(array->type == META_ARRAY && i < array->count);
    if (array->elem == META_TEXT)
        return (struct meta_value){.type = META_TEXT,
                                   .as.text = ((const struct meta_text *)array->as.array)[i]};
    const uint8_t *bytes = array->as.array;
    return meta_number(array->elem, bytes + i * types[array->elem].bytes);
}
