// The contact sheet: filter, sort, progress; and how the keyboard moves between pictures anywhere.

const sheet = byId("tiles");
const tiles = sheet ? Array.from(sheet.children) : [];
const sheetRows = tiles.map((tile) => Number(tile.dataset.row));
const GROUPS = ".sheet, .strips, .found, .thumbs";  // one tab stop each; arrows move inside
const THUMBS = 60;  // pictures that a search or a range of the histogram shows at once
let searched = "";
let elsewhere = [];  // samples that the search finds on the page and not on the sheet
const FILTERS = ["by-label", "by-rule", "by-decision", "by-id"];

const rowOf = (picture) => Number(picture.dataset.row);
const tileOf = (picture) => picture.closest("figure") || picture;
const picturesIn = (group) => Array.from(group.querySelectorAll(".pic[data-row]")).filter((one) => !tileOf(one).hidden);
const pictureIn = (group) => (row) => group && group.querySelector('.pic[data-row="' + row + '"]');
const pictureOf = pictureIn(sheet);

// A picture becomes a button that opens the large view.
function enliven(picture, stop) {
  picture.setAttribute("role", "button");
  picture.tabIndex = stop ? 0 : -1;
  label(picture);
}

function label(picture) {
  const sample = samples.get(rowOf(picture));
  const value = decisions.get(sample.row);
  const rank = DATA.ranked ? "rank " + sample.rank + ", " : "";
  picture.setAttribute("aria-label", rank + labelOf(sample) + ", " + sample.id + (value ? ", decided: " + WORDS[value.decision] : ""));
  if (value) {
    picture.dataset.decision = value.decision;
    picture.dataset.mark = MARKS[value.decision] + " " + (value.new_label === null ? WORDS[value.decision] : "→ " + value.new_label);
  } else {
    delete picture.dataset.decision;
  }
}

function mark(row) {
  for (const picture of document.querySelectorAll('main .pic[data-row="' + row + '"]')) label(picture);
}

function showProgress() {
  if (!sheet) return;
  const counts = {};
  let decided = 0;
  for (const row of sheetRows) decided += decisions.has(row) ? 1 : 0;
  for (const value of decisions.values()) counts[value.decision] = (counts[value.decision] || 0) + 1;
  byId("progress").value = decided;
  byId("progress-text").textContent = decided + " of " + sheetRows.length + " decided";
  const beyond = decisions.size - decided;
  byId("tally").textContent = Object.entries(WORDS).filter(([key]) => counts[key])
    .map(([key, word]) => counts[key] + " " + word).join(", ")
    + (beyond > 0 ? " (" + beyond + " of them not on the sheet)" : "");
  const unseen = notHere().length;
  byId("forget").hidden = unseen === 0;
  byId("forget").textContent = "Clear " + (unseen === 1 ? "1 decision" : unseen + " decisions") + " on no picture of this page";
}

function filter() {
  const [label, rule, decision, typed] = FILTERS.map((id) => byId(id).value);
  const text = typed.trim().toLowerCase();
  const matches = (sample) => !text || String(sample.row) === text || sample.id.toLowerCase().includes(text);
  let count = 0;
  for (const tile of tiles) {
    const sample = samples.get(Number(tile.dataset.row));
    const value = decisions.get(sample.row);
    const fits = (!label || String(sample.label) === label)
      && (!rule || sample.findings.some((finding) => finding.rule === rule))
      && (!decision || (decision === "none" ? !value : decision === "any" ? value : value && value.decision === decision))
      && matches(sample);
    tile.hidden = !fits;
    count += fits ? 1 : 0;
  }
  byId("shown").textContent = count + " of " + tiles.length + " shown";
  // Only another text finds others: what was shown stays, and with it the reviewer's place in it.
  if (text !== searched) {
    searched = text;
    const onSheet = new Set(sheetRows);
    elsewhere = text ? Array.from(samples.values()).filter((sample) => !onSheet.has(sample.row) && matches(sample)) : [];
    showElsewhere(THUMBS);
  }
  stops(sheet);
}

function showElsewhere(most) {
  const shown = elsewhere.slice(0, most);
  const left = elsewhere.length - shown.length;
  byId("elsewhere").hidden = elsewhere.length === 0;
  byId("elsewhere-count").textContent = elsewhere.length.toLocaleString("en") + (elsewhere.length === 1 ? " picture" : " pictures")
    + (left ? ", the first " + shown.length.toLocaleString("en") + " of them here" : "") + ".";
  byId("elsewhere-more").hidden = left === 0;
  byId("elsewhere-more").textContent = "Show " + Math.min(left, THUMBS) + " more";
  fillThumbs(byId("elsewhere").querySelector(".thumbs"), shown);
}

// The button moves down or goes: on with the first picture that it brought.
function moreElsewhere() {
  const before = picturesIn(byId("elsewhere")).length;
  showElsewhere(before + THUMBS);
  go(picturesIn(byId("elsewhere"))[before]);
}

function clearFilter() {
  for (const id of FILTERS) byId(id).value = "";
  filter();
}

function sort() {
  const score = Number(byId("sort").value);
  const name = DATA.scores[score];
  const sorted = tiles.slice().sort((a, b) => rank(a) - rank(b));
  function rank(tile) {
    return samples.get(Number(tile.dataset.row)).ranks[score];
  }
  for (const tile of sorted) {
    const sample = samples.get(Number(tile.dataset.row));
    const value = number(sample.values[score]);
    const shown = tile.querySelector(".value");
    shown.textContent = name + " " + value + (name === DATA.rankBy ? "" : " (#" + sample.ranks[score] + ")");
  }
  sheet.append(...sorted);
  stops(sheet);
}

// The first picture of a group is where Tab arrives; links of other tiles stay out of its way.
function stops(group) {
  const shown = picturesIn(group);
  for (const picture of shown) picture.tabIndex = -1;
  for (const link of group.querySelectorAll(".tile a")) link.tabIndex = -1;
  if (shown.length) arrive(shown[0]);
}

function arrive(picture) {
  const group = picture.closest(GROUPS);
  if (!group) return;
  for (const other of group.querySelectorAll('.pic[tabindex="0"]')) {
    other.tabIndex = -1;
    for (const link of other.closest(".tile")?.querySelectorAll("a") ?? []) link.tabIndex = -1;
  }
  picture.tabIndex = 0;
  for (const link of picture.closest(".tile")?.querySelectorAll("a") ?? []) link.tabIndex = 0;
}

// The picture that an arrow key leads to, or undefined at the edge.
function beside(picture, key) {
  const all = picturesIn(picture.closest(GROUPS));
  const at = all.indexOf(picture);
  if (key === "ArrowLeft") return all[at - 1];
  if (key === "ArrowRight") return all[at + 1];
  if (key === "Home") return all[0];
  if (key === "End") return all[all.length - 1];
  const from = tileOf(picture).getBoundingClientRect();
  let best;
  let least = Infinity;
  for (const other of all) {
    const box = tileOf(other).getBoundingClientRect();
    const down = key === "ArrowDown" ? box.top - from.top : from.top - box.top;
    // The nearest row first, in it the nearest column.
    const far = down * 1000 + Math.abs(box.left - from.left);
    if (down > from.height / 2 && far < least) [best, least] = [other, far];
  }
  return best;
}

function go(picture) {
  if (!picture) return;
  arrive(picture);
  picture.focus({ preventScroll: true });
  tileOf(picture).scrollIntoView({ block: "nearest", behavior: "instant" });
}

// To the first undecided picture as they are sorted now; where all are decided to the first one.
function begin() {
  const shown = picturesIn(sheet);
  const picture = shown.find((one) => !decisions.has(rowOf(one))) || shown[0];
  if (picture) go(picture);
}

function tileLike(sample, brief = false) {
  const picture = element("div");
  dress(picture, sample);
  if (samples.has(sample.row)) enliven(picture, false);
  else {
    picture.setAttribute("role", "img");
    picture.setAttribute("aria-label", labelOf(sample) + ", " + sample.id);
  }
  if (brief) picture.title = sample.id;
  if (!sample.kept) picture.append(element("span", {}, "picture not kept"));
  const caption = element("p", { class: "cap" });
  if (DATA.ranked && !brief) caption.append(element("span", { class: "rank" }, "#" + sample.rank), " ");
  caption.append(element("b", { class: "label" }, named(labelOf(sample))));
  if (brief && sample.kept) return element("figure", {}, picture, element("figcaption", {}, caption));
  return element("figure", {}, picture, element("figcaption", {}, caption, element("p", { class: "sub", title: sample.id }, named(sample.id))));
}

function fillThumbs(container, some) {
  container.replaceChildren(...some.map((one) => tileLike(one)));
  if (some.length) stops(container);
}
