/* ---- names, errors and the test of itself ---- */

static int gpperf__is_same(const char *one, const char *other)
{
    return one != NULL && strcmp(one, other) == 0;
}

GPPERF__DEF int gpperf_dtype(const char *name)
{
    int i;
    for (i = 0; i < GPPERF__N_DTYPES; i++)
        if (gpperf__is_same(name, gpperf__dtypes[i])) return i;
    return -1;
}

GPPERF__DEF int gpperf_layout(const char *name)
{
    static const char layouts[4][3] = {"nn", "nt", "tn", "tt"};
    int i;
    for (i = 0; i < 4; i++)
        if (gpperf__is_same(name, layouts[i])) return i;
    return -1;
}

GPPERF__DEF int gpperf_kernel(const char *name)
{
    int i;
    for (i = 0; i < GPPERF_N_KERNELS; i++)
        if (gpperf__is_same(name, gpperf__kernels[i])) return i;
    return -1;
}

GPPERF__DEF const char *gpperf_kernel_name(int kernel)
{
    return kernel < 0 || kernel >= GPPERF_N_KERNELS ? NULL : gpperf__kernels[kernel];
}

GPPERF__DEF int gpperf_answers_for(int dtype)
{
    return dtype >= 0 && dtype < GPPERF__N_DTYPES && gpperf__defaults[dtype] > -2;
}

GPPERF__DEF const char *gpperf_strerror(int code)
{
    switch (code) {
    case GPPERF_OK: return "no error";
    case GPPERF_ERROR_SIZE: return "m, n, k and batch must be from 1 to 2147483647";
    case GPPERF_ERROR_DTYPE: return "dtype must be one that the model answers for: @KNOWN_DTYPES@";
    case GPPERF_ERROR_LAYOUT: return "layout must be GPPERF_NN, NT, TN or TT, and one that the kernel takes";
    case GPPERF_ERROR_BETA: return "beta must be a finite number";
    case GPPERF_ERROR_KERNEL:
        return "kernel must be GPPERF_DEFAULT or the number of one that was measured in the dtype";
    case GPPERF_ERROR_ALIGNMENT:
        return "the contiguous extents of A and B must be multiples of the kernel's alignment";
    case GPPERF_ERROR_CONFIDENCE: return "confidence must be above 0 and below 1";
    case GPPERF_ERROR_OBJECTIVE: return "objective must be GPPERF_RUNTIME, ENERGY, EDP or POWER";
    case GPPERF_ERROR_POWER: return "the objective needs power, which the model does not know in the dtype";
    case GPPERF_ERROR_TIMED: return "kernels must all have timed the same to be compared";
    case GPPERF_ERROR_NO_KERNEL: return "none of the kernels can run the GEMM";
    default: return "no code of gpperf";
    }
}

static int gpperf__differs(double one, double other)
{
    return isnan(one) ? !isnan(other) : one != other;
}

GPPERF__DEF int gpperf_selftest(void)
{
    int i, n_different = 0;
    for (i = 0; i < GPPERF_N_ANSWERS; i++) {
        const gpperf__stored *stored = gpperf__answers + i;
        const double *told = stored->figures;
        gpperf_gemm gemm;
        gpperf_prediction p;
        int is_different;
        gemm.m = stored->m;
        gemm.n = stored->n;
        gemm.k = stored->k;
        gemm.batch = stored->batch;
        gemm.dtype = stored->dtype;
        gemm.layout = stored->layout;
        gemm.beta = stored->beta;
        if (gpperf_predict(&gemm, stored->kernel, stored->confidence, &p) != GPPERF_OK) {
            n_different++;
            continue;
        }
        is_different = gpperf__differs(p.runtime_s, told[0]) || gpperf__differs(p.runtime_low_s, told[1]) ||
                       gpperf__differs(p.runtime_high_s, told[2]) ||
                       gpperf__differs(p.sustained_runtime_s, told[3]) ||
                       gpperf__differs(p.power_w, told[4]) || gpperf__differs(p.power_low_w, told[5]) ||
                       gpperf__differs(p.power_high_w, told[6]) || gpperf__differs(p.energy_j, told[7]) ||
                       (p.outside == 0) != stored->is_in_domain;
        n_different += is_different;
    }
    return n_different;
}

#ifdef __cplusplus
}
#endif

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#pragma GCC pop_options
#endif

#ifdef GPPERF_DEMO
#include <stdio.h>
#include <stdlib.h>

int main(int n_arguments, char **arguments)
{
    gpperf_gemm gemm;
    gpperf_prediction p;
    int code;
    if (n_arguments < 5) {
        printf("usage: %s M N K DTYPE [KERNEL]\n", arguments[0]);
        return 2;
    }
    gemm = gpperf_gemm_of((int32_t)atol(arguments[1]), (int32_t)atol(arguments[2]),
                          (int32_t)atol(arguments[3]), gpperf_dtype(arguments[4]));
    code = n_arguments > 5 && gpperf_kernel(arguments[5]) < 0
               ? (int)GPPERF_ERROR_KERNEL
               : gpperf_predict(&gemm, n_arguments > 5 ? gpperf_kernel(arguments[5]) : (int)GPPERF_DEFAULT,
                                0.9, &p);
    if (code != GPPERF_OK) {
        printf("error: %s\n", gpperf_strerror(code));
        return 2;
    }
    printf("%s on %s: %.4g us (%.4g to %.4g us)", gpperf_kernel_name(p.kernel), GPPERF_GPU,
           p.runtime_s * 1e6, p.runtime_low_s * 1e6, p.runtime_high_s * 1e6);
    if (!isnan(p.power_w)) printf(", %.4g W, %.4g J", p.power_w, p.energy_j);
    printf("%s\n", p.outside ? ", out of domain" : "");
    printf("%d of %d stored answers differ\n", gpperf_selftest(), GPPERF_N_ANSWERS);
    return gpperf_selftest() != 0;
}
#endif

#endif /* GPPERF_IMPLEMENTATION */
