// The answer: figures with their intervals, what bounds them, and what to doubt.

const BOUNDS = {
  compute: "the arithmetic takes longest",
  memory: "moving the operands takes longest",
  latency: "launching takes longer than the work",
};
const TIMED = {
  "": "",
  gemm: "the GEMM alone",
  "quantise+gemm": "quantising A and the GEMM",
  layer: "one layer of an inference engine",
};

function swatch(number) {
  return element("span", { className: `swatch series-${number + 1}`, ariaHidden: "true" });
}

// A number large, and its unit smaller.
function showValue(place, text, ...before) {
  const [number, unit = ""] = text.split(" ");
  place.replaceChildren(
    ...before,
    number,
    element("span", { className: "unit", textContent: unit }),
  );
}

// One card for each figure; of each answer a line, the second only where two are compared.
function cardsOf(place) {
  const cards = {};
  const labels = Object.entries(FIGURES).map(([name, { label }]) => [name, label]);
  for (const [name, label] of [...labels, ["bound", "Bound"]]) {
    const lines = [0, 1].map((number) => {
      const line = {
        value: element("span", { className: "value" }),
        more: element("span", { className: "more" }),
      };
      line.all = element("dd", {}, line.value, line.more);
      line.swatch = swatch(number);
      line.all.hidden = number > 0;
      showValue(line.value, "–", line.swatch);
      return line;
    });
    const card = element(
      "div",
      { className: `card card-${name}` },
      element("dt", { textContent: label }),
      ...lines.map((one) => one.all),
    );
    place.append(card);
    cards[name] = lines;
  }
  return cards;
}

function showFigures(cards, asks, answers) {
  for (const [name, { unit, value, low, high }] of Object.entries(FIGURES)) {
    const numbers = answers.map((p, i) =>
      p.error === undefined ? value(p, flopsOf(asks[i].gemm)) : NaN,
    );
    cards[name].forEach((line, i) => {
      line.all.hidden = i >= answers.length;
      if (i >= answers.length) return;
      showValue(line.value, figure(numbers[i], unit), line.swatch);
      const p = answers[i];
      const parts = [];
      if (low && Number.isFinite(p[low])) parts.push(between(p[low], p[high], unit));
      if (name === "runtime" && p.sustainedRuntimeS !== p.runtimeS && p.error === undefined)
        parts.push(`${figure(p.sustainedRuntimeS, "s")} each in a long run, under the power cap`);
      if (i === 1 && Number.isFinite(numbers[1] / numbers[0]))
        parts.push(`${times(numbers[1] / numbers[0])} the first`);
      line.more.textContent = parts.join("; ");
    });
  }
  cards.bound.forEach((line, i) => {
    const p = answers[i];
    line.all.hidden = !p;
    showValue(line.value, p?.bound ?? "–", line.swatch);
    line.more.textContent = BOUNDS[p?.bound] ?? "";
  });
}

// The respects in which nothing like the GEMM was measured, as the Python package words them.
function reasonsOf({ model, gemm }, p) {
  const one = estimatorOf(model, gemm.dtype, p.kernel);
  const { memoryBytes, dtypes, remarks } = MODELS.get(model);
  const size = (name) => {
    const [low, high] = one[name];
    const value = gemm[name];
    return value < low
      ? `${name} is below ${low}, the smallest that was measured, by a factor of ${(low / value).toPrecision(3)}`
      : `${name} is above ${high}, the largest that was measured, by a factor of ${(value / high).toPrecision(3)}`;
  };
  const texts = {
    m: () => size("m"),
    n: () => size("n"),
    k: () => size("k"),
    batch: () => size("batch"),
    runtime: () =>
      `it takes longer than ${figure(one.longestS, "s")}, the longest that was measured`,
    memory: () => `A, B and C do not fit in memory: the GPU has ${figure(memoryBytes, "B")}`,
    layout: () => `layout ${gemm.layout} was not measured, only ${one.layouts.join(" ")}`,
    beta: () =>
      one.beta === "zero"
        ? "beta was 0 in all that was measured"
        : "beta was never 0 when measured",
    "stand-in": () => `${gemm.dtype} was not measured: predicted as ${dtypes[gemm.dtype].standIn}`,
    remark: () => [...remarks, ...one.remarks].join("; "),
  };
  return p.outside.map((name) => texts[name]?.() ?? name);
}

function domainOf({ model, gemm }, p) {
  const one = estimatorOf(model, gemm.dtype, p.kernel);
  const range = (name) => `${name} ${count(one[name][0])} – ${count(one[name][1])}`;
  return ["m", "n", "k"].map(range).join(", ");
}

// What is said below the figures of one answer.
function remarksOf(ask, p) {
  if (p.error !== undefined) return [{ kind: "wrong", text: p.error }];
  const one = estimatorOf(ask.model, ask.gemm.dtype, p.kernel);
  const said = p.inDomain
    ? [{ kind: "good", text: `In the domain: the model was fitted to ${domainOf(ask, p)}.` }]
    : reasonsOf(ask, p).map((text) => ({ kind: "warn", text: `Out of the domain: ${text}.` }));
  if (!Number.isFinite(p.powerW))
    said.push({
      kind: "note",
      text: `Power is not known: there were no readings of it in ${ask.gemm.dtype}.`,
    });
  if (p.powerIsUnmeasured)
    said.push({
      kind: "note",
      text: "The kernel is too short for power to have been measured: it follows from the physical model.",
    });
  const timed = TIMED[p.timed] ? ` Timed: ${TIMED[p.timed]}.` : "";
  const error = one.medianApe
    ? ` Median error of runtime on held-out GEMMs: ${percent(one.medianApe)}.`
    : "";
  said.push({ kind: "note", text: `Kernel: ${p.kernel}.${timed}${error}` });
  return said;
}

function remarkList(remarks) {
  const item = ({ kind, text }) => element("li", { className: kind, textContent: text });
  return element("ul", {}, ...remarks.map(item));
}

// general: remarks on the whole view, which stand first.
function showRemarks(place, asks, answers, general) {
  const blocks = answers.map((p, i) => {
    const list = remarkList(remarksOf(asks[i], p));
    if (answers.length === 1) return list;
    return element("div", {}, element("h3", {}, swatch(i), nameOf(asks[i])), list);
  });
  const [one, other] = answers;
  if (other && one.timed !== undefined && other.timed !== undefined && one.timed !== other.timed)
    blocks.push(
      remarkList([
        {
          kind: "warn",
          text: `The two timed different things (${TIMED[one.timed] || "not stated"}; ${TIMED[other.timed] || "not stated"}): do not compare their runtimes.`,
        },
      ]),
    );
  if (general.length) blocks.unshift(remarkList(general));
  place.replaceChildren(...blocks);
}

// A sentence for those who listen.
function spoken(asks, answers) {
  return answers
    .map((p, i) => {
      if (p.error !== undefined) return `${nameOf(asks[i])}: ${p.error}.`;
      const figures = Object.values(FIGURES)
        .slice(0, 3)
        .map(({ label, unit, value }) => {
          const number = value(p, flopsOf(asks[i].gemm));
          return `${label.toLowerCase()} ${Number.isFinite(number) ? figure(number, unit) : "not known"}`;
        });
      return `${nameOf(asks[i])}: ${figures.join(", ")}, ${p.bound}-bound, ${p.inDomain ? "in the domain" : "out of the domain"}.`;
    })
    .join(" ");
}
