// ---- the forests ----

const THRESHOLD = bytesOf(THRESHOLD_TEXT);
const COLUMN = bytesOf(COLUMN_TEXT);
const RANK = bytesOf(RANK_TEXT);
const LEAF = bytesOf(LEAVES_TEXT);

// Two ways to sum up forests. Each has the place for the features of a question, a function of a number
// of columns that puts these into bins, and one of the number of a forest that looks at the bins.

// With the vectors of WebAssembly; undefined where an engine lacks them or a page forbids them.
function withVectors() {
  const isLittleEndian = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
  const code = bytesOf(WASM_TEXT);
  if (!isLittleEndian || typeof WebAssembly !== "object" || !WebAssembly.validate(code)) return;
  // Trees are taken by 16: there are leaves of 0 behind the last one.
  const sizes = FORESTS.map((one) => (one.nTrees + 16) << (one.depth + 1));
  const tables = [THRESHOLD, COLUMN, RANK];
  // 1 kB for a question; up to 512 bytes for the columns of a forest; 1 kB that is read and not used.
  const size = [...sizes, ...tables.map((one) => one.length)].reduce((sum, one) => sum + one + 512, 2048);
  const memory = new WebAssembly.Memory({ initial: (size + 65535) >> 16 });
  let bins, sum;
  try {
    ({ bins, sum } = new WebAssembly.Instance(new WebAssembly.Module(code), { gpperf: { memory } }).exports);
  } catch {
    return; // a page whose policy allows no WebAssembly
  }
  const bytes = new Uint8Array(memory.buffer);
  let end = 1024;
  const put = (table, length = table.length) => {
    bytes.set(table, end);
    end += length;
    return end - length;
  };
  const [threshold, column, rank] = tables.map((table) => put(table));
  const columns = COLUMNS.map(({ features, counts, firstThreshold }) => {
    return [put(features), put(counts), threshold + 4 * firstThreshold, features.length];
  });
  const forests = FORESTS.map((one, number) => {
    const { firstLeaf, nTrees, nPadded, depth } = one;
    const leaves = LEAF.subarray(2 * firstLeaf, 2 * (firstLeaf + (nTrees << depth)));
    return [
      ...[COLUMNS[one.columns].features.length, column + one.firstQuestion, rank + one.firstQuestion],
      ...[put(leaves, sizes[number]), nTrees, nPadded, depth],
    ];
  });
  return {
    features: new Float32Array(memory.buffer, 0, N_FEATURES),
    findBins: (number) => bins(...columns[number]),
    total: (number) => sum(...forests[number]),
  };
}

// In plain JavaScript, anywhere.
function withoutVectors() {
  const bits = new Int32Array(N_FEATURES);
  const features = new Float32Array(bits.buffer);
  const bin = new Uint8Array(256);
  const numbers = (bytes, size, get) => {
    const view = new DataView(bytes.buffer);
    return Array.from({ length: bytes.length / size }, (_, i) => view[get](i * size, true));
  };
  // Of numbers that are not negative, as features are, the bits rise as they do: they are compared as
  // integers, whose difference fits, so that nothing is guessed by the processor. Below 0 it is -1.
  const threshold = Int32Array.from(numbers(THRESHOLD, 4, "getFloat32"), (one) => {
    features[0] = Math.abs(one);
    return one < 0 ? -1 : bits[0];
  });
  const leaf = Int16Array.from(numbers(LEAF, 2, "getInt16"));
  // Eight questions to a tree, side by side: levels that it lacks come first, and are answered no.
  const eight = (values, { firstQuestion, nTrees, nPadded, depth }, filler) => {
    const questions = new Uint8Array(8 * nTrees).fill(filler);
    for (let tree = 0; tree < nTrees; tree++)
      for (let level = 0; level < depth; level++)
        questions[8 * tree + 8 - depth + level] = values[firstQuestion + level * nPadded + tree];
    return questions;
  };
  const forests = FORESTS.map((one) => ({
    nTrees: one.nTrees,
    depth: one.depth,
    columns: eight(COLUMN, one, 0),
    ranks: eight(RANK, one, 255),
    leaves: leaf.subarray(one.firstLeaf, one.firstLeaf + (one.nTrees << one.depth)),
  }));
  const columnsOf = COLUMNS.map((one) => ({
    features: Uint8Array.from(one.features),
    counts: Uint8Array.from(one.counts),
    thresholds: threshold.subarray(one.firstThreshold),
  }));
  // The number of thresholds of each column that its feature is above: they rise, so by halves.
  const findBins = (number) => {
    const { features, counts, thresholds } = columnsOf[number];
    let start = 0;
    for (let column = 0; column < features.length; column++) {
      const value = bits[features[column]];
      start += counts[column] > 16 ? 16 : 0; // pivots, which vectors use
      let low = start;
      for (let n = counts[column]; n > 1; ) {
        const half = n >> 1;
        low += half & ((thresholds[low + half - 1] - value) >> 31);
        n -= half;
      }
      bin[column] = low - start + ((thresholds[low] - value) >>> 31);
      start += (counts[column] + 15) & ~15;
    }
  };
  const total = (number) => {
    const { nTrees, depth, columns, ranks, leaves } = forests[number];
    let sum = 0;
    for (let tree = 0, q = 0; tree < nTrees; tree++, q += 8) {
      // The sign of a difference is the answer. Written out, it takes half of the time.
      const leaf =
        (((ranks[q] - bin[columns[q]]) >>> 31) << 7) |
        (((ranks[q + 1] - bin[columns[q + 1]]) >>> 31) << 6) |
        (((ranks[q + 2] - bin[columns[q + 2]]) >>> 31) << 5) |
        (((ranks[q + 3] - bin[columns[q + 3]]) >>> 31) << 4) |
        (((ranks[q + 4] - bin[columns[q + 4]]) >>> 31) << 3) |
        (((ranks[q + 5] - bin[columns[q + 5]]) >>> 31) << 2) |
        (((ranks[q + 6] - bin[columns[q + 6]]) >>> 31) << 1) |
        ((ranks[q + 7] - bin[columns[q + 7]]) >>> 31);
      sum += leaves[(tree << depth) | leaf];
    }
    return sum;
  };
  return { features, findBins, total };
}

// The features of a question, and the sums of forests over them, cut as corrections are.
const { features: X, findBins, total } = withVectors() ?? withoutVectors();
const BIASES = FORESTS.map((one) => one.bias);
const COLUMNS_OF = FORESTS.map((one) => one.columns);
let known = -1; // the columns whose bins are there

function sumOf(number) {
  if (number < 0) return 0;
  if (COLUMNS_OF[number] !== known) findBins((known = COLUMNS_OF[number]));
  return Math.min(Math.max(BIASES[number] + total(number), -@LARGEST_SUM@), @LARGEST_SUM@);
}

function sumsOf({ runtime, power, sustained }) {
  known = -1; // the question is another one
  return { runtime: sumOf(runtime), power: sumOf(power), sustained: sumOf(sustained) };
}
