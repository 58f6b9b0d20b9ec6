/* ---- questions and answers ---- */

GPPERF__INLINE void gpperf__describe(const gpperf__ask *ask, float *x, size_t stride,
                                     gpperf__physics *physics, int is_small)
{
    @DISPATCH_DESCRIBE@
    physics->outside |= ask->outside;
}

GPPERF__RARE static void gpperf__describe_large(const gpperf__ask *ask, float *x, size_t stride,
                                                gpperf__physics *physics)
{
    gpperf__describe(ask, x, stride, physics, 0);
}

GPPERF__INLINE void gpperf__physics_of(const gpperf__ask *ask, float *x, size_t stride,
                                       gpperf__physics *physics)
{
    if (ask->is_small) gpperf__describe(ask, x, stride, physics, 1);
    else gpperf__describe_large(ask, x, stride, physics);
}

/* The largest part of the physical model's time: of equals the first. */
static int32_t gpperf__bound(const gpperf__physics *physics)
{
    if (physics->compute_s >= physics->memory_s)
        return physics->compute_s >= physics->launch_s ? GPPERF_COMPUTE : GPPERF_LATENCY;
    return physics->memory_s >= physics->launch_s ? GPPERF_MEMORY : GPPERF_LATENCY;
}

/* What an answer says beside its figures. */
GPPERF__INLINE void gpperf__say(const gpperf__ask *ask, const gpperf__physics *physics,
                                gpperf_prediction *out)
{
    out->kernel = ask->kernel;
    out->bound = gpperf__bound(physics);
    out->timed = ask->head->timed;
    out->power_is_unmeasured = ask->head->power >= 0 && out->runtime_s < ask->head->shortest_powered_s;
    out->outside = physics->outside;
    out->reserved = 0;
}

GPPERF__INLINE void gpperf__answer(const gpperf__ask *ask, const gpperf__physics *physics,
                                   const gpperf__sums *sums, gpperf_prediction *out)
{
    out->power_w = out->power_low_w = out->power_high_w = out->energy_j = (double)NAN;
    @DISPATCH_FINISH@
    gpperf__say(ask, physics, out);
}

/* The part of a question that neighbours in a batch often share. */
GPPERF__INLINE int gpperf__find(const gpperf_gemm *gemm, int kernel, double confidence, gpperf__ask *ask)
{
    int number;
    const gpperf__head *head;
    if (gemm->dtype < 0 || gemm->dtype >= GPPERF__N_DTYPES || gpperf__defaults[gemm->dtype] < -1)
        return GPPERF_ERROR_DTYPE;
    if (gemm->layout < 0 || gemm->layout > GPPERF_TT) return GPPERF_ERROR_LAYOUT;
    if (!(gemm->beta - gemm->beta == 0.0)) return GPPERF_ERROR_BETA;
    if (!(confidence > 0.0 && confidence < 1.0)) return GPPERF_ERROR_CONFIDENCE;
    if (kernel < 0 || kernel >= GPPERF_N_KERNELS) return GPPERF_ERROR_KERNEL;
    number = gpperf__head_of[gemm->dtype][kernel];
    if (number < 0) return GPPERF_ERROR_KERNEL;
    head = gpperf__heads + number;
    if (!(head->layouts >> gemm->layout & 1)) return GPPERF_ERROR_LAYOUT;
    ask->head = head;
    ask->kernel = kernel;
    ask->confidence = confidence;
    ask->between = gpperf__between_of(gpperf__intervals + head->runtime, confidence);
    ask->reads_c = gemm->beta != 0.0 ? 1.0 : 0.0;
    ask->a_is_row_major = gemm->layout >= GPPERF_TN ? 1.0 : 0.0;
    ask->b_is_row_major = gemm->layout & 1 ? 1.0 : 0.0;
    ask->outside = head->outside;
    if (!(head->measured_layouts >> gemm->layout & 1)) ask->outside |= GPPERF_OUTSIDE_LAYOUT;
    if (!(head->measured_betas >> (gemm->beta != 0.0) & 1)) ask->outside |= GPPERF_OUTSIDE_BETA;
    return GPPERF_OK;
}

/* The sizes of a question that was found. */
static int gpperf__sizes(const gpperf_gemm *gemm, gpperf__ask *ask)
{
    const int32_t alignment = ask->head->alignment;
    if (gemm->m < 1 || gemm->n < 1 || gemm->k < 1 || gemm->batch < 1) return GPPERF_ERROR_SIZE;
    if (alignment > 1) {
        if ((ask->a_is_row_major != 0.0 ? gemm->k : gemm->m) % alignment) return GPPERF_ERROR_ALIGNMENT;
        if ((ask->b_is_row_major != 0.0 ? gemm->n : gemm->k) % alignment) return GPPERF_ERROR_ALIGNMENT;
    }
    ask->m = gemm->m;
    ask->n = gemm->n;
    ask->k = gemm->k;
    ask->batch = gemm->batch;
    ask->is_small = (gemm->m | gemm->n | gemm->k | gemm->batch) < GPPERF__SMALL;
    return GPPERF_OK;
}

static int gpperf__one(const gpperf_gemm *gemm, int kernel, double confidence, gpperf_prediction *out)
{
    gpperf__ask ask;
    gpperf__physics physics;
    gpperf__sums sums;
    float x[GPPERF__N_FEATURES];
    int code = gpperf__find(gemm, kernel, confidence, &ask);
    if (code == GPPERF_OK) code = gpperf__sizes(gemm, &ask);
    if (code != GPPERF_OK) return code;
    gpperf__physics_of(&ask, x, 1, &physics);
    gpperf__sums_of(ask.head, x, &sums);
    gpperf__answer(&ask, &physics, &sums, out);
    return GPPERF_OK;
}

/* The kernel that answers where GPPERF_DEFAULT is asked for; -1 for the best of several. */
static int gpperf__default(const gpperf_gemm *gemm)
{
    const int is_known = gemm->dtype >= 0 && gemm->dtype < GPPERF__N_DTYPES;
    return is_known ? gpperf__defaults[gemm->dtype] : -2;
}

GPPERF__DEF gpperf_gemm gpperf_gemm_of(int32_t m, int32_t n, int32_t k, int dtype)
{
    gpperf_gemm gemm;
    gemm.m = m;
    gemm.n = n;
    gemm.k = k;
    gemm.batch = 1;
    gemm.dtype = dtype;
    gemm.layout = GPPERF_TN;
    gemm.beta = 0.0;
    return gemm;
}

GPPERF__DEF int gpperf_predict(const gpperf_gemm *gemm, int kernel, double confidence,
                               gpperf_prediction *prediction)
{
    if (kernel == GPPERF_DEFAULT) {
        kernel = gpperf__default(gemm);
        if (kernel < -1) return GPPERF_ERROR_DTYPE;
        if (kernel == -1) return gpperf_best(gemm, NULL, 0, GPPERF_RUNTIME, confidence, prediction);
    }
    return gpperf__one(gemm, kernel, confidence, prediction);
}

static double gpperf__objective(const gpperf_prediction *one, int objective)
{
    GPPERF__EXACT
    switch (objective) {
    case GPPERF_ENERGY: return one->energy_j;
    case GPPERF_EDP: return one->energy_j * one->sustained_runtime_s;
    case GPPERF_POWER: return one->power_w;
    default: return one->runtime_s;
    }
}

/* 1 where a kernel is among those that are asked for. */
static int gpperf__is_asked(const gpperf_gemm *gemm, const int *kernels, size_t n_kernels, int kernel)
{
    size_t i;
    const int number = gpperf__head_of[gemm->dtype][kernel];
    if (kernels == NULL) return number >= 0 && gpperf__heads[number].compared >> gemm->layout & 1;
    for (i = 0; i < n_kernels; i++)
        if (kernels[i] == kernel) return 1;
    return 0;
}

GPPERF__DEF int gpperf_best(const gpperf_gemm *gemm, const int *kernels, size_t n_kernels, int objective,
                            double confidence, gpperf_prediction *prediction)
{
    int i, timed = 0, code = GPPERF_ERROR_NO_KERNEL;
    size_t j;
    double least = 0.0;
    if (objective < GPPERF_RUNTIME || objective > GPPERF_POWER) return GPPERF_ERROR_OBJECTIVE;
    if (gpperf__default(gemm) < -1) return GPPERF_ERROR_DTYPE;
    if (gemm->layout < 0 || gemm->layout > GPPERF_TT) return GPPERF_ERROR_LAYOUT;
    for (j = 0; kernels != NULL && j < n_kernels; j++)
        if (kernels[j] < 0 || kernels[j] >= GPPERF_N_KERNELS) return GPPERF_ERROR_KERNEL;
    for (i = 0; i < GPPERF_N_KERNELS; i++) {
        const int kernel = gpperf__by_name[i];
        gpperf_prediction one;
        int found;
        double value;
        if (!gpperf__is_asked(gemm, kernels, n_kernels, kernel)) continue;
        found = gpperf__one(gemm, kernel, confidence, &one);
        if (found == GPPERF_ERROR_KERNEL || found == GPPERF_ERROR_LAYOUT ||
            found == GPPERF_ERROR_ALIGNMENT)
            continue; /* it cannot run the GEMM */
        if (found != GPPERF_OK) return found;
        if (one.timed && timed && one.timed != timed) return GPPERF_ERROR_TIMED;
        if (one.timed) timed = one.timed;
        value = gpperf__objective(&one, objective);
        if (isnan(value)) return GPPERF_ERROR_POWER;
        if (code == GPPERF_OK && value >= least) continue;
        least = value;
        code = GPPERF_OK;
        *prediction = one;
    }
    return code;
}
