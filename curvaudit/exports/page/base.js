"use strict";
// The page is complete without its script, which adds review, filters, the large view and the brush.
// Names of files and classes only ever become text here, never markup.

const DATA = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

// Columns of the data, one object a picture. `values` and `ranks` are by score, in the order of DATA.scores.
const samples = new Map(DATA.samples.row.map((row, at) => [row, {
  row,
  id: DATA.samples.id[at],
  label: DATA.samples.label[at],
  rank: DATA.samples.rank[at],
  suggested: DATA.samples.suggested[at],
  hash: DATA.samples.hash[at],
  masked: DATA.samples.masked[at],
  width: DATA.samples.width[at],
  height: DATA.samples.height[at],
  kept: DATA.samples.kept[at] === 1,
  crisp: DATA.samples.crisp[at] === 1,
  values: DATA.samples.values.map((column) => column[at]),
  ranks: DATA.samples.ranks.map((column) => column[at]),
  further: DATA.samples.further.map((column) => column[at]),
  curvature: DATA.curvature[at] || [],
  probed: DATA.probed[at] || [],
  seen: DATA.seen[at] || [],
  near: DATA.near[at] || [],
  findings: [],
}]));
for (const finding of DATA.findings) {
  for (const row of finding.rows) samples.get(row).findings.push(finding);
}
// Neighbours of pictures on the page that are not on it themselves: a name, a label, perhaps a picture.
const others = new Map(DATA.others.row.map((row, at) => [row, {
  row,
  id: DATA.others.id[at],
  label: DATA.others.label[at],
  kept: DATA.others.kept[at] === 1,
  crisp: DATA.others.crisp[at] === 1,
}]));
const labelOf = (sample) => DATA.classes[sample.label];

function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function drawing(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

// Names in any writing direction, kept apart from the text around them.
const named = (text) => element("bdi", {}, text);

function number(value) {
  if (value === null || value === undefined) return "not measured";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1000 && size < 1e5) return Math.round(value).toLocaleString("en");
  if (size >= 1e-3 && size < 1e5) return String(Number(value.toPrecision(3)));
  const [mantissa, power] = value.toExponential(2).split("e");
  const raised = String(Number(power)).replace(/./g, (sign) => (sign === "-" ? "⁻" : "⁰¹²³⁴⁵⁶⁷⁸⁹"[sign]));
  return (Number(mantissa) === 1 ? "" : Number(mantissa) + "×") + "10" + raised;
}

// What a decision says under a picture, in a list and to a screen reader.
const WORDS = { "wrong-label": "wrong label", fine: "fine", ambiguous: "ambiguous", drop: "drop" };
const MARKS = { "wrong-label": "✗", fine: "✓", ambiguous: "?", drop: "−" };

function dress(picture, sample) {
  picture.className = "pic" + (sample.crisp ? " crisp" : "") + (sample.kept ? " p" + sample.row : " none");
  if (samples.has(sample.row)) picture.dataset.row = sample.row;
}
