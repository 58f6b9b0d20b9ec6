// The worker: unpacks models and asks them, so that the page never waits for a forest.
//
// In:  {load, parts, data}: a packed model. {id, asks, sweep, ranking, layers}: a question; a newer
//      one of the same kind ends what is left of an older one.
// Out: {loaded, wrong}, {id, kind, ...}, or {id, kind, error}.

const models = new Map();
const newest = new Map();
const SLICE_MS = 8;

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
const LAYOUTS = {
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
    laid.push(LAYOUTS[layout](await inflated(data.subarray(start, start + length))));
    start += length;
  }
  const pieces = new TextDecoder().decode(laid[0]).split("\0");
  return pieces.map((piece, i) => (i ? base64Of(laid[i]) : "") + piece).join("");
}

async function load({ load: name, parts, data }) {
  const text = await unpacked(parts, data);
  const address = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
  try {
    const model = await import(address);
    models.set(name, model);
    postMessage({ loaded: name, wrong: model.selftest() });
  } finally {
    URL.revokeObjectURL(address);
  }
}

function answerOf({ model, gemm, kernel, confidence }) {
  try {
    return models.get(model).predict(gemm, { kernel, confidence });
  } catch (error) {
    return { error: error.message };
  }
}

const KINDS = {
  answers: ({ asks }) => asks.map(answerOf),
};

onmessage = async ({ data }) => {
  try {
    if (data.load) await load(data);
    else postMessage({ id: data.id, kind: data.kind, value: KINDS[data.kind](data) });
  } catch (error) {
    postMessage({ loaded: data.load, id: data.id, kind: data.kind, error: String(error.message ?? error) });
  }
};
