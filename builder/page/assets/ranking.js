// The ranking: all kernels that can run the GEMM, best first.

const FIRST_ROWS = 10;
const COLUMNS = [
  ["Runtime", (p) => figure(p.runtimeS, "s")],
  ["Power", (p) => figure(p.powerW, "W")],
  ["Energy", (p) => figure(p.energyJ, "J")],
  ["TFLOP/s", (p, flops) => digits(flops / p.runtimeS / 1e12)],
];

function showRanking(place, ask, objective, ranking, choose) {
  const flops = flopsOf(ask.gemm);
  const value = {
    runtime: (p) => p.runtimeS,
    energy: (p) => p.energyJ,
    edp: (p) => p.energyJ * p.sustainedRuntimeS,
    power: (p) => p.powerW,
  }[objective];
  const best = value(ranking[0]);
  const rows = ranking.map((p, i) => {
    const chosen = element("button", { type: "button", className: "link", textContent: p.kernel });
    chosen.addEventListener("click", () => choose(p.kernel));
    return element(
      "tr",
      {},
      element("td", { textContent: String(i + 1) }),
      element("th", { scope: "row" }, chosen),
      element("td", { textContent: i ? times(value(p) / best) : "best" }),
      ...COLUMNS.map(([, text]) => element("td", { textContent: text(p, flops) })),
      element("td", { textContent: p.inDomain ? "in" : "out" }),
    );
  });
  const heads = ["#", "Kernel", "To the best", ...COLUMNS.map(([name]) => name), "Domain"];
  const table = element(
    "table",
    {},
    element("caption", {
      className: "sr",
      textContent: `Kernels for ${nameOf({ ...ask, kernel: null })}, least ${OBJECTIVES[objective].toLowerCase()} first`,
    }),
    element(
      "thead",
      {},
      element("tr", {}, ...heads.map((name) => element("th", { scope: "col", textContent: name }))),
    ),
    element("tbody", {}, ...rows),
  );
  place.replaceChildren(table);
}
