/* fixture.h - cmocka's setup and teardown around a scratch folder: *state is a struct scratch. */
#ifndef TESTS_FORMATS_FIXTURE_H
#define TESTS_FORMATS_FIXTURE_H

#include "tests/formats/scratch.h"

static inline int fixture_open(void **state)
{
    struct scratch *s = calloc(1, sizeof *s);
    if (s)
        scratch_open(s);
    *state = s;
    return s ? 0 : -1;
}

static inline int fixture_close(void **state)
{
    scratch_close(*state);
    free(*state);
    return 0;
}

/* How many files the folder holds. */
static inline int fixture_files(const struct scratch *s)
{
    int files = 0;
    DIR *dir = opendir(s->folder);
    for (const struct dirent *d; dir && (d = readdir(dir));)
        files += d->d_name[0] != '.';
    if (dir)
        closedir(dir);
    return files;
}

#define FIXTURE_TEST(test) cmocka_unit_test_setup_teardown(test, fixture_open, fixture_close)

#endif
