// The worker: unpacks models and asks them, so that the page never waits for a forest.
//
// In: {number, kind, question}; out: {number, value}, or {number, error}. Long work is done a slice
// at a time, so that a short question is answered in between, and is left where a newer question of
// its kind came: its value is then undefined.

const models = new Map();
const newest = new Map();
const SLICE_MS = 2;

function bytesOf(text) {
  const binary = atob(text);
  const bytes = new Uint8Array(binary.length);
  for (let i = 0; i < binary.length; i++) bytes[i] = binary.charCodeAt(i);
  return bytes;
}

function base64Of(bytes) {
  const pieces = [];
  for (let start = 0; start < bytes.length; start += 24576)
    pieces.push(btoa(String.fromCharCode(...bytes.subarray(start, start + 24576))));
  return pieces.join("");
}

async function inflated(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

// The ways back from the layouts of builder/page/packed.py.
const UNPACKING = {
  bytes: (data) => data,
  planes(data) {
    const n = data.length / 4;
    return Uint8Array.from({ length: data.length }, (_, i) => data[(i & 3) * n + (i >> 2)]);
  },
  short(data) {
    let n = 0;
    for (let length = 0; length < data.length; n++) length += data[n] === 255 ? 3 : 1;
    const nFull = (data.length - n) / 2;
    const numbers = new DataView(new ArrayBuffer(2 * n));
    for (let i = 0, full = n; i < n; i++) {
      const coded = data[i] === 255 ? data[full] | (data[nFull + full++] << 8) : data[i];
      numbers.setInt16(2 * i, (coded >> 1) ^ -(coded & 1), true);
    }
    return new Uint8Array(numbers.buffer);
  },
};

// The text of the module, as it was exported.
async function unpacked(parts, text) {
  const data = bytesOf(text);
  const laid = [];
  let start = 0;
  for (const [layout, length] of parts) {
    laid.push(UNPACKING[layout](await inflated(data.subarray(start, start + length))));
    start += length;
  }
  const pieces = new TextDecoder().decode(laid[0]).split("\0");
  return pieces.map((piece, i) => (i ? base64Of(laid[i]) : "") + piece).join("");
}

function answerOf({ model, gemm, kernel, confidence }) {
  try {
    return models.get(model).predict(gemm, { kernel, confidence });
  } catch (error) {
    return { error: error.message };
  }
}

// A turn of other messages. Timers would wait for 4 ms.
function turn() {
  const { port1, port2 } = new MessageChannel();
  return new Promise((done) => {
    port1.onmessage = done;
    port2.postMessage(null);
  });
}

// What a function makes of each of some items; undefined where a newer question came.
async function inSlices(kind, number, items, make) {
  const made = [];
  let end = performance.now() + SLICE_MS;
  for (const item of items) {
    if (performance.now() > end) {
      await turn();
      if (newest.get(kind) !== number) return undefined;
      end = performance.now() + SLICE_MS;
    }
    made.push(make(item));
  }
  return made;
}

const ANSWERS = {
  async load({ id, parts, data }) {
    const text = await unpacked(parts, data);
    const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    const model = await import(address);
    URL.revokeObjectURL(address);
    models.set(id, model);
    return model.selftest();
  },

  answers: ({ asks }) => asks.map(answerOf),

  // Of each question, an answer at each size of one dimension; what cannot run is left out, and the
  // first reason told.
  async sweep({ asks, vary, sizes }, number) {
    const begin = performance.now();
    const pairs = asks.flatMap((ask, side) => sizes.map((size) => ({ ask, side, size })));
    const made = await inSlices("sweep", number, pairs, ({ ask, side, size }) => {
      return { side, size, ...answerOf({ ...ask, gemm: { ...ask.gemm, [vary]: size } }) };
    });
    const known = made?.filter((one) => one.error === undefined);
    const curves = asks.map((_, side) => known?.filter((one) => one.side === side));
    const refused = made?.find((one) => one.error !== undefined)?.error ?? "";
    return known && { curves, refused, tookMs: performance.now() - begin };
  },

  ranking({ ask, objective, top }) {
    const found = models.get(ask.model).rank(ask.gemm, { objective, confidence: ask.confidence });
    return { n: found.length, best: found.slice(0, top) };
  },

  // Of each question, an answer to each layer.
  async layers({ asks, layers }, number) {
    const pairs = asks.flatMap((ask) => layers.map((layer) => ({ ask, layer })));
    const made = await inSlices("layers", number, pairs, ({ ask, layer: { m, n, k } }) =>
      answerOf({ ...ask, gemm: { ...ask.gemm, m, n, k } }),
    );
    const first = (side) => side * layers.length;
    return made && asks.map((_, side) => made.slice(first(side), first(side + 1)));
  },
};

onmessage = async ({ data: { number, kind, question } }) => {
  newest.set(kind, number);
  try {
    postMessage({ number, value: await ANSWERS[kind](question, number) });
  } catch (error) {
    postMessage({ number, error: String(error.message ?? error) });
  }
};
