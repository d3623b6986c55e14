/* calib_report.h - what a calib.h5 holds, as a table or JSON. */
#ifndef TOOLS_CALIB_REPORT_H
#define TOOLS_CALIB_REPORT_H

#include "formats/calib_store.h"

/* On stdout: what the file says of itself, and a line an input with its coverage.  Fails with ERR_IO
 * or ERR_MEMORY. */
bool calib_report_print(const struct calib_store *s, bool json, struct err *err);

#endif
