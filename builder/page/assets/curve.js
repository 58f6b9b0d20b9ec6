// The curve: asked for over one size, drawn, and as a table.

let drawn = null;
let lastCurve = null;
let curveKey = "";
let lastCurveMs = 0;
const REST_MS = 80;
const curve = new Line("sweep", showCurve, curveRefused);

// The curve does not depend on the size that it is drawn over: it is asked for when another changed.
// One that takes long, as of hundreds of kernels, is asked for when the slider rests.
function askCurve(asks, models) {
  const vary = view.x;
  const sizes = sweepSizes(asks);
  const question = {
    asks: asks.map((one) => ({ ...one, gemm: { ...one.gemm, [vary]: 1 } })),
    vary,
    sizes,
  };
  const key = JSON.stringify(question);
  if (key === curveKey) return;
  curveKey = key;
  soon("curve", lastCurveMs > REST_MS ? REST_MS : 0, () => curve.ask(question, models));
}

// From the smallest to the largest size that was measured, and as far as the question goes.
function sweepSizes(asks) {
  const ends = asks.flatMap(
    ({ model, gemm, kernel }) => estimatorOf(model, gemm.dtype, kernel)[view.x],
  );
  const now = asks[0].gemm[view.x];
  const known = isSize(now) ? [...ends, now] : ends;
  const [least, most] = [Math.min(...known), Math.max(...known, view.x === "batch" ? 64 : 1)];
  const stops = SWEEP_STOPS.filter((size) => size > least && size < most);
  return [...new Set([...stops, ...known])].sort((one, other) => one - other);
}

function showCurve({ curves, refused, tookMs }, question) {
  lastCurveMs = tookMs;
  lastCurve = [curves, question, refused];
  drawCurve();
}

function drawCurve() {
  const [told, { asks, vary }, refused] = lastCurve;
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
  drawn = { curves, refused, vary, at: sizeOf(view[vary]), label, unit };
  drawn.scales = drawChart(at("chart"), drawn);
  showHint();
  if (at("points").open) soon("points", 150, showPoints);
}

function curveRefused(text) {
  [drawn, lastCurve, curveKey] = [null, null, ""];
  at("chart").replaceChildren(emptyText(`There is no curve: ${text}.`));
  at("points-table").replaceChildren();
  showHint();
}

function showHint(text = "") {
  const bands = FIGURES[view.y].low
    ? ` Bands are ${percent(Number(view.confidence))} intervals.`
    : "";
  const ground = drawn?.curves.length === 1 ? ", on grey ground," : "";
  const usual = `Both axes are logarithmic.${bands} A curve is dotted${ground} where it is out of its domain.`;
  at("hint").textContent = text || (drawn?.scales ? usual : "");
}

function showPoints() {
  const { curves, vary, unit } = drawn;
  const bySize = new Map();
  curves.forEach(({ points }, i) =>
    points.forEach((point) => {
      if (!bySize.has(point.size)) bySize.set(point.size, []);
      bySize.get(point.size)[i] = point;
    }),
  );
  const rows = [...bySize]
    .sort(([one], [other]) => one - other)
    .map(([size, points]) => [String(size), ...curves.flatMap((_, i) => cellsOf(points[i], unit))]);
  const heads = [vary, ...curves.flatMap(({ name }) => [name, "Interval", "Domain"])];
  at("points-table").replaceChildren(tableOf(`${drawn.label} over ${vary}`, heads, rows));
}

function cellsOf(point, unit) {
  if (!point) return ["–", "–", "–"];
  const interval = Number.isFinite(point.low) ? between(point.low, point.high, unit) : "–";
  return [figure(point.value, unit), interval, point.inDomain ? "in" : "out"];
}
