/* block.h - the quantized blocks as they lie in a file, byte for byte.
 *
 * Each struct is drawn and its size asserted; formulas give the value of weight
 * i of a block from its stored parts.  d and m are fp16 (core/half.h).  Sources:
 * the GGUF specification and the structs that ggml reads these files with.
 * Sizes and element counts are read from here by core/dtype.c and nowhere else.
 */
#ifndef CORE_BLOCK_H
#define CORE_BLOCK_H

#include <assert.h>
#include <stdint.h>

static_assert(sizeof(float) == 4, "blocks hold IEEE single floats");
#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "quern reads its blocks in place: a little-endian machine is needed"
#endif

enum {
    BLOCK_ELEMS = 32,  /* the legacy types, IQ4_NL, MXFP4 */
    SUPER_ELEMS = 256, /* the K, IQ and TQ types: one super-block */
    K_SCALE_BYTES = 12 /* packed 6-bit scales of Q3_K, Q4_K, Q5_K */
};

/* Nibbles of the 32-element types: byte j holds weight j low, weight j + 16 high. */

/* | d | 16 x 2 nibbles |                    d * (q - 8) */
struct block_q4_0 {
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(struct block_q4_0) == 18, "q4_0");

/* | d | m | 16 x 2 nibbles |                d * q + m */
struct block_q4_1 {
    uint16_t d, m;
    uint8_t qs[16];
};
static_assert(sizeof(struct block_q4_1) == 20, "q4_1");

/* | d | 32 high bits | 16 x 2 nibbles |     d * (q - 16); bit i of qh is bit 4 of weight i */
struct block_q5_0 {
    uint16_t d;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(struct block_q5_0) == 22, "q5_0");

/* | d | m | 32 high bits | 16 x 2 nibbles | d * q + m */
struct block_q5_1 {
    uint16_t d, m;
    uint8_t qh[4];
    uint8_t qs[16];
};
static_assert(sizeof(struct block_q5_1) == 24, "q5_1");

/* | d | 32 x int8 |                         d * q */
struct block_q8_0 {
    uint16_t d;
    int8_t qs[32];
};
static_assert(sizeof(struct block_q8_0) == 34, "q8_0");

/* 16 blocks of 16: scales[b] = sc (low nibble), m (high).   d * sc * q - dmin * m
 * qs: weight i = 128 h + 32 s + j (h < 2, s < 4, j < 32) is bits 2s of qs[32 h + j]. */
struct block_q2_k {
    uint8_t scales[16];
    uint8_t qs[64];
    uint16_t d, dmin;
};
static_assert(sizeof(struct block_q2_k) == 84, "q2_K");

/* 16 blocks of 16, sc in -32..31 stored + 32 as six bits.   d * sc * (q - 4), q = 0..7
 * qs as in Q2_K holds the low two bits; bit 4h + s of hmask[j] the third. */
struct block_q3_k {
    uint8_t hmask[32];
    uint8_t qs[64];
    uint8_t scales[K_SCALE_BYTES];
    uint16_t d;
};
static_assert(sizeof(struct block_q3_k) == 110, "q3_K");

/* 8 blocks of 32, six-bit sc and m packed in scales.        d * sc * q - dmin * m
 * qs: byte 32 p + j (p < 4, j < 32) holds weight 64 p + j low, 64 p + 32 + j high. */
struct block_q4_k {
    uint16_t d, dmin;
    uint8_t scales[K_SCALE_BYTES];
    uint8_t qs[128];
};
static_assert(sizeof(struct block_q4_k) == 144, "q4_K");

/* As Q4_K with a fifth bit: bit b of qh[j] belongs to weight 32 b + j. */
struct block_q5_k {
    uint16_t d, dmin;
    uint8_t scales[K_SCALE_BYTES];
    uint8_t qh[32];
    uint8_t qs[128];
};
static_assert(sizeof(struct block_q5_k) == 176, "q5_K");

/* 16 blocks of 16, sc signed eight bits.                    d * sc * (q - 32)
 * Per half h: weights 128 h + {0, 32, 64, 96} + j have low nibbles in ql[64 h + j] low,
 * ql[64 h + 32 + j] low, then both high; bits 0, 2, 4, 6 of qh[32 h + j] on top. */
struct block_q6_k {
    uint8_t ql[128];
    uint8_t qh[64];
    int8_t scales[16];
    uint16_t d;
};
static_assert(sizeof(struct block_q6_k) == 210, "q6_K");

/* | d | 16 x 2 nibbles |                    d * values[q], sixteen non-linear values */
struct block_iq4_nl {
    uint16_t d;
    uint8_t qs[16];
};
static_assert(sizeof(struct block_iq4_nl) == 18, "iq4_nl");

/* 8 blocks of 32, six-bit sc stored + 32.                   d * (sc - 32) * values[q] */
struct block_iq4_xs {
    uint16_t d;
    uint16_t scales_h;
    uint8_t scales_l[4];
    uint8_t qs[128];
};
static_assert(sizeof(struct block_iq4_xs) == 136, "iq4_xs");

/* Ternary, five weights a byte in base 3 (the last 16 four a byte).   d * (q - 1) */
struct block_tq1_0 {
    uint8_t qs[48];
    uint8_t qh[4];
    uint16_t d;
};
static_assert(sizeof(struct block_tq1_0) == 54, "tq1_0");

/* Ternary, two bits each, laid out as the qs of Q2_K.       d * (q - 1) */
struct block_tq2_0 {
    uint8_t qs[64];
    uint16_t d;
};
static_assert(sizeof(struct block_tq2_0) == 66, "tq2_0");

/* | e | 16 x 2 nibbles |   2^(e - 127) * value of the e2m1 float q (OCP MX specification) */
struct block_mxfp4 {
    uint8_t e;
    uint8_t qs[16];
};
static_assert(sizeof(struct block_mxfp4) == 17, "mxfp4");

/* The codebook types: read, not written. */
struct block_iq2_xxs {
    uint16_t d;
    uint16_t qs[32];
};
static_assert(sizeof(struct block_iq2_xxs) == 66, "iq2_xxs");

struct block_iq2_xs {
    uint16_t d;
    uint16_t qs[32];
    uint8_t scales[8];
};
static_assert(sizeof(struct block_iq2_xs) == 74, "iq2_xs");

struct block_iq2_s {
    uint16_t d;
    uint8_t qs[64];
    uint8_t qh[8];
    uint8_t scales[8];
};
static_assert(sizeof(struct block_iq2_s) == 82, "iq2_s");

struct block_iq3_xxs {
    uint16_t d;
    uint8_t qs[96];
};
static_assert(sizeof(struct block_iq3_xxs) == 98, "iq3_xxs");

struct block_iq3_s {
    uint16_t d;
    uint8_t qs[64];
    uint8_t qh[8];
    uint8_t signs[32];
    uint8_t scales[4];
};
static_assert(sizeof(struct block_iq3_s) == 110, "iq3_s");

struct block_iq1_s {
    uint16_t d;
    uint8_t qs[32];
    uint16_t qh[8];
};
static_assert(sizeof(struct block_iq1_s) == 50, "iq1_s");

struct block_iq1_m {
    uint8_t qs[32];
    uint8_t qh[16];
    uint8_t scales[8];
};
static_assert(sizeof(struct block_iq1_m) == 56, "iq1_m");

#endif
