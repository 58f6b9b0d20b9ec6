/* ---- the forests, with the vectors of x86-64, or of 64-bit Arm ---- */

#ifdef GPPERF__X86

/* 0: none of these, 1: AVX2, 2: AVX-512 with permutations of bytes. */
static int gpperf__vectors(void)
{
#if GPPERF_SIMD > 1
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
        __builtin_cpu_supports("bmi"))
        return 2;
#endif
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") ? 1 : 0;
}

GPPERF__AVX2 static void gpperf__bins_avx2(const gpperf__columns *columns, const float *x, uint8_t *bin)
{
    const float *threshold = gpperf__threshold + columns->first_threshold;
    const float *pivot = gpperf__pivot + columns->first_pivot;
    const int first = columns->first_column;
    int32_t at[256];
    float values[256];
    int column, half, row;
    for (column = 0; column < columns->n_columns; column += 16) {
        const int n_pivots = gpperf__n_pivots[(first + column) / 16];
        for (half = 0; half < 16; half += 8) {
            const int here = first + column + half;
            const __m256i feature = _mm256_cvtepu8_epi32(
                _mm_loadl_epi64((const __m128i *)(const void *)(gpperf__feature + here)));
            const __m256 value = _mm256_i32gather_ps(x, feature, 4);
            __m256i block = _mm256_cvtepu16_epi32(
                _mm_loadu_si128((const __m128i *)(const void *)(gpperf__first_block + here)));
            for (row = 0; row < n_pivots; row++) {
                const __m256 some = _mm256_loadu_ps(pivot + 16 * row + half);
                const __m256 above = _mm256_cmp_ps(value, some, _CMP_GT_OQ);
                block = _mm256_sub_epi32(block, _mm256_castps_si256(above)); /* what is true is -1 */
            }
            _mm256_storeu_ps(values + column + half, value);
            _mm256_storeu_si256((__m256i *)(void *)(at + column + half), _mm256_slli_epi32(block, 4));
        }
        pivot += 16 * n_pivots;
    }
    for (column = 0; column < columns->n_columns; column++) {
        const __m256 value = _mm256_set1_ps(values[column]);
        const float *some = threshold + at[column];
        const __m256 low = _mm256_cmp_ps(value, _mm256_loadu_ps(some), _CMP_GT_OQ);
        const __m256 high = _mm256_cmp_ps(value, _mm256_loadu_ps(some + 8), _CMP_GT_OQ);
        const int count = __builtin_popcount((unsigned)_mm256_movemask_ps(low)) +
                          __builtin_popcount((unsigned)_mm256_movemask_ps(high));
        bin[column] = (uint8_t)(at[column] - 16 * gpperf__first_block[first + column] + count);
    }
}

/* The bins of 32 columns that are looked up among up to 64, 16 of them at a time. */
GPPERF__AVX2 GPPERF__INLINE __m256i gpperf__found_avx2(const __m256i *bins, __m256i column)
{
    /* Bits 4 and 5 of a column, where they are the highest of a byte, tell of which 16 it is. */
    const __m256i one = _mm256_slli_epi16(column, 3), other = _mm256_slli_epi16(column, 2);
    const __m256i low = _mm256_blendv_epi8(_mm256_shuffle_epi8(bins[0], column),
                                           _mm256_shuffle_epi8(bins[1], column), one);
    const __m256i high = _mm256_blendv_epi8(_mm256_shuffle_epi8(bins[2], column),
                                            _mm256_shuffle_epi8(bins[3], column), one);
    return _mm256_blendv_epi8(low, high, other);
}

/* The leaf of each of 64 trees. */
GPPERF__AVX2 static void gpperf__leaves_avx2(const gpperf__forest *forest, int first, const uint8_t *bin,
                                             uint8_t *leaf)
{
    const uint8_t *columns = gpperf__column + forest->first_question + first;
    const uint8_t *ranks = gpperf__rank + forest->first_question + first;
    const int n_columns = gpperf__shared[forest->columns].n_columns;
    __m256i bins[16];
    int half, level, part;
    for (part = 0; 64 * (part / 4) < n_columns; part++)
        bins[part] = _mm256_broadcastsi128_si256(
            _mm_loadu_si128((const __m128i *)(const void *)(bin + 16 * part)));
    for (half = 0; half < 64; half += 32) {
        __m256i leaves = _mm256_setzero_si256();
        for (level = 0; level < forest->depth; level++) {
            const int at = level * forest->n_padded + half;
            const __m256i column = _mm256_loadu_si256((const __m256i *)(const void *)(columns + at));
            const __m256i rank = _mm256_loadu_si256((const __m256i *)(const void *)(ranks + at));
            __m256i found = gpperf__found_avx2(bins, column), no;
            for (part = 4; 16 * part < n_columns; part += 4) {
                const __m256i mine = _mm256_and_si256(column, _mm256_set1_epi8(63));
                const __m256i whose = _mm256_sub_epi8(column, mine), its = _mm256_set1_epi8((char)(16 * part));
                found = _mm256_blendv_epi8(found, gpperf__found_avx2(bins + part, mine),
                                           _mm256_cmpeq_epi8(whose, its));
            }
            /* Equal to the lesser of both: it is not above. */
            no = _mm256_cmpeq_epi8(_mm256_min_epu8(found, rank), found);
            leaves = _mm256_add_epi8(_mm256_add_epi8(leaves, leaves),
                                     _mm256_add_epi8(no, _mm256_set1_epi8(1)));
        }
        _mm256_storeu_si256((__m256i *)(void *)(leaf + half), leaves);
    }
}

/* Whole numbers of small sizes divided, and rounded down, as gpperf__floor_divide does. */
GPPERF__VBMI GPPERF__INLINE __m512d gpperf__floor_divide_vbmi(__m512d one, __m512d more, __m512d other)
{
    GPPERF__EXACT
    const __m512d unit = _mm512_set1_pd(1.0), less = (other - unit) * _mm512_set1_pd(0.5);
    return _mm512_roundscale_pd((one + (more - less)) * (unit / other),
                                _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

/* 2**(units / 8192) of whole numbers: the products of gpperf__octaves. */
GPPERF__VBMI static __m512d gpperf__octaves_vbmi(__m512d units)
{
    const __m512i whole = _mm512_cvtpd_epi64(units);
    const __m512i power = _mm512_add_epi64(_mm512_srai_epi64(whole, 13), _mm512_set1_epi64(1023));
    __m512d value =
        _mm512_i64gather_pd(_mm512_and_si512(whole, _mm512_set1_epi64(511)), gpperf__octave, 8);
    int bit;
    for (bit = 0; bit < 4; bit++) {
        const __mmask8 is_set = _mm512_test_epi64_mask(whole, _mm512_set1_epi64(512 << bit));
        value = _mm512_mask_mul_pd(value, is_set, value, _mm512_set1_pd(gpperf__root[bit][1]));
    }
    return value * _mm512_castsi512_pd(_mm512_slli_epi64(power, 52));
}

/* The half-widths of an interval at predicted values; widths: of each regime. */
GPPERF__VBMI static __m512d gpperf__width_vbmi(int estimator, const double *widths, __m512d value)
{
    const gpperf__interval *interval = gpperf__intervals + estimator;
    const double *edges = gpperf__edges + interval->first_edge;
    __m512i regime = _mm512_setzero_si512();
    int i;
    for (i = 0; i < interval->n_edges; i++) {
        const __mmask8 is_beyond = _mm512_cmp_pd_mask(value, _mm512_set1_pd(edges[i]), _CMP_GE_OQ);
        regime = _mm512_mask_add_epi64(regime, is_beyond, regime, _mm512_set1_epi64(1));
    }
    return _mm512_i64gather_pd(regime, widths, 8);
}

/* Eight sums of forests. */
GPPERF__VBMI static __m512d gpperf__sums_at_vbmi(const int32_t *sums)
{
    return _mm512_cvtepi32_pd(_mm256_loadu_si256((const __m256i *)(const void *)sums));
}

/* The bins of eight columns, a byte each: before the first threshold that a value is not above, or all 16,
   lie those that it is above. */
GPPERF__VBMI GPPERF__INLINE int64_t gpperf__bins_of_8_vbmi(const float *threshold, const int32_t *at,
                                                           const float *x)
{
    uint64_t bins = 0;
    int i;
    GPPERF__UNROLL
    for (i = 0; i < 8; i++) {
        const __mmask16 rest =
            _mm512_cmp_ps_mask(_mm512_set1_ps(x[i]), _mm512_loadu_ps(threshold + at[i]), _CMP_NGT_UQ);
        bins |= (uint64_t)_tzcnt_u32(rest | 65536u) << 8 * i;
    }
    return (int64_t)bins;
}

/* The bins of up to 128 columns. Pivots tell at once of 16 columns in which of its blocks of thresholds
   each of them must look. */
GPPERF__VBMI static void gpperf__bins_vbmi(const gpperf__columns *columns, const float *x, uint8_t *bin)
{
    const float *threshold = gpperf__threshold + columns->first_threshold;
    const float *pivot = gpperf__pivot + columns->first_pivot;
    const __m512i step = _mm512_set1_epi32(16);
    int32_t GPPERF__LINES at[128];
    float GPPERF__LINES values[128];
    __m128i above[8];
    __m512i bins[2];
    int first = columns->first_column, group, i;
    for (group = 0; 16 * group < columns->n_columns; group++, first += 16) {
        const __m512i feature = _mm512_cvtepu8_epi32(
            _mm_loadu_si128((const __m128i *)(const void *)(gpperf__feature + first)));
        const __m512i begin = _mm512_cvtepu16_epi32(
            _mm256_loadu_si256((const __m256i *)(const void *)(gpperf__first_block + first)));
        const __m512 value = _mm512_i32gather_ps(feature, x, 4);
        __m512i block = _mm512_setzero_si512();
        for (i = 0; i < gpperf__n_pivots[first / 16]; i++, pivot += 16) {
            const __mmask16 is_above = _mm512_cmp_ps_mask(value, _mm512_loadu_ps(pivot), _CMP_GT_OQ);
            block = _mm512_mask_add_epi32(block, is_above, block, step);
        }
        _mm512_storeu_ps(values + 16 * group, value);
        _mm512_storeu_si512(at + 16 * group, _mm512_add_epi32(_mm512_slli_epi32(begin, 4), block));
        above[group] = _mm512_cvtepi32_epi8(block);
    }
    bins[0] = bins[1] = _mm512_setzero_si512();
    for (group = 0; 16 * group < columns->n_columns; group++) {
        const __mmask8 here = (__mmask8)(3 << 2 * (group % 4));
        const __m128i rest = _mm_set_epi64x(
            gpperf__bins_of_8_vbmi(threshold, at + 16 * group + 8, values + 16 * group + 8),
            gpperf__bins_of_8_vbmi(threshold, at + 16 * group, values + 16 * group));
        bins[group / 4] =
            _mm512_mask_broadcast_i64x2(bins[group / 4], here, _mm_add_epi8(above[group], rest));
    }
    _mm512_storeu_si512(bin, bins[0]);
    _mm512_storeu_si512(bin + 64, bins[1]);
}

/* The sum of a forest, not cut: 64 questions at a time, then the leaves of 16 trees at a time. depth: of
   the forest; is_wide: it has more than 64 columns. */
GPPERF__VBMI GPPERF__INLINE int32_t gpperf__total_of_vbmi(const gpperf__forest *forest, int depth,
                                                          int is_wide, const uint8_t *bin)
{
    const __m512i low = _mm512_loadu_si512(bin), high = _mm512_loadu_si512(bin + 64);
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const __m512i one = _mm512_set1_epi8(1), half = _mm512_set1_epi32(16);
    /* Where the leaves of 16 trees begin: behind eight of them lies a line that is empty. */
    const __m512i begin = _mm512_add_epi32(
        _mm512_sllv_epi32(_mm512_set_epi32(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0),
                          _mm512_set1_epi32(depth)),
        _mm512_maskz_mov_epi32(65280, _mm512_set1_epi32(32)));
    __m512i sum = _mm512_setzero_si512();
    int first, level, part;
    for (first = 0; first < forest->n_trees; first += 64) {
        const uint8_t *asked = gpperf__column + forest->first_question + first;
        const uint8_t *rank = gpperf__rank + forest->first_question + first;
        __m512i leaf = _mm512_setzero_si512();
        GPPERF__UNROLL
        for (level = 0; level < depth; level++) {
            const ptrdiff_t at = (ptrdiff_t)level * forest->n_padded;
            const __m512i column = _mm512_loadu_si512(asked + at);
            const __m512i found = is_wide ? _mm512_permutex2var_epi8(low, column, high)
                                          : _mm512_permutexvar_epi8(column, low);
            const __mmask64 above = _mm512_cmpgt_epu8_mask(found, _mm512_loadu_si512(rank + at));
            leaf = _mm512_add_epi8(leaf, leaf);
            leaf = _mm512_mask_add_epi8(leaf, above, leaf, one);
        }
        for (part = 0; part < 64 && first + part < forest->n_trees; part += 16) {
            const __m512i place = _mm512_add_epi32(begin, _mm512_cvtepu8_epi32(_mm512_castsi512_si128(leaf)));
            /* Two leaves, of which the second one is in the upper half. */
            const __m512i both = _mm512_i32gather_epi32(_mm512_srli_epi32(place, 1), leaves, 4);
            const __m512i shift = _mm512_andnot_si512(_mm512_slli_epi32(place, 4), half);
            sum = _mm512_add_epi32(sum, _mm512_srai_epi32(_mm512_sllv_epi32(both, shift), 16));
            leaf = _mm512_shuffle_i32x4(leaf, leaf, 0x39);
            leaves += ((ptrdiff_t)16 << depth) + 64;
        }
    }
    return _mm512_reduce_add_epi32(sum) + forest->bias;
}

/* Compilers write out the levels of the depths that are usual. */
GPPERF__VBMI static int32_t gpperf__total_vbmi(const gpperf__forest *forest, const uint8_t *bin)
{
    const int depth = forest->depth;
    if (gpperf__shared[forest->columns].n_columns > 64)
        return gpperf__total_of_vbmi(forest, depth, 1, bin);
    if (depth == 8) return gpperf__total_of_vbmi(forest, 8, 0, bin);
    if (depth == 6) return gpperf__total_of_vbmi(forest, 6, 0, bin);
    return gpperf__total_of_vbmi(forest, depth, 0, bin);
}

#elif defined(GPPERF__NEON)

static int gpperf__vectors(void)
{
    return 1;
}

/* The bins of 64 columns: older compilers do not load four vectors at once. */
GPPERF__INLINE uint8x16x4_t gpperf__bins_neon(const uint8_t *bin)
{
    uint8x16x4_t bins;
    bins.val[0] = vld1q_u8(bin);
    bins.val[1] = vld1q_u8(bin + 16);
    bins.val[2] = vld1q_u8(bin + 32);
    bins.val[3] = vld1q_u8(bin + 48);
    return bins;
}

/* The leaf of each of 64 trees: bins are looked up 64 columns at a time. */
static void gpperf__leaves_neon(const gpperf__forest *forest, int first, const uint8_t *bin,
                                uint8_t *leaf)
{
    const uint8_t *columns = gpperf__column + forest->first_question + first;
    const uint8_t *ranks = gpperf__rank + forest->first_question + first;
    const int n_columns = gpperf__shared[forest->columns].n_columns;
    int part, level, start;
    for (part = 0; part < 64; part += 16) {
        uint8x16_t leaves = vdupq_n_u8(0);
        for (level = 0; level < forest->depth; level++) {
            const int at = level * forest->n_padded + part;
            const uint8x16_t column = vld1q_u8(columns + at);
            uint8x16_t found = vqtbl4q_u8(gpperf__bins_neon(bin), column);
            /* A column that is not among these leaves what was found. */
            for (start = 64; start < n_columns; start += 64)
                found = vqtbx4q_u8(found, gpperf__bins_neon(bin + start),
                                   vsubq_u8(column, vdupq_n_u8((uint8_t)start)));
            /* What is true has all bits set: -1. */
            leaves = vsubq_u8(vaddq_u8(leaves, leaves), vcgtq_u8(found, vld1q_u8(ranks + at)));
        }
        vst1q_u8(leaf + part, leaves);
    }
}

#else

static int gpperf__vectors(void)
{
    return 0;
}

#endif
