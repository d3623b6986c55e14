#include "tools/bench_codecs.h"

#include "eval/codec_speed.h"
#include "eval/speed.h"
#include "tools/report.h"
#include "tools/table.h"

struct measured {
    const struct dtype *type;
    struct codec_rates rates;
};

struct bench {
    struct speed_machine machine;
    struct measured type[DTYPE_COUNT];
    size_t types;
};

/* Of what the machine reads, per cent. */
static double share(const struct bench *b, const struct measured *m, double rate)
{
    return 100.0 * rate * codec_speed_bytes(m->type->id) / b->machine.read;
}

static double bytes_rate(const struct measured *m, double rate)
{
    return rate * codec_speed_bytes(m->type->id);
}

static void print_direction(struct table *t, const struct bench *b, const struct measured *m,
                            double rate)
{
    if (rate == 0.0) {
        for (int i = 0; i < 3; i++)
            table_cell(t, "-");
        return;
    }
    table_cell(t, "%.0f", rate * 1e-6);
    table_cell(t, "%.2f", bytes_rate(m, rate) * 1e-9);
    table_cell(t, "%.0f", share(b, m, rate));
}

static bool print_table(const struct bench *b, struct err *err)
{
    static const struct table_column column[] = {
        {.title = "type"},
        {.title = "encode M/s", .right = true},
        {.title = "GB/s", .right = true, .dropped = 1},
        {.title = "reading %", .right = true},
        {.title = "decode M/s", .right = true},
        {.title = "GB/s", .right = true, .dropped = 1},
        {.title = "reading %", .right = true},
    };
    struct table t = {0};
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < b->types; i++) {
        const struct measured *m = &b->type[i];
        table_row(&t);
        table_cell(&t, "%s", m->type->name);
        print_direction(&t, b, m, m->rates.encode);
        print_direction(&t, b, m, m->rates.decode);
    }
    printf("this machine reads %.1f GB/s; millions of weights a second\n\n",
           b->machine.read * 1e-9);
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static json_t *direction_json(const struct bench *b, const struct measured *m, double rate)
{
    if (rate == 0.0)
        return json_null();
    return json_pack("{s:f, s:f, s:f}", "weights_per_second", rate, "bytes_per_second",
                     bytes_rate(m, rate), "read_percent", share(b, m, rate));
}

static bool print_json(const struct bench *b, const struct session *s, struct err *err)
{
    json_t *root = json_object(), *list = json_array();
    json_object_set_new(root, "kernels", json_string(s->kernels.name));
    json_object_set_new(root, "threads", json_integer(pool_threads(s->pool)));
    json_object_set_new(root, "read_bytes_per_second", json_real(b->machine.read));
    json_object_set_new(root, "types", list);
    for (size_t i = 0; i < b->types; i++) {
        const struct measured *m = &b->type[i];
        json_t *type = json_object();
        json_object_set_new(type, "name", json_string(m->type->name));
        json_object_set_new(type, "bytes_per_weight", json_real(codec_speed_bytes(m->type->id)));
        json_object_set_new(type, "encode", direction_json(b, m, m->rates.encode));
        json_object_set_new(type, "decode", direction_json(b, m, m->rates.decode));
        json_array_append_new(list, type);
    }
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

static bool choose(struct bench *b, char **name, size_t names, struct err *err)
{
    for (int i = 0; names == 0 && i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i);
        if (d->class != DTYPE_INTEGER)
            b->type[b->types++].type = d;
    }
    for (size_t i = 0; i < names; i++) {
        const struct dtype *d = dtype_find(name[i]);
        if (!d)
            return err_set(err, ERR_USAGE, "--codecs: no type is called '%s'", name[i]);
        b->type[b->types++].type = d;
    }
    return true;
}

bool bench_codecs(struct session *s, char **name, size_t names, struct err *err)
{
    struct bench b = {.types = 0};
    struct codec_speed speed = {0};
    bool ok = choose(&b, name, names, err);
    if (ok)
        session_say(s, "%s, %s\n", s->kernels.name, s->threads);
    ok = ok && speed_machine_open(&b.machine, s->pool, err) &&
         codec_speed_open(&speed, CODEC_SPEED_ROWS, &s->kernels, s->pool, err);
    s->progress.base.unit = "types";
    s->progress.base.total = b.types;
    for (size_t i = 0; ok && i < b.types; i++) {
        struct measured *m = &b.type[i];
        ok = codec_speed_measure(&speed, m->type->id, &m->rates, err);
        progress_step(&s->progress.base, m->type->name, 1);
    }
    term_progress_clear(&s->progress);
    codec_speed_close(&speed);
    speed_machine_close(&b.machine);
    return ok && (s->common.json ? print_json(&b, s, err) : print_table(&b, err));
}
