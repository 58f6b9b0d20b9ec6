/* ---- the forests of one question ---- */

/* Vectors that columns are for: those of AVX-512 take up to 128 of them. */
static int gpperf__vectors_for(const gpperf__columns *columns)
{
    const int vectors = gpperf__vectors();
    return vectors == 2 && columns->n_columns > 128 ? 1 : vectors;
}

/* The bins of columns; vectors look at some behind the last one. */
static void gpperf__bins(const gpperf__columns *columns, const float *x, uint8_t *bin, int vectors)
{
    (void)vectors;
#ifdef GPPERF__X86
    if (vectors == 2) {
        gpperf__bins_vbmi(columns, x, bin);
        return;
    }
#endif
    memset(bin, 0, 256);
#ifdef GPPERF__X86
    if (vectors == 1) gpperf__bins_avx2(columns, x, bin);
    else
#endif
        gpperf__bins_plain(columns, x, bin);
}

/* The leaf of each of 64 trees. */
static void gpperf__leaves(const gpperf__forest *forest, int first, const uint8_t *bin, uint8_t *leaf,
                           int vectors)
{
    (void)vectors;
#if defined(GPPERF__X86)
    if (vectors > 0) gpperf__leaves_avx2(forest, first, bin, leaf);
    else
#elif defined(GPPERF__NEON)
    if (vectors > 0) gpperf__leaves_neon(forest, first, bin, leaf);
    else
#endif
        gpperf__leaves_plain(forest, first, bin, leaf);
}

/* The sum of a forest, not cut, of the bins of its columns. */
static int32_t gpperf__total(const gpperf__forest *forest, const uint8_t *bin, int vectors)
{
    const int16_t *leaves = gpperf__leaf + forest->first_leaf;
    const int depth = forest->depth;
    uint8_t leaf[64];
    int32_t sum = forest->bias, sum1 = 0, sum2 = 0, sum3 = 0;
    int first, i;
#ifdef GPPERF__X86
    if (vectors == 2) return gpperf__total_vbmi(forest, bin);
#endif
    for (first = 0; first < forest->n_trees; first += 64) {
        const int n = forest->n_trees - first < 64 ? forest->n_trees - first : 64;
        gpperf__leaves(forest, first, bin, leaf, vectors);
        /* Trees are padded to a multiple of 16; behind eight of them lies a line that is empty. */
        for (i = 0; i < n; i += 4) {
            sum += leaves[leaf[i]];
            sum1 += leaves[(1 << depth) + leaf[i + 1]];
            sum2 += leaves[(2 << depth) + leaf[i + 2]];
            sum3 += leaves[(3 << depth) + leaf[i + 3]];
            leaves += ((ptrdiff_t)4 << depth) + (i & 4 ? 32 : 0);
        }
    }
    return sum + sum1 + sum2 + sum3;
}

/* The forest of the runtime, the power or the sustained runtime; NULL where it is not there. */
GPPERF__INLINE const gpperf__forest *gpperf__forest_of(const gpperf__head *head, int target)
{
    const int32_t numbers[3] = {head->runtime, head->power, head->sustained};
    return numbers[target] < 0 ? NULL : gpperf__forests + numbers[target];
}

/* The sums of all forests of a head, cut as corrections are; 0 of one that is not there. */
static void gpperf__sums_of(const gpperf__head *head, const float *x, gpperf__sums *sums)
{
    int32_t told[3] = {0, 0, 0}, known = -1;
    uint8_t GPPERF__LINES bin[256];
    int i, vectors = 0;
    for (i = 0; i < 3; i++) {
        const gpperf__forest *forest = gpperf__forest_of(head, i);
        if (forest == NULL) continue;
        if (forest->columns != known) {
            known = forest->columns;
            vectors = gpperf__vectors_for(gpperf__shared + known);
            gpperf__bins(gpperf__shared + known, x, bin, vectors);
        }
        told[i] = gpperf__cut(gpperf__total(forest, bin, vectors));
    }
    sums->runtime = told[0];
    sums->power = told[1];
    sums->sustained = told[2];
}
