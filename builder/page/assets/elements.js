// Elements of the page: found by id, and made.

const at = (id) => document.getElementById(`x-${id}`);

function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}
