// The chart: one or two curves over a size, both axes logarithmic, drawn as SVG.

const CHART = { height: 330, left: 78, right: 16, top: 26, bottom: 46 };
const SVG = "http://www.w3.org/2000/svg";

function svg(name, attributes, ...children) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// A logarithmic axis: where a value lies between two places.
function axisOf([least, most], [first, last]) {
  const [low, high] = [Math.log(least), Math.log(most)];
  const share = high > low ? (last - first) / (high - low) : 0;
  return (value) => first + (Math.log(value) - low) * share;
}

function rangeOf(values) {
  const [least, most] = [Math.min(...values), Math.max(...values)];
  return most / least < 1.5 ? [least / 1.25, most * 1.25] : [least / 1.06, most * 1.06];
}

// Decades; where there are few of them, 2 and 5 of each as well; within one, even steps.
function decimalTicks([least, most]) {
  const octaves = Math.log2(most / least);
  if (octaves < 2.5) return evenTicks(least, most);
  const ticks = [];
  for (let power = Math.floor(Math.log10(least)); power <= Math.log10(most); power++)
    for (const step of octaves > 9 ? [1] : [1, 2, 5]) ticks.push(Number(`${step}e${power}`));
  return ticks.filter((tick) => tick >= least && tick <= most);
}

function evenTicks(least, most) {
  const power = Math.floor(Math.log10((most - least) / 3));
  const step = [1, 2, 5, 10].find((one) => one * 10 ** power * 5 >= most - least) ?? 10;
  const ticks = [];
  for (let n = Math.ceil(least / (step * 10 ** power)); n * step * 10 ** power <= most; n++)
    ticks.push(Number(`${n * step}e${power}`));
  return ticks;
}

// Powers of two, as many as there is room for.
function binaryTicks([least, most], width) {
  const octaves = Math.log2(most / least);
  const step = Math.max(1, Math.ceil((octaves * 52) / width));
  const ticks = [];
  for (let tick = 2 ** Math.ceil(Math.log2(least)); tick <= most; tick *= 2 ** step)
    ticks.push(tick);
  return ticks;
}

function coordinates([x, y]) {
  return `${x.toFixed(1)} ${y.toFixed(1)}`;
}

function path(points) {
  return points.map((point, i) => `${i ? "L" : "M"}${coordinates(point)}`).join("");
}

function plain(tick, unit) {
  const [number, ownUnit] = figure(tick, unit).split(" ");
  return `${Number(number.replaceAll(",", ""))} ${ownUnit}`;
}

// The parts of a curve that are in its domain, or those that are not, as one path.
function partsOf(points, place, areIn) {
  const isPart = (i) => (points[i - 1].inDomain && points[i].inDomain) === areIn;
  return points
    .map((_, i) => i)
    .filter((i) => i > 0 && isPart(i))
    .map((i) => {
      const isFirst = i === 1 || !isPart(i - 1);
      const [from, to] = [place(points[i - 1]), place(points[i])].map(coordinates);
      return isFirst ? `M${from}L${to}` : `L${to}`;
    })
    .join("");
}

// Runs of sizes of a curve that are outside of its domain.
function outsideOf(points) {
  const runs = [];
  points.forEach((point, i) => {
    if (point.inDomain) return;
    const first = points[Math.max(i - 1, 0)].inDomain ? (points[i - 1] ?? point).size : point.size;
    const last = (points[i + 1] ?? point).size;
    if (runs.length && runs.at(-1)[1] >= first) runs.at(-1)[1] = last;
    else runs.push([first, last]);
  });
  return runs;
}

// Draw curves into an element. curves: {name, points: [{size, value, low, high, inDomain}], now} each;
// low and high may be NaN. at: the size that the question has; now: the value there; refused: why
// there are no points, where there are none.
function drawChart(place, { curves, refused, vary, at, label, unit }) {
  const width = Math.max(place.clientWidth, 260);
  const shown = curves.map((curve) => ({
    ...curve,
    points: curve.points.filter((point) => Number.isFinite(point.value)),
  }));
  const all = shown.flatMap((curve) => curve.points);
  if (all.length < 2) {
    const why = curves.some((curve) => curve.points.length)
      ? `${label} is not known for this model and dtype.`
      : `There is no curve: ${refused}.`;
    place.replaceChildren(emptyText(why));
    return null;
  }
  const sizes = [Math.min(...all.map((one) => one.size)), Math.max(...all.map((one) => one.size))];
  const ends = (one) => [one.value, one.low, one.high].filter(Number.isFinite);
  const values = rangeOf(all.flatMap(ends));
  const { height, left, right, top, bottom } = CHART;
  const x = axisOf(sizes, [left, width - right]);
  const y = axisOf(values, [height - bottom, top]);
  const parts = [];

  // The ground is that of one curve: of two, each has a domain of its own.
  for (const [first, last] of shown.length === 1 ? outsideOf(shown[0].points) : [])
    parts.push(
      svg("rect", {
        class: "unmeasured",
        x: x(first).toFixed(1),
        y: top,
        width: Math.max(x(last) - x(first), 1).toFixed(1),
        height: height - bottom - top,
      }),
    );
  for (const tick of decimalTicks(values)) {
    const place = y(tick).toFixed(1);
    parts.push(svg("line", { class: "grid", x1: left, x2: width - right, y1: place, y2: place }));
    parts.push(
      svg(
        "text",
        { class: "tick", x: left - 8, y: place, dy: "0.32em", "text-anchor": "end" },
        plain(tick, unit),
      ),
    );
  }
  for (const tick of binaryTicks(sizes, width - left - right)) {
    const place = x(tick).toFixed(1);
    parts.push(svg("line", { class: "grid", x1: place, x2: place, y1: top, y2: height - bottom }));
    parts.push(
      svg(
        "text",
        { class: "tick", x: place, y: height - bottom + 18, "text-anchor": "middle" },
        String(tick),
      ),
    );
  }
  parts.push(svg("text", { class: "title", x: 4, y: 12 }, label));
  parts.push(
    svg(
      "text",
      { class: "title", x: (left + width - right) / 2, y: height - 6, "text-anchor": "middle" },
      vary,
    ),
  );

  shown.forEach(({ points }, number) => {
    const banded = points.filter((point) => Number.isFinite(point.low + point.high));
    if (banded.length > 1) {
      const upper = banded.map((point) => [x(point.size), y(point.high)]);
      const lower = banded.map((point) => [x(point.size), y(point.low)]).reverse();
      parts.push(
        svg("path", { class: `band series-${number + 1}`, d: `${path([...upper, ...lower])}Z` }),
      );
    }
  });
  if (at >= sizes[0] && at <= sizes[1])
    parts.push(
      svg("line", {
        class: "now",
        x1: x(at).toFixed(1),
        x2: x(at).toFixed(1),
        y1: top,
        y2: height - bottom,
      }),
    );
  shown.forEach(({ points, now }, number) => {
    const series = `series-${number + 1}`;
    const place = (point) => [x(point.size), y(point.value)];
    parts.push(
      svg(
        "g",
        { class: `curve ${series}` },
        svg("path", { d: partsOf(points, place, true) }),
        svg("path", { class: "outside", d: partsOf(points, place, false) }),
      ),
    );
    if (Number.isFinite(now) && at >= sizes[0] && at <= sizes[1]) {
      const [cx, cy] = [x(at).toFixed(1), y(now).toFixed(1)];
      parts.push(
        number === 0
          ? svg("circle", { class: `mark ${series}`, cx, cy, r: 5 })
          : svg("rect", { class: `mark ${series}`, x: cx - 5, y: cy - 5, width: 10, height: 10 }),
      );
    }
  });
  const title = `${label} over ${vary}: ${shown.map((one) => one.name).join(" and ")}`;
  const said = shown.map(({ name, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    return first
      ? `${name}: ${figure(first.value, unit)} at ${vary} = ${first.size}, ${figure(last.value, unit)} at ${vary} = ${last.size}.`
      : `${name}: not known.`;
  });
  const drawing = svg(
    "svg",
    {
      viewBox: `0 0 ${width} ${height}`,
      width,
      height,
      role: "img",
      "aria-label": `${title}. ${said.join(" ")}`,
    },
    ...parts,
  );
  const old = place.firstElementChild;
  if (old?.nodeName === "svg") old.replaceWith(drawing);
  else place.replaceChildren(drawing);
  return { sizes, x, y, shown, drawing, width };
}
