/* Times of the physical model, the factor beyond the domain, and the bits of `outside`. */
typedef struct gpperf__physics {
    double @PHYSICS@;
    uint32_t outside;
} gpperf__physics;

/* Sums of forests, in units of 1/8192 octave. */
typedef struct gpperf__sums {
    int32_t runtime, power, sustained;
} gpperf__sums;

/* Where a run of numbers begins in the tables of all, and how long it is. */
typedef struct gpperf__interval {
    int32_t first_edge, first_confidence, first_width, n_edges, n_confidences;
} gpperf__interval;

/* Columns that forests share: padded to groups of 16, whose pivots stand side by side. */
typedef struct gpperf__columns {
    int32_t first_column, first_threshold, first_pivot, n_columns;
} gpperf__columns;

typedef struct gpperf__forest {
    int32_t first_leaf, first_question;
    int32_t columns, bias, n_trees, n_padded, depth;
} gpperf__forest;

/* A kernel in a dtype: rows of the tables of parameters; estimators, -1 for none; bits of layouts. */
typedef struct gpperf__head {
    double shortest_powered_s;
    uint16_t view, own, domain, board;
    int32_t runtime, power, sustained;
    int32_t alignment;
    uint32_t outside;
    uint8_t form, layouts, compared, measured_layouts, measured_betas, timed;
} gpperf__head;

/* A place among known confidences, of the table that begins at `first`. */
typedef struct gpperf__between {
    int32_t first, after;
    double share;
} gpperf__between;

/* The half-widths of each regime at the confidence of a question, and behind them the least outside. */
typedef struct gpperf__widths {
    double runtime[GPPERF__N_WIDTHS], power[GPPERF__N_WIDTHS];
} gpperf__widths;

typedef struct gpperf__ask {
    const gpperf__head *head;
    gpperf__between between;
    double m, n, k, batch, reads_c, a_is_row_major, b_is_row_major, confidence;
    uint32_t outside;
    int32_t kernel, is_small;
} gpperf__ask;

typedef struct gpperf__stored {
    double figures[8];
    double beta, confidence;
    int32_t m, n, k, batch, dtype, layout, kernel, is_in_domain;
} gpperf__stored;
