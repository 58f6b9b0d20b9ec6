/* ---- a block of rows: each step for all of them, which compilers turn into vectors ---- */

#ifdef GPPERF__X86

GPPERF__VBMI static void gpperf__bins_of_rows_vbmi(const gpperf__forest *forest, float(*x)[64],
                                                   uint8_t(*bin)[64])
{
    const uint8_t *feature = gpperf__feature + forest->first_column;
    const uint8_t *counts = gpperf__count + forest->first_column;
    const float *threshold = gpperf__threshold + forest->first_threshold;
    const __m512i one = _mm512_set1_epi8(1);
    int column, i;
    for (column = 0; column < forest->n_columns; column++) {
        const float *value = x[feature[column]];
        const __m512 x0 = _mm512_loadu_ps(value), x1 = _mm512_loadu_ps(value + 16);
        const __m512 x2 = _mm512_loadu_ps(value + 32), x3 = _mm512_loadu_ps(value + 48);
        __m512i count = _mm512_setzero_si512();
        threshold += counts[column] > 16 ? 16 : 0;
        for (i = 0; i < counts[column]; i++) {
            const __m512 t = _mm512_set1_ps(threshold[i]);
            const uint64_t low = (uint64_t)_mm512_cmp_ps_mask(x0, t, _CMP_GT_OQ) |
                                 (uint64_t)_mm512_cmp_ps_mask(x1, t, _CMP_GT_OQ) << 16;
            const uint64_t high = (uint64_t)_mm512_cmp_ps_mask(x2, t, _CMP_GT_OQ) |
                                  (uint64_t)_mm512_cmp_ps_mask(x3, t, _CMP_GT_OQ) << 16;
            count = _mm512_mask_add_epi8(count, low | high << 32, count, one);
        }
        _mm512_storeu_si512(bin[column], count);
        threshold += (counts[column] + 15) / 16 * 16;
    }
}

/* The leaves of 32 rows of one tree, looked up in up to 256. */
GPPERF__VBMI static __m512i gpperf__look_up_vbmi(const int16_t *leaves, int depth, __m512i index)
{
    const __m512i a = _mm512_loadu_si512(leaves);
    __m512i b, found, more;
    if (depth < 6) return _mm512_permutexvar_epi16(index, a);
    b = _mm512_loadu_si512(leaves + 32);
    found = _mm512_permutex2var_epi16(a, index, b);
    if (depth < 7) return found;
    more = _mm512_permutex2var_epi16(_mm512_loadu_si512(leaves + 64), index,
                                     _mm512_loadu_si512(leaves + 96));
    found = _mm512_mask_mov_epi16(found, _mm512_test_epi16_mask(index, _mm512_set1_epi16(64)), more);
    if (depth < 8) return found;
    more = _mm512_permutex2var_epi16(_mm512_loadu_si512(leaves + 128), index,
                                     _mm512_loadu_si512(leaves + 160));
    b = _mm512_permutex2var_epi16(_mm512_loadu_si512(leaves + 192), index,
                                  _mm512_loadu_si512(leaves + 224));
    more = _mm512_mask_mov_epi16(more, _mm512_test_epi16_mask(index, _mm512_set1_epi16(64)), b);
    return _mm512_mask_mov_epi16(found, _mm512_test_epi16_mask(index, _mm512_set1_epi16(128)), more);
}

GPPERF__VBMI static void gpperf__sums_of_rows_vbmi(const gpperf__forest *forest, float(*x)[64],
                                                   uint8_t(*bin)[64], int32_t *sums)
{
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const __m512i one = _mm512_set1_epi8(1), most = _mm512_set1_epi32(@LARGEST_SUM@);
    const __m512i least = _mm512_set1_epi32(-@LARGEST_SUM@);
    __m512i sum[4];
    int tree, level, i;
    gpperf__bins_of_rows_vbmi(forest, x, bin);
    for (i = 0; i < 4; i++) sum[i] = _mm512_set1_epi32(forest->bias);
    for (tree = 0; tree < forest->n_trees; tree++) {
        const uint8_t *column = gpperf__column + forest->first_question + tree;
        const uint8_t *rank = gpperf__rank + forest->first_question + tree;
        __m512i leaf = _mm512_setzero_si512(), low, high;
        for (level = 0; level < forest->depth; level++) {
            const __m512i asked = _mm512_loadu_si512(bin[*column]);
            const __mmask64 above = _mm512_cmpgt_epu8_mask(asked, _mm512_set1_epi8((char)*rank));
            leaf = _mm512_add_epi8(leaf, leaf);
            leaf = _mm512_mask_add_epi8(leaf, above, leaf, one);
            column += forest->n_padded;
            rank += forest->n_padded;
        }
        low = _mm512_cvtepu8_epi16(_mm512_castsi512_si256(leaf));
        high = _mm512_cvtepu8_epi16(_mm512_extracti64x4_epi64(leaf, 1));
        low = gpperf__look_up_vbmi(leaves, forest->depth, low);
        high = gpperf__look_up_vbmi(leaves, forest->depth, high);
        sum[0] = _mm512_add_epi32(sum[0], _mm512_cvtepi16_epi32(_mm512_castsi512_si256(low)));
        sum[1] = _mm512_add_epi32(sum[1], _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(low, 1)));
        sum[2] = _mm512_add_epi32(sum[2], _mm512_cvtepi16_epi32(_mm512_castsi512_si256(high)));
        sum[3] = _mm512_add_epi32(sum[3], _mm512_cvtepi16_epi32(_mm512_extracti64x4_epi64(high, 1)));
        leaves += (ptrdiff_t)1 << forest->depth;
    }
    for (i = 0; i < 4; i++) {
        sum[i] = _mm512_min_epi32(_mm512_max_epi32(sum[i], least), most);
        _mm512_storeu_si512(sums + 16 * i, sum[i]);
    }
}

#endif

GPPERF__INLINE void gpperf__bins_of_rows(const gpperf__forest *forest, float(*x)[64],
                                         uint8_t(*bin)[64])
{
    const uint8_t *feature = gpperf__feature + forest->first_column;
    const uint8_t *counts = gpperf__count + forest->first_column;
    const float *threshold = gpperf__threshold + forest->first_threshold;
    int column, i, row;
    for (column = 0; column < forest->n_columns; column++) {
        const float *value = x[feature[column]];
        int32_t count[64];
        threshold += counts[column] > 16 ? 16 : 0;
        memset(count, 0, sizeof count);
        for (i = 0; i < counts[column]; i++) {
            const float one = threshold[i];
            for (row = 0; row < 64; row++) count[row] += value[row] > one;
        }
        for (row = 0; row < 64; row++) bin[column][row] = (uint8_t)count[row];
        threshold += (counts[column] + 15) / 16 * 16;
    }
}

GPPERF__INLINE void gpperf__sums_of_rows_plain(const gpperf__forest *forest, float(*x)[64],
                                               uint8_t(*bin)[64], int32_t *sums)
{
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

#ifdef GPPERF__X86
/* The same code, for a compiler that may use AVX2. */
GPPERF__AVX2 static void gpperf__sums_of_rows_avx2(const gpperf__forest *forest, float(*x)[64],
                                                   uint8_t(*bin)[64], int32_t *sums)
{
    gpperf__sums_of_rows_plain(forest, x, bin, sums);
}
#endif

static void gpperf__sums_of_rows(int estimator, float(*x)[64], uint8_t(*bin)[64], int32_t *sums)
{
    const gpperf__forest *forest = gpperf__forests + estimator;
#ifdef GPPERF__X86
    const int vectors = gpperf__vectors();
    if (vectors == 2) gpperf__sums_of_rows_vbmi(forest, x, bin, sums);
    else if (vectors == 1) gpperf__sums_of_rows_avx2(forest, x, bin, sums);
    else
#endif
        gpperf__sums_of_rows_plain(forest, x, bin, sums);
}

#ifdef GPPERF__X86
/* The features and times of eight rows; the result has a bit for each outside of the domain. */
static int gpperf__describe_vbmi(const gpperf__ask *ask, double(*sizes)[64], int row, float(*x)[64],
                                 double(*times)[64])
{
    @DISPATCH_ROWS@
}
#endif

/* The features and times of a block of rows; outside: bits of each. */
static void gpperf__physics_of_rows(gpperf__ask *ask, double(*sizes)[64], int n, float(*x)[64],
                                    double(*times)[64], uint32_t *outside)
{
    uint64_t alone = ~(uint64_t)0; /* a bit for each row that is worked out on its own */
    int row;
#ifdef GPPERF__X86
    if (gpperf__vectors() == 2) {
        alone = 0;
        for (row = 0; row < n; row += 8)
            alone |= (uint64_t)gpperf__describe_vbmi(ask, sizes, row, x, times) << row;
    }
#endif
    for (row = 0; row < n; row++) {
        gpperf__physics physics;
        times[7][row] = 1.0;
        outside[row] = ask->outside;
        if (!(alone >> row & 1)) continue;
        ask->m = sizes[0][row];
        ask->n = sizes[1][row];
        ask->k = sizes[2][row];
        ask->batch = sizes[3][row];
        gpperf__physics_of(ask, x[0] + row, 64, &physics);
@PACK@
        outside[row] = physics.outside;
    }
}

/* Up to 64 rows like the first one; returns how many were answered, all but where a size is refused. */
static int gpperf__block(const gpperf_gemm *gemms, int n, gpperf__ask *ask, gpperf_prediction *out,
                         int *code)
{
    float x[GPPERF__N_FEATURES][64];
    double sizes[4][64], times[8][64];
    uint32_t outside[64];
    uint8_t bin[256][64];
    int32_t runtime[64], power[64], sustained[64];
    int row, i;
    for (row = 0; row < n; row++) {
        *code = gpperf__sizes(gemms + row, ask);
        if (*code != GPPERF_OK) break;
        sizes[0][row] = ask->m;
        sizes[1][row] = ask->n;
        sizes[2][row] = ask->k;
        sizes[3][row] = ask->batch;
    }
    n = row;
    /* Places without a row are computed as well, and thrown away. */
    for (row = n; row < 64; row++) {
        for (i = 0; i < 4; i++) sizes[i][row] = n ? sizes[i][0] : 1.0;
        for (i = 0; i < GPPERF__N_FEATURES; i++) x[i][row] = 0.0f;
    }
    gpperf__physics_of_rows(ask, sizes, n, x, times, outside);
    gpperf__sums_of_rows(ask->head->runtime, x, bin, runtime);
    if (ask->head->power >= 0) gpperf__sums_of_rows(ask->head->power, x, bin, power);
    if (ask->head->sustained >= 0) gpperf__sums_of_rows(ask->head->sustained, x, bin, sustained);
    for (row = 0; row < n; row++) {
        gpperf__sums sums;
        gpperf__physics physics;
        sums.runtime = runtime[row];
        sums.power = ask->head->power < 0 ? 0 : power[row];
        sums.sustained = ask->head->sustained < 0 ? 0 : sustained[row];
@UNPACK@
        physics.outside = outside[row];
        gpperf__answer(ask, &physics, &sums, out + row);
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
