#if defined(GPPERF_IMPLEMENTATION) && !defined(GPPERF_IMPLEMENTED)
#define GPPERF_IMPLEMENTED

#include <float.h>
#include <math.h>
#include <string.h>

#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "gpperf must be compiled without -ffast-math: its answers are those of IEEE 754, to the last bit"
#endif
#if defined(__ASSOCIATIVE_MATH__) || defined(__RECIPROCAL_MATH__) || \
    (defined(__FINITE_MATH_ONLY__) && __FINITE_MATH_ONLY__)
#error "gpperf must be compiled without -fassociative-math, -freciprocal-math, -ffinite-math-only"
#endif
/* 16 is 0 with a wider rule for _Float16, which is not used. */
#if !defined(FLT_EVAL_METHOD) || (FLT_EVAL_METHOD != 0 && FLT_EVAL_METHOD != 16)
#error "gpperf needs a compiler that rounds each operation to its type: on 32-bit x86, -msse2 -mfpmath=sse"
#endif

/* A product and a sum must not become one operation. gcc does not know C99's pragma for that; clang
   knows it inside of functions, and no pragma helps against its -ffp-contract=fast. */
#if defined(__clang__) && __clang_major__ >= 13
#define GPPERF__EXACT _Pragma("STDC FP_CONTRACT OFF") _Pragma("clang fp reassociate(off)")
#elif defined(__clang__)
#define GPPERF__EXACT _Pragma("STDC FP_CONTRACT OFF")
#else
#define GPPERF__EXACT
#if defined(__GNUC__)
#pragma GCC push_options
#pragma GCC optimize("fp-contract=off")
#pragma GCC diagnostic push
/* Found in gcc's own headers of vectors. */
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#elif defined(_MSC_VER)
#pragma fp_contract(off)
#endif
#endif

/* Vectors that are used where the processor has them: 2 for AVX-512 VBMI, AVX2, NEON and others, 1 for
   AVX2 and NEON at most, 0 for none. The answers are the same. */
#ifndef GPPERF_SIMD
#define GPPERF_SIMD 2
#endif
#if GPPERF_SIMD > 0 && defined(__x86_64__) && defined(__GNUC__)
#define GPPERF__X86 1
#include <immintrin.h>
#define GPPERF__AVX2 __attribute__((target("avx2,popcnt")))
#if defined(__clang__)
#define GPPERF__UNROLL
#else
#define GPPERF__UNROLL _Pragma("GCC unroll 8")
#endif
#define GPPERF__VBMI __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,bmi")))
#elif GPPERF_SIMD > 0 && defined(__aarch64__) && defined(__ARM_NEON) && defined(__GNUC__)
#define GPPERF__NEON 1
#include <arm_neon.h>
#endif

#if defined(__GNUC__)
#define GPPERF__INLINE __attribute__((always_inline)) static inline
#define GPPERF__RARE __attribute__((noinline, cold))
#define GPPERF__LINES __attribute__((aligned(64)))
#else
#define GPPERF__RARE
#define GPPERF__LINES
#define GPPERF__INLINE static
#endif

#ifdef __cplusplus
extern "C" {
#endif

#ifdef GPPERF_STATIC
#define GPPERF__DEF GPPERF_DEF
#else
#define GPPERF__DEF
#endif
