#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tools/table.h"
#include "tools/text.h"

#include <stdlib.h>
#include <string.h>

static const struct table_column columns[] = {
    {.title = "tensor", .shrinks = true},
    {.title = "type"},
    {.title = "shape", .right = true, .dropped = 1},
    {.title = "SNR dB", .right = true},
    {.title = "seconds", .right = true, .dropped = 2},
};

static void fill(struct table *t)
{
    table_open(t, columns, sizeof columns / sizeof columns[0]);
    table_row(t);
    table_cell(t, "blk.10.ffn_down.weight");
    table_cell(t, "%s", "Q4_K");
    table_cell(t, "4096 x %d", 14336);
    table_cell(t, "%.2f", 21.5);
    table_cell(t, "%.1f", 1.25);
    table_row(t);
    table_cell(t, "output.weight");
    table_cell(t, "Q6_K");
    table_cell(t, "128256 x 4096");
    table_cell(t, "34.02");
}

static char *print(const struct table *t, int width, bool colour)
{
    char *text = NULL;
    size_t size = 0;
    struct err err = {0};
    FILE *f = open_memstream(&text, &size);
    assert_non_null(f);
    assert_true(table_print_as(t, f, width, colour, &err));
    fclose(f);
    return text;
}

static void assert_prints(const struct table *t, int width, bool colour, const char *want)
{
    char *text = print(t, width, colour);
    assert_string_equal(text, want);
    free(text);
}

static void columns_are_aligned(void **state)
{
    (void)state;
    struct table t;
    fill(&t);
    assert_prints(&t, 0, false,
                  "tensor                  type          shape  SNR dB  seconds\n"
                  "blk.10.ffn_down.weight  Q4_K   4096 x 14336   21.50      1.2\n"
                  "output.weight           Q6_K  128256 x 4096   34.02         \n");
    table_close(&t);
    table_close(&t);
}

static void names_shrink_before_columns_go(void **state)
{
    (void)state;
    struct table t;
    fill(&t);
    assert_prints(&t, 56, false,
                  "tensor              type          shape  SNR dB  seconds\n"
                  "blk.10.ff…n.weight  Q4_K   4096 x 14336   21.50      1.2\n"
                  "output.weight       Q6_K  128256 x 4096   34.02         \n");
    assert_prints(&t, 51, false,
                  "tensor                  type          shape  SNR dB\n"
                  "blk.10.ffn_down.weight  Q4_K   4096 x 14336   21.50\n"
                  "output.weight           Q6_K  128256 x 4096   34.02\n");
    table_close(&t);
}

static void every_width_is_kept(void **state)
{
    (void)state;
    struct table t;
    fill(&t);
    table_mark(&t);
    table_row(&t);
    table_rule(&t);
    table_cell(&t, "a total with a long name, 猫 and all");
    for (int width = 32; width < 100; width++) {
        char *text = print(&t, width, false);
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"))
            assert_true(text_width(line) <= width);
        free(text);
    }
    table_close(&t);
}

static void marks_and_totals_stand_out(void **state)
{
    (void)state;
    static const struct table_column two[] = {{.title = "name"}, {.title = "n", .right = true}};
    struct table t;
    table_open(&t, two, 2);
    table_row(&t);
    table_cell(&t, "a");
    table_cell(&t, "1");
    table_row(&t);
    table_mark(&t);
    table_cell(&t, "b");
    table_cell(&t, "20");
    table_row(&t);
    table_rule(&t);
    table_cell(&t, "all");
    table_cell(&t, "21");
    assert_prints(&t, 0, false,
                  "  name   n\n"
                  "  a      1\n"
                  "* b     20\n"
                  "  --------\n"
                  "  all   21\n");
    assert_prints(&t, 0, true,
                  "  \033[1mname   n\033[0m\n"
                  "  a      1\n"
                  "\033[33m* b     20\033[0m\n"
                  "  --------\n"
                  "  all   21\n");
    table_close(&t);
}

static void cells_from_files_do_no_harm(void **state)
{
    (void)state;
    static const struct table_column one[] = {{.title = "name"}};
    struct table t;
    char name[5000];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    table_open(&t, one, 1);
    table_row(&t);
    table_cell(&t, "%s", "\033]0;gotcha\a");
    table_row(&t);
    table_cell(&t, "%s", name);
    char *text = print(&t, 0, false);
    assert_memory_equal(text, "name\n?]0;gotcha?\n", 17);
    assert_non_null(strstr(text, name)); /* whole, where there is no width to keep */
    free(text);
    table_close(&t);
}

static void a_table_without_rows_has_titles(void **state)
{
    (void)state;
    struct table t;
    table_open(&t, columns, 2);
    assert_prints(&t, 80, false, "tensor  type\n");
    table_close(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(names_shrink_before_columns_go),
        cmocka_unit_test(every_width_is_kept),
        cmocka_unit_test(marks_and_totals_stand_out),
        cmocka_unit_test(cells_from_files_do_no_harm),
        cmocka_unit_test(a_table_without_rows_has_titles),
    };
    return cmocka_run_group_tests_name("table", tests, NULL, NULL);
}
