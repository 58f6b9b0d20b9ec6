// The models: their facts, and the worker that unpacks and asks them.

const FACTS = JSON.parse(document.getElementById("explorer-facts").textContent);
const MODELS = new Map(FACTS.map((one, number) => [one.id, { ...one, number }]));
const LAYOUTS = ["nn", "nt", "tn", "tt"];

// A classic worker: browsers refuse workers that are modules on pages opened from a file.
const engine = new Worker(
  URL.createObjectURL(
    new Blob([document.getElementById("explorer-engine").textContent], { type: "text/javascript" }),
  ),
);
const waiting = new Map();
const loads = new Map();
let lastNumber = 0;
let deadText = "";

engine.addEventListener("message", ({ data }) => {
  const { done, fail } = waiting.get(data.number);
  waiting.delete(data.number);
  if (data.error === undefined) done(data.value);
  else fail(new Error(data.error));
});

// It cannot be started, as where a frame forbids workers: whoever waits is told, and who asks later.
engine.addEventListener("error", () => {
  deadText = "the browser did not start its worker";
  for (const { fail } of waiting.values()) fail(new Error(deadText));
  waiting.clear();
});

function asked(kind, question) {
  if (deadText) return Promise.reject(new Error(deadText));
  const number = ++lastNumber;
  return new Promise((done, fail) => {
    waiting.set(number, { done, fail });
    engine.postMessage({ number, kind, question });
  });
}

// Unpack a model, once; how many of its stored answers came out differently: 0.
function loaded(id) {
  if (!loads.has(id)) {
    const packed = document.getElementById(`explorer-model-${MODELS.get(id).number}`);
    const parts = JSON.parse(packed.dataset.parts);
    loads.set(id, asked("load", { id, parts, data: packed.textContent }));
  }
  return loads.get(id);
}

// Questions of one kind, of which the newest counts: an answer is shown unless a newer one was.
class Line {
  constructor(kind, show, showError) {
    Object.assign(this, { kind, show, showError, lastAsked: 0, lastShown: 0 });
  }

  async ask(question, models) {
    const number = ++this.lastAsked;
    try {
      await Promise.all(models.map(loaded));
      // While a model was unpacked, another question may have come and been answered.
      if (number !== this.lastAsked) return;
      const value = await asked(this.kind, question);
      if (value === undefined || number < this.lastShown) return;
      this.lastShown = number;
      this.show(value, question);
    } catch (error) {
      if (number !== this.lastAsked) return;
      this.lastShown = number;
      this.showError(error.message);
    }
  }
}

function bitsAsLayouts(bits) {
  return LAYOUTS.filter((_, layout) => (bits >> layout) & 1);
}

// The layouts that some kernel takes in a dtype, and the kernels that take a layout.
function layoutsOf(id, dtype) {
  const { heads } = MODELS.get(id).dtypes[dtype];
  return bitsAsLayouts(heads.reduce((bits, [, layouts]) => bits | layouts, 0));
}

function kernelsOf(id, dtype, layout) {
  const { kernels, dtypes } = MODELS.get(id);
  const bit = LAYOUTS.indexOf(layout);
  return dtypes[dtype].heads.filter((one) => (one[1] >> bit) & 1).map((one) => kernels[one[0]]);
}

// What a kernel was fitted to: its domain, its error, its remarks.
function estimatorOf(id, dtype, kernel) {
  const { kernels, dtypes, estimators } = MODELS.get(id);
  const number = kernels.indexOf(kernel);
  const { heads } = dtypes[dtype];
  return estimators[(heads.find((one) => one[0] === number) ?? heads[0])[2]];
}
