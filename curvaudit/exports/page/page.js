"use strict";
// The page is complete without this script; it only filters the contact sheet and follows links.
(function () {
  const sheet = document.getElementById("tiles");
  const tiles = sheet ? Array.from(sheet.children) : [];
  const control = (id) => document.getElementById(id);

  function filter() {
    const label = control("by-label").value;
    const rule = control("by-rule").value;
    const text = control("by-id").value.trim().toLowerCase();
    let count = 0;
    for (const tile of tiles) {
      const data = tile.dataset;
      const fits = (!label || data.label === label)
        && (!rule || data.rules.split(" ").includes(rule))
        && (!text || data.id.toLowerCase().includes(text));
      tile.hidden = !fits;
      count += fits ? 1 : 0;
    }
    control("shown").textContent = count + " of " + tiles.length + " shown";
  }

  // A link must not end at a closed section or at a tile that a filter hides.
  function reveal() {
    const target = document.getElementById(location.hash.slice(1));
    if (!target) return;
    for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
    if (target.hidden) {
      for (const id of ["by-label", "by-rule", "by-id"]) control(id).value = "";
      filter();
    }
    target.scrollIntoView();
  }

  if (sheet) {
    for (const id of ["by-label", "by-rule", "by-id"]) control(id).addEventListener("input", filter);
    control("by-size").addEventListener("input", (event) => { sheet.className = "sheet " + event.target.value; });
    const tools = document.querySelector(".tools");
    tools.addEventListener("submit", (event) => event.preventDefault());
    tools.hidden = false;
    filter();
  }
  window.addEventListener("hashchange", reveal);
  // Paper cannot open a section; what stands folded would be missing from a print.
  window.addEventListener("beforeprint", () => {
    for (const box of document.querySelectorAll("main > details")) box.open = true;
  });
  if (location.hash) reveal();
  document.documentElement.dataset.ready = "yes";
})();
