/* A file appears whole or not at all. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/map.h"
#include "core/sink.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/quern-sink-XXXXXX";
static char path[64], temporary[64];

static bool exists(const char *name)
{
    struct stat st;
    return stat(name, &st) == 0;
}

static int make_folder(void **state)
{
    (void)state;
    if (!mkdtemp(folder))
        return -1;
    snprintf(path, sizeof path, "%s/out", folder);
    snprintf(temporary, sizeof temporary, "%s/out.tmp", folder);
    return 0;
}

static int remove_folder(void **state)
{
    (void)state;
    remove(path);
    remove(temporary);
    return rmdir(folder);
}

static void committed_file_is_whole(void **state)
{
    (void)state;
    struct sink s;
    struct err err = {0};
    struct map m;
    assert_true(sink_open(&s, path, false, 0, &err));
    assert_true(sink_write(&s, "abc", 3, &err));
    assert_true(sink_pad(&s, 32, &err));
    assert_true(sink_write_at(&s, 32, "xyz", 3, &err));
    assert_false(exists(path));
    assert_true(sink_commit(&s, &err));
    assert_false(exists(temporary));
    assert_true(map_open(&m, path, &err));
    assert_int_equal(m.size, 35);
    assert_memory_equal(m.data, "abc\0\0", 5);
    assert_memory_equal(m.data + 32, "xyz", 3);
    map_close(&m);
}

static void uncommitted_file_is_gone(void **state)
{
    (void)state;
    struct sink s;
    struct err err = {0};
    remove(path);
    assert_true(sink_open(&s, path, false, 0, &err));
    assert_true(sink_write(&s, "abc", 3, &err));
    sink_close(&s);
    sink_close(&s);
    assert_false(exists(path));
    assert_false(exists(temporary));
}

static void existing_file_needs_force(void **state)
{
    (void)state;
    struct sink s;
    struct err err = {0};
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    fclose(f);
    assert_false(sink_open(&s, path, false, 0, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "--force"));
    assert_true(sink_open(&s, path, true, 0, &err));
    sink_close(&s);
    assert_true(exists(path));
}

static void too_large_is_refused_before_work(void **state)
{
    (void)state;
    struct sink s;
    struct err err = {0};
    assert_false(sink_open(&s, path, true, UINT64_MAX / 2, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_false(exists(temporary));
}

static void missing_folder_is_named(void **state)
{
    (void)state;
    struct sink s;
    struct err err = {0};
    assert_false(sink_open(&s, "/nowhere/at/all", false, 0, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
}

/* Locks are a process's: the second writer is another one. */
static void second_writer_is_refused(void **state)
{
    (void)state;
    struct sink s, other;
    struct err err = {0};
    assert_true(sink_open(&s, path, true, 0, &err));
    const pid_t child = fork();
    if (child == 0)
        _exit(!sink_open(&other, path, true, 0, &err) && strstr(err.text, "another run") ? 0 : 1);
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_true(exists(temporary));
    sink_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(committed_file_is_whole),
        cmocka_unit_test(uncommitted_file_is_gone),
        cmocka_unit_test(existing_file_needs_force),
        cmocka_unit_test(too_large_is_refused_before_work),
        cmocka_unit_test(missing_folder_is_named),
        cmocka_unit_test(second_writer_is_refused),
    };
    return cmocka_run_group_tests_name("sink", tests, make_folder, remove_folder);
}
