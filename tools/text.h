/* text.h - text that came from a file, made fit to stand in a terminal's line. */
#ifndef TOOLS_TEXT_H
#define TOOLS_TEXT_H

#include <stddef.h>

/* Columns that a terminal takes for it; what is no UTF-8 or no printable letter counts as the one
 * '?' that text_fit makes of it. */
int text_width(const char *text);

/* Copies text into out, with '?' for control characters and broken UTF-8, and "…" in the middle
 * where it takes more than `width` columns (or more than `room` bytes).  Returns out. */
const char *text_fit(const char *text, int width, char *out, size_t room);

#endif
