// The theme: of the system, or one that the reader chooses, kept where the browser lets us.
const choice = document.getElementById("theme");

function show(theme) {
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
  choice.value = theme;
}

function kept() {
  try {
    return localStorage.getItem("gpperf-theme") ?? "";
  } catch {
    return ""; // storage may be forbidden, as in a sandboxed frame
  }
}

choice.addEventListener("change", () => {
  show(choice.value);
  try {
    localStorage.setItem("gpperf-theme", choice.value);
  } catch {
    // It is not kept, then.
  }
});
show(["light", "dark"].includes(kept()) ? kept() : "");
