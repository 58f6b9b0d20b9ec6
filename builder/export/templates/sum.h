/* The sum of one forest, cut as a correction is. */
static int32_t gpperf__sum(int estimator, const float *x, int vectors)
{
    const gpperf__forest *forest = gpperf__forests + estimator;
    const int depth = forest->depth;
    uint8_t bin[256], leaf[64];
    int32_t sum = forest->bias, sum1 = 0, sum2 = 0, sum3 = 0;
    int first, i;
#ifndef GPPERF__X86
    (void)vectors;
#else
    if (vectors == 2 && forest->n_columns <= 128) return gpperf__cut(gpperf__total_vbmi(forest, x));
    memset(bin, 0, sizeof bin); /* vectors look at all of it */
    if (vectors > 0) gpperf__bins_avx2(forest, x, bin);
    else
#endif
        gpperf__bins(forest, x, bin);
    for (first = 0; first < forest->n_trees; first += 64) {
        const int16_t *leaves = gpperf__leaf + forest->first_leaf + ((ptrdiff_t)first << depth);
        const int n = forest->n_trees - first < 64 ? forest->n_trees - first : 64;
#ifdef GPPERF__X86
        if (vectors > 0) gpperf__leaves_avx2(forest, first, bin, leaf);
        else
#endif
            gpperf__leaves(forest, first, bin, leaf);
        for (i = 0; i + 4 <= n; i += 4, leaves += (ptrdiff_t)4 << depth) {
            sum += leaves[leaf[i]];
            sum1 += leaves[(1 << depth) + leaf[i + 1]];
            sum2 += leaves[(2 << depth) + leaf[i + 2]];
            sum3 += leaves[(3 << depth) + leaf[i + 3]];
        }
        for (; i < n; i++, leaves += (ptrdiff_t)1 << depth) sum += leaves[leaf[i]];
    }
    return gpperf__cut(sum + sum1 + sum2 + sum3);
}

/* The sums of all forests of a head; 0 of one that is not there. */
static void gpperf__sums_of(const gpperf__head *head, const float *x, gpperf__sums *sums)
{
    const int vectors = gpperf__vectors();
    sums->runtime = gpperf__sum(head->runtime, x, vectors);
    sums->power = head->power < 0 ? 0 : gpperf__sum(head->power, x, vectors);
    sums->sustained = head->sustained < 0 ? 0 : gpperf__sum(head->sustained, x, vectors);
}
