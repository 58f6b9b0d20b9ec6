// Elements of the page: found by id, and made.

const at = (id) => document.getElementById(`x-${id}`);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

// A text in the place of what there is not.
function emptyText(text) {
  return element("p", { className: "empty", textContent: text });
}

// A table of rows of texts or elements; headAt: which cell of a row is its head.
function tableOf(caption, heads, rows, { isCaptionShown = false, headAt = 0 } = {}) {
  const head = (scope, cell) => element("th", { scope }, cell);
  const cells = (row) =>
    row.map((cell, i) => (i === headAt ? head("row", cell) : element("td", {}, cell)));
  return element(
    "table",
    {},
    element("caption", { className: isCaptionShown ? "" : "sr", textContent: caption }),
    element("thead", {}, element("tr", {}, ...heads.map((cell) => head("col", cell)))),
    element("tbody", {}, ...rows.map((row) => element("tr", {}, ...cells(row)))),
  );
}
