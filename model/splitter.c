#include "model/splitter.h"

#include "core/arena.h"
#include "core/mem.h"
#include "formats/pretokenizer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

/* Expressions as tokenizer.json has them, and such as PCRE2 cuts alike by in time linear in the
 * text.  A lookahead to the end of the digits is asked once, at their beginning; from there \G
 * goes on from cut to cut. */
static const struct {
    const char *written, *run;
} linear[] = {
    {"\\s+$", "(?<!\\s)\\s+$"},
    {"(?=(\\d{3})+(?!\\d))", "(?<!\\d)(?=(?:\\d{3})++(?!\\d))"
                             "|(?<!\\d)\\d{1,2}\\K(?=(?:\\d{3})++(?!\\d))|\\G\\d{3}\\K(?=\\d)"},
    {"\\d{1,3}(?=(?:\\d{3})*\\b)", "(?<!\\d)\\d{1,2}(?=(?:\\d{3})*+(?![\\w\\p{M}]))"
                                   "|(?<!\\d)\\d{3}(?=(?:\\d{3})*+(?![\\w\\p{M}]))"
                                   "|\\G(?<=\\d)\\d{3}"},
    {"\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))",
     "(?<!\\p{N})\\p{N}{1,2}(?=(?:\\p{N}{3})*+(?!\\p{N}))"
     "|\\p{N}{3}"},
    {" ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+", /* a class within a class */
     " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"},
    {"Punctuation Isolated", "[\\p{P}!-/:-@\\[-`{-~]"},
    {"Punctuation Contiguous", "[\\p{P}!-/:-@\\[-`{-~]+"},
};

/* Words of the expressions that PCRE2 reads otherwise: its \s has U+180E, which lost its place
 * among the spaces in Unicode 6.3; its scripts are the extended ones. */
static const struct {
    const char *written, *run, *run_in_class;
} word[] = {
    {"\\s", "[\\p{Z}\\t-\\r\\x{85}]", "\\p{Z}\\t-\\r\\x{85}"},
    {"\\S", "[^\\p{Z}\\t-\\r\\x{85}]", NULL},
    {"\\p{Han}", "\\p{sc:Han}", "\\p{sc:Han}"},
    {PRETOKENIZER_CUT, "", ""},
};
enum { WORDS = sizeof word / sizeof *word, WORD_MOST = 32 };

static const char *match_word(const char *at, bool in_class, size_t *length)
{
    for (size_t i = 0; i < WORDS; i++) {
        *length = strlen(word[i].written);
        if (strncmp(at, word[i].written, *length) == 0)
            return in_class ? word[i].run_in_class : word[i].run;
    }
    *length = at[0] == '\\' && at[1] ? 2 : 1;
    return NULL;
}

/* `written` as PCRE2 must read it, in the arena; NULL without memory. */
static char *translate(const char *written, struct arena *a)
{
    for (size_t i = 0; i < sizeof linear / sizeof *linear; i++) {
        if (strcmp(written, linear[i].written) == 0)
            written = linear[i].run;
    }
    char *out = arena_alloc(a, strlen(written) + 1, WORD_MOST), *end = out;
    bool in_class = false;
    for (size_t length; out && *written; written += length) {
        const char *run = match_word(written, in_class, &length);
        const char *from = run ? run : written;
        const size_t run_length = run ? strlen(run) : length;
        assert(run_length <= WORD_MOST);
        if (!run && length == 1 && (*written == '[' || *written == ']'))
            in_class = *written == '[';
        for (size_t c = 0; c < run_length; c++)
            *end++ = from[c];
    }
    return out;
}

static pcre2_code *compile(const char *written, struct err *err)
{
    struct arena a = {0};
    int fault = 0;
    size_t at = 0;
    pcre2_code *code = NULL;
    const char *text = translate(written, &a);
    if (text)
        code = pcre2_compile((PCRE2_SPTR)text, PCRE2_ZERO_TERMINATED,
                             PCRE2_UTF | PCRE2_UCP | PCRE2_NO_UTF_CHECK, &fault, &at, NULL);
    if (!code)
        err_set(err, text ? ERR_UNSUPPORTED : ERR_MEMORY,
                "PCRE2 does not compile '%.200s': error %d at %zu", written, fault, at);
    else
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE); /* where it cannot, it is interpreted */
    arena_close(&a);
    return code;
}

static const struct pretokenizer_name *find_name(const char *name)
{
    const struct pretokenizer_name *n = pretokenizer_names;
    while (n->name && strcmp(n->name, name) != 0)
        n++;
    return n->name ? n : NULL;
}

static const struct pretokenizer_row *find_row(const struct pretokenizer_name *name)
{
    const char *wanted = name->as ? name->as : name->name;
    const struct pretokenizer_row *row = pretokenizer_rows;
    while (row->name && strcmp(row->name, wanted) != 0)
        row++;
    return row->name ? row : NULL;
}

bool splitter_open(struct splitter *s, const char *name, struct err *err)
{
    memset(s, 0, sizeof *s);
    s->name = find_name(name);
    if (!s->name) {
        const char *nearest = pretokenizer_name_nearest(name);
        return err_set(
            err, ERR_UNSUPPORTED, "tokenizer.ggml.pre is '%.60s', which nobody knows%s%s%s", name,
            nearest ? "; did it mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
    }
    s->row = find_row(s->name);
    if (!s->row)
        return err_set(err, ERR_UNSUPPORTED,
                       "tokenizer.ggml.pre is '%s': not a splitter of byte-level BPE", name);
    for (; s->row->step[s->steps]; s->steps++) {
        s->step[s->steps] = compile(s->row->step[s->steps], err);
        if (!s->step[s->steps]) {
            splitter_close(s);
            return false;
        }
    }
    return true;
}

void splitter_close(struct splitter *s)
{
    for (size_t i = 0; i < s->steps; i++)
        pcre2_code_free(s->step[i]);
    memset(s, 0, sizeof *s);
}

void splitter_run_close(struct splitter_run *run)
{
    free(run->cuts.end);
    free(run->before.end);
    pcre2_match_data_free(run->match);
    memset(run, 0, sizeof *run);
}

static bool cut(struct splitter_cuts *c, size_t end, struct err *err)
{
    if (end == (c->count ? c->end[c->count - 1] : 0))
        return true;
    if (c->count == c->room) {
        const size_t room = c->room ? 2 * c->room : 64;
        size_t *grown = realloc(c->end, room * sizeof *grown);
        if (!grown)
            return err_set(err, ERR_MEMORY, "no memory for %zu words", room);
        c->end = grown;
        c->room = room;
    }
    c->end[c->count++] = end;
    return true;
}

/* Fast code first; its stack is small and fixed.  Where a text needs more, the interpreter, which
 * takes from the heap; the expressions are linear, so neither needs a limit of steps. */
static int find(const pcre2_code *code, pcre2_match_data *match, const char *text, size_t length,
                size_t from, uint32_t options)
{
    const PCRE2_SPTR subject = (PCRE2_SPTR)text;
    int n = pcre2_match(code, subject, length, from, options | PCRE2_NO_UTF_CHECK, match, NULL);
    if (n >= 0 || n == PCRE2_ERROR_NOMATCH)
        return n;
    pcre2_match_context *patient = pcre2_match_context_create(NULL);
    if (!patient)
        return PCRE2_ERROR_NOMEMORY;
    pcre2_set_match_limit(patient, UINT32_MAX);
    pcre2_set_depth_limit(patient, UINT32_MAX);
    pcre2_set_heap_limit(patient, UINT32_MAX);
    n = pcre2_match(code, subject, length, from, options | PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match,
                    patient);
    pcre2_match_context_free(patient);
    return n;
}

/* Cuts text[from..end), which this expression sees as a text of its own. */
static bool cut_piece(const pcre2_code *code, struct splitter_run *run, const char *text,
                      size_t from, size_t end, struct err *err)
{
    const char *piece = text + from;
    const size_t length = end - from;
    uint32_t options = 0;
    int n = 1;
    for (size_t at = 0;
         at < length && (n = find(code, run->match, piece, length, at, options)) >= 0;) {
        const size_t *found = pcre2_get_ovector_pointer(run->match);
        if (!cut(&run->cuts, from + found[0], err) || !cut(&run->cuts, from + found[1], err))
            return false;
        options = found[1] == found[0] ? PCRE2_NOTEMPTY_ATSTART : 0;
        at = found[1];
    }
    if (n < 0 && n != PCRE2_ERROR_NOMATCH)
        return err_set(err, ERR_MEMORY, "PCRE2 fails on %zu bytes: error %d", length, n);
    return cut(&run->cuts, end, err);
}

bool splitter_split(const struct splitter *s, struct splitter_run *run, const char *text,
                    size_t length, struct err *err)
{
    run->cuts.count = 0;
    if (!run->match && !(run->match = pcre2_match_data_create(1, NULL)))
        return err_set(err, ERR_MEMORY, "no memory for PCRE2");
    if (!cut(&run->cuts, length, err))
        return false;
    for (size_t i = 0; i < s->steps; i++) {
        const struct splitter_cuts pieces = run->cuts;
        run->cuts = run->before;
        run->before = pieces;
        run->cuts.count = 0;
        for (size_t p = 0, from = 0; p < pieces.count; from = pieces.end[p++]) {
            if (!cut_piece(s->step[i], run, text, from, pieces.end[p], err))
                return false;
        }
    }
    return true;
}
