// The controls: lists, sliders and fields by which a question is chosen.

const GENERATIONS = {
  6: "Pascal",
  7: "Volta and Turing",
  8: "Ampere and Ada",
  9: "Hopper",
  10: "Blackwell",
  12: "Blackwell",
};

const CHOICES = [
  "gpu",
  "dtype",
  "layout",
  "kernel",
  "beta",
  "confidence",
  "vs",
  "vsdtype",
  "vskernel",
  "x",
  "y",
  "by",
  "code",
];

const sliders = {};

function option(value, text) {
  return new Option(text, value);
}

function gpuOptions() {
  const byGeneration = new Map();
  const newest = [...MODELS.values()].sort((one, other) => other.capability[0] - one.capability[0]);
  for (const { id, gpu, capability } of newest) {
    const name = GENERATIONS[capability[0]] ?? `Compute capability ${capability[0]}`;
    if (!byGeneration.has(name)) byGeneration.set(name, []);
    byGeneration.get(name).push(option(id, gpu.replace(/^NVIDIA /, "")));
  }
  return [...byGeneration].map(([label, options]) => {
    const group = element("optgroup", { label });
    group.append(...options);
    return group;
  });
}

function kernelOptions(id, dtype, layout) {
  const { kernels, dtypes } = MODELS.get(id);
  const { preset } = dtypes[dtype];
  const usual = preset < 0 ? "Default: the fastest" : `Default: ${kernels[preset]}`;
  return [option("", usual), ...kernelsOf(id, dtype, layout).map((name) => option(name, name))];
}

// Fill a list anew where what its choices depend on changed; the keyboard stays where it is.
function fill(select, depends, optionsOf, value) {
  const key = depends.join("|");
  if (select.dataset.key !== key) {
    select.replaceChildren(...optionsOf(...depends));
    select.dataset.key = key;
  }
  select.value = value;
}

function dtypeOptions(id) {
  return Object.keys(MODELS.get(id).dtypes).map((one) => option(one, one));
}

function layoutOptions(id, dtype) {
  return layoutsOf(id, dtype).map((one) => option(one, one));
}

// Show a view in the controls.
function showControls(view) {
  at("gpu").value = view.gpu;
  fill(at("dtype"), [view.gpu], dtypeOptions, view.dtype);
  fill(at("layout"), [view.gpu, view.dtype], layoutOptions, view.layout);
  fill(at("kernel"), [view.gpu, view.dtype, view.layout], kernelOptions, view.kernel);
  at("vs").value = view.vs;
  at("vs-more").hidden = !view.vs;
  if (view.vs) {
    fill(at("vsdtype"), [view.vs], dtypeOptions, view.vsdtype);
    fill(at("vskernel"), [view.vs, view.vsdtype, view.layout], kernelOptions, view.vskernel);
  }
  for (const name of ["beta", "confidence", "x", "y", "by", "code"]) at(name).value = view[name];
  for (const name of DIMENSIONS) {
    const input = at(name);
    if (document.activeElement !== input || sizeOf(input.value) !== sizeOf(view[name]))
      input.value = view[name];
    input.setAttribute("aria-invalid", String(!isSize(sizeOf(view[name]))));
    if (sliders[name]) showSlider(name, sizeOf(view[name]));
  }
  if (document.activeElement !== at("layers")) at("layers").value = view.layers;
}

function showSlider(name, size) {
  if (!isSize(size)) return;
  sliders[name].value = String(nearestStop(SLIDER_STOPS, size));
  sliders[name].setAttribute("aria-valuetext", String(size));
}

// Make the controls; change: called with what the reader changes of the view.
function makeControls(change) {
  at("gpu").append(...gpuOptions());
  at("vs").append(option("", "Nothing"), ...gpuOptions());
  at("confidence").append(...CONFIDENCES.map((one) => option(one, percent(Number(one)))));
  at("y").append(...Object.entries(FIGURES).map(([name, { label }]) => option(name, label)));
  at("x").append(...DIMENSIONS.map((one) => option(one, one)));
  at("by").append(
    ...Object.entries(OBJECTIVES).map(([name, label]) => option(name, label.toLowerCase())),
  );
  at("code").append(...Object.entries(LANGUAGES).map(([name, { label }]) => option(name, label)));
  for (const name of ["m", "n", "k"]) {
    const slider = element("input", {
      type: "range",
      id: `x-${name}-slider`,
      min: "0",
      max: String(SLIDER_STOPS.length - 1),
      step: "1",
    });
    slider.setAttribute("aria-label", `${name}, as a slider`);
    const text = element("input", {
      type: "text",
      id: `x-${name}`,
      inputMode: "numeric",
      autocomplete: "off",
    });
    at("sizes").append(
      element(
        "div",
        { className: "size" },
        element("label", { htmlFor: `x-${name}`, textContent: name }),
        slider,
        text,
      ),
    );
    sliders[name] = slider;
    slider.addEventListener("input", () =>
      change({ [name]: String(SLIDER_STOPS[Number(slider.value)]) }),
    );
  }
  for (const name of DIMENSIONS)
    at(name).addEventListener("input", () => change({ [name]: at(name).value.trim() }));
  for (const name of CHOICES)
    at(name).addEventListener("change", () => change({ [name]: at(name).value }));
}
