// ---- tables: base64 of little-endian numbers ----

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

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
