// The explorer: what the reader chooses becomes questions, and the answers are shown.

const GENERATIONS = { 6: "Pascal", 7: "Volta and Turing", 8: "Ampere and Ada", 9: "Hopper", 10: "Blackwell", 12: "Blackwell" };
const at = (id) => document.getElementById(`x-${id}`);
const CHOICES = ["gpu", "dtype", "layout", "kernel", "beta", "confidence", "vs", "vsdtype", "vskernel", "x", "y", "by", "code"];

let view = viewOf(isView(location.hash) ? location.hash : "");
let isAllRanked = false;
let drawn = null;
let lastAnswers = [];
let lastCurve = null;
let curveKey = "";
let layersKey = "";
const cards = cardsOf(at("cards"));
const sliders = {};

// ---- the controls ----

function option(value, text) {
  return new Option(text, value);
}

function gpuOptions() {
  const byGeneration = new Map();
  const newest = [...MODELS.values()].sort((one, other) => other.capability[0] - one.capability[0]);
  for (const { id, gpu, capability } of newest) {
    const name = GENERATIONS[capability[0]] ?? `Compute capability ${capability[0]}`;
    if (!byGeneration.has(name)) byGeneration.set(name, []);
    byGeneration.get(name).push(option(id, gpu.replace(/^NVIDIA /, "")));
  }
  return [...byGeneration].map(([label, options]) => {
    const group = element("optgroup", { label });
    group.append(...options);
    return group;
  });
}

function kernelOptions(id, dtype, layout) {
  const { kernels, dtypes } = MODELS.get(id);
  const { preset } = dtypes[dtype];
  const usual = preset < 0 ? "The fastest of all" : `Usual: ${kernels[preset]}`;
  return [option("", usual), ...kernelsOf(id, dtype, layout).map((name) => option(name, name))];
}

// Fill a list anew where what its choices depend on changed; the keyboard stays where it is.
function fill(select, depends, optionsOf, value) {
  const key = depends.join("|");
  if (select.dataset.key !== key) {
    select.replaceChildren(...optionsOf(...depends));
    select.dataset.key = key;
  }
  select.value = value;
}

function dtypeOptions(id) {
  return Object.keys(MODELS.get(id).dtypes).map((one) => option(one, one));
}

function layoutOptions(id, dtype) {
  return layoutsOf(id, dtype).map((one) => option(one, one));
}

function showControls() {
  at("gpu").value = view.gpu;
  fill(at("dtype"), [view.gpu], dtypeOptions, view.dtype);
  fill(at("layout"), [view.gpu, view.dtype], layoutOptions, view.layout);
  fill(at("kernel"), [view.gpu, view.dtype, view.layout], kernelOptions, view.kernel);
  at("vs").value = view.vs;
  at("vs-more").hidden = !view.vs;
  if (view.vs) {
    fill(at("vsdtype"), [view.vs], dtypeOptions, view.vsdtype);
    fill(at("vskernel"), [view.vs, view.vsdtype, view.layout], kernelOptions, view.vskernel);
  }
  for (const name of ["beta", "confidence", "x", "y", "by", "code"]) at(name).value = view[name];
  for (const name of DIMENSIONS) {
    const input = at(name);
    if (document.activeElement !== input || sizeOf(input.value) !== sizeOf(view[name])) input.value = view[name];
    input.setAttribute("aria-invalid", String(!isSize(sizeOf(view[name]))));
    if (sliders[name]) showSlider(name);
  }
  if (document.activeElement !== at("layers")) at("layers").value = view.layers;
}

function showSlider(name) {
  const size = sizeOf(view[name]);
  if (!isSize(size)) return;
  sliders[name].value = String(nearestStop(SLIDER_STOPS, size));
  sliders[name].setAttribute("aria-valuetext", String(size));
}

function makeControls() {
  at("gpu").append(...gpuOptions());
  at("vs").append(option("", "Nothing"), ...gpuOptions());
  at("confidence").append(...CONFIDENCES.map((one) => option(one, percent(Number(one)))));
  at("y").append(...Object.entries(FIGURES).map(([name, { label }]) => option(name, label)));
  at("x").append(...DIMENSIONS.map((one) => option(one, one)));
  at("by").append(...Object.entries(OBJECTIVES).map(([name, label]) => option(name, label.toLowerCase())));
  at("code").append(...Object.entries(LANGUAGES).map(([name, { label }]) => option(name, label)));
  for (const name of ["m", "n", "k"]) {
    const slider = element("input", { type: "range", id: `x-${name}-slider`, min: "0", max: String(SLIDER_STOPS.length - 1), step: "1" });
    slider.setAttribute("aria-label", `${name}, as a slider`);
    const text = element("input", { type: "text", id: `x-${name}`, inputMode: "numeric", autocomplete: "off" });
    at("sizes").append(element("div", { className: "size" }, element("label", { htmlFor: `x-${name}`, textContent: name }), slider, text));
    sliders[name] = slider;
    slider.addEventListener("input", () => change({ [name]: String(SLIDER_STOPS[Number(slider.value)]) }));
  }
  for (const name of DIMENSIONS) at(name).addEventListener("input", () => change({ [name]: at(name).value.trim() }));
  for (const name of CHOICES) at(name).addEventListener("change", () => change({ [name]: at(name).value }));
}

function change(some) {
  view = possible({ ...view, ...some });
  ask();
  showControls();
}

// ---- the questions ----

const answers = new Line("answers", showAnswers, showFailure);
const curve = new Line("sweep", showCurve, showFailure);
const ranking = new Line("ranking", rankingShown, rankingRefused);
const layers = new Line("layers", layersShown, showFailure);

function ask() {
  const asks = asksOf(view);
  const models = asks.map((one) => one.model);
  for (const id of models) if (!checks.has(id)) check(id);
  answers.ask({ asks }, models);
  askCurve(asks, models);
  const top = isAllRanked ? LARGEST : FIRST_ROWS;
  ranking.ask({ ask: { ...asks[0], kernel: null }, objective: view.by, top }, [models[0]]);
  askLayers(asks[0]);
  showSnippet(asks);
  soon("hash", 250, () => {
    if (isView(location.hash) || hashOf(view) !== hashOf(viewOf(""))) history.replaceState(null, "", hashOf(view));
  });
}

// The curve does not depend on the size that it is drawn over: it is asked for when another changed.
function askCurve(asks, models) {
  const vary = view.x;
  const sizes = sweepSizes(asks);
  const question = { asks: asks.map((one) => ({ ...one, gemm: { ...one.gemm, [vary]: 1 } })), vary, sizes };
  const key = JSON.stringify(question);
  if (key !== curveKey) curve.ask(question, models);
  curveKey = key;
}

// From the smallest to the largest size that was measured, and as far as the question goes.
function sweepSizes(asks) {
  const ends = asks.flatMap(({ model, gemm, kernel }) => estimatorOf(model, gemm.dtype, kernel)[view.x]);
  const now = asks[0].gemm[view.x];
  const known = isSize(now) ? [...ends, now] : ends;
  const [least, most] = [Math.min(...known), Math.max(...known, view.x === "batch" ? 64 : 1)];
  const stops = SWEEP_STOPS.filter((size) => size > least && size < most);
  return [...new Set([...stops, ...known])].sort((one, other) => one - other);
}

const checks = new Map();

async function check(id) {
  checks.set(id, "");
  at("cards").classList.add("is-waiting");
  try {
    const wrong = await loaded(id);
    checks.set(id, wrong === 0 ? "gives all stored answers of Python, bit for bit" : `gives ${wrong} stored answers of Python differently: do not trust the numbers`);
  } catch (error) {
    showFailure(error.message);
  }
}

const timers = {};

function soon(name, delayMs, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, delayMs);
}

// ---- the answers ----

function showAnswers(told, { asks }) {
  const place = at("cards");
  place.classList.remove("is-waiting");
  place.classList.toggle("is-single", told.length === 1);
  showFigures(cards, asks, told);
  showRemarks(at("remarks"), asks, told);
  at("legend").replaceChildren(...(told.length > 1 ? asks.map((one, i) => element("span", {}, swatch(i), nameOf(one))) : []));
  at("legend").hidden = told.length === 1;
  const names = [...new Set(asks.map((one) => one.model))].filter((id) => checks.get(id));
  at("checked").textContent = names.map((id) => `${MODELS.get(id).gpu} ${checks.get(id)}.`).join(" ");
  if (names.length) at("checked").prepend("Checked in this browser: ");
  lastAnswers = told;
  if (lastCurve) drawCurve();
  soon("said", 700, () => (at("said").textContent = spoken(asks, told)));
}

function showFailure(text) {
  at("remarks").replaceChildren(element("ul", {}, element("li", { className: "wrong", textContent: `The model could not be asked: ${text}` })));
}

function showCurve(told, question) {
  lastCurve = [told, question];
  drawCurve();
}

function drawCurve() {
  const [told, { asks, vary }] = lastCurve;
  if (vary !== view.x) return;
  const { label, unit, value, low, high } = FIGURES[view.y];
  const flops = flopsOf(asksOf(view)[0].gemm);
  const curves = told.map((points, i) => ({
    name: nameOf(asks[i]),
    points: points.map((p) => ({
      size: p.size,
      inDomain: p.inDomain,
      value: value(p, flopsOf({ ...asks[i].gemm, [vary]: p.size })),
      low: low ? p[low] : NaN,
      high: low ? p[high] : NaN,
    })),
    now: lastAnswers[i]?.kernel ? value(lastAnswers[i], flops) : NaN,
  }));
  drawn = { curves, vary, at: sizeOf(view[vary]), label, unit };
  drawn.scales = drawChart(at("chart"), drawn);
  showHint();
  if (at("points").open) soon("points", 150, showPoints);
}

function showHint(text = "") {
  const bands = FIGURES[view.y].low ? ` Bands are ${percent(Number(view.confidence))} intervals.` : "";
  const usual = `Both axes are logarithmic.${bands} Grey ground is out of the domain.`;
  at("hint").textContent = text || (drawn?.scales ? usual : "");
}

function showPoints() {
  const { curves, vary, unit } = drawn;
  const bySize = new Map();
  curves.forEach(({ points }, i) => points.forEach((point) => {
    if (!bySize.has(point.size)) bySize.set(point.size, []);
    bySize.get(point.size)[i] = point;
  }));
  const rows = [...bySize].sort(([one], [other]) => one - other).map(([size, points]) =>
    element("tr", {}, element("th", { scope: "row", textContent: String(size) }), ...curves.flatMap((_, i) => cellsOf(points[i], unit).map((text) => element("td", { textContent: text })))),
  );
  const heads = [vary, ...curves.flatMap(({ name }) => [name, "Interval", "Domain"])];
  const table = element(
    "table", {},
    element("caption", { className: "sr", textContent: `${drawn.label} over ${vary}` }),
    element("thead", {}, element("tr", {}, ...heads.map((name) => element("th", { scope: "col", textContent: name })))),
    element("tbody", {}, ...rows),
  );
  at("points-table").replaceChildren(table);
}

function cellsOf(point, unit) {
  if (!point) return ["–", "–", "–"];
  const interval = Number.isFinite(point.low) ? between(point.low, point.high, unit) : "–";
  return [figure(point.value, unit), interval, point.inDomain ? "in" : "out"];
}

function rankingShown({ n, best }, { ask: one, objective }) {
  showRanking(at("ranking"), one, objective, best, (kernel) => change({ kernel }));
  const nKnown = kernelsOf(one.model, one.gemm.dtype, one.gemm.layout).length;
  at("ranked").textContent = n < nKnown
    ? `${n} of the ${nKnown} kernels and back ends for ${one.gemm.dtype} are ranked: those that timed the same and can run this GEMM, and of those that share a fit the first.`
    : "";
  const more = at("all");
  more.hidden = n <= FIRST_ROWS;
  more.textContent = isAllRanked ? `Show the best ${FIRST_ROWS}` : `Show all ${n}`;
}

function rankingRefused(text) {
  at("ranking").replaceChildren(element("p", { className: "empty", textContent: `There is no ranking: ${text}.` }));
  at("all").hidden = true;
  at("ranked").textContent = "";
}

// The layers have sizes of their own: they are asked about when something else changed.
function askLayers(one) {
  const ask = { ...one, gemm: { ...one.gemm, m: 1, n: 1, k: 1 } };
  const key = JSON.stringify([ask, view.layers]);
  if (key === layersKey) return;
  layersKey = key;
  const rows = layersOf(view.layers);
  if (!rows.length) at("layers-out").replaceChildren();
  else layers.ask({ ask, rows, layers: rows.filter((row) => row.error === undefined) }, [one.model]);
}

function layersShown(told, { ask: one, rows }) {
  if (!view.layers.trim()) return;
  showLayers(at("layers-out"), one, rows, told);
  soon("layers", 700, () => {
    const values = [...at("layers-out").querySelectorAll(".totals .card")].slice(0, 2).map((card) => card.textContent);
    at("layers-said").textContent = values.length ? `Sum of the layers: ${values.join(", ")}` : "No line could be summed up.";
  });
}

// ---- snippets and links ----

function showSnippet(asks) {
  at("of-field").hidden = asks.length === 1;
  const chosen = Number(at("of").value) < asks.length ? at("of").value || "0" : "0";
  fill(at("of"), asks.map(nameOf), (...names) => names.map((one, i) => option(String(i), one)), chosen);
  const one = asks[Number(at("of").value) || 0];
  const areSizes = DIMENSIONS.every((name) => isSize(one.gemm[name]));
  const { of, note } = LANGUAGES[view.code];
  at("snippet").textContent = areSizes ? of(one) : "";
  at("snippet-note").textContent = areSizes ? note(one) : "m, n, k and batch must be whole numbers first.";
}

async function copy(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const place = element("textarea", { value: text, className: "sr" });
    document.body.append(place);
    place.select();
    document.execCommand("copy");
    place.remove();
  }
  at("copied").textContent = `${what} copied.`;
  soon("copied", 3000, () => (at("copied").textContent = ""));
}

// ---- the start ----

makeControls();
showControls();
at("reset").addEventListener("click", () => change(BLANK));
at("of").addEventListener("change", () => showSnippet(asksOf(view)));
at("copy").addEventListener("click", () => copy(at("snippet").textContent, "Code"));
at("link").addEventListener("click", () => copy(location.href.split("#")[0] + hashOf(view), "Link"));
at("layers").addEventListener("input", () => soon("typed", 200, () => change({ layers: at("layers").value })));
at("example").addEventListener("click", () => change({ layers: EXAMPLE }));
at("points").addEventListener("toggle", () => at("points").open && drawn && showPoints());
at("all").addEventListener("click", () => {
  isAllRanked = !isAllRanked;
  ask();
});
addEventListener("hashchange", () => {
  if (!isView(location.hash)) return;
  view = viewOf(location.hash);
  showControls();
  ask();
});
new ResizeObserver(() => drawn && (drawn.scales = drawChart(at("chart"), drawn))).observe(at("chart"));
at("chart").addEventListener("pointermove", ({ clientX }) => {
  if (!drawn?.scales) return;
  const { shown, x, drawing, width } = drawn.scales;
  const box = drawing.getBoundingClientRect();
  const place = ((clientX - box.left) * width) / box.width;
  const said = shown.filter((one) => one.points.length).map(({ name, points }) => {
    const point = points.reduce((one, other) => (Math.abs(x(other.size) - place) < Math.abs(x(one.size) - place) ? other : one));
    return `${name} at ${drawn.vary} = ${point.size}: ${figure(point.value, drawn.unit)}`;
  });
  showHint(said.join("; "));
});
at("chart").addEventListener("pointerleave", () => showHint());
ask();

// For scripts of a page that has the explorer in it: answers with all their digits.
globalThis.gpperf = {
  models: FACTS.map((one) => one.id),
  async predict(model, gemms, { kernel = null, confidence = 0.9 } = {}) {
    await loaded(model);
    return asked("answers", { asks: gemms.map((gemm) => ({ model, gemm, kernel, confidence })) });
  },
};
