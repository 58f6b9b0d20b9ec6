/* ---- the operations that the formulas call ---- */

/* Beyond 2**53, where a quotient may be rounded up, Python divides what fmod leaves. */
static double gpperf__floor_divide_large(double one, double other)
{
    GPPERF__EXACT
    const double quotient = (one - fmod(one, other)) / other, whole = floor(quotient);
    return quotient - whole > 0.5 ? whole + 1.0 : whole;
}

/* (one + more) / other of whole numbers, rounded down. Of small sizes it is the nearest whole number to a
   quotient that is (other - 1) / (2 * other) less, and no tie; a large number that is added leaves it. */
GPPERF__INLINE double gpperf__floor_divide(double one, double more, double other, int is_small)
{
    GPPERF__EXACT
    const double large = 6755399441055744.0, sum = one + more; /* 1.5 * 2**52 */
    if (is_small) return ((one + (more - (other - 1.0) * 0.5)) * (1.0 / other) + large) - large;
    if (!(sum < 9007199254740992.0)) return gpperf__floor_divide_large(sum, other);
    return (double)(int64_t)(sum / other);
}

/* Two quotients, rounded to floats. */
GPPERF__INLINE void gpperf__quotients(float *first, double one, double other, float *second, double more,
                                      double another)
{
#ifdef GPPERF__X86
    const __m128 both = _mm_cvtpd_ps(_mm_div_pd(_mm_set_pd(more, one), _mm_set_pd(another, other)));
    _mm_store_ss(first, both);
    _mm_store_ss(second, _mm_shuffle_ps(both, both, 1));
#else
    *first = (float)(one / other);
    *second = (float)(more / another);
#endif
}

static int32_t gpperf__faded(int32_t units, double beyond)
{
    return beyond == 1.0 ? units : (int32_t)((double)units / beyond);
}

/* 2**(units / 8192): a table of the low bits, and a product for each of the high ones, in the order in
   which Python's table was made. */
GPPERF__INLINE double gpperf__octaves(int32_t units)
{
    GPPERF__EXACT
    const int32_t rest = units & 8191;
    const uint64_t power = (uint64_t)(1023 + (units - rest) / 8192) << 52;
    double factor, value = gpperf__octave[rest & 511];
    value *= gpperf__root[0][rest >> 9 & 1];
    value *= gpperf__root[1][rest >> 10 & 1];
    value *= gpperf__root[2][rest >> 11 & 1];
    value *= gpperf__root[3][rest >> 12 & 1];
    memcpy(&factor, &power, sizeof factor);
    return value * factor;
}

/* Between which of the known confidences one lies, and how far. */
static gpperf__between gpperf__between_of(const gpperf__interval *interval, double confidence)
{
    const double *known = gpperf__confidences + interval->first_confidence;
    gpperf__between between;
    int32_t after = 0;
    while (after < interval->n_confidences && known[after] <= confidence) after++;
    between.first = interval->first_confidence;
    between.after = after;
    between.share = after == 0 || after == interval->n_confidences
                        ? 0.0
                        : (confidence - known[after - 1]) / (known[after] - known[after - 1]);
    return between;
}

/* The half-width of one regime, between those of the two nearest confidences. */
static int32_t gpperf__width_in(const gpperf__interval *interval, int32_t regime, const gpperf__ask *ask)
{
    const int32_t *widths =
        gpperf__half_widths + interval->first_width + regime * interval->n_confidences;
    gpperf__between between = ask->between;
    int32_t whole;
    double more, rest;
    if (interval->first_confidence != between.first)
        between = gpperf__between_of(interval, ask->confidence);
    if (between.after == 0) return widths[0];
    if (between.after == interval->n_confidences) return widths[between.after - 1];
    more = (double)(widths[between.after] - widths[between.after - 1]) * between.share;
    whole = (int32_t)more;
    rest = more - (double)whole;
    /* As Python rounds: half to even. */
    if (rest > 0.5 || (rest == 0.5 && (whole & 1))) whole++;
    return widths[between.after - 1] + whole;
}

/* The half-width of an interval at a predicted value. */
static int32_t gpperf__width(const gpperf__interval *interval, double value, const gpperf__ask *ask)
{
    const double *edges = gpperf__edges + interval->first_edge;
    int32_t regime = 0;
    while (regime < interval->n_edges && edges[regime] <= value) regime++;
    return gpperf__width_in(interval, regime, ask);
}

#ifdef GPPERF__X86
/* All half-widths of an interval, and the least one outside. */
static void gpperf__widths_of(int estimator, const gpperf__ask *ask, double *widths)
{
    const gpperf__interval *interval = gpperf__intervals + estimator;
    int32_t regime;
    for (regime = 0; regime < interval->n_edges + 2; regime++)
        widths[regime] = gpperf__width_in(interval, regime, ask);
}
#endif

/* ---- the forests ---- */

static int32_t gpperf__cut(int32_t sum)
{
    return sum > @LARGEST_SUM@ ? @LARGEST_SUM@ : sum < -@LARGEST_SUM@ ? -@LARGEST_SUM@ : sum;
}

/* The number of thresholds of each column that its feature is above. Pivots tell in which of its blocks of
   thresholds a column must look, of 16 columns at once, which compilers turn into vectors. */
GPPERF__INLINE void gpperf__bins_plain(const gpperf__columns *columns, const float *x, uint8_t *bin)
{
    const float *threshold = gpperf__threshold + columns->first_threshold;
    const float *pivot = gpperf__pivot + columns->first_pivot;
    int first, row, i, j;
    for (first = 0; first < columns->n_columns; first += 16) {
        const int column = columns->first_column + first;
        float value[16];
        int32_t block[16];
        for (i = 0; i < 16; i++) value[i] = x[gpperf__feature[column + i]];
        for (i = 0; i < 16; i++) block[i] = 0;
        for (row = 0; row < gpperf__n_pivots[column / 16]; row++, pivot += 16)
            for (i = 0; i < 16; i++) block[i] += value[i] > pivot[i];
        for (i = 0; i < 16; i++) {
            const float *some = threshold + 16 * (gpperf__first_block[column + i] + block[i]), one = value[i];
            int32_t count = 16 * block[i];
            for (j = 0; j < 16; j++) count += one > some[j];
            bin[first + i] = (uint8_t)count;
        }
    }
}

/* The leaf of each of 64 trees of up to 8 levels. All bins are looked up first: the rest compilers turn
   into vectors, which had to wait for bytes that were just written. */
GPPERF__INLINE void gpperf__leaves_plain(const gpperf__forest *forest, int first, const uint8_t *bin,
                                         uint8_t *leaf)
{
    const uint8_t *column = gpperf__column + forest->first_question + first;
    const uint8_t *rank = gpperf__rank + forest->first_question + first;
    uint8_t found[8][64];
    int level, i;
    for (level = 0; level < forest->depth; level++)
        for (i = 0; i < 64; i++) found[level][i] = bin[column[level * forest->n_padded + i]];
    memset(leaf, 0, 64);
    for (level = 0; level < forest->depth; level++)
        for (i = 0; i < 64; i++)
            leaf[i] = (uint8_t)(2 * leaf[i] + (found[level][i] > rank[level * forest->n_padded + i]));
}
