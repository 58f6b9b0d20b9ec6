#ifndef GPPERF_INCLUDED
#define GPPERF_INCLUDED

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#ifdef GPPERF_STATIC
#if defined(__GNUC__)
#define GPPERF_DEF __attribute__((unused)) static
#else
#define GPPERF_DEF static
#endif
#else
#define GPPERF_DEF extern
#endif

@CONSTANTS@

enum { @DTYPES@ };

/* Layouts of A and B: n is column-major, t is row-major. */
enum { GPPERF_NN, GPPERF_NT, GPPERF_TN, GPPERF_TT };

/* In place of a kernel: the one that the Python package takes where none is asked for. */
enum { GPPERF_DEFAULT = -1 };

enum { GPPERF_RUNTIME, GPPERF_ENERGY, GPPERF_EDP, GPPERF_POWER };

/* The largest part of the physical model's time. */
enum { GPPERF_COMPUTE, GPPERF_MEMORY, GPPERF_LATENCY };

/* What was timed: not stated; the GEMM alone; the quantising of A as well; a layer of an engine. */
enum { GPPERF_NOT_STATED, GPPERF_GEMM, GPPERF_QUANTISE_AND_GEMM, GPPERF_LAYER };

/* Bits of `outside`: in which respect nothing like the GEMM was measured. 0: it is in the domain. */
enum {
    GPPERF_OUTSIDE_M = 1,
    GPPERF_OUTSIDE_N = 2,
    GPPERF_OUTSIDE_K = 4,
    GPPERF_OUTSIDE_BATCH = 8,
    GPPERF_OUTSIDE_RUNTIME = 16,
    GPPERF_OUTSIDE_MEMORY = 32, /* A, B and C do not fit in the memory of the GPU */
    GPPERF_OUTSIDE_LAYOUT = 64,
    GPPERF_OUTSIDE_BETA = 128,
    GPPERF_STAND_IN = 256, /* the dtype was not measured: another stands in for it */
    GPPERF_REMARK = 512    /* the model's remarks hold, which are at the top of this file */
};

/* Results of functions: 0, or the reason why nothing was predicted; gpperf_strerror has the text. */
enum {
    GPPERF_OK,
    GPPERF_ERROR_SIZE,
    GPPERF_ERROR_DTYPE,
    GPPERF_ERROR_LAYOUT,
    GPPERF_ERROR_BETA,
    GPPERF_ERROR_KERNEL,
    GPPERF_ERROR_ALIGNMENT,
    GPPERF_ERROR_CONFIDENCE,
    GPPERF_ERROR_OBJECTIVE,
    GPPERF_ERROR_POWER,
    GPPERF_ERROR_TIMED,
    GPPERF_ERROR_NO_KERNEL
};

/* C[m, n] = alpha * A[m, k] B[k, n] + beta * C, `batch` times. Whether beta is 0 decides whether C
   is read. */
typedef struct gpperf_gemm {
    int32_t m, n, k, batch;
    int32_t dtype, layout;
    double beta;
} gpperf_gemm;

/* In seconds, watts and joules; what the model does not know is NaN. The ends of intervals hold at
   the confidence that was asked for. */
typedef struct gpperf_prediction {
    double runtime_s, runtime_low_s, runtime_high_s;
    double sustained_runtime_s; /* of one launch among many, under the power cap */
    double power_w, power_low_w, power_high_w;
    double energy_j;
    int32_t kernel;                /* number of the kernel that answered */
    int32_t bound;                 /* GPPERF_COMPUTE, GPPERF_MEMORY or GPPERF_LATENCY */
    int32_t timed;                 /* GPPERF_GEMM ...: what runtime_s covers */
    int32_t power_is_unmeasured;   /* 1: so short that power follows from physics alone */
    uint32_t outside;              /* GPPERF_OUTSIDE_M ... */
    uint32_t reserved;
} gpperf_prediction;

/* Row-major A times B that is stored n x k: layout tn, batch 1, beta 0. */
GPPERF_DEF gpperf_gemm gpperf_gemm_of(int32_t m, int32_t n, int32_t k, int dtype);

/* One GEMM on one kernel, or on GPPERF_DEFAULT. confidence: above 0 and below 1, such as 0.9. */
GPPERF_DEF int gpperf_predict(const gpperf_gemm *gemm, int kernel, double confidence,
                              gpperf_prediction *prediction);

/* Many of them: fastest where neighbours have one dtype and layout. Stops at the first that is
   refused, and writes its index to `row`, which may be NULL. */
GPPERF_DEF int gpperf_predict_batch(const gpperf_gemm *gemms, size_t n_gemms, int kernel,
                                    double confidence, gpperf_prediction *predictions, size_t *row);

/* The best of some kernels for one GEMM; those that cannot run it are left out. kernels: NULL for all
   that timed the same as the default. Of equals, the first by name. */
GPPERF_DEF int gpperf_best(const gpperf_gemm *gemm, const int *kernels, size_t n_kernels,
                           int objective, double confidence, gpperf_prediction *prediction);

/* The number of a dtype ("bf16"), a layout ("tn") or a kernel by its name, or -1. */
GPPERF_DEF int gpperf_dtype(const char *name);
GPPERF_DEF int gpperf_layout(const char *name);
GPPERF_DEF int gpperf_kernel(const char *name);

/* The name of a kernel from 0 to GPPERF_N_KERNELS - 1, or NULL. */
GPPERF_DEF const char *gpperf_kernel_name(int kernel);

/* 1 where the model answers for a dtype, else 0. */
GPPERF_DEF int gpperf_answers_for(int dtype);

GPPERF_DEF const char *gpperf_strerror(int code);

/* How many of GPPERF_N_ANSWERS answers, which Python gave, come out differently: 0 where the compiler
   kept to IEEE 754. */
GPPERF_DEF int gpperf_selftest(void);

#ifdef __cplusplus
}
#endif

#endif /* GPPERF_INCLUDED */
