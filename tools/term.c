#include "tools/term.h"

#include "core/clock.h"

#include "tools/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

/* Three digits that mean something: "4.37", "43.7", "437". */
static void print_three(char text[TERM_TEXT], double value, const char *unit)
{
    const int places = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
    snprintf(text, TERM_TEXT, "%.*f %s", places, value, unit);
}

static const char *print_scaled(char text[TERM_TEXT], uint64_t number, double step,
                                const char *const *unit, size_t units)
{
    double value = (double)number;
    size_t u = 0;
    for (; value >= 999.5 && u + 1 < units; u++)
        value /= step;
    if (u > 0)
        print_three(text, value, unit[u]);
    else
        snprintf(text, TERM_TEXT, "%.0f%s", value, unit[0]);
    return text;
}

const char *term_size(uint64_t bytes, char text[TERM_TEXT])
{
    static const char *const units[] = {" B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    return print_scaled(text, bytes, 1024, units, sizeof units / sizeof units[0]);
}

const char *term_count(uint64_t count, char text[TERM_TEXT])
{
    static const char *const units[] = {"", "k", "M", "B", "T"};
    return print_scaled(text, count, 1000, units, sizeof units / sizeof units[0]);
}

const char *term_duration(double seconds, char text[TERM_TEXT])
{
    if (!(seconds < 1e9))
        snprintf(text, TERM_TEXT, "for ever");
    else if (seconds < 9.995)
        snprintf(text, TERM_TEXT, "%.2f s", seconds > 0 ? seconds : 0);
    else if (seconds < 59.95)
        snprintf(text, TERM_TEXT, "%.1f s", seconds);
    else if (seconds < 3599.5)
        snprintf(text, TERM_TEXT, "%ld min %02ld s", lround(seconds) / 60, lround(seconds) % 60);
    else
        snprintf(text, TERM_TEXT, "%ld h %02ld min", lround(seconds / 60) / 60,
                 lround(seconds / 60) % 60);
    return text;
}

bool term_is_tty(FILE *f)
{
    const int fd = fileno(f);
    return fd >= 0 && isatty(fd);
}

/* Does it know control sequences? */
static bool has_controls(FILE *f)
{
    const char *term = getenv("TERM");
    return term_is_tty(f) && !(term && strcmp(term, "dumb") == 0);
}

bool term_has_colour(FILE *f)
{
    const char *no = getenv("NO_COLOR");
    return has_controls(f) && !(no && *no);
}

int term_width(FILE *f)
{
    enum { WIDTH_MIN = 20, WIDTH_MAX = 10000 };
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    long width = columns ? strtol(columns, NULL, 10) : 0;
    if (width <= 0 && term_is_tty(f) && ioctl(fileno(f), TIOCGWINSZ, &size) == 0)
        width = size.ws_col;
    if (width <= 0)
        return 80;
    return (int)(width < WIDTH_MIN ? WIDTH_MIN : width > WIDTH_MAX ? WIDTH_MAX : width);
}

/* "42 %  312 MB/s  1 min 05 s left", or without a known end "5.20 MiB  312 MB/s"; in tokens
 * "42 %  512 tokens/s  1 min 05 s left"; in what has no name "42 %  1 min 05 s left". */
static void print_state(const struct term_progress *p, double seconds, char *text, size_t room)
{
    const double done = (double)p->base.done, total = (double)p->base.total;
    const double rate = seconds > 0 ? done / seconds : 0;
    const char *unit = p->base.unit ? p->base.unit : "MB";
    char part[TERM_TEXT];
    const double shown = p->base.unit ? rate : rate / 1e6;
    const char *left = rate > 0 ? term_duration((total - done) / rate, part) : "?";
    if (total > 0 && *unit)
        snprintf(text, room, "%3.0f %%  %4.0f %s/s  %s left", floor(100 * done / total), shown,
                 unit, left);
    else if (total > 0)
        snprintf(text, room, "%3.0f %%  %s left", floor(100 * done / total), left);
    else
        snprintf(text, room, "%s  %.0f %s/s",
                 (p->base.unit ? term_count : term_size)(p->base.done, part), shown, unit);
}

/* [#########-----------]  42 %  312 MB/s  1 min 05 s left  blk.3.ffn_up.weight */
static void draw_bar(struct term_progress *p, const char *state, const char *what)
{
    enum { BAR = 20, BAR_MIN_WIDTH = 70 };
    const int width = (p->width ? p->width : term_width(p->to)) - 1;
    char name[256], bar[BAR + 1] = "";
    int used = text_width(state);
    fputc('\r', p->to);
    if (p->base.total && width >= BAR_MIN_WIDTH) {
        const double part = (double)p->base.done / (double)p->base.total;
        const int full = (int)(BAR * (part < 1 ? part : 1));
        for (int i = 0; i < BAR; i++)
            bar[i] = i < full ? '#' : '-';
        used += fprintf(p->to, "[%s] ", bar);
    }
    if (used <= width)
        fputs(state, p->to);
    if (used + 10 < width)
        fprintf(p->to, "  %s", text_fit(what, width - used - 2, name, sizeof name));
    fputs("\033[K", p->to);
    fflush(p->to);
    p->drawn = true;
}

static void draw_line(struct term_progress *p, const char *state, const char *what)
{
    char name[256];
    fprintf(p->to, "%s  %s\n", state, text_fit(what, 100, name, sizeof name));
    fflush(p->to);
}

static bool is_due(const struct term_progress *p, double now)
{
    enum { LINE_SECONDS = 5, LINE_SECONDS_MAX = 60 };
    const double since = now - p->shown;
    if (p->tty)
        return since >= 0.1;
    return since >= LINE_SECONDS_MAX ||
           (since >= LINE_SECONDS && p->base.total && p->base.done - p->told >= p->base.total / 10);
}

static void show(struct progress *base, const char *what)
{
    struct term_progress *p = base->context;
    const double now = p->clock();
    if (p->start < 0 || base->done < p->seen) {
        p->start = p->shown = now;
        p->told = 0;
    }
    p->seen = base->done;
    if (base->total && base->done >= base->total) {
        term_progress_clear(p);
        return;
    }
    if (!is_due(p, now))
        return;
    char state[96];
    print_state(p, now - p->start, state, sizeof state);
    if (p->tty)
        draw_bar(p, state, what ? what : "");
    else
        draw_line(p, state, what ? what : "");
    p->shown = now;
    p->told = base->done;
}

void term_progress_open(struct term_progress *p, bool quiet)
{
    *p = (struct term_progress){.clock = clock_seconds, .start = -1};
    if (quiet)
        return;
    p->to = stderr;
    p->tty = has_controls(stderr);
    p->base = (struct progress){.show = show, .context = p};
}

void term_progress_clear(struct term_progress *p)
{
    if (p->drawn) {
        fputs("\r\033[K", p->to);
        fflush(p->to);
    }
    p->drawn = false;
}

void term_progress_close(struct term_progress *p)
{
    term_progress_clear(p);
    *p = (struct term_progress){0};
}
