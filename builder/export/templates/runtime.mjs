// ---- tables: base64 of little-endian numbers ----

// The features of a question, as numbers and as bits.
const X = new Float32Array(N_FEATURES);
const X_BITS = new Int32Array(X.buffer);

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function tableOf(text, size, get) {
  const view = new DataView(bytesOf(text).buffer);
  return Array.from({ length: view.byteLength / size }, (_, i) => view[get](i * size, true));
}

// Of numbers that are not negative, as features are, the bits rise as they do: they are compared as
// integers, whose difference fits, so that nothing is guessed by the processor. Below 0 it is -1.
const THRESHOLD = Int32Array.from(tableOf(THRESHOLD_TEXT, 4, "getFloat32"), (one) => {
  X[0] = Math.abs(one);
  return one < 0 ? -1 : X_BITS[0];
});
const LEAF = Int16Array.from(tableOf(LEAVES_TEXT, 2, "getInt16"));
const COLUMN = bytesOf(COLUMN_TEXT);
const RANK = bytesOf(RANK_TEXT);

// 2**(i / 8192): products alone, in the order in which Python makes the table.
const OCTAVE = Float64Array.of(1, ...Array(8191).fill(0));
ROOTS.forEach((root, bit) => {
  for (let i = 0; i < 1 << bit; i++) OCTAVE[(1 << bit) + i] = OCTAVE[i] * root;
});

// ---- the operations that the formulas call ----

// Whole numbers divided, and rounded down. Below 2**53 that is the quotient, cut; beyond, where it may
// be rounded up, Python divides what the remainder leaves, and so does this.
function floorDivide(one, other) {
  if (one < 9007199254740992) return Math.floor(one / other);
  const quotient = (one - (one % other)) / other;
  const whole = Math.floor(quotient);
  return quotient - whole > 0.5 ? whole + 1 : whole;
}

// 2**-1000 ... 2**1000, by doubling.
const SCALE = new Float64Array(2001);
SCALE[1000] = 1;
for (let i = 1; i <= 1000; i++) {
  SCALE[1000 + i] = SCALE[999 + i] * 2;
  SCALE[1000 - i] = SCALE[1001 - i] / 2;
}

// 2**(units / 8192), without a power: those are not rounded in one way everywhere.
function octaves(units) {
  return OCTAVE[units & 8191] * SCALE[1000 + (units >> 13)];
}

// A half-width at a confidence, between those of the two nearest ones that are known.
function between(row, confidences, confidence) {
  let after = 0;
  while (after < confidences.length && confidences[after] <= confidence) after++;
  if (after === 0) return row[0];
  if (after === confidences.length) return row[after - 1];
  const share =
    (confidence - confidences[after - 1]) / (confidences[after] - confidences[after - 1]);
  const more = (row[after] - row[after - 1]) * share;
  const whole = Math.floor(more);
  const rest = more - whole;
  // As Python rounds: half to even.
  return row[after - 1] + whole + (rest > 0.5 || (rest === 0.5 && whole & 1) ? 1 : 0);
}

// The half-widths of an interval at a confidence; those of the last one are kept.
function told(interval, confidence) {
  if (interval.asked !== confidence) {
    interval.asked = confidence;
    interval.told = interval.widths.map((row) => between(row, interval.confidences, confidence));
  }
  return interval.told;
}

// The half-width of an interval at a predicted value.
function width(number, value, confidence) {
  const { edges } = INTERVALS[number];
  let regime = 0;
  while (regime < edges.length && edges[regime] <= value) regime++;
  return told(INTERVALS[number], confidence)[regime];
}

// The least half-width outside of the domain: it stands behind those of the regimes.
function least(number, confidence) {
  return told(INTERVALS[number], confidence)[INTERVALS[number].edges.length + 1];
}

// ---- the forests ----

const BIN = new Uint8Array(256);
// Eight questions to a tree, side by side: levels that it lacks come first, and are answered no.
function eight(values, { firstQuestion, nTrees, nPadded, depth }, filler) {
  const questions = new Uint8Array(8 * nTrees).fill(filler);
  for (let tree = 0; tree < nTrees; tree++)
    for (let level = 0; level < depth; level++)
      questions[8 * tree + 8 - depth + level] = values[firstQuestion + level * nPadded + tree];
  return questions;
}

const TABLES = FORESTS.map((one) => ({
  bias: one.bias,
  nTrees: one.nTrees,
  depth: one.depth,
  features: Uint8Array.from(one.features),
  counts: Uint8Array.from(one.counts),
  thresholds: THRESHOLD.subarray(one.firstThreshold),
  columns: eight(COLUMN, one, 0),
  ranks: eight(RANK, one, 255),
  leaves: LEAF.subarray(one.firstLeaf, one.firstLeaf + (one.nTrees << one.depth)),
}));

// The number of thresholds of each column that its feature is above: they rise, so by halves.
function findBins({ features, counts, thresholds }) {
  let start = 0;
  for (let column = 0; column < features.length; column++) {
    const value = X_BITS[features[column]];
    start += counts[column] > 16 ? 16 : 0; // pivots, which vectors use
    let low = start;
    for (let n = counts[column]; n > 1; ) {
      const half = n >> 1;
      low += half & ((thresholds[low + half - 1] - value) >> 31);
      n -= half;
    }
    BIN[column] = low - start + ((thresholds[low] - value) >>> 31);
    start += (counts[column] + 15) & ~15;
  }
}

function sumOf(estimator) {
  const { nTrees, depth, bias, columns, ranks, leaves } = TABLES[estimator];
  findBins(TABLES[estimator]);
  let sum = bias;
  for (let tree = 0, q = 0; tree < nTrees; tree++, q += 8) {
    // The sign of a difference is the answer. Written out, it takes half of the time.
    const leaf =
      (((ranks[q] - BIN[columns[q]]) >>> 31) << 7) |
      (((ranks[q + 1] - BIN[columns[q + 1]]) >>> 31) << 6) |
      (((ranks[q + 2] - BIN[columns[q + 2]]) >>> 31) << 5) |
      (((ranks[q + 3] - BIN[columns[q + 3]]) >>> 31) << 4) |
      (((ranks[q + 4] - BIN[columns[q + 4]]) >>> 31) << 3) |
      (((ranks[q + 5] - BIN[columns[q + 5]]) >>> 31) << 2) |
      (((ranks[q + 6] - BIN[columns[q + 6]]) >>> 31) << 1) |
      ((ranks[q + 7] - BIN[columns[q + 7]]) >>> 31);
    sum += leaves[(tree << depth) | leaf];
  }
  return Math.min(Math.max(sum, -@LARGEST_SUM@), @LARGEST_SUM@);
}
