/* utf8.h - where characters begin and end in bytes that may be anything.
 *
 * "Well formed" is Unicode's table 3-7: no overlong forms, no surrogates, nothing
 * beyond U+10FFFF.
 */
#ifndef CORE_UTF8_H
#define CORE_UTF8_H

#include <stddef.h>

/* Bytes of the well-formed character at text[0..size): 1 to 4; 0 where there is none. */
size_t utf8_length(const char *text, size_t size);

/* Bytes from the beginning up to the first that belongs to no well-formed character. */
size_t utf8_valid(const char *text, size_t size);

/* Bytes at the end (0 to 3) that begin a well-formed character but do not end it. */
size_t utf8_unfinished(const char *text, size_t size);

#endif
