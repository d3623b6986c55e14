#include "eval/base_file.h"

#include "core/cursor.h"
#include "core/half.h"
#include "core/mem.h"
#include "model/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char magic[] = "_logits_";

enum { MAGIC = 8, HEADER = MAGIC + 3 * 4, ROW_HEADER = 8, CONTEXT_MIN = 4, LEVELS = 65535 };

size_t base_row_bytes(size_t vocab) { return ROW_HEADER + 2 * (vocab + vocab % 2); }

static void put_u32(uint8_t *to, uint32_t v)
{
    for (int i = 0; i < 4; i++)
        to[i] = (uint8_t)(v >> 8 * i);
}

static uint32_t get_u32(const uint8_t *p)
{
    struct cursor c = cursor_over(p, 4);
    return cursor_u32(&c);
}

/* Bytes of the tokens and of the whole file; false where they do not fit in a size. */
static bool sizes(const struct base_file *b, size_t *tokens, size_t *all)
{
    size_t rows;
    return size_mul(b->windows, b->context, tokens) && size_mul(*tokens, 4, tokens) &&
           size_mul(b->windows, b->scored, &rows) && size_mul(rows, b->row_bytes, &rows) &&
           size_add(HEADER, *tokens, all) && size_add(*all, rows, all);
}

bool base_file_read(struct base_file *b, const void *data, size_t size, struct err *err)
{
    struct cursor c = cursor_over(data, size);
    const uint8_t *start = cursor_take(&c, MAGIC);
    const uint32_t context = cursor_u32(&c), vocab = cursor_u32(&c), windows = cursor_u32(&c);
    size_t tokens, all;
    if (!start || memcmp(start, magic, MAGIC) != 0)
        return err_set(err, ERR_FORMAT,
                       "not a KL base file of llama-perplexity: it does not begin with \"%s\"",
                       magic);
    if (c.bad)
        return err_set(err, ERR_FORMAT, "header: the file ends after %zu bytes", size);
    if (context < CONTEXT_MIN || context > INT32_MAX || vocab == 0 || vocab > INT32_MAX ||
        windows == 0 || windows > INT32_MAX)
        return err_set(err, ERR_FORMAT, "header: %d windows of %d tokens of %d", (int32_t)windows,
                       (int32_t)context, (int32_t)vocab);
    *b = (struct base_file){
        .context = context,
        .vocab = vocab,
        .windows = windows,
        .scored = context - 1 - context / 2,
        .row_bytes = base_row_bytes(vocab),
        .token = c.at,
    };
    if (!sizes(b, &tokens, &all) || all != size)
        return err_set(err, ERR_FORMAT,
                       "header: %zu windows of %zu tokens of %zu do not make a file of %zu bytes",
                       b->windows, b->context, b->vocab, size);
    b->row = b->token + tokens;
    return true;
}

bool base_file_open(struct base_file *b, const char *path, struct err *err)
{
    struct map map;
    if (!map_open(&map, path, err))
        return false;
    if (!base_file_read(b, map.data ? map.data : (const void *)"", map.size, err)) {
        map_close(&map);
        return err_wrap(err, "%s", path);
    }
    b->map = map;
    return true;
}

void base_file_close(struct base_file *b)
{
    map_close(&b->map);
    *b = (struct base_file){0};
}

void base_file_tokens(const struct base_file *b, uint32_t *token)
{
    for (size_t i = 0; i < b->windows * b->context; i++)
        token[i] = get_u32(b->token + 4 * i);
}

const uint8_t *base_file_row(const struct base_file *b, size_t window, size_t i)
{
    return b->row + (window * b->scored + i) * b->row_bytes;
}

static bool write_tokens(struct sink *s, const struct windows *w, struct err *err)
{
    uint8_t *bytes = mem_alloc(w->size, 4);
    bool ok = bytes || err_set(err, ERR_MEMORY, "a window of %zu tokens", w->size);
    for (size_t window = 0; ok && window < w->count; window++) {
        for (size_t i = 0; i < w->size; i++)
            put_u32(bytes + 4 * i, w->token[window * w->size + i]);
        ok = sink_write(s, bytes, 4 * w->size, err);
    }
    free(bytes);
    return ok;
}

bool base_file_begin(struct sink *s, const char *path, bool force, const struct windows *w,
                     size_t vocab, struct err *err)
{
    const struct base_file b = {
        .context = w->size,
        .windows = w->count,
        .scored = w->scored,
        .row_bytes = base_row_bytes(vocab),
    };
    uint8_t header[HEADER];
    size_t tokens, all;
    if (w->step != w->size)
        return err_set(err, ERR_USAGE, "a KL base file cannot hold windows that overlap");
    if (w->size > INT32_MAX || w->count > INT32_MAX || vocab > INT32_MAX ||
        !sizes(&b, &tokens, &all))
        return err_set(err, ERR_USAGE, "%zu windows of %zu tokens of %zu are too many for a file",
                       w->count, w->size, vocab);
    memcpy(header, magic, MAGIC);
    put_u32(header + MAGIC, (uint32_t)w->size);
    put_u32(header + MAGIC + 4, (uint32_t)vocab);
    put_u32(header + MAGIC + 8, (uint32_t)w->count);
    return sink_open(s, path, force, all, err) && sink_write(s, header, sizeof header, err) &&
           write_tokens(s, w, err);
}

void base_row_encode(uint8_t *row, const float *logits, size_t vocab)
{
    const float most = ops_max(logits, vocab);
    float least = most;
    for (size_t i = 0; i < vocab; i++)
        least = logits[i] < least ? logits[i] : least;
    least = fmaxf(least, most + (float)BASE_FILE_FLOOR);
    const float total = (float)(ops_log_sum_exp(logits, vocab) - (double)most);
    const float step = (most - least) / (float)LEVELS, inverse = step > 0.0f ? 1.0f / step : 0.0f;
    put_u32(row, float_bits(step));
    put_u32(row + 4, float_bits(least - most - total));
    memset(row + ROW_HEADER, 0, base_row_bytes(vocab) - ROW_HEADER);
    for (size_t i = 0; step > 0.0f && i < vocab; i++) {
        if (logits[i] <= least)
            continue;
        const long level = lrintf(fminf((float)LEVELS, inverse * (logits[i] - least)));
        row[ROW_HEADER + 2 * i] = (uint8_t)(level & 0xff);
        row[ROW_HEADER + 2 * i + 1] = (uint8_t)(level >> 8);
    }
}

void base_row_decode(const uint8_t *row, float *log_p, size_t vocab)
{
    const float step = float_from_bits(get_u32(row)), least = float_from_bits(get_u32(row + 4));
    for (size_t i = 0; i < vocab; i++) {
        const uint8_t *level = row + ROW_HEADER + 2 * i;
        log_p[i] = step * (float)(level[0] | level[1] << 8) + least;
    }
}
