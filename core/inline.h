/* inline.h - two words of kernels: a loop over registers, whose numbers must be constants, and a
 * function that must dissolve in its caller. */
#ifndef CORE_INLINE_H
#define CORE_INLINE_H

#define UNROLL _Pragma("GCC unroll 16")
#define INLINE static inline __attribute__((always_inline))

#endif
