/* Chunks: every row once, in any number of threads, in pieces that end where pages do. */
#include "model/chunks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

struct seen {
    const struct chunk_rows *all;
    unsigned char *row; /* how often each was worked on */
    size_t most;
};

static void see(void *arg, size_t row, size_t rows, const struct chunk_scratch *s,
                struct chunk_part *part)
{
    (void)s;
    struct seen *seen = arg;
    for (size_t r = row; r < row + rows; r++)
        seen->row[r]++;
    part->different = rows;
    part->nonfinite = rows * seen->all->row_bytes > seen->most;
    const uint64_t end = seen->all->place + (uint64_t)(row + rows) * seen->all->row_bytes;
    /* counted as kept: a piece that ends less than a row before such a page */
    part->kept_rows = end % 65536 == 0 || end % 65536 > 65536 - seen->all->row_bytes;
}

static void every_row_is_worked_on_once(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 2, 7, 100, 1000, 4097}, cols[] = {1, 32, 1000, 70000};
    static const uint64_t places[] = {0, 1, 65535, 65536, 747520, 1u << 30};
    for (int threads = 1; threads <= 3; threads += 2) {
        struct pool *pool = NULL;
        struct chunks c;
        assert_true(pool_open(&pool, threads, NULL));
        for (size_t step = 1; step <= 8; step += 7) {
            assert_true(chunks_open(&c, pool, 70000, step, NULL));
            for (size_t i = 0; i < 6 * 4 * 6; i++) {
                const struct chunk_rows all = {.rows = rows[i % 6],
                                               .cols = cols[i / 6 % 4],
                                               .row_bytes = cols[i / 6 % 4],
                                               .place = places[i / 24]};
                struct seen seen = {&all, calloc(all.rows, 1), SIZE_MAX};
                struct chunk_part total = {0};
                assert_true(chunks_for(&c, &all, see, &seen, NULL, &total, NULL));
                assert_int_equal(total.different, all.rows);
                for (size_t r = 0; r < all.rows; r++)
                    assert_int_equal(seen.row[r], 1);
                free(seen.row);
            }
            chunks_close(&c);
        }
        pool_close(pool);
    }
}

static void pieces_of_a_file_end_with_its_pages(void **state)
{
    (void)state;
    struct pool *pool = NULL;
    struct chunks c;
    assert_true(pool_open(&pool, 2, NULL));
    assert_true(chunks_open(&c, pool, 1024, 1, NULL));
    /* Q4_0, Q8_0, F16, F32 */
    static const size_t row_bytes[] = {576, 1088, 2048, 4096}, stretch[] = {1, 1, 2, 4};
    for (size_t i = 0; i < 4; i++) {
        const struct chunk_rows all = {
            .rows = 5000, .cols = 1024, .row_bytes = row_bytes[i], .place = 747520};
        const uint64_t stretches = stretch[i] * 65536, end = 747520 + 5000 * (uint64_t)row_bytes[i];
        struct seen seen = {&all, calloc(all.rows, 1), stretches + row_bytes[i]};
        struct chunk_part total = {0};
        assert_true(chunks_for(&c, &all, see, &seen, NULL, &total, NULL));
        assert_true(total.nonfinite == 0); /* none is larger */
        const uint64_t inner = (end - 1) / stretches - 747520 / stretches;
        assert_in_range(total.kept_rows, inner, inner + 1);
        free(seen.row);
    }
    chunks_close(&c);
    pool_close(pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_row_is_worked_on_once),
        cmocka_unit_test(pieces_of_a_file_end_with_its_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
