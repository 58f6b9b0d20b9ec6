// The explorer: a question by controls, and at once the answer of the exported module.
const facts = JSON.parse(document.getElementById("explorer-facts").textContent);
// A classic worker: browsers refuse workers that are modules on pages opened from a file.
const engine = new Worker(
  URL.createObjectURL(
    new Blob([document.getElementById("explorer-engine").textContent], { type: "text/javascript" }),
  ),
);
const gpu = document.getElementById("explorer-gpu");
const out = document.getElementById("explorer-answer");
const size = Object.fromEntries(["m", "n", "k"].map((one) => [one, document.getElementById(`explorer-${one}`)]));
const loads = new Map();

function loaded(name) {
  if (!loads.has(name)) {
    const packed = document.getElementById(`model-${name}`);
    loads.set(name, new Promise((done) => {
      engine.addEventListener("message", ({ data }) => data.loaded === name && done(data));
    }));
    engine.postMessage({ load: name, parts: JSON.parse(packed.dataset.parts), data: packed.textContent });
  }
  return loads.get(name);
}

engine.addEventListener("message", ({ data }) => {
  if (data.kind !== "answers") return;
  const [p] = data.value;
  out.textContent = p.error ?? `${(p.runtimeS * 1e6).toPrecision(4)} us, ${p.powerW.toFixed(0)} W, ${p.bound}`;
});

async function ask() {
  const model = gpu.value;
  await loaded(model);
  const gemm = { m: Number(size.m.value), n: Number(size.n.value), k: Number(size.k.value), dtype: Object.keys(facts.find((one) => one.name === model).dtypes)[0] };
  engine.postMessage({ id: 1, kind: "answers", asks: [{ model, gemm, kernel: null, confidence: 0.9 }] });
}

for (const control of [gpu, ...Object.values(size)]) control.addEventListener("input", ask);
ask();
