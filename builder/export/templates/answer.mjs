// ---- questions and answers ----

const FORMULAS = [@FORMULAS@];
const LAYOUTS = ["nn", "nt", "tn", "tt"];
const OBJECTIVES = {
  runtime: (p) => p.runtimeS,
  energy: (p) => p.energyJ,
  edp: (p) => p.energyJ * p.sustainedRuntimeS,
  power: (p) => p.powerW,
};

/** A question that is not valid: `message` says what must be what. */
export class GpperfError extends Error {}

function refuse(text) {
  throw new GpperfError(text);
}

function size(name, value) {
  if (!Number.isInteger(value) || value < 1 || value > 2147483647)
    refuse(`${name} must be a whole number from 1 to 2147483647 (got ${value})`);
}

function checked(gemm) {
  const { m, n, k, batch = 1, dtype = "f16", layout = "tn", beta = 0 } = gemm;
  if (!Object.hasOwn(HEADS, dtype))
    refuse(`dtype must be one that the model answers for: ${dtypes.join(" ")} (got ${dtype})`);
  if (!LAYOUTS.includes(layout)) refuse(`layout must be one of nn nt tn tt (got ${layout})`);
  if (!Number.isFinite(beta)) refuse(`beta must be a finite number (got ${beta})`);
  size("m", m), size("n", n), size("k", k), size("batch", batch);
  return { m, n, k, batch, dtype, layout: LAYOUTS.indexOf(layout), beta };
}

/** The reason why a kernel cannot run a GEMM; null where it can. */
function obstacle(head, gemm) {
  if (head === undefined) return `it was not measured in ${gemm.dtype}`;
  if (!((head.layouts >> gemm.layout) & 1)) return "it has another layout";
  const a = gemm.layout > 1 ? gemm.k : gemm.m;
  const b = gemm.layout & 1 ? gemm.n : gemm.k;
  if (a % head.alignment || b % head.alignment)
    return `contiguous extents must be multiples of ${head.alignment}`;
  return null;
}

function answer(head, gemm, confidence) {
  const ask = {
    m: gemm.m,
    n: gemm.n,
    k: gemm.k,
    batch: gemm.batch,
    reads_c: gemm.beta !== 0 ? 1 : 0,
    a_is_row_major: gemm.layout > 1 ? 1 : 0,
    b_is_row_major: gemm.layout & 1,
    confidence,
  };
  const [describe, finish] = FORMULAS[head.form];
  const physics = describe(head, ask);
  const sums = sumsOf(head);
  const p = finish(head, ask, physics, sums);
  const { compute_s: compute, memory_s: memory, launch_s: launch } = physics;
  const largest = compute >= memory ? compute : memory;
  const bits =
    physics.outside |
    head.outside |
    ((head.measuredLayouts >> gemm.layout) & 1 ? 0 : 1 << OUTSIDE.indexOf("layout")) |
    ((head.measuredBetas >> ask.reads_c) & 1 ? 0 : 1 << OUTSIDE.indexOf("beta"));
  p.kernel = kernels[head.kernel];
  p.bound = largest < launch ? "latency" : compute >= memory ? "compute" : "memory";
  p.timed = TIMED[head.timed];
  p.inDomain = bits === 0;
  p.outside = bits === 0 ? [] : OUTSIDE.filter((_, bit) => bits & (1 << bit));
  p.powerIsUnmeasured = head.power >= 0 && p.runtimeS < head.shortestPoweredS;
  p.confidence = confidence;
  return p;
}

function checkedConfidence(confidence) {
  if (!(confidence > 0 && confidence < 1))
    refuse(`confidence must be above 0 and below 1 (got ${confidence})`);
}

function headOf(gemm, kernel) {
  const number = kernels.indexOf(kernel);
  if (number < 0) refuse(`kernel must be one of ${kernels.slice(0, 6).join(" ")} (got ${kernel})`);
  return HEADS[gemm.dtype][number];
}

export function predict(gemm, { kernel = null, confidence = 0.9 } = {}) {
  const question = checked(gemm);
  checkedConfidence(confidence);
  if (kernel === null) {
    const preset = DEFAULTS[question.dtype];
    if (preset < 0) return best(gemm, { confidence });
    // It is a library, which runs every GEMM.
    return answer(HEADS[question.dtype][preset], question, confidence);
  }
  const head = headOf(question, kernel);
  const why = obstacle(head, question);
  if (why !== null) refuse(`kernel must be one that can run the GEMM (got ${kernel}: ${why})`);
  return answer(head, question, confidence);
}

export function predictBatch(gemms, options = {}) {
  return Array.from(gemms, (gemm) => predict(gemm, options));
}

// The answers of the kernels to choose from that can run a GEMM, in the order of their names.
function answersOf(gemm, value, { objective = "runtime", kernels: some = null, confidence = 0.9 }) {
  const question = checked(gemm);
  checkedConfidence(confidence);
  const asked = some === null ? null : new Set(Array.from(some, (one) => headOf(question, one)));
  const answers = [];
  let timed = "";
  for (const number of BY_NAME) {
    const head = HEADS[question.dtype][number];
    const isAsked = asked === null ? head && (head.compared >> question.layout) & 1 : asked.has(head);
    if (!isAsked || obstacle(head, question) !== null) continue;
    const one = answer(head, question, confidence);
    if (timed && one.timed && one.timed !== timed)
      refuse(`kernels must all have timed the same (got ${timed} and ${one.timed})`);
    timed = timed || one.timed;
    if (Number.isNaN(value(one)))
      refuse(
        `objective ${objective} needs power, which the model does not know in ${question.dtype}`,
      );
    answers.push(one);
  }
  return answers.length ? answers : refuse("none of the kernels can run the GEMM");
}

function valueOf({ objective = "runtime" }) {
  if (!Object.hasOwn(OBJECTIVES, objective))
    refuse(`objective must be one of ${Object.keys(OBJECTIVES).join(" ")} (got ${objective})`);
  return OBJECTIVES[objective];
}

export function rank(gemm, options = {}) {
  const value = valueOf(options);
  return answersOf(gemm, value, options).sort((one, other) => value(one) - value(other));
}

export function best(gemm, options = {}) {
  const value = valueOf(options);
  return answersOf(gemm, value, options).reduce((one, other) =>
    value(other) < value(one) ? other : one,
  );
}

/** How many of the stored answers, which Python gave, come out differently. */
export function selftest() {
  return ANSWERS.filter(([gemm, options, figures, inDomain]) => {
    const p = predict(gemm, options);
    return p.inDomain !== inDomain || FIGURES.some((name, i) => !Object.is(p[name], figures[i]));
  }).length;
}
