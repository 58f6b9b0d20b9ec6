// The snippets: the same question in other languages. What is usual there is left out.

const plainText = (text) => JSON.stringify(text);

const LANGUAGES = {
  python: { label: "Python", of: pythonOf, note: () => "Needs the package: pip install ." },
  shell: { label: "Command line", of: shellOf, note: () => "Needs the package: pip install ." },
  javascript: {
    label: "JavaScript",
    of: javascriptOf,
    note: (ask) => `Needs the module: ${exportOf(ask, "js", "mjs")}`,
  },
  c: { label: "C", of: cOf, note: (ask) => `Needs the header: ${exportOf(ask, "c", "h")}` },
};

function exportOf(ask, format, suffix) {
  const asked = quoted(MODELS.get(ask.model).asked);
  return `python -m builder export ${asked} --format ${format} --output ${fileOf(ask)}.${suffix}`;
}

function fileOf(ask) {
  return `gpperf_${ask.model.replace(/[^A-Za-z0-9_.-]/g, "_")}`;
}

// A word of a shell, in quotes where it needs them.
function quoted(word) {
  return /^[\w./:=-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

function pythonOf({ model, gemm, kernel, confidence }) {
  const { m, n, k, dtype, layout, batch, beta } = gemm;
  const gemmArguments = [m, n, k, plainText(dtype)];
  if (layout !== "tn") gemmArguments.push(`layout=${plainText(layout)}`);
  if (batch !== 1) gemmArguments.push(`batch=${batch}`);
  if (beta !== 0) gemmArguments.push(`beta=${beta.toFixed(1)}`);
  const more = [];
  if (kernel) more.push(`, kernel=${plainText(kernel)}`);
  if (confidence !== 0.9) more.push(`, confidence=${confidence}`);
  return `import gpperf_lite as gp

model = gp.load(${plainText(MODELS.get(model).asked)})
p = model.predict(gp.Gemm(${gemmArguments.join(", ")})${more.join("")})
print(p.runtime_s, p.runtime_interval_s, p.power_w, p.energy_j)`;
}

function shellOf({ model, gemm, kernel, confidence }) {
  const { m, n, k, dtype, layout, batch, beta } = gemm;
  const words = [`gpperf predict ${m} ${n} ${k} --dtype ${dtype}`];
  words.push(`--gpu ${quoted(MODELS.get(model).asked)}`);
  if (layout !== "tn") words.push(`--layout ${layout}`);
  if (batch !== 1) words.push(`--batch ${batch}`);
  if (beta !== 0) words.push(`--beta ${beta}`);
  if (kernel) words.push(`--kernel ${quoted(kernel)}`);
  if (confidence !== 0.9) words.push(`--confidence ${confidence}`);
  return words.join(" ");
}

function javascriptOf(ask) {
  const { gemm, kernel, confidence } = ask;
  const { m, n, k, dtype, layout, batch, beta } = gemm;
  const fields = [`m: ${m}, n: ${n}, k: ${k}, dtype: ${plainText(dtype)}`];
  if (layout !== "tn") fields.push(`layout: ${plainText(layout)}`);
  if (batch !== 1) fields.push(`batch: ${batch}`);
  if (beta !== 0) fields.push(`beta: ${beta}`);
  const options = [];
  if (kernel) options.push(`kernel: ${plainText(kernel)}`);
  if (confidence !== 0.9) options.push(`confidence: ${confidence}`);
  const more = options.length ? `, { ${options.join(", ")} }` : "";
  return `import { predict } from "./${fileOf(ask)}.mjs";

const p = predict({ ${fields.join(", ")} }${more});
console.log(p.runtimeS, p.runtimeLowS, p.runtimeHighS, p.powerW, p.energyJ);`;
}

function cOf(ask) {
  const { gemm, kernel, confidence } = ask;
  const { m, n, k, dtype, layout, batch, beta } = gemm;
  const more = [];
  if (layout !== "tn") more.push(`    gemm.layout = gpperf_layout(${plainText(layout)});\n`);
  if (batch !== 1) more.push(`    gemm.batch = ${batch};\n`);
  if (beta !== 0) more.push(`    gemm.beta = ${beta.toFixed(1)};\n`);
  const number = kernel ? `gpperf_kernel(${plainText(kernel)})` : "GPPERF_DEFAULT";
  return `#define GPPERF_IMPLEMENTATION
#include "${fileOf(ask)}.h"
#include <stdio.h>

int main(void)
{
    gpperf_gemm gemm = gpperf_gemm_of(${m}, ${n}, ${k}, gpperf_dtype(${plainText(dtype)}));
    gpperf_prediction p;
${more.join("")}    int code = gpperf_predict(&gemm, ${number}, ${confidence}, &p);
    if (code != GPPERF_OK) return puts(gpperf_strerror(code));
    printf("%.17g %.17g %.17g", p.runtime_s, p.runtime_low_s, p.runtime_high_s);
    printf(" %.17g %.17g\\n", p.power_w, p.energy_j);
    return 0;
}`;
}
