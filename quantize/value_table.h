/* value_table.h - the small tables of values that codes stand for. */
#ifndef QUANTIZE_VALUE_TABLE_H
#define QUANTIZE_VALUE_TABLE_H

#include <stdint.h>

extern const int8_t iq4_values[16];   /* IQ4_NL, IQ4_XS: rising, non-linear */
extern const int8_t mxfp4_values[16]; /* MXFP4: e2m1 floats times two */

/* The codebooks.  An entry packs the codes of eight values (two bits each) or, for
 * IQ3, of four values (four bits each), the first value lowest. */
extern const uint16_t iq1_grid[2048]; /* code - 1 */
extern const uint16_t iq2_xxs_grid[256];
extern const uint16_t iq2_xs_grid[512];
extern const uint16_t iq2_s_grid[1024];
extern const uint16_t iq3_xxs_grid[256];
extern const uint16_t iq3_s_grid[512];

#endif
