// Wires everything: keys, buttons, links; then says that the page is ready.

// One decision on one picture; `then` runs when it is made, and not if the label picker is left by Escape.
function decide(row, decision, then) {
  if (decision === "none" && !decisions.has(row)) return;  // an undo would take back something else
  const make = (newLabel) => {
    replace([[row, decision === "none" ? undefined : entry(row, decision, newLabel)]]);
    say(describe(row) + " (u: undo)");
    then();
  };
  if (decision === "wrong-label") pickLabel(row, make);
  else make(null);
}

function decideHere(decision) {
  if (detail.open) {
    const row = shownRow;
    decide(row, decision, () => {
      const at = around.indexOf(origin);
      if (decision === "none") showDetail(row, row !== origin);
      else showDetail(row === origin && at + 1 < around.length ? around[at + 1] : origin);
    });
    return;
  }
  const picture = document.activeElement.closest(".pic[data-row]");
  if (!picture) return;
  // A filter by decision may hide the picture once it is decided: know those beside it before.
  const [next, previous] = [beside(picture, "ArrowRight"), beside(picture, "ArrowLeft")];
  decide(rowOf(picture), decision, () => {
    if (sheet && byId("by-decision").value) filter();
    const places = decision === "none" ? [picture, next, previous] : [next, picture, previous];
    go(places.find((one) => one && !tileOf(one).hidden));
  });
}

function undoHere() {
  const here = pictureIn(document.activeElement.closest(GROUPS));
  const row = undo();
  if (sheet && byId("by-decision").value) filter();
  if (row === undefined || !samples.has(row)) return;
  if (detail.open) showDetail(row, !around.includes(row));
  else if (here(row) && !tileOf(here(row)).hidden) go(here(row));
  else if (pictureOf(row)) {
    if (tileOf(pictureOf(row)).hidden) clearFilter();
    go(pictureOf(row));
  }
}

const DECISION_KEYS = { 0: "none", 1: "wrong-label", 2: "fine", 3: "ambiguous", 4: "drop" };

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || picker.open || byId("help").open) return;
  if (event.target.closest("input, select, textarea")) return;
  const picture = event.target.closest(".pic[data-row]");
  const key = event.key;
  if (DECISION_KEYS[key] && (detail.open || picture)) decideHere(DECISION_KEYS[key]);
  else if (key === "u") undoHere();
  else if (key === "?") byId("help").showModal();
  else if (key === "/" && sheet && !detail.open) byId("by-id").focus();
  else if (detail.open && (key === "ArrowLeft" || key === "ArrowRight")) step(key === "ArrowLeft" ? -1 : 1);
  else if (picture && (key === "Enter" || key === " ")) open(picture);
  else if (picture && !detail.open && /^(Arrow|Home$|End$)/.test(key)) go(beside(picture, key));
  else if (event.target === document.body && key === "ArrowRight" && sheet) begin();
  else return;
  event.preventDefault();
}

function open(picture) {
  if (detail.contains(picture)) {
    if (rowOf(picture) !== shownRow) showDetail(rowOf(picture), true);
    return;
  }
  openDetail(rowOf(picture), Array.from(new Set(picturesIn(picture.closest(GROUPS)).map(rowOf))));
}

// A link must not end at a closed section or at a tile that a filter hides.
function reveal() {
  const target = byId(location.hash.slice(1));
  if (!target) return;
  for (let box = target.closest("details"); box; box = box.parentElement.closest("details")) box.open = true;
  if (target.hidden) clearFilter();
  target.scrollIntoView();
  const picture = target.matches("figure") && target.querySelector(".pic[data-row]");
  if (picture) go(picture);
}

recall();
for (const part of document.querySelectorAll(".scripted:not(#elsewhere)")) part.hidden = false;
for (const group of document.querySelectorAll(GROUPS)) {
  for (const picture of group.querySelectorAll(".pic[data-row]")) enliven(picture, false);
  stops(group);
}
for (const figure of document.querySelectorAll(".brushable")) makeBrush(figure);

document.addEventListener("keydown", pressed);
document.addEventListener("focusin", (event) => {
  const picture = event.target.closest("main .pic[data-row]");
  if (picture) arrive(picture);
});
document.addEventListener("click", (event) => {
  const picture = event.target.closest(".pic[data-row]");
  if (picture && picture.id !== "detail-picture") open(picture);
});
for (const button of detail.querySelectorAll(".choices button")) {
  button.addEventListener("click", () => decideHere(button.dataset.decision));
}
byId("detail-previous").addEventListener("click", () => step(-1));
byId("detail-next").addEventListener("click", () => step(1));
byId("detail-close").addEventListener("click", () => detail.close());
byId("help-close").addEventListener("click", () => byId("help").close());
detail.addEventListener("close", () => {
  // Back to where the reviewer now is, not to where the view was opened; beside it, if a filter by decision hides it.
  const at = around.indexOf(shownRow);
  const near = at < 0 ? [] : [...around.slice(at), ...around.slice(0, at).reverse()].map(pictureIn(document.activeElement.closest(GROUPS)));
  if (sheet && byId("by-decision").value) filter();
  const picture = near.find((one) => one && !tileOf(one).hidden);
  if (picture) go(picture);
});

if (sheet) {
  for (const id of FILTERS) byId(id).addEventListener(byId(id).matches("select") ? "change" : "input", filter);
  if (byId("sort")) byId("sort").addEventListener("change", sort);
  byId("by-size").addEventListener("change", (event) => { sheet.className = "sheet " + event.target.value; });
  byId("clear-filter").closest("form").addEventListener("submit", (event) => event.preventDefault());
  byId("clear-filter").addEventListener("click", () => setTimeout(() => {
    filter();
    if (byId("sort")) sort();
    sheet.className = "sheet";
  }));
  byId("elsewhere-more").addEventListener("click", moreElsewhere);
  byId("start").addEventListener("click", begin);
  byId("undo").addEventListener("click", undoHere);
  byId("forget").addEventListener("click", () => {
    forget();
    byId("undo").focus();  // the button that had the focus is gone
  });
  byId("save-json").addEventListener("click", () => download("decisions.json", "application/json", JSON.stringify(asDocument(), null, 1) + "\n"));
  byId("save-csv").addEventListener("click", () => download("decisions.csv", "text/csv", asCsv()));
  byId("open-file").addEventListener("click", () => byId("file").click());
  byId("file").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    noTrouble();  // before it is loaded: a browser that cannot keep what was loaded says so
    try {
      say(adopt(parsed(await file.text())));
    } catch (error) {
      trouble(file.name + " was not loaded: " + error.message + ".");
    }
    event.target.value = "";
    filter();
  });
  byId("trouble-close").addEventListener("click", () => {
    noTrouble();
    byId("open-file").focus();  // the button that had the focus is gone
  });
  byId("show-help").addEventListener("click", () => byId("help").showModal());
  showProgress();
  filter();
}
// Another window of the same report decides too.
window.addEventListener("storage", (event) => {
  if (event.key !== STORE) return;
  recall();
  for (const row of samples.keys()) mark(row);
  showProgress();
  if (sheet && byId("by-decision").value) filter();
  if (detail.open) showDetail(shownRow, shownRow !== origin);
});
window.addEventListener("hashchange", reveal);
// A link to where the page is already changes no hash.
document.addEventListener("click", (event) => {
  const link = event.target.closest("a");
  if (link && location.hash && link.hash === location.hash) reveal();
});
// Paper cannot open a section; what stands folded would be missing from a print.
window.addEventListener("beforeprint", () => {
  for (const box of document.querySelectorAll("main > details")) box.open = true;
});
if (location.hash) reveal();
document.documentElement.dataset.ready = "yes";
