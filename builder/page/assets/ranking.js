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
    const relative = i ? times(value(p) / best) : "best";
    const figures = COLUMNS.map(([, text]) => text(p, flops));
    return [String(i + 1), chosen, relative, ...figures, p.inDomain ? "in" : "out"];
  });
  const label = OBJECTIVES[objective].toLowerCase();
  const caption = `Kernels for ${nameOf({ ...ask, kernel: null })}, least ${label} first`;
  const heads = ["#", "Kernel", "Relative", ...COLUMNS.map(([name]) => name), "Domain"];
  place.replaceChildren(tableOf(caption, heads, rows, { headAt: 1 }));
}
