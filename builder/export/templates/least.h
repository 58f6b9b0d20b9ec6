/* The least half-width outside of the domain: it stands behind those of the regimes. */
static int32_t gpperf__least(const gpperf__interval *interval, const gpperf__ask *ask)
{
    return gpperf__width_in(interval, interval->n_edges + 1, ask);
}

#ifdef GPPERF__X86
static double gpperf__least_of(int estimator, const double *widths)
{
    return widths[gpperf__intervals[estimator].n_edges + 1];
}
#endif
