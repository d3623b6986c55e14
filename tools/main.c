/* main.c - quern: one program, one table of commands. */
#include "core/nearest.h"
#include "core/stop.h"
#include "core/version.h"
#include "tools/command.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct command *const commands[] = {
    &cmd_convert, &cmd_quantize, &cmd_verify,    &cmd_compare,  &cmd_inspect,
    &cmd_split,   &cmd_merge,    &cmd_codecs,    &cmd_tokenize, &cmd_eval,
    &cmd_run,     &cmd_bench,    &cmd_calibrate,
};
enum { COMMANDS = sizeof commands / sizeof commands[0] };

static const char version[] = "quern " QUERN_VERSION;

static void print_usage(FILE *to)
{
    fputs("usage: quern COMMAND [OPTION]... [FILE]...\n\n"
          "Language models to GGUF, quantized with less error at the same bytes, measured.\n\n",
          to);
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-10s %s\n", commands[i]->name, commands[i]->summary);
    fputs("\n`quern COMMAND --help` tells more.  To begin:\n\n"
          "  quern quantize path/to/model-folder -o model-Q4_K_M.gguf --type Q4_K_M\n",
          to);
}

static int exit_code(enum err_code code)
{
    return code == ERR_USAGE ? 2 : code == ERR_STOPPED ? 130 : 1;
}

static bool flush(struct err *err)
{
    return (fflush(stdout) == 0 && !ferror(stdout)) ||
           err_set(err, ERR_IO, "cannot write to standard output");
}

/* `--help` and `--version` of the program. */
static int printed(void)
{
    struct err err = {0};
    if (flush(&err))
        return 0;
    fprintf(stderr, "quern: %s\n", err.text);
    return exit_code(err.code);
}

static int run(const struct command *c, int argc, char **argv)
{
    struct err err = {0};
    if (c->run(c, argc, argv, &err) && flush(&err))
        return 0;
    /* Those of memory name what it was wanted for. */
    const bool bare = err.code == ERR_MEMORY && !strstr(err.text, "memory");
    fprintf(stderr, "quern %s: %s%s\n", c->name, bare ? "not enough memory: " : "", err.text);
    return exit_code(err.code);
}

static int unknown(const char *name)
{
    struct nearest nearest = {.word = name};
    for (size_t i = 0; i < COMMANDS; i++)
        nearest_offer(&nearest, commands[i]->name);
    const char *best = nearest_best(&nearest);
    fprintf(stderr, "quern: '%s' is no command%s%s%s; `quern --help` lists them\n", name,
            best ? "; did you mean '" : "", best ? best : "", best ? "'" : "");
    return 2;
}

/* OpenBLAS starts a thread a core when it is loaded, which looks for work for a tenth of a second
 * before it sleeps, in the way of the pool's.  It starts them anew when it has work for many. */
extern int blas_thread_shutdown_(void) __attribute__((weak));

/* A file that is written must not get the number of a stream that is closed.  Reading and writing
 * the stream fail as before. */
static void hold_streams(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY); /* the lowest: fd */
}

/* Exit codes: 0 done, 1 failed, 2 asked wrongly, 130 stopped by Ctrl-C. */
int main(int argc, char **argv)
{
    if (blas_thread_shutdown_)
        blas_thread_shutdown_();
    hold_streams();
    stop_on_signals();
    signal(SIGXFSZ, SIG_IGN); /* a file limit is then an error of write, with its sentence */
    if (argc < 2) {
        print_usage(stderr);
        return 2;
    }
    const char *name = argv[1];
    if (strcmp(name, "--version") == 0) {
        puts(version);
        return printed();
    }
    const bool help =
        strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0;
    if (help && argc == 2) {
        print_usage(stdout);
        return printed();
    }
    for (size_t i = 0; i < COMMANDS; i++) {
        char flag[] = "--help", *asked[] = {flag, NULL};
        if (help && strcmp(argv[2], commands[i]->name) == 0)
            return run(commands[i], 1, asked);
        if (strcmp(name, commands[i]->name) == 0)
            return run(commands[i], argc - 2, argv + 2);
    }
    return unknown(help ? argv[2] : name);
}
