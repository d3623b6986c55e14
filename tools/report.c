#include "tools/report.h"

#include "core/utf8.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *number(double v) { return isfinite(v) ? json_real(v) : json_null(); }

void report_figures(json_t *to, const struct error_figures *f)
{
    json_object_set_new(to, "mse", number(f->mse));
    json_object_set_new(to, "rmse", number(f->rmse));
    json_object_set_new(to, "snr_db", number(f->snr_db));
    json_object_set_new(to, "max_error", number(f->max_abs));
    if (!isnan(f->weighted_mse))
        json_object_set_new(to, "weighted_mse", number(f->weighted_mse));
}

void report_tensor(json_t *to, const struct tensor *t, const struct dtype *d)
{
    json_t *shape = json_array();
    for (int i = 0; i < t->dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)t->shape[i]));
    json_object_set_new(to, "type", json_string(d->name));
    json_object_set_new(to, "shape", shape);
    json_object_set_new(to, "weights", json_integer((json_int_t)tensor_elems(t)));
}

const char *report_snr(const struct error_figures *f, char text[REPORT_TEXT])
{
    if (f->mse == 0.0)
        snprintf(text, REPORT_TEXT, "exact");
    else
        snprintf(text, REPORT_TEXT, "%.2f", f->snr_db);
    return text;
}

void report_mark_worst(const struct error_figures *f, size_t count, size_t most, bool *marked)
{
    for (size_t n = 0; n < most; n++) {
        size_t worst = count;
        for (size_t i = 0; i < count; i++)
            if (!marked[i] && f[i].mse > 0.0 && (worst == count || f[i].snr_db < f[worst].snr_db))
                worst = i;
        if (worst == count)
            return;
        marked[worst] = true;
    }
}

json_t *report_bytes(const char *bytes, size_t length, struct err *err)
{
    static const char replacement[] = "\ufffd";
    char *valid = malloc(3 * length + 1), *to = valid; /* three bytes for each at most */
    for (size_t at = 0; valid && at < length;) {
        const size_t n = utf8_valid(bytes + at, length - at);
        memcpy(to, bytes + at, n);
        to += n;
        at += n;
        if (at++ < length) {
            memcpy(to, replacement, sizeof replacement - 1);
            to += sizeof replacement - 1;
        }
    }
    json_t *string = valid ? json_stringn(valid, (size_t)(to - valid)) : NULL;
    free(valid);
    if (!string)
        err_set(err, ERR_MEMORY, "no memory for a text of %zu bytes", length);
    return string;
}

bool report_print(const json_t *report, struct err *err)
{
    if (json_dumpf(report, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9)) != 0 ||
        puts("") == EOF || fflush(stdout) != 0)
        return err_set(err, ERR_IO, "cannot write the report to standard output");
    return true;
}
