/* ---- the forests, with the vectors of x86-64 ---- */

#ifdef GPPERF__X86

/* 0: none of these, 1: AVX2, 2: AVX-512 with permutations of bytes. */
static int gpperf__vectors(void)
{
#if GPPERF_SIMD > 1
    if (__builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq"))
        return 2;
#endif
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("popcnt") ? 1 : 0;
}

GPPERF__AVX2 static void gpperf__bins_avx2(const gpperf__forest *forest, const float *x, uint8_t *bin)
{
    const uint8_t *feature = gpperf__feature + forest->first_column;
    const uint8_t *counts = gpperf__count + forest->first_column;
    const float *threshold = gpperf__threshold + forest->first_threshold;
    int column, block;
    for (column = 0; column < forest->n_columns; column++) {
        const __m256 value = _mm256_set1_ps(x[feature[column]]);
        int count = 0;
        for (block = 0; block < counts[column]; block += 16, threshold += 16) {
            const __m256 low = _mm256_cmp_ps(value, _mm256_loadu_ps(threshold), _CMP_GT_OQ);
            const __m256 high = _mm256_cmp_ps(value, _mm256_loadu_ps(threshold + 8), _CMP_GT_OQ);
            count += __builtin_popcount((unsigned)_mm256_movemask_ps(low));
            count += __builtin_popcount((unsigned)_mm256_movemask_ps(high));
        }
        bin[column] = (uint8_t)count;
    }
}

/* The leaf of each of 64 trees: bins are looked up 16 columns at a time. */
GPPERF__AVX2 static void gpperf__leaves_avx2(const gpperf__forest *forest, int first, const uint8_t *bin,
                                             uint8_t *leaf)
{
    const uint8_t *columns = gpperf__column + forest->first_question + first;
    const uint8_t *ranks = gpperf__rank + forest->first_question + first;
    const __m256i most = _mm256_set1_epi8(0x70);
    int half, level, start;
    for (half = 0; half < 64; half += 32) {
        __m256i leaves = _mm256_setzero_si256();
        for (level = 0; level < forest->depth; level++) {
            const int at = level * forest->n_padded + half;
            const __m256i column = _mm256_loadu_si256((const __m256i *)(const void *)(columns + at));
            const __m256i rank = _mm256_loadu_si256((const __m256i *)(const void *)(ranks + at));
            __m256i found = _mm256_setzero_si256(), no;
            for (start = 0; start < forest->n_columns; start += 16) {
                const __m128i some = _mm_loadu_si128((const __m128i *)(const void *)(bin + start));
                /* 0 ... 15 of these columns; others have the high bit, and give 0. */
                const __m256i mine = _mm256_xor_si256(column, _mm256_set1_epi8((char)start));
                found = _mm256_or_si256(found, _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(some),
                                                                   _mm256_adds_epu8(mine, most)));
            }
            /* Equal to the lesser of both: it is not above. */
            no = _mm256_cmpeq_epi8(_mm256_min_epu8(found, rank), found);
            leaves = _mm256_add_epi8(_mm256_add_epi8(leaves, leaves),
                                     _mm256_add_epi8(no, _mm256_set1_epi8(1)));
        }
        _mm256_storeu_si256((__m256i *)(void *)(leaf + half), leaves);
    }
}

GPPERF__VBMI static void gpperf__bins_vbmi(const gpperf__forest *forest, const float *x, uint8_t *bin)
{
    const uint8_t *feature = gpperf__feature + forest->first_column;
    const uint8_t *counts = gpperf__count + forest->first_column;
    const float *threshold = gpperf__threshold + forest->first_threshold;
    int column, block;
    for (column = 0; column < forest->n_columns; column++) {
        const __m512 value = _mm512_set1_ps(x[feature[column]]);
        int count = 0;
        for (block = 0; block < counts[column]; block += 16, threshold += 16)
            count += __builtin_popcount(_mm512_cmp_ps_mask(value, _mm512_loadu_ps(threshold), _CMP_GT_OQ));
        bin[column] = (uint8_t)count;
    }
}

GPPERF__VBMI static void gpperf__leaves_vbmi(const gpperf__forest *forest, int first, const uint8_t *bin,
                                             uint8_t *leaf)
{
    const uint8_t *column = gpperf__column + forest->first_question + first;
    const uint8_t *rank = gpperf__rank + forest->first_question + first;
    const __m512i low = _mm512_loadu_si512(bin), high = _mm512_loadu_si512(bin + 64);
    const __m512i one = _mm512_set1_epi8(1);
    __m512i leaves = _mm512_setzero_si512();
    int level;
    for (level = 0; level < forest->depth; level++) {
        const __m512i found = _mm512_permutex2var_epi8(low, _mm512_loadu_si512(column), high);
        const __mmask64 above = _mm512_cmpgt_epu8_mask(found, _mm512_loadu_si512(rank));
        leaves = _mm512_add_epi8(leaves, leaves);
        leaves = _mm512_mask_add_epi8(leaves, above, leaves, one);
        column += forest->n_padded;
        rank += forest->n_padded;
    }
    _mm512_storeu_si512(leaf, leaves);
}

#endif
