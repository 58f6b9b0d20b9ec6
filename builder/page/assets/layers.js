// The layer list: one GEMM a line, with how many times it runs, and what all of it costs.

const EXAMPLE = `# m, n, k, count: a decoder layer of 64 tokens, 32 times
64, 6144, 4096, 32
64, 4096, 4096, 32
64, 28672, 4096, 32
64, 4096, 14336, 32`;
const MOST_LAYERS = 20000;
const MOST_ROWS = 200;

// Lines of a text: {line, m, n, k, count} each, or {line, error}.
function layersOf(text) {
  const rows = [];
  text.split("\n").forEach((whole, number) => {
    const line = number + 1;
    const told = whole.replace(/#.*/, "").trim();
    if (!told || /^m\b\W+n\b/i.test(told)) return;
    const words = told.split(/[\s,;]+/).filter(Boolean);
    if (words.length < 3 || words.length > 4) {
      rows.push({
        line,
        error: `it must be m, n, k and, if wanted, count (got ${words.length} numbers)`,
      });
      return;
    }
    const [m, n, k, times = "1"] = words;
    const sizes = { m, n, k, count: times };
    const wrong = Object.entries(sizes).find(
      ([, word]) => !/^\d+$/.test(word) || !isSize(Number(word)),
    );
    if (wrong)
      rows.push({
        line,
        error: `${wrong[0]} must be a whole number from 1 to ${LARGEST} (got ${wrong[1]})`,
      });
    else rows.push({ line, m: Number(m), n: Number(n), k: Number(k), count: Number(times) });
  });
  if (rows.length <= MOST_LAYERS) return rows;
  const error = `a list must have at most ${MOST_LAYERS} layers (got ${rows.length})`;
  return [...rows.slice(0, MOST_LAYERS), { line: rows[MOST_LAYERS].line, error }];
}

// Show what layers cost. rows: of `layersOf`; told: of each question, an answer to each row that is right.
function showLayers(place, asks, rows, told) {
  const right = rows.filter((row) => row.error === undefined);
  const wrong = rows.filter((row) => row.error !== undefined);
  const isAnswered = right.map((row, i) => {
    const side = told.findIndex((answers) => answers[i].error !== undefined);
    if (side < 0) return true;
    const whose = asks.length > 1 ? `${nameOf(asks[side])}: ` : "";
    wrong.push({ line: row.line, error: whose + told[side][i].error });
    return false;
  });
  const layers = right.filter((_, i) => isAnswered[i]);
  const costs = told.map((answers) => answers.filter((_, i) => isAnswered[i]));
  const parts = wrong.length ? [wrongLines(wrong)] : [];
  if (layers.length) parts.push(totalsOf(asks, layers, costs), layerTable(asks, layers, costs));
  place.replaceChildren(...parts);
}

function wrongLines(wrong) {
  wrong.sort((one, other) => one.line - other.line);
  const said = wrong.slice(0, 20).map(({ line, error }) => `Line ${line}: ${error}.`);
  if (wrong.length > said.length) said.push(`and ${wrong.length - said.length} more.`);
  const what = wrong.length === 1 ? "1 line is" : `${wrong.length} lines are`;
  return element(
    "div",
    { className: "wrong" },
    element("p", { textContent: `${what} not in the sum:` }),
    element("ul", {}, ...said.map((text) => element("li", { textContent: text }))),
  );
}

// The sums of all layers on one side: {name: [value, more]}.
function sumsOf(ask, layers, answers) {
  const sum = (value) =>
    layers.reduce((total, layer, i) => total + layer.count * value(answers[i], layer), 0);
  const runtimeS = sum((p) => p.runtimeS);
  const ends = ["runtimeLowS", "runtimeHighS"].map((name) => sum((p) => p[name]));
  const energyJ = sum((p) => p.energyJ);
  const flops = sum((_, { m, n, k }) => flopsOf({ m, n, k, batch: ask.gemm.batch }));
  const nOutside = answers.filter((p) => !p.inDomain).length;
  return {
    Runtime: [figure(runtimeS, "s"), between(...ends, "s")],
    Energy: [figure(energyJ, "J"), ""],
    "Mean power": [figure(energyJ / sum((p) => p.sustainedRuntimeS), "W"), ""],
    Throughput: [figure(flops / runtimeS, "FLOP/s"), ""],
    GEMMs: [
      count(sum(() => 1)),
      nOutside ? `${nOutside} of ${layers.length} lines out of the domain` : "all in the domain",
    ],
  };
}

function totalsOf(asks, layers, costs) {
  const sides = asks.map((ask, side) => sumsOf(ask, layers, costs[side]));
  const cards = Object.keys(sides[0]).map((name) => {
    const lines = sides.map((sums, side) => {
      const [text, more] = sums[name];
      const value = element("span", { className: "value" });
      showValue(value, text, ...(sides.length > 1 ? [swatch(side)] : []));
      return element("dd", {}, value, element("span", { className: "more", textContent: more }));
    });
    const label = element("dt", { textContent: name });
    return element("div", { className: "card" }, label, ...lines);
  });
  return element("dl", { className: "cards totals" }, ...cards);
}

function layerTable(asks, layers, costs) {
  const whole = costs.map((answers) =>
    layers.reduce((sum, layer, i) => sum + layer.count * answers[i].runtimeS, 0),
  );
  const rows = layers.slice(0, MOST_ROWS).map((layer, i) => {
    const { line, m, n, k, count: times } = layer;
    const cells = costs.flatMap((answers, side) => {
      const { runtimeS, energyJ, inDomain } = answers[i];
      const ofAll = times * runtimeS;
      return [
        figure(runtimeS, "s"),
        figure(ofAll, "s"),
        percent(ofAll / whole[side]),
        figure(times * energyJ, "J"),
        inDomain ? "in" : "out",
      ];
    });
    return [String(line), ...[m, n, k, times].map(count), ...cells];
  });
  const heads = asks.flatMap((ask) => {
    const whose = asks.length > 1 ? `${nameOf(ask)}: ` : "";
    return [`${whose}one`, `${whose}all`, "Share", "Energy of all", "Domain"];
  });
  const isCut = layers.length > rows.length;
  const table = tableOf(
    isCut ? `The first ${rows.length} of ${layers.length} layers` : "Layers",
    ["Line", "m", "n", "k", "Count", ...heads],
    rows,
    { isCaptionShown: isCut },
  );
  return element(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Cost of each layer" },
    table,
  );
}
