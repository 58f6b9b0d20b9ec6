// ---- tables: base64 of little-endian numbers ----

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

const THRESHOLD = Float32Array.from(tableOf(THRESHOLD_TEXT, 4, "getFloat32"));
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

const SCALE = new DataView(new ArrayBuffer(8));

// 2**(units / 8192), without a power: those are not rounded in one way everywhere.
function octaves(units) {
  const rest = units & 8191;
  SCALE.setUint32(0, (1023 + (units - rest) / 8192) << 20);
  return OCTAVE[rest] * SCALE.getFloat64(0);
}

// The half-width of an interval at a predicted value, between those of the two nearest confidences.
function width(interval, value, confidence) {
  const { edges, confidences, widths } = INTERVALS[interval];
  let regime = 0;
  let after = 0;
  while (regime < edges.length && edges[regime] <= value) regime++;
  while (after < confidences.length && confidences[after] <= confidence) after++;
  const row = widths[regime];
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

// ---- the forests ----

const BIN = new Uint8Array(256);
const X = new Float32Array(N_FEATURES);

function sumOf(estimator) {
  const { firstLeaf, firstThreshold, firstQuestion, bias, nTrees, nPadded, depth, features, counts } =
    FORESTS[estimator];
  let threshold = firstThreshold;
  for (let column = 0; column < features.length; column++) {
    const value = X[features[column]];
    const n = counts[column];
    // Thresholds rise: how many are below is found by halves.
    let low = 0;
    let high = n;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (value > THRESHOLD[threshold + middle]) low = middle + 1;
      else high = middle;
    }
    BIN[column] = low;
    threshold += (n + 15) & ~15;
  }
  let sum = bias;
  for (let tree = 0; tree < nTrees; tree++) {
    let leaf = 0;
    let question = firstQuestion + tree;
    for (let level = 0; level < depth; level++, question += nPadded) {
      leaf = (leaf << 1) | (BIN[COLUMN[question]] > RANK[question] ? 1 : 0);
    }
    sum += LEAF[firstLeaf + (tree << depth) + leaf];
  }
  return Math.min(Math.max(sum, -@LARGEST_SUM@), @LARGEST_SUM@);
}
