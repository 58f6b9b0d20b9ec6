// Numbers for people: with a prefix, to four digits, as the command line writes them.

const LARGE = ["", "k", "M", "G", "T", "P", "E"];
const SMALL = ["", "m", "µ", "n", "p"];
const USUAL_PREFIX = { "FLOP/s": "T", "FLOP/J": "T" };

function digits(value) {
  if (value >= 10000) return Number(value.toPrecision(4)).toLocaleString("en-US");
  return value >= 1000 ? value.toFixed(0) : value.toPrecision(4);
}

// A positive number in a base unit with the prefix that suits it, as 13.50 kJ; "-" for NaN.
function figure(number, unit) {
  if (!Number.isFinite(number)) return "–";
  const value = Number(number.toPrecision(4));
  if (value === 0) return `0 ${unit}`;
  if (unit === "s" && value >= 1e4) {
    const hours = value / 3600;
    return hours >= 1e4 ? `${digits(hours / 8766)} years` : `${digits(hours)} h`;
  }
  const usual = LARGE.indexOf(USUAL_PREFIX[unit] ?? "");
  for (let power = LARGE.length - 1; power > -SMALL.length; power--) {
    const scaled = power >= 0 ? value / 1000 ** power : value * 1000 ** -power;
    if (scaled >= (power === usual + 1 ? 10 : 1) || power === 1 - SMALL.length)
      return `${digits(scaled)} ${power >= 0 ? LARGE[power] : SMALL[-power]}${unit}`;
  }
  return "–";
}

// Two ends of an interval; the unit stands once where it is the same.
function between(low, high, unit) {
  const [from, to] = [figure(low, unit), figure(high, unit)];
  const [, ownUnit] = from.split(" ");
  return ownUnit && to.endsWith(` ${ownUnit}`)
    ? `${from.split(" ")[0]} – ${to}`
    : `${from} – ${to}`;
}

function count(value) {
  return value.toLocaleString("en-US");
}

function percent(share) {
  return `${Number((100 * share).toPrecision(3))} %`;
}

// How many times as much: 1.25x, 120x.
function times(ratio) {
  return `${ratio >= 100 ? ratio.toFixed(0) : ratio.toPrecision(3)}×`;
}

// ---- sizes, as sliders and sweeps go through them: so many steps to an octave, whole numbers ----

function stopsOf(perOctave, last) {
  const stops = [];
  for (let size = 1; size < perOctave * 2; size++) stops.push(size);
  for (let octave = perOctave * 2; octave < last; octave *= 2)
    for (let step = 0; step < perOctave; step++) stops.push(octave + (step * octave) / perOctave);
  return [...stops, last];
}

const LARGEST = 2147483647;
const SLIDER_STOPS = stopsOf(8, 2 ** 18);
const SWEEP_STOPS = stopsOf(16, 2 ** 18);

// The index of the stop that is nearest to a size, by ratio.
function nearestStop(stops, size) {
  let low = 0;
  for (let high = stops.length - 1; high - low > 1;) {
    const middle = (low + high) >> 1;
    if (stops[middle] <= size) low = middle;
    else high = middle;
  }
  const next = Math.min(low + 1, stops.length - 1);
  return stops[next] / size < size / stops[low] ? next : low;
}
