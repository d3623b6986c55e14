#include "formats/calib_layout.h"

#include <hdf5.h>
#include <stdarg.h>
#include <stdio.h>

void calib_hdf5_quiet(void)
{
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLset_loading_state(0);
}

void calib_hdf5_drop(int64_t handle)
{
    if (handle >= 0)
        H5Idec_ref(handle);
}

/* The first entry of the stack is where the fault was found. */
static herr_t keep_first(unsigned n, const H5E_error2_t *e, void *arg)
{
    const char **why = arg;
    if (n == 0)
        *why = e->desc;
    return 0;
}

bool calib_hdf5_fail(struct err *err, enum err_code code, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    const char *why = NULL;
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    H5Ewalk2(H5E_DEFAULT, H5E_WALK_UPWARD, keep_first, &why);
    err_set(err, code, "%s%s%s%s", text, why ? " (HDF5: " : "", why ? why : "", why ? ")" : "");
    H5Eclear2(H5E_DEFAULT);
    return false;
}
