// The explorer: what the reader chooses becomes questions, and the answers are shown.

let { view, doubts } = viewOf(isView(location.hash) ? location.hash : "");
let isAllRanked = false;
let lastAnswers = [];
let layersKey = "";
const cards = cardsOf(at("cards"));

function change(some) {
  view = possible({ ...view, ...some });
  doubts = [];
  ask();
  showControls(view);
}

// ---- the questions ----

const answers = new Line("answers", showAnswers, showFailure);
const ranking = new Line("ranking", rankingShown, rankingRefused);
const layers = new Line("layers", layersShown, layersRefused);

function ask() {
  const asks = asksOf(view);
  const models = asks.map((one) => one.model);
  for (const id of models) if (!checks.has(id)) check(id);
  answers.ask({ asks }, models);
  askCurve(asks, models);
  const top = isAllRanked ? LARGEST : FIRST_ROWS;
  ranking.ask({ ask: { ...asks[0], kernel: null }, objective: view.by, top }, [models[0]]);
  askLayers(asks, models);
  showSnippet(asks);
  soon("hash", 250, keepInAddress);
}

// The first view needs no words in the address; a link that could not be shown as asked stays.
function keepInAddress() {
  if (doubts.length) return;
  if (!isView(location.hash) && hashOf(view) === hashOf(possible(BLANK))) return;
  try {
    history.replaceState(null, "", hashOf(view));
  } catch {
    // A frame without an address of its own: the link can still be copied.
  }
}

// Of each model how many of its stored answers came out differently; NaN while that is not known.
const checks = new Map();

async function check(id) {
  checks.set(id, NaN);
  at("cards").classList.add("is-waiting");
  try {
    checks.set(id, await loaded(id));
  } catch {
    // Whoever asks the model is told.
  }
}

// What is said of all answers: of models that answer wrongly, and of a link's wishes.
function generalRemarks(ids) {
  const wrong = ids
    .filter((id) => checks.get(id) > 0)
    .map((id) => ({
      kind: "wrong",
      text: `Do not trust the numbers of ${MODELS.get(id).gpu}: in this browser ${checks.get(id)} stored answers of Python come out differently.`,
    }));
  return [...wrong, ...doubts.map((text) => ({ kind: "warn", text }))];
}

function showChecked(ids) {
  const right = ids.filter((id) => checks.get(id) === 0).map((id) => MODELS.get(id).gpu);
  const said = right.map((gpu) => `${gpu} gives all stored answers of Python, bit for bit.`);
  at("checked").textContent = said.length ? `Checked in this browser: ${said.join(" ")}` : "";
}

const timers = {};

function soon(name, delayMs, act) {
  clearTimeout(timers[name]);
  timers[name] = setTimeout(act, delayMs);
}

// ---- the answers ----

function showAnswers(told, { asks }) {
  showCards(asks, told);
  const ids = [...new Set(asks.map((one) => one.model))];
  const general = generalRemarks(ids);
  showRemarks(at("remarks"), asks, told, general);
  at("legend").replaceChildren(
    ...(told.length > 1 ? asks.map((one, i) => element("span", {}, swatch(i), nameOf(one))) : []),
  );
  at("legend").hidden = told.length === 1;
  showChecked(ids);
  lastAnswers = told;
  if (lastCurve) drawCurve();
  say([...general.map(({ text }) => text), spoken(asks, told)].join(" "));
}

function showCards(asks, told) {
  at("cards").classList.remove("is-waiting");
  at("cards").classList.toggle("is-single", told.length === 1);
  showFigures(cards, asks, told);
}

function say(text) {
  soon("said", 700, () => (at("said").textContent = text));
}

// Nothing of an earlier answer stays: it would be taken for one to what is asked now.
function showFailure(reason) {
  const text = `The model could not be asked: ${reason}.`;
  const asks = asksOf(view);
  const told = asks.map(() => ({ error: text }));
  showCards(asks, told);
  at("remarks").replaceChildren(remarkList([{ kind: "wrong", text }]));
  at("legend").hidden = true;
  showChecked([]);
  lastAnswers = [];
  curveRefused(reason);
  layersRefused(reason);
  say(text);
}

function rankingShown({ n, best }, { ask: one, objective }) {
  showRanking(at("ranking"), one, objective, best, (kernel) => change({ kernel }));
  const nKnown = kernelsOf(one.model, one.gemm.dtype, one.gemm.layout).length;
  const gpu = MODELS.get(one.model).gpu.replace(/^NVIDIA /, "");
  const all = `${n} of ${nKnown} kernels and back ends of ${gpu} for ${one.gemm.dtype}`;
  at("ranked").textContent =
    n < nKnown
      ? `${all}: those that timed the same and can run this GEMM; kernels that were measured together as one are listed once.`
      : `All ${n} kernels and back ends of ${gpu} for ${one.gemm.dtype}.`;
  const more = at("all");
  more.hidden = n <= FIRST_ROWS;
  more.textContent = isAllRanked ? `Show the best ${FIRST_ROWS}` : `Show all ${n}`;
}

function rankingRefused(text) {
  at("ranking").replaceChildren(emptyText(`There is no ranking: ${text}.`));
  at("all").hidden = true;
  at("ranked").textContent = "";
}

// The layers have sizes of their own: they are asked about when something else changed.
function askLayers(asks, models) {
  const alike = asks.map((one) => ({ ...one, gemm: { ...one.gemm, m: 1, n: 1, k: 1 } }));
  const key = JSON.stringify([alike, view.layers]);
  if (key === layersKey) return;
  layersKey = key;
  const rows = layersOf(view.layers);
  const right = rows.filter((row) => row.error === undefined);
  if (rows.length) layers.ask({ asks: alike, rows, layers: right }, models);
  else at("layers-out").replaceChildren();
}

function layersShown(told, { asks, rows }) {
  if (!view.layers.trim()) return;
  showLayers(at("layers-out"), asks, rows, told);
  soon("layers", 700, () => {
    const cards = [...at("layers-out").querySelectorAll(".totals .card")].slice(0, 2);
    const nWrong = rows.filter((row) => row.error !== undefined).length;
    const said = cards.length ? `Sum of the layers: ${cards.map(cardAsText).join(", ")}.` : "";
    at("layers-said").textContent = nWrong ? `${said} Lines that are wrong: ${nWrong}.` : said;
  });
}

function layersRefused(text) {
  layersKey = "";
  clearTimeout(timers.layers);
  const told = view.layers.trim() ? [emptyText(`There is no sum: ${text}.`)] : [];
  at("layers-out").replaceChildren(...told);
  at("layers-said").textContent = "";
}

function cardAsText(card) {
  const values = [...card.querySelectorAll(".value")].map((value) =>
    [...value.childNodes]
      .map((part) => part.textContent)
      .filter(Boolean)
      .join(" "),
  );
  return `${card.querySelector("dt").textContent.toLowerCase()} ${values.join(" and ")}`;
}

// ---- snippets and links ----

function showSnippet(asks) {
  at("of-field").hidden = asks.length === 1;
  const chosen = Number(at("of").value) < asks.length ? at("of").value || "0" : "0";
  fill(
    at("of"),
    asks.map(nameOf),
    (...names) => names.map((one, i) => option(String(i), one)),
    chosen,
  );
  const one = asks[Number(at("of").value) || 0];
  const areSizes = DIMENSIONS.every((name) => isSize(one.gemm[name]));
  const { of, note } = LANGUAGES[view.code];
  at("snippet").textContent = areSizes ? of(one) : "";
  at("snippet-note").textContent = areSizes
    ? note(one)
    : "m, n, k and batch must be whole numbers first.";
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

makeControls(change);
showControls(view);
at("reset").addEventListener("click", () => change(BLANK));
at("of").addEventListener("change", () => showSnippet(asksOf(view)));
at("copy").addEventListener("click", () => copy(at("snippet").textContent, "Code"));
at("link").addEventListener("click", () =>
  copy(location.href.split("#")[0] + hashOf(view), "Link"),
);
at("layers").addEventListener("input", () =>
  soon("typed", 200, () => change({ layers: at("layers").value })),
);
at("example").addEventListener("click", () => change({ layers: EXAMPLE }));
at("points").addEventListener("toggle", () => at("points").open && drawn && showPoints());
at("all").addEventListener("click", () => {
  isAllRanked = !isAllRanked;
  ask();
});
addEventListener("hashchange", () => {
  if (!isView(location.hash)) return;
  ({ view, doubts } = viewOf(location.hash));
  showControls(view);
  ask();
});
new ResizeObserver(() => drawn && (drawn.scales = drawChart(at("chart"), drawn))).observe(
  at("chart"),
);
at("chart").addEventListener("pointermove", ({ clientX }) => {
  if (!drawn?.scales) return;
  const { shown, x, drawing, width } = drawn.scales;
  const box = drawing.getBoundingClientRect();
  const place = ((clientX - box.left) * width) / box.width;
  const said = shown
    .filter((one) => one.points.length)
    .map(({ name, points }) => {
      const point = points.reduce((one, other) =>
        Math.abs(x(other.size) - place) < Math.abs(x(one.size) - place) ? other : one,
      );
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
    if (!MODELS.has(model))
      throw new Error(`model must be one of ${[...MODELS.keys()].join(" ")} (got ${model})`);
    await loaded(model);
    const asks = gemms.map((gemm) => ({ model, gemm, kernel, confidence }));
    const told = await asked("answers", { asks });
    const refused = told.find((p) => p.error !== undefined);
    if (refused) throw new Error(refused.error);
    return told;
  },
};
