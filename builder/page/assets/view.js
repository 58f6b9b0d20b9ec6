// The view: all that the reader chose, and its text behind the # of the address.

const FIGURES = {
  runtime: {
    label: "Runtime",
    unit: "s",
    value: (p) => p.runtimeS,
    low: "runtimeLowS",
    high: "runtimeHighS",
  },
  power: {
    label: "Power",
    unit: "W",
    value: (p) => p.powerW,
    low: "powerLowW",
    high: "powerHighW",
  },
  energy: { label: "Energy", unit: "J", value: (p) => p.energyJ },
  tflops: { label: "Throughput", unit: "FLOP/s", value: (p, flops) => flops / p.runtimeS },
  efficiency: { label: "Efficiency", unit: "FLOP/J", value: (p, flops) => flops / p.energyJ },
};
const OBJECTIVES = { runtime: "Runtime", energy: "Energy", edp: "Energy × delay", power: "Power" };
const CONFIDENCES = ["0.5", "0.8", "0.9", "0.95", "0.99"];
const DIMENSIONS = ["m", "n", "k", "batch"];

const USUAL = MODELS.has("h200_sxm") ? "h200_sxm" : FACTS[0].id;
const BLANK = {
  gpu: USUAL,
  dtype: "bf16",
  layout: "tn",
  kernel: "",
  m: "4096",
  n: "4096",
  k: "4096",
  batch: "1",
  beta: "0",
  confidence: "0.9",
  vs: "",
  vsdtype: "",
  vskernel: "",
  x: "m",
  y: "runtime",
  by: "runtime",
  code: "python",
  layers: "",
};
const ALWAYS = ["gpu", "dtype", "m", "n", "k"];

// A view that can be asked: what a model does not have gives way to what it has.
function possible(view) {
  const one = { ...view };
  if (!MODELS.has(one.gpu)) one.gpu = USUAL;
  if (one.vs && !MODELS.has(one.vs)) one.vs = "";
  Object.assign(one, side(one, one.gpu, one.dtype, one.kernel));
  if (one.vs) {
    const other = side(one, one.vs, one.vsdtype || one.dtype, one.vskernel);
    Object.assign(one, { vsdtype: other.dtype, vskernel: other.kernel });
  } else Object.assign(one, { vsdtype: "", vskernel: "" });
  if (!CONFIDENCES.includes(one.confidence)) one.confidence = BLANK.confidence;
  if (!["0", "1"].includes(one.beta)) one.beta = BLANK.beta;
  if (!DIMENSIONS.includes(one.x)) one.x = BLANK.x;
  if (!Object.hasOwn(FIGURES, one.y)) one.y = BLANK.y;
  if (!Object.hasOwn(OBJECTIVES, one.by)) one.by = BLANK.by;
  if (!Object.hasOwn(LANGUAGES, one.code)) one.code = BLANK.code;
  return one;
}

function side(view, gpu, dtype, kernel) {
  const { dtypes } = MODELS.get(gpu);
  const known = Object.hasOwn(dtypes, dtype) ? dtype : Object.keys(dtypes)[0];
  const layouts = layoutsOf(gpu, known);
  const usual = layouts.includes(BLANK.layout) ? BLANK.layout : layouts[0];
  const layout = gpu === view.gpu && !layouts.includes(view.layout) ? usual : view.layout;
  return {
    dtype: known,
    layout,
    kernel: kernelsOf(gpu, known, layout).includes(kernel) ? kernel : "",
  };
}

// The view of an address, and a sentence for each thing it asks for that cannot be shown as asked.
function viewOf(hash) {
  const told = new URLSearchParams(hash.replace(/^#/, ""));
  const names = Object.keys(BLANK).filter((name) => told.has(name));
  const asked = Object.fromEntries(names.map((name) => [name, usualOf(name, told.get(name))]));
  const view = possible({ ...BLANK, ...asked });
  // What is compared has the same dtype, unless the address names another.
  if (view.vs && asked.dtype && !asked.vsdtype) asked.vsdtype = view.dtype;
  const isMoot = (name) => !view.vs && ["vsdtype", "vskernel"].includes(name);
  const doubts = Object.entries(asked)
    .filter(([name, wanted]) => wanted && wanted !== view[name] && !isMoot(name))
    .map(([name, wanted]) => doubtOf(name, wanted, view));
  return { view, doubts };
}

// A value of an address as the page writes it: h200 is the SXM board as in Python, 0.90 is 0.9, and
// of beta counts whether C is read.
function usualOf(name, value) {
  const number = Number(value);
  const short = value.toLowerCase();
  const known = {
    gpu: () => [value, short, `${short}_sxm`].find((id) => MODELS.has(id)),
    confidence: () => CONFIDENCES.find((one) => Number(one) === number),
    beta: () => (Number.isFinite(number) ? String(Number(number !== 0)) : undefined),
  };
  return known[name === "vs" ? "gpu" : name]?.() ?? value;
}

function doubtOf(name, wanted, view) {
  const [gpu, dtype] = name.startsWith("vs") ? [view.vs, view.vsdtype] : [view.gpu, view.dtype];
  const isOf = (...names) => names.includes(name.replace(/^vs/, ""));
  const owner = isOf("dtype", "layout", "kernel") ? MODELS.get(gpu).gpu : "this page";
  const among = isOf("layout", "kernel") ? ` for ${dtype}` : "";
  const shown = view[name] || (name === "vs" ? "nothing" : "the default");
  return `The link asks for ${name} ${wanted}, which ${owner} does not have${among}: ${shown} is shown.`;
}

function isView(hash) {
  return hash.includes("=");
}

function hashOf(view) {
  const told = Object.entries(view).filter(
    ([name, value]) => ALWAYS.includes(name) || value !== BLANK[name],
  );
  return `#${new URLSearchParams(told)}`;
}

// The questions of a view: one, or that and the one it is compared with.
function asksOf(view) {
  const sizes = Object.fromEntries(DIMENSIONS.map((name) => [name, sizeOf(view[name])]));
  const confidence = Number(view.confidence);
  const ask = (model, dtype, kernel) => ({
    model,
    gemm: { ...sizes, dtype, layout: view.layout, beta: Number(view.beta) },
    kernel: kernel || null,
    confidence,
  });
  const asks = [ask(view.gpu, view.dtype, view.kernel)];
  if (view.vs) asks.push(ask(view.vs, view.vsdtype, view.vskernel));
  return asks;
}

// The number that a text is, or else the text: the module says what is wrong of it.
function sizeOf(text) {
  return /^\s*\d+\s*$/.test(text) ? Number(text) : text.trim() || "nothing";
}

function isSize(value) {
  return Number.isInteger(value) && value >= 1 && value <= LARGEST;
}

function flopsOf({ m, n, k, batch }) {
  return 2 * m * n * k * batch;
}

function nameOf(ask) {
  const gpu = MODELS.get(ask.model).gpu.replace(/^NVIDIA /, "");
  return `${gpu} ${ask.gemm.dtype}${ask.kernel ? ` ${ask.kernel}` : ""}`;
}
