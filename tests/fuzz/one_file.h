/* one_file.h - a folder of the fuzzer's own, with one file, gone when it ends. */
#ifndef TESTS_FUZZ_ONE_FILE_H
#define TESTS_FUZZ_ONE_FILE_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char folder[64], path[80];

static void remove_folder(void)
{
    unlink(path);
    rmdir(folder);
}

static void expect(bool ok)
{
    if (!ok)
        abort();
}

/* In memory where the system has such a folder: each file is synced. */
static void make_folder(const char *name)
{
    strcpy(folder, "/dev/shm/quern-fuzz-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/quern-fuzz-XXXXXX");
        expect(mkdtemp(folder) != NULL);
    }
    snprintf(path, sizeof path, "%s/%s", folder, name);
    atexit(remove_folder);
}

#endif
