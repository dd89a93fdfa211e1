"use strict";
// The page is complete without this script; it only adds filters to the contact sheet.
(function () {
  const tools = document.querySelector(".tools");
  const sheet = document.getElementById("tiles");
  const tiles = Array.from(sheet.children);
  const label = document.getElementById("by-label");
  const rule = document.getElementById("by-rule");
  const text = document.getElementById("by-id");
  const size = document.getElementById("size");
  const shown = document.getElementById("shown");
  function apply() {
    const wanted = text.value.trim().toLowerCase();
    let count = 0;
    for (const tile of tiles) {
      const fits =
        (!label.value || tile.dataset.label === label.value) &&
        (!rule.value || tile.dataset.rules.split(" ").includes(rule.value)) &&
        (!wanted || tile.dataset.id.toLowerCase().includes(wanted));
      tile.hidden = !fits;
      count += fits ? 1 : 0;
    }
    shown.textContent = count + " of " + tiles.length + " shown";
  }
  // A link to a finding must not end at a closed section, nor at a filtered tile.
  function reveal() {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (!target) return;
    const section = target.closest("details");
    if (section) section.open = true;
    if (target.hidden) { label.value = rule.value = text.value = ""; apply(); }
    target.scrollIntoView();
  }
  for (const control of [label, rule, text]) control.addEventListener("input", apply);
  size.addEventListener("input", () => { sheet.className = "sheet " + size.value; });
  tools.addEventListener("submit", (event) => event.preventDefault());
  window.addEventListener("hashchange", reveal);
  tools.hidden = false;
  apply();
  reveal();
  document.documentElement.dataset.ready = "yes";
})();
