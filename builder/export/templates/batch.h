/* ---- a block of rows: each step for all of them, which compilers turn into vectors ---- */

#ifdef GPPERF__X86

/* The thresholds at places in up to 16 blocks of 16, for 16 rows. */
GPPERF__VBMI GPPERF__INLINE __m512 gpperf__thresholds_at_vbmi(const float *threshold, int n_blocks,
                                                              __m512i at)
{
    __m512 found, more;
    int block;
    if (n_blocks == 1) return _mm512_permutexvar_ps(at, _mm512_loadu_ps(threshold));
    found = _mm512_permutex2var_ps(_mm512_loadu_ps(threshold), at, _mm512_loadu_ps(threshold + 16));
    for (block = 2; block < n_blocks; block += 2) {
        more = _mm512_permutex2var_ps(_mm512_loadu_ps(threshold + 16 * block), at,
                                      _mm512_loadu_ps(threshold + 16 * block + 16));
        found = _mm512_mask_mov_ps(found, _mm512_cmpge_epi32_mask(at, _mm512_set1_epi32(16 * block)), more);
    }
    return found;
}

/* The number of thresholds that each of 16 rows is above: pivots tell the block, and halving the place
   in it. */
GPPERF__VBMI GPPERF__INLINE __m512i gpperf__bins_of_16_vbmi(const float *threshold, const float *pivot,
                                                            int n_blocks, __m512 value)
{
    __m512i bin = _mm512_setzero_si512();
    __mmask16 above;
    int block, step;
    for (block = 0; block < n_blocks - 1; block++) {
        above = _mm512_cmp_ps_mask(value, _mm512_set1_ps(pivot[16 * block]), _CMP_GT_OQ);
        bin = _mm512_mask_add_epi32(bin, above, bin, _mm512_set1_epi32(16));
    }
    GPPERF__UNROLL
    for (step = 8; step > 0; step /= 2) {
        const __m512i at = _mm512_add_epi32(bin, _mm512_set1_epi32(step - 1));
        above = _mm512_cmp_ps_mask(value, gpperf__thresholds_at_vbmi(threshold, n_blocks, at), _CMP_GT_OQ);
        bin = _mm512_mask_add_epi32(bin, above, bin, _mm512_set1_epi32(step));
    }
    /* The last place of a block is asked for in the last one alone, where it is not empty. */
    above = _mm512_cmp_ps_mask(value, _mm512_set1_ps(threshold[16 * n_blocks - 1]), _CMP_GT_OQ);
    return _mm512_mask_add_epi32(bin, above, bin, _mm512_set1_epi32(1));
}

/* The bins of 64 rows in one column; n_blocks: of its thresholds. */
GPPERF__VBMI GPPERF__INLINE void gpperf__bins_of_column_vbmi(const float *threshold, const float *pivot,
                                                             int n_blocks, const float *x, uint8_t *bin)
{
    int row;
    for (row = 0; row < 64; row += 16) {
        const __m512i bins =
            gpperf__bins_of_16_vbmi(threshold, pivot, n_blocks, _mm512_loadu_ps(x + row));
        _mm_storeu_si128((__m128i *)(void *)(bin + row), _mm512_cvtepi32_epi8(bins));
    }
}

/* Each of a few thresholds is compared with, which takes less time than halving. */
GPPERF__VBMI static void gpperf__bins_of_few_vbmi(const float *threshold, int count, const float *x,
                                                  uint8_t *bin)
{
    int row, i;
    for (row = 0; row < 64; row += 16) {
        const __m512 value = _mm512_loadu_ps(x + row);
        __m512i bins = _mm512_setzero_si512();
        for (i = 0; i < count; i++) {
            const __mmask16 above = _mm512_cmp_ps_mask(value, _mm512_set1_ps(threshold[i]), _CMP_GT_OQ);
            bins = _mm512_mask_add_epi32(bins, above, bins, _mm512_set1_epi32(1));
        }
        _mm_storeu_si128((__m128i *)(void *)(bin + row), _mm512_cvtepi32_epi8(bins));
    }
}

GPPERF__VBMI static void gpperf__bins_of_rows_vbmi(const gpperf__columns *columns, float(*x)[64],
                                                   uint8_t(*bin)[64])
{
    const uint8_t *feature = gpperf__feature + columns->first_column;
    const uint8_t *counts = gpperf__count + columns->first_column;
    const uint8_t *n_pivots = gpperf__n_pivots + columns->first_column / 16;
    const float *threshold = gpperf__threshold + columns->first_threshold;
    const float *pivots = gpperf__pivot + columns->first_pivot;
    int column;
    for (column = 0; column < columns->n_columns; column++) {
        const int n_blocks = (counts[column] + 15) / 16;
        const float *value = x[feature[column]], *pivot = pivots + column % 16;
        if (counts[column] <= 8) gpperf__bins_of_few_vbmi(threshold, counts[column], value, bin[column]);
        else if (n_blocks == 1) gpperf__bins_of_column_vbmi(threshold, pivot, 1, value, bin[column]);
        else if (n_blocks == 2) gpperf__bins_of_column_vbmi(threshold, pivot, 2, value, bin[column]);
        else if (n_blocks == 3) gpperf__bins_of_column_vbmi(threshold, pivot, 3, value, bin[column]);
        else if (n_blocks == 4) gpperf__bins_of_column_vbmi(threshold, pivot, 4, value, bin[column]);
        else gpperf__bins_of_column_vbmi(threshold, pivot, n_blocks, value, bin[column]);
        threshold += 16 * n_blocks;
        if (column % 16 == 15) pivots += 16 * n_pivots[column / 16];
    }
}

/* The leaves of 32 rows of one tree, looked up in up to 256. */
GPPERF__VBMI GPPERF__INLINE __m512i gpperf__look_up_vbmi(const int16_t *leaves, int depth, __m512i index)
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

/* The sums of 64 rows, not cut; depth: of the forest. */
GPPERF__VBMI GPPERF__INLINE void gpperf__totals_of_rows_vbmi(const gpperf__forest *forest, int depth,
                                                             uint8_t(*bin)[64], int32_t *sums)
{
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const __m512i one = _mm512_set1_epi8(1);
    const __m512i fourth =
        _mm512_set_epi32(60, 56, 52, 48, 44, 40, 36, 32, 28, 24, 20, 16, 12, 8, 4, 0);
    __m512i sum0 = _mm512_set1_epi32(forest->bias), sum1 = sum0, sum2 = sum0, sum3 = sum0;
    int tree, level;
    for (tree = 0; tree < forest->n_trees; tree++) {
        const uint8_t *column = gpperf__column + forest->first_question + tree;
        const uint8_t *rank = gpperf__rank + forest->first_question + tree;
        __m512i leaf = _mm512_setzero_si512(), even, odd;
        GPPERF__UNROLL
        for (level = 0; level < depth; level++) {
            const ptrdiff_t at = (ptrdiff_t)level * forest->n_padded;
            const __m512i asked = _mm512_loadu_si512(bin[column[at]]);
            const __m512i ranks = _mm512_set1_epi32(gpperf__four_times[rank[at]]);
            const __mmask64 above = _mm512_cmpgt_epu8_mask(asked, ranks);
            leaf = _mm512_add_epi8(leaf, leaf);
            leaf = _mm512_mask_add_epi8(leaf, above, leaf, one);
        }
        /* Of rows 0, 2, 4 ... and of rows 1, 3, 5 ...; then of every fourth one, from 0 to 3 on. */
        even = gpperf__look_up_vbmi(leaves, depth, _mm512_and_si512(leaf, _mm512_set1_epi16(255)));
        odd = gpperf__look_up_vbmi(leaves, depth, _mm512_srli_epi16(leaf, 8));
        sum0 = _mm512_add_epi32(sum0, _mm512_srai_epi32(_mm512_slli_epi32(even, 16), 16));
        sum1 = _mm512_add_epi32(sum1, _mm512_srai_epi32(_mm512_slli_epi32(odd, 16), 16));
        sum2 = _mm512_add_epi32(sum2, _mm512_srai_epi32(even, 16));
        sum3 = _mm512_add_epi32(sum3, _mm512_srai_epi32(odd, 16));
        leaves += ((ptrdiff_t)1 << depth) + (tree % 8 == 7 ? 32 : 0);
    }
    _mm512_i32scatter_epi32(sums, fourth, sum0, 4);
    _mm512_i32scatter_epi32(sums + 1, fourth, sum1, 4);
    _mm512_i32scatter_epi32(sums + 2, fourth, sum2, 4);
    _mm512_i32scatter_epi32(sums + 3, fourth, sum3, 4);
}

GPPERF__VBMI static void gpperf__totals_vbmi(const gpperf__forest *forest, uint8_t(*bin)[64], int32_t *sums)
{
    switch (forest->depth) {
    case 6: gpperf__totals_of_rows_vbmi(forest, 6, bin, sums); break;
    case 8: gpperf__totals_of_rows_vbmi(forest, 8, bin, sums); break;
    default: gpperf__totals_of_rows_vbmi(forest, forest->depth, bin, sums);
    }
}

#endif

GPPERF__INLINE void gpperf__bins_of_rows_plain(const gpperf__columns *columns, float(*x)[64],
                                               uint8_t(*bin)[64])
{
    const uint8_t *feature = gpperf__feature + columns->first_column;
    const uint8_t *counts = gpperf__count + columns->first_column;
    const float *threshold = gpperf__threshold + columns->first_threshold;
    int column, i, row;
    for (column = 0; column < columns->n_columns; column++) {
        const float *value = x[feature[column]];
        int32_t count[64];
        memset(count, 0, sizeof count);
        for (i = 0; i < counts[column]; i++) {
            const float one = threshold[i];
            for (row = 0; row < 64; row++) count[row] += value[row] > one;
        }
        for (row = 0; row < 64; row++) bin[column][row] = (uint8_t)count[row];
        threshold += (counts[column] + 15) / 16 * 16;
    }
}

GPPERF__INLINE void gpperf__totals_plain(const gpperf__forest *forest, uint8_t(*bin)[64], int32_t *sums)
{
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const uint8_t *columns = gpperf__column + forest->first_question;
    const uint8_t *ranks = gpperf__rank + forest->first_question;
    int tree, level, row;
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
        leaves += ((ptrdiff_t)1 << forest->depth) + (tree % 8 == 7 ? 32 : 0);
    }
}

#ifdef GPPERF__X86
/* The same code, for a compiler that may use AVX2. */
GPPERF__AVX2 static void gpperf__bins_of_rows_avx2(const gpperf__columns *columns, float(*x)[64],
                                                   uint8_t(*bin)[64])
{
    gpperf__bins_of_rows_plain(columns, x, bin);
}

GPPERF__AVX2 static void gpperf__totals_avx2(const gpperf__forest *forest, uint8_t(*bin)[64], int32_t *sums)
{
    gpperf__totals_plain(forest, bin, sums);
}
#endif

static void gpperf__bins_of_rows(const gpperf__columns *columns, float(*x)[64], uint8_t(*bin)[64])
{
#ifdef GPPERF__X86
    const int vectors = gpperf__vectors();
    if (vectors == 2) gpperf__bins_of_rows_vbmi(columns, x, bin);
    else if (vectors == 1) gpperf__bins_of_rows_avx2(columns, x, bin);
    else
#endif
        gpperf__bins_of_rows_plain(columns, x, bin);
}

/* The sums of 64 rows of one forest, not cut. */
static void gpperf__totals(const gpperf__forest *forest, uint8_t(*bin)[64], int32_t *sums)
{
#ifdef GPPERF__X86
    const int vectors = gpperf__vectors();
    if (vectors == 2) gpperf__totals_vbmi(forest, bin, sums);
    else if (vectors == 1) gpperf__totals_avx2(forest, bin, sums);
    else
#endif
        gpperf__totals_plain(forest, bin, sums);
}

/* The sums of all forests of a head, cut as corrections are; 0 of one that is not there. */
static void gpperf__sums_of_rows(const gpperf__head *head, float(*x)[64], int32_t(*sums)[64])
{
    uint8_t bin[256][64];
    int32_t known = -1;
    int i, row;
    memset(sums[0], 0, 3 * sizeof sums[0]);
    for (i = 0; i < 3; i++) {
        const gpperf__forest *forest = gpperf__forest_of(head, i);
        if (forest == NULL) continue;
        if (forest->columns != known) {
            known = forest->columns;
            gpperf__bins_of_rows(gpperf__shared + known, x, bin);
        }
        gpperf__totals(forest, bin, sums[i]);
        for (row = 0; row < 64; row++) sums[i][row] = gpperf__cut(sums[i][row]);
    }
}

#ifdef GPPERF__X86
/* The features and times of eight rows; the result has a bit for each outside of the domain. */
static int gpperf__describe_vbmi(const gpperf__ask *ask, double(*sizes)[64], int row, float(*x)[64],
                                 double(*times)[64])
{
    @DISPATCH_ROWS@
}

/* The figures of eight answers, each figure a row of `told`. */
GPPERF__VBMI static void gpperf__finish_vbmi(const gpperf__ask *ask, double(*times)[64],
                                             int32_t(*sums)[64], const gpperf__widths *widths, int row,
                                             double(*told)[64])
{
    @DISPATCH_FINISH_ROWS@
}
#endif

/* The features and times of a block of rows; outside: bits of each; large: a bit for each that is. */
static void gpperf__physics_of_rows(gpperf__ask *ask, double(*sizes)[64], uint64_t large, int n,
                                    float(*x)[64], double(*times)[64], uint32_t *outside)
{
    uint64_t alone = ~(uint64_t)0; /* a bit for each row that is worked out on its own */
    int row;
#ifdef GPPERF__X86
    if (gpperf__vectors() == 2) {
        alone = large;
        for (row = 0; row < n; row += 8)
            alone |= (uint64_t)gpperf__describe_vbmi(ask, sizes, row, x, times) << row;
    }
#endif
    for (row = 0; row < 64; row++) times[7][row] = 1.0;
    for (row = 0; row < n; row++) {
        gpperf__physics physics;
        outside[row] = ask->outside;
        if (!(alone >> row & 1)) continue;
        ask->m = sizes[0][row];
        ask->n = sizes[1][row];
        ask->k = sizes[2][row];
        ask->batch = sizes[3][row];
        ask->is_small = !(large >> row & 1);
        gpperf__physics_of(ask, x[0] + row, 64, &physics);
@PACK@
        outside[row] = physics.outside;
    }
}

/* The answers of a block of rows, of their times and sums. */
static void gpperf__answers_of_rows(const gpperf__ask *ask, double(*times)[64], int32_t(*sums)[64],
                                    const uint32_t *outside, int n, gpperf_prediction *out)
{
    int row;
#ifdef GPPERF__X86
    const int are_vectors = gpperf__vectors() == 2;
    double told[8][64];
    if (are_vectors) {
        const int has_power = ask->head->power >= 0;
        gpperf__widths widths;
        gpperf__widths_of(ask->head->runtime, ask, widths.runtime);
        if (has_power) gpperf__widths_of(ask->head->power, ask, widths.power);
        else for (row = 0; row < 256; row++) told[4 + row / 64][row % 64] = (double)NAN;
        for (row = 0; row < n; row += 8) gpperf__finish_vbmi(ask, times, sums, &widths, row, told);
    }
#endif
    for (row = 0; row < n; row++, out++) {
        gpperf__sums sum;
        gpperf__physics physics;
        sum.runtime = sums[0][row];
        sum.power = sums[1][row];
        sum.sustained = sums[2][row];
@UNPACK@
        physics.outside = outside[row];
#ifdef GPPERF__X86
        if (are_vectors) {
            out->runtime_s = told[0][row];
            out->runtime_low_s = told[1][row];
            out->runtime_high_s = told[2][row];
            out->sustained_runtime_s = told[3][row];
            out->power_w = told[4][row];
            out->power_low_w = told[5][row];
            out->power_high_w = told[6][row];
            out->energy_j = told[7][row];
            gpperf__say(ask, &physics, out);
            continue;
        }
#endif
        gpperf__answer(ask, &physics, &sum, out);
    }
}

/* Up to 64 rows like the first one; returns how many were answered, all but where a size is refused. */
static int gpperf__block(const gpperf_gemm *gemms, int n, gpperf__ask *ask, gpperf_prediction *out,
                         int *code)
{
    float x[GPPERF__N_FEATURES][64];
    double sizes[4][64], times[8][64];
    uint64_t large = 0;
    uint32_t outside[64];
    int32_t sums[3][64];
    int row, i;
    for (row = 0; row < n; row++) {
        *code = gpperf__sizes(gemms + row, ask);
        if (*code != GPPERF_OK) break;
        sizes[0][row] = ask->m;
        sizes[1][row] = ask->n;
        sizes[2][row] = ask->k;
        sizes[3][row] = ask->batch;
        large |= (uint64_t)!ask->is_small << row;
    }
    n = row;
    /* Places without a row are computed as well, and thrown away. */
    for (row = n; row < 64; row++) {
        for (i = 0; i < 4; i++) sizes[i][row] = n ? sizes[i][0] : 1.0;
        for (i = 0; i < GPPERF__N_FEATURES; i++) x[i][row] = 0.0f;
    }
    gpperf__physics_of_rows(ask, sizes, large, n, x, times, outside);
    gpperf__sums_of_rows(ask->head, x, sums);
    gpperf__answers_of_rows(ask, times, sums, outside, n, out);
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
