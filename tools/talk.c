#include "tools/talk.h"

#include "core/clock.h"
#include "core/stop.h"

#include <inttypes.h>

/* How the model writes conversations. */
static bool find_family(struct talk *t, const struct talk_options *o, struct err *err)
{
    const struct meta_value *v = meta_find(&t->checkpoint.meta, "tokenizer.chat_template");
    const bool there = v && v->type == META_TEXT;
    const int64_t bos = t->tokenizer.special[TOKENIZER_BOS],
                  eos = t->tokenizer.special[TOKENIZER_EOS];
    if (bos >= 0)
        t->chat.bos = t->tokenizer.text[bos];
    if (eos >= 0)
        t->chat.eos = t->tokenizer.text[eos];
    if (there && !o->raw)
        t->chat.family = chat_family_find(v->as.text.text, v->as.text.length);
    if (o->system && !t->chat.family)
        return err_set(err, ERR_USAGE, "--system needs a chat template: %s",
                       o->raw  ? "--raw leaves it out"
                       : there ? "the model's is of no known family"
                               : "the model has none");
    return true;
}

static bool open_generator(struct talk *t, const struct talk_options *o, const struct session *s,
                           struct err *err)
{
    const uint64_t trained = t->weights.hparams.context;
    const struct dtype *cache = dtype_find(o->cache);
    size_t context = o->context;
    if (context == 0)
        context = trained > 0 && trained < TALK_CONTEXT ? (size_t)trained : TALK_CONTEXT;
    if (!cache)
        return err_set(err, ERR_USAGE, "--cache-type: no type is called '%s'", o->cache);
    if (trained > 0 && context > trained)
        session_say(s, "note: the model was trained on %" PRIu64 " tokens, the context has %zu\n",
                    trained, context);
    return generator_open(&t->generator, &t->weights, &s->kernels, s->pool, cache->id, context,
                          &o->sampler, err);
}

static void say_plan(const struct talk *t, const struct talk_options *o, const struct session *s)
{
    const bool there = meta_find(&t->checkpoint.meta, "tokenizer.chat_template") != NULL;
    const struct kv_cache *cache = &t->generator.cache;
    char size[TERM_TEXT];
    session_say(s, "%s: %s, %s, context of %zu tokens (%s in %s)\n", t->weights.arch->name,
                s->kernels.dot ? s->kernels.dot->name : "exact f32", s->threads, cache->context,
                term_size(cache->bytes, size), cache->dtype->name);
    if (t->chat.family)
        session_say(s, "turns are written as %s\n", t->chat.family->name);
    else
        session_say(s, "%stexts are gone on with as they are\n",
                    o->raw  ? ""
                    : there ? "chat template of no known family: "
                            : "no chat template: ");
}

bool talk_open(struct talk *t, const struct talk_options *o, const struct session *s,
               struct err *err)
{
    *t = (struct talk){.system = o->system, .most = o->most};
    t->stop.stop = o->stop.text;
    t->stop.stops = o->stop.count;
    const bool model = checkpoint_open(&t->checkpoint, o->model, err) &&
                       weights_open(&t->weights, &t->checkpoint, &s->kernels, err) &&
                       tokenizer_open(&t->tokenizer, &t->checkpoint.meta, err);
    if (!model)
        err_wrap(err, "%s", o->model);
    const bool laid = !model || !s->kernels.dot || o->no_repack ||
                      weights_lay_out(&t->weights, s->kernels.dot, s->pool, err);
    if (model && laid && find_family(t, o, err) && open_generator(t, o, s, err)) {
        if (t->most == TALK_MOST)
            t->most = t->chat.family ? 0 : TALK_RAW;
        say_plan(t, o, s);
        return true;
    }
    talk_close(t);
    return false;
}

void talk_close(struct talk *t)
{
    token_list_close(&t->waiting);
    stop_text_close(&t->stop);
    generator_close(&t->generator);
    tokenizer_close(&t->tokenizer);
    weights_close(&t->weights);
    checkpoint_close(&t->checkpoint);
    *t = (struct talk){0};
}

void talk_reset(struct talk *t)
{
    generator_reset(&t->generator);
    t->waiting.count = 0;
    t->chat.turns = 0;
}

/* Adds the tokens of a turn to those that wait: BOS first, where texts begin with one. */
static bool encode_turn(struct talk *t, const char *text, size_t length, struct err *err)
{
    const int64_t bos = t->tokenizer.special[TOKENIZER_BOS];
    const bool first = generator_length(&t->generator) == 0;
    struct token_text turn = {0};
    bool ok = length > 0 || err_set(err, ERR_USAGE, "the prompt is empty");
    ok = ok && (t->chat.family ? chat_turn(&t->chat, t->system, text, length, &turn, err)
                               : token_text_add(&turn, text, length, err));
    if (ok && first && t->tokenizer.add_bos && bos >= 0)
        ok = token_list_add(&t->waiting, (uint32_t)bos, err);
    ok = ok &&
         tokenizer_encode(&t->tokenizer, turn.text, turn.length, TOKENIZER_PARSE, &t->waiting, err);
    token_text_close(&turn);
    return ok;
}

static bool feed_turn(struct talk *t, const char *text, size_t length, struct talk_answer *a,
                      struct err *err)
{
    const size_t turns = t->chat.turns, waiting = t->waiting.count;
    const double start = clock_seconds();
    const size_t room = generator_room(&t->generator);
    bool ok = encode_turn(t, text, length, err);
    if (ok && t->waiting.count > room)
        ok = err_set(err, ERR_USAGE,
                     "the prompt has %zu tokens, the context %s %zu; --context makes it larger",
                     t->waiting.count, room < t->generator.cache.context ? "room for" : "holds",
                     room);
    ok = ok && generator_feed(&t->generator, t->waiting.id, t->waiting.count, err);
    if (!ok) {
        t->waiting.count = waiting;
        t->chat.turns = turns;
        return false;
    }
    a->prompt_tokens += t->waiting.count;
    a->prompt_seconds += clock_seconds() - start;
    t->waiting.count = 0;
    return true;
}

/* What of the text is certain, from `from` on, to the person. */
static bool show(FILE *out, const struct token_text *text, size_t from, struct err *err)
{
    if (!out || text->length == from)
        return true;
    fwrite(text->text + from, 1, text->length - from, out);
    return (fflush(out) == 0 && !ferror(out)) ||
           err_set(err, ERR_IO, "cannot write to standard output");
}

/* One token of the answer, which waits to be fed. */
static bool take(struct talk *t, struct token_stream *stream, uint32_t id, struct talk_answer *a,
                 FILE *out, struct err *err)
{
    struct token_text piece = {0};
    const size_t shown = a->text.length;
    const bool ok = token_list_add(&t->waiting, id, err) && token_list_add(&a->tokens, id, err) &&
                    token_stream_next(stream, id, &piece, err) &&
                    stop_text_add(&t->stop, piece.text, piece.length, &a->text, err) &&
                    show(out, &a->text, shown, err);
    token_text_close(&piece);
    return ok;
}

/* Is no further token to be drawn? */
static bool is_over(const struct talk *t, size_t tokens, enum talk_end *end)
{
    if (t->stop.found)
        *end = TALK_STOP_TEXT;
    else if (tokens > 0 && tokens == t->most)
        *end = TALK_LENGTH;
    else if (generator_room(&t->generator) < t->waiting.count)
        *end = TALK_FULL;
    else if (!stop_check(NULL))
        *end = TALK_INTERRUPTED;
    else
        return false;
    return true;
}

static bool answer(struct talk *t, struct token_stream *stream, FILE *out, struct talk_answer *a,
                   struct err *err)
{
    for (size_t tokens = 0; !is_over(t, tokens, &a->end); tokens++) {
        uint32_t id;
        if (tokens > 0) {
            if (!generator_feed(&t->generator, t->waiting.id, 1, err))
                return false;
            t->waiting.count = 0;
            a->passes++;
        }
        if (!generator_next(&t->generator, &id, err))
            return false;
        if (tokenizer_is_end(&t->tokenizer, id)) {
            a->end = TALK_END;
            return true;
        }
        if (!take(t, stream, id, a, out, err))
            return false;
    }
    return true;
}

bool talk_turn(struct talk *t, const char *text, size_t length, FILE *out, struct talk_answer *a,
               struct err *err)
{
    /* A text that is gone on with keeps the space that its first word may begin with. */
    struct token_stream stream = {.tokenizer = &t->tokenizer, .goes_on = !t->chat.family};
    struct token_text rest = {0};
    if (!feed_turn(t, text, length, a, err))
        return false;
    const double start = clock_seconds();
    bool ok = answer(t, &stream, out, a, err);
    a->seconds += clock_seconds() - start;
    const size_t shown = a->text.length;
    ok = ok && token_stream_end(&stream, &rest, err) &&
         stop_text_add(&t->stop, rest.text, rest.length, &a->text, err) &&
         stop_text_end(&t->stop, &a->text, err) && show(out, &a->text, shown, err);
    token_text_close(&rest);
    return ok;
}

const char *talk_end_name(enum talk_end end)
{
    static const char *const name[] = {
        [TALK_END] = "end",      [TALK_STOP_TEXT] = "stop",          [TALK_LENGTH] = "length",
        [TALK_FULL] = "context", [TALK_INTERRUPTED] = "interrupted",
    };
    return name[end];
}

void talk_answer_close(struct talk_answer *a)
{
    token_text_close(&a->text);
    token_list_close(&a->tokens);
}
