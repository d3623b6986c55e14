#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tools/term.h"
#include "tools/text.h"

#include <stdlib.h>
#include <string.h>

static void numbers_have_human_units(void **state)
{
    (void)state;
    char t[TERM_TEXT];
    assert_string_equal(term_size(0, t), "0 B");
    assert_string_equal(term_size(999, t), "999 B");
    assert_string_equal(term_size(1000, t), "0.98 KiB");
    assert_string_equal(term_size(1536, t), "1.50 KiB");
    assert_string_equal(term_size(1023 * 1024, t), "1.00 MiB");
    assert_string_equal(term_size(4692413645, t), "4.37 GiB");
    assert_string_equal(term_size(UINT64_MAX, t), "16.0 EiB");
    assert_string_equal(term_count(291, t), "291");
    assert_string_equal(term_count(999999, t), "1.00 M");
    assert_string_equal(term_count(5825000, t), "5.83 M");
    assert_string_equal(term_count(8030261248, t), "8.03 B");
    assert_string_equal(term_count(45600, t), "45.6 k");
    assert_string_equal(term_duration(0, t), "0.00 s");
    assert_string_equal(term_duration(0.4213, t), "0.42 s");
    assert_string_equal(term_duration(9.996, t), "10.0 s");
    assert_string_equal(term_duration(59.96, t), "1 min 00 s");
    assert_string_equal(term_duration(125, t), "2 min 05 s");
    assert_string_equal(term_duration(3599.6, t), "1 h 00 min");
    assert_string_equal(term_duration(12000, t), "3 h 20 min");
    assert_string_equal(term_duration(1e300, t), "for ever");
}

static void width_is_what_columns_says(void **state)
{
    (void)state;
    FILE *f = tmpfile();
    assert_non_null(f);
    setenv("COLUMNS", "123", 1);
    assert_int_equal(term_width(f), 123);
    setenv("COLUMNS", "1", 1);
    assert_int_equal(term_width(f), 20);
    setenv("COLUMNS", "wide", 1);
    assert_int_equal(term_width(f), 80);
    unsetenv("COLUMNS");
    assert_int_equal(term_width(f), 80);
    assert_false(term_is_tty(f));
    assert_false(term_has_colour(f));
    fclose(f);
}

static void text_is_cut_in_its_middle(void **state)
{
    (void)state;
    char out[64];
    assert_string_equal(text_fit("blk.0.ffn_up", 12, out, sizeof out), "blk.0.ffn_up");
    assert_string_equal(text_fit("blk.0.ffn_up", 11, out, sizeof out), "blk.0…fn_up");
    assert_string_equal(text_fit("blk.0.ffn_up", 6, out, sizeof out), "blk…up");
    assert_string_equal(text_fit("blk.0.ffn_up", 1, out, sizeof out), "…");
    assert_string_equal(text_fit("blk.0.ffn_up", 0, out, sizeof out), "");
    assert_string_equal(text_fit("", 0, out, sizeof out), "");
    assert_string_equal(text_fit("猫猫猫猫", 8, out, sizeof out),
                        "猫猫猫猫"); /* two columns each */
    assert_string_equal(text_fit("猫猫猫猫", 7, out, sizeof out), "猫…猫");
    for (int width = 0; width < 40; width++)
        assert_true(text_width(text_fit("α▁ニューラルネットワーク e\xcc\x81", width, out,
                                        sizeof out)) <= width);
}

static void what_is_not_text_does_no_harm(void **state)
{
    (void)state;
    char out[64], small[9], many[400] = "";
    assert_string_equal(text_fit("a\x1b[31mb\n\x7f", 20, out, sizeof out), "a?[31mb??");
    assert_string_equal(text_fit("\xff\xc3+\xe2\x82", 20, out, sizeof out), "??+??");
    assert_int_equal(text_width("\xff\xc3+\xe2\x82"), 5);
    for (int i = 0; i < 130; i++) /* combining marks take no columns, but bytes */
        strcat(many, "e\xcc\x81");
    text_fit(many, 200, out, sizeof out);
    assert_true(strlen(out) < sizeof out);
    text_fit(many, 200, small, sizeof small);
    assert_true(strlen(small) < sizeof small);
}

static double now;
static double tell_time(void) { return now; }

/* A progress that writes into text. */
static FILE *open_progress(struct term_progress *p, bool tty, int width, char **text, size_t *size)
{
    FILE *f = open_memstream(text, size);
    assert_non_null(f);
    term_progress_open(p, false);
    p->to = f;
    p->tty = tty;
    p->width = width;
    p->clock = tell_time;
    p->base.total = 1000000000;
    now = 100;
    return f;
}

static void bar_shows_share_rate_and_time_left(void **state)
{
    (void)state;
    struct term_progress p;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_progress(&p, true, 90, &text, &size);
    progress_step(&p.base, "first", 0);
    now += 2;
    progress_step(&p.base, "blk.0.attn_q.weight", 250000000);
    fflush(f);
    assert_string_equal(text, "\r[#####---------------]  25 %   125 MB/s  6.00 s left"
                              "  blk.0.attn_q.weight\033[K");
    progress_step(&p.base, "last", 750000000); /* done: off the line */
    fclose(f);
    assert_non_null(strstr(text, "\033[K\r\033[K"));
    assert_false(p.drawn);
    free(text);
}

static void what_has_no_name_has_no_rate(void **state)
{
    (void)state;
    struct term_progress p;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_progress(&p, true, 90, &text, &size);
    p.base.unit = "";
    progress_step(&p.base, "first", 0);
    now += 2;
    progress_step(&p.base, "blk.0.attn_q.weight", 250000000);
    fclose(f);
    assert_string_equal(text,
                        "\r[#####---------------]  25 %  6.00 s left  blk.0.attn_q.weight\033[K");
    free(text);
}

static void bar_is_redrawn_ten_times_a_second_at_most(void **state)
{
    (void)state;
    struct term_progress p;
    char *text = NULL;
    size_t size = 0, draws = 0;
    FILE *f = open_progress(&p, true, 40, &text, &size);
    for (int i = 0; i < 1000; i++) {
        now += 0.001;
        progress_step(&p.base, "a name that is much too long for so narrow a line", 1000);
    }
    term_progress_close(&p);
    fclose(f);
    for (const char *at = text; (at = strchr(at, '\r')); at++) {
        draws++;
        assert_true(strcspn(at + 1, "\033") < 40);
    }
    assert_in_range(draws, 9, 11); /* the last takes it off the line */
    free(text);
}

static void a_file_gets_few_plain_lines(void **state)
{
    (void)state;
    struct term_progress p;
    char *text = NULL;
    size_t size = 0, lines = 0;
    FILE *f = open_progress(&p, false, 0, &text, &size);
    progress_step(&p.base, "name", 0);
    for (int i = 0; i < 1000; i++) {
        now += 0.1;
        progress_step(&p.base, "name", 1000000);
    }
    term_progress_close(&p);
    fclose(f);
    for (const char *at = text; (at = strchr(at, '\n')); at++)
        lines++;
    assert_int_equal(lines, 9);
    assert_null(strchr(text, '\033'));
    assert_memory_equal(text, " 10 %    10 MB/s  1 min 30 s left  name\n", 39);
    free(text);
}

static void new_work_starts_anew_and_quiet_is_quiet(void **state)
{
    (void)state;
    struct term_progress p;
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_progress(&p, true, 90, &text, &size);
    progress_step(&p.base, "a", 0);
    now += 50;
    progress_step(&p.base, "a", 1000000000);
    p.base.done = 0;
    progress_step(&p.base, "b", 0);
    now += 1;
    progress_step(&p.base, "b", 100000000);
    term_progress_close(&p);
    fclose(f);
    assert_non_null(strstr(text, " 10 %   100 MB/s  9.00 s left  b"));
    free(text);
    term_progress_open(&p, true);
    assert_null(p.base.show);
    progress_step(&p.base, "c", 1);
    term_progress_close(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_human_units),
        cmocka_unit_test(width_is_what_columns_says),
        cmocka_unit_test(text_is_cut_in_its_middle),
        cmocka_unit_test(what_is_not_text_does_no_harm),
        cmocka_unit_test(bar_shows_share_rate_and_time_left),
        cmocka_unit_test(what_has_no_name_has_no_rate),
        cmocka_unit_test(bar_is_redrawn_ten_times_a_second_at_most),
        cmocka_unit_test(a_file_gets_few_plain_lines),
        cmocka_unit_test(new_work_starts_anew_and_quiet_is_quiet),
    };
    return cmocka_run_group_tests_name("term", tests, NULL, NULL);
}
