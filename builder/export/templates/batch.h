/* ---- a block of rows: each step for all of them, which compilers turn into vectors ---- */

static void gpperf__bins_of_rows(const gpperf__forest *forest, float (*x)[64], uint8_t (*bin)[64])
{
    const uint8_t *feature = gpperf__feature + forest->first_column;
    const uint8_t *blocks = gpperf__blocks + forest->first_column;
    const float *threshold = gpperf__threshold + forest->first_threshold;
    int column, i, row;
    for (column = 0; column < forest->n_columns; column++) {
        const float *value = x[feature[column]];
        const int n = 8 * blocks[column];
        int32_t count[64];
        memset(count, 0, sizeof count);
        for (i = 0; i < n; i++) {
            const float one = threshold[i];
            for (row = 0; row < 64; row++) count[row] += value[row] > one;
        }
        for (row = 0; row < 64; row++) bin[column][row] = (uint8_t)count[row];
        threshold += n;
    }
}

static void gpperf__sums_of_rows(int estimator, float (*x)[64], uint8_t (*bin)[64], int32_t *sums)
{
    const gpperf__forest *forest = gpperf__forests + estimator;
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const uint8_t *columns = gpperf__column + forest->first_question;
    const uint8_t *ranks = gpperf__rank + forest->first_question;
    int tree, level, row;
    gpperf__bins_of_rows(forest, x, bin);
    for (row = 0; row < 64; row++) sums[row] = forest->bias;
    for (tree = 0; tree < forest->n_trees; tree++) {
        uint8_t leaf[64];
        memset(leaf, 0, sizeof leaf);
        for (level = 0; level < forest->depth; level++) {
            const uint8_t *one = bin[columns[level * forest->n_padded + tree]];
            const uint8_t rank = ranks[level * forest->n_padded + tree];
            for (row = 0; row < 64; row++) leaf[row] = (uint8_t)(2 * leaf[row] + (one[row] > rank));
        }
        for (row = 0; row < 64; row++) sums[row] += leaves[leaf[row]];
        leaves += (ptrdiff_t)1 << forest->depth;
    }
    for (row = 0; row < 64; row++) sums[row] = gpperf__cut(sums[row]);
}

/* Up to 64 rows like the first one; returns how many were answered, all but where a size is refused. */
static int gpperf__block(const gpperf_gemm *gemms, int n, gpperf__ask *ask, gpperf_prediction *out,
                         int *code)
{
    float x[GPPERF__N_FEATURES][64];
    uint8_t bin[256][64];
    gpperf__physics physics[64];
    int32_t runtime[64], power[64], sustained[64];
    int row, i;
    for (row = 0; row < n; row++) {
        *code = gpperf__sizes(gemms + row, ask);
        if (*code != GPPERF_OK) break;
        gpperf__physics_of(ask, x[0] + row, 64, physics + row);
    }
    n = row;
    /* Places without a row are computed as well, and thrown away. */
    for (i = 0; i < GPPERF__N_FEATURES; i++)
        for (row = n; row < 64; row++) x[i][row] = 0.0f;
    gpperf__sums_of_rows(ask->head->runtime, x, bin, runtime);
    if (ask->head->power >= 0) gpperf__sums_of_rows(ask->head->power, x, bin, power);
    if (ask->head->sustained >= 0) gpperf__sums_of_rows(ask->head->sustained, x, bin, sustained);
    for (row = 0; row < n; row++) {
        gpperf__sums sums;
        sums.runtime = runtime[row];
        sums.power = ask->head->power < 0 ? 0 : power[row];
        sums.sustained = ask->head->sustained < 0 ? 0 : sustained[row];
        gpperf__answer(ask, physics + row, &sums, out + row);
    }
    return n;
}

static int gpperf__is_like(const gpperf_gemm *one, const gpperf_gemm *other)
{
    return one->dtype == other->dtype && one->layout == other->layout && one->beta == other->beta;
}

GPPERF__DEF int gpperf_predict_batch(const gpperf_gemm *gemms, size_t n_gemms, int kernel,
                                     double confidence, gpperf_prediction *predictions, size_t *row)
{
    size_t done = 0;
    int code = GPPERF_OK;
    while (done < n_gemms && code == GPPERF_OK) {
        const gpperf_gemm *first = gemms + done;
        const int asked = kernel == GPPERF_DEFAULT ? gpperf__default(first) : kernel;
        const size_t left = n_gemms - done;
        int n = 1;
        gpperf__ask ask;
        while (n < 64 && (size_t)n < left && gpperf__is_like(first, first + n)) n++;
        if (n < GPPERF__FEW || asked < 0) {
            code = gpperf_predict(first, kernel, confidence, predictions + done);
            done += code == GPPERF_OK;
            continue;
        }
        code = gpperf__find(first, asked, confidence, &ask);
        if (code == GPPERF_OK) done += (size_t)gpperf__block(first, n, &ask, predictions + done, &code);
    }
    if (row != NULL) *row = done;
    return code;
}
