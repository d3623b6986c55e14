#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tools/opts.h"

#include <stdlib.h>
#include <string.h>

/* What the table below fills in, and one parse of a command line. */
struct values {
    struct opt_common common;
    const char *out;
    struct opt_list types;
    size_t context;
    double heat;
    uint64_t size;
    int argc;
    char *argv[16];
    struct err err;
};

static void fill_table(struct opt table[13], struct values *v)
{
    const struct opt rows[] = {
        OPT_HEADING("Output"),
        {"out", 'o', OPT_TEXT, &v->out, "FILE", "where the result goes"},
        {"tensor-type", 0, OPT_LIST, &v->types, "REGEX=TYPE",
         "the type of the tensors whose name the regex matches; may be given again, and the first "
         "that matches counts"},
        {"context", 'c', OPT_COUNT, &v->context, "N", "tokens"},
        {"heat", 0, OPT_NUMBER, &v->heat, "X", "temperature"},
        {"target-size", 0, OPT_BYTES, &v->size, NULL, "how large it may be"},
        OPT_FORCE(&v->common),
        OPT_COMMON(&v->common),
        OPT_END,
    };
    assert_int_equal(sizeof rows / sizeof rows[0], 13);
    memcpy(table, rows, sizeof rows);
}

static bool parse(struct values *v, const char *const *args)
{
    struct opt table[13];
    *v = (struct values){.context = 512, .heat = 0.5};
    fill_table(table, v);
    for (; args[v->argc]; v->argc++)
        v->argv[v->argc] = (char *)(uintptr_t)args[v->argc];
    return opts_parse(table, &v->argc, v->argv, &v->err);
}

#define PARSE(v, ...) parse(v, (const char *const[]){__VA_ARGS__, NULL})

static void options_and_arguments_mix(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "in", "--out", "a", "--heat=1.5e-1", "more", "-t", "3", "-c7", "--json"));
    assert_int_equal(v.argc, 2);
    assert_string_equal(v.argv[0], "in");
    assert_string_equal(v.argv[1], "more");
    assert_string_equal(v.out, "a");
    assert_true(v.heat == 0.15);
    assert_int_equal(v.common.threads, 3);
    assert_int_equal(v.context, 7);
    assert_true(v.common.json);
    assert_false(v.common.force);
}

static void what_is_not_given_keeps_its_default(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "-"));
    assert_int_equal(v.argc, 1); /* "-" is an argument */
    assert_int_equal(v.context, 512);
    assert_true(v.heat == 0.5);
    assert_null(v.out);
}

static void lists_gather_and_the_rest_counts_last(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "--tensor-type=a=Q4_0", "-o", "x", "--tensor-type", "b=Q8_0",
                      "--tensor-type", "c=F16", "-oy"));
    assert_int_equal(v.types.count, 3);
    assert_string_equal(v.types.text[0], "a=Q4_0");
    assert_string_equal(v.types.text[1], "b=Q8_0");
    assert_string_equal(v.types.text[2], "c=F16");
    assert_string_equal(v.out, "y");
    opt_list_close(&v.types);
    opt_list_close(&v.types);
}

static void letters_go_together(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "-qht9", "x"));
    assert_true(v.common.quiet && v.common.help);
    assert_int_equal(v.common.threads, 9);
    assert_int_equal(v.argc, 1);
}

static void two_dashes_end_the_options(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "--json", "--", "--quiet", "-o", "--"));
    assert_int_equal(v.argc, 3);
    assert_string_equal(v.argv[0], "--quiet");
    assert_string_equal(v.argv[2], "--");
    assert_false(v.common.quiet);
}

static void values_may_start_with_a_dash(void **state)
{
    (void)state;
    struct values v;
    assert_true(PARSE(&v, "--heat", "-2", "--out", "--odd"));
    assert_true(v.heat == -2);
    assert_string_equal(v.out, "--odd");
    assert_true(PARSE(&v, "--out=--json"));
    assert_string_equal(v.out, "--json");
    assert_false(v.common.json);
}

static void mistakes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        const char *text;
    } bad[] = {
        {{"--outt=3"}, "unknown option --outt; did you mean --out?"},
        {{"--tensor_type"}, "unknown option --tensor_type; did you mean --tensor-type?"},
        {{"--zzz"}, "unknown option --zzz"},
        {{"-x"}, "unknown option -x"},
        {{"--json=1"}, "--json takes no value"},
        {{"--out"}, "--out needs a value: --out FILE"},
        {{"--out", "--force"}, "--out needs a value: --out FILE"},
        {{"-t"}, "--threads needs a value: --threads N"},
        {{"--target-size"}, "--target-size needs a value: --target-size VALUE"},
        {{"-t", "two"}, "--threads: 'two' is not a count"},
        {{"-t", "-1"}, "--threads: '-1' is not a count"},
        {{"-t", "99999999999999999999"}, "--threads: '99999999999999999999' is not a count"},
        {{"-t", ""}, "--threads: '' is not a count"},
        {{"--heat", "1.5x"}, "--heat: '1.5x' is not a number"},
        {{"--heat", "nan"}, "--heat: 'nan' is not a number"},
        {{"--target-size", "4.5 Gi"}, "--target-size: '4.5 Gi' is not a size such as 4.5GiB"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct values v;
        assert_false(parse(&v, bad[i].args));
        assert_int_equal(v.err.code, ERR_USAGE);
        assert_string_equal(v.err.text, bad[i].text);
    }
}

static void sizes_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {{"0", 0},
                {"512", 512},
                {"1.5k", 1536},
                {"4KB", 4000},
                {"64 MiB", 1 << 26},
                {"4.5GiB", 4831838208},
                {"2gb", 2000000000},
                {"1T", 1ull << 40},
                {"7b", 7}};
    static const char *const bad[] = {"", "-1", "GiB", "1Q", "1e30", "inf", " 1", "1 2"};
    uint64_t bytes;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(opts_read_bytes(good[i].text, &bytes));
        assert_int_equal(bytes, good[i].bytes);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(opts_read_bytes(bad[i], &bytes));
}

static void help_fits_its_width_and_names_every_option(void **state)
{
    (void)state;
    struct values v = {0};
    struct opt table[13];
    fill_table(table, &v);
    for (int width = 40; width <= 100; width += 20) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);
        assert_non_null(f);
        opts_print(table, f, width);
        fclose(f);
        for (const struct opt *o = table; o->name || o->help; o++)
            assert_non_null(strstr(text, o->name ? o->name : o->help));
        assert_non_null(strstr(text, "  -o, --out FILE"));
        assert_non_null(strstr(text, "      --target-size VALUE"));
        for (const char *line = text; *line;) {
            const size_t length = strcspn(line, "\n");
            assert_true(length <= (size_t)width);
            line += length + (line[length] == '\n');
        }
        free(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_and_arguments_mix),
        cmocka_unit_test(what_is_not_given_keeps_its_default),
        cmocka_unit_test(lists_gather_and_the_rest_counts_last),
        cmocka_unit_test(letters_go_together),
        cmocka_unit_test(two_dashes_end_the_options),
        cmocka_unit_test(values_may_start_with_a_dash),
        cmocka_unit_test(mistakes_are_named),
        cmocka_unit_test(sizes_are_read),
        cmocka_unit_test(help_fits_its_width_and_names_every_option),
    };
    return cmocka_run_group_tests_name("opts", tests, NULL, NULL);
}
