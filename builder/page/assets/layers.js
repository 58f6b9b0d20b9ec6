// The layer list: one GEMM a line, with how many times it runs, and what all of it costs.

const EXAMPLE = `# m, n, k, count: a decoder layer of 64 tokens, 32 times
64, 6144, 4096, 32
64, 4096, 4096, 32
64, 28672, 4096, 32
64, 4096, 14336, 32`;
const MOST_LAYERS = 20000;

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
  return rows.slice(0, MOST_LAYERS);
}

function sumOf(layers, answers, value) {
  return layers.reduce((sum, { count: times }, i) => sum + times * value(answers[i], layers[i]), 0);
}

function showLayers(place, ask, rows, answers) {
  const good = rows.filter((row) => row.error === undefined);
  const wrong = rows.filter((row) => row.error !== undefined);
  good.forEach((row, i) => {
    if (answers[i].error !== undefined) wrong.push({ line: row.line, error: answers[i].error });
  });
  const layers = good.filter((_, i) => answers[i].error === undefined);
  const told = answers.filter((p) => p.error === undefined);
  const parts = [];
  if (wrong.length) {
    wrong.sort((one, other) => one.line - other.line);
    const items = wrong
      .slice(0, 20)
      .map(({ line, error }) => element("li", { textContent: `Line ${line}: ${error}.` }));
    if (wrong.length > 20)
      items.push(element("li", { textContent: `and ${wrong.length - 20} more.` }));
    const what = wrong.length === 1 ? "1 line is" : `${wrong.length} lines are`;
    parts.push(
      element(
        "div",
        { className: "wrong" },
        element("p", { textContent: `${what} not in the sum:` }),
        element("ul", {}, ...items),
      ),
    );
  }
  if (layers.length) parts.push(totalsOf(ask, layers, told), layerTable(layers, told));
  place.replaceChildren(...parts);
}

function valueOf(text) {
  const place = element("span", { className: "value" });
  showValue(place, text);
  return place;
}

function totalsOf(ask, layers, told) {
  const sum = (value) => sumOf(layers, told, value);
  const runtimeS = sum((p) => p.runtimeS);
  const energyJ = sum((p) => p.energyJ);
  const flops = sum((_, { m, n, k }) => flopsOf({ m, n, k, batch: ask.gemm.batch }));
  const nOutside = told.filter((p) => !p.inDomain).length;
  const items = [
    [
      "Runtime",
      figure(runtimeS, "s"),
      between(
        sum((p) => p.runtimeLowS),
        sum((p) => p.runtimeHighS),
        "s",
      ),
    ],
    ["Energy", figure(energyJ, "J"), ""],
    ["Mean power", figure(energyJ / sum((p) => p.sustainedRuntimeS), "W"), ""],
    ["Throughput", figure(flops / runtimeS, "FLOP/s"), ""],
    [
      "GEMMs",
      count(sum(() => 1)),
      nOutside ? `${nOutside} of ${told.length} lines out of the domain` : "all in the domain",
    ],
  ];
  const cards = items.map(([name, value, more]) =>
    element(
      "div",
      { className: "card" },
      element("dt", { textContent: name }),
      element("dd", {}, valueOf(value), element("span", { className: "more", textContent: more })),
    ),
  );
  return element("dl", { className: "cards totals" }, ...cards);
}

function layerTable(layers, told) {
  const whole = sumOf(layers, told, (p) => p.runtimeS);
  const rows = layers.slice(0, 200).map(({ line, m, n, k, count: times }, i) => {
    const p = told[i];
    const cells = [m, n, k, times].map(count);
    cells.push(
      figure(p.runtimeS, "s"),
      figure(times * p.runtimeS, "s"),
      percent((times * p.runtimeS) / whole),
      figure(times * p.energyJ, "J"),
      p.inDomain ? "in" : "out",
    );
    return element(
      "tr",
      {},
      element("th", { scope: "row", textContent: String(line) }),
      ...cells.map((text) => element("td", { textContent: text })),
    );
  });
  const heads = [
    "Line",
    "m",
    "n",
    "k",
    "Count",
    "Runtime of one",
    "Runtime of all",
    "Share",
    "Energy of all",
    "Domain",
  ];
  const caption =
    layers.length > rows.length ? `The first ${rows.length} of ${layers.length} layers` : "Layers";
  const table = element(
    "table",
    {},
    element("caption", {
      className: layers.length > rows.length ? "" : "sr",
      textContent: caption,
    }),
    element(
      "thead",
      {},
      element("tr", {}, ...heads.map((name) => element("th", { scope: "col", textContent: name }))),
    ),
    element("tbody", {}, ...rows),
  );
  return element(
    "div",
    { className: "scroll", tabIndex: 0, role: "region", ariaLabel: "Cost of each layer" },
    table,
  );
}
