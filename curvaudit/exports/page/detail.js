// The large view of one picture: what was found, its copies, its way through the epochs, all scores.

const detail = byId("detail");
// The ranking is of all seeds; neighbours and what came epoch after epoch are of one.
const OF_SEED = DATA.seed === null ? "" : " (seed " + DATA.seed + ")";
const COPIES = 24;  // pictures of one group beside each other
let around = [];  // rows that the arrows step through
let shownRow = -1;
let origin = -1;  // the row of `around` from which a copy or a neighbour was opened

function openDetail(row, rows) {
  around = rows;
  byId("detail-said").textContent = "";
  showDetail(row);
  if (!detail.open) detail.showModal();
}

function showDetail(row, aside = false) {
  const sample = samples.get(row);
  shownRow = row;
  byId("detail-title").replaceChildren(DATA.ranked ? "#" + sample.rank + " labelled " : "Labelled ", named(labelOf(sample)));
  if (sample.suggested >= 0) byId("detail-title").append(" ", element("span", { class: "to" }, "→ ", named(DATA.classes[sample.suggested]), "?"));
  const picture = byId("detail-picture");
  dress(picture, sample);
  picture.replaceChildren(...(sample.kept ? [] : [element("span", {}, "picture not kept")]));
  label(picture);
  byId("detail-facts").replaceChildren(named(sample.id), element("br"), "row " + sample.row + ", " + sample.width + " × " + sample.height + " px");
  for (const button of detail.querySelectorAll(".choices button")) {
    button.setAttribute("aria-pressed", String((decisions.get(row)?.decision ?? "none") === button.dataset.decision));
  }
  byId("detail-more").replaceChildren(...[reasons(sample), neighbours(sample), ...copies(sample), seen(sample), curve(sample)].filter(Boolean));
  byId("detail-scores").replaceChildren(...[further(sample), scoreTable(sample)].filter(Boolean));
  if (!aside) origin = row;
  const at = around.indexOf(origin);
  byId("detail-previous").disabled = row === origin && at <= 0;
  byId("detail-next").disabled = at >= around.length - 1;
  detail.scrollTop = 0;
  // What had the focus may be gone, or not be pressed any more: the next key would come from nowhere.
  if (detail.open && document.activeElement.matches("body, :disabled")) byId("detail-close").focus();
}

// From a copy or a neighbour, back leads to where it was opened.
function step(by) {
  const to = by < 0 && shownRow !== origin ? origin : around[around.indexOf(origin) + by];
  if (to !== undefined) showDetail(to);
}

function part(title, ...children) {
  return element("section", {}, element("h3", {}, title), ...children);
}

function reasons(sample) {
  if (sample.findings.length === 0) return null;
  return part("Findings", element("ul", {}, ...sample.findings.map((finding) => element(
    "li", {}, element("span", { class: "chip " + finding.severity }, finding.rule + " " + finding.name), " ", named(finding.message),
  ))));
}

// The pictures that lie nearest to the network: which label do they carry?
function neighbours(sample) {
  if (sample.near.length === 0) return null;
  const near = sample.near.map((row) => samples.get(row) || others.get(row));
  const counts = new Map();
  for (const one of near) counts.set(one.label, (counts.get(one.label) || 0) + 1);
  const sorted = Array.from(counts).sort((a, b) => b[1] - a[1]);
  const said = sorted.flatMap(([label, count], at) => [
    at ? ", " : "", element("b", { class: label === sample.label ? "given" : "other" }, count + " labelled ", named(DATA.classes[label])),
  ]);
  const figures = near.map((one) => {
    const figure = tileLike(one, true);
    figure.classList.add(one.label === sample.label ? "agrees" : "differs");
    if (samples.has(one.row)) figure.querySelector(".pic").tabIndex = 0;
    return figure;
  });
  return part("Nearest neighbours" + OF_SEED, element("p", {}, "Of the " + near.length + " pictures that the network finds most alike: ", ...said, "."),
    element("div", { class: "near" }, ...figures),
    element("p", { class: "soft" }, "By its features after epoch " + DATA.nearEpoch + ", nearest first."));
}

function copies(sample) {
  return sample.findings.filter((finding) => finding.size > 1).map((finding) => {
    // Those under another label first: among many copies they are what matters.
    const others = finding.rows.filter((row) => row !== sample.row && samples.has(row)).map((row) => samples.get(row))
      .sort((a, b) => (a.label === sample.label) - (b.label === sample.label)).slice(0, COPIES - 1);
    const shown = [sample, ...others].map((one) => {
      const figure = tileLike(one);
      if (one.label !== sample.label) figure.classList.add("differs");
      figure.querySelector(".pic").tabIndex = 0;
      return figure;
    });
    const row = element("div", { class: "copies" }, ...shown);
    if (finding.distance !== "identical in every pixel" && others.length && sample.kept && others[0].kept) {
      const canvas = element("canvas", { class: "pic", role: "img", "aria-label": "difference of the first two pictures, eightfold" });
      row.append(element("figure", {}, canvas, element("figcaption", {}, element("p", { class: "cap" }, "difference × 8"), element("p", { class: "sub" }, "black is equal"))));
      difference(canvas, sample, others[0]);
    }
    const left = finding.size - shown.length;
    return part("Copies", row, element("p", { class: "soft" }, finding.distance + (left > 0 ? "; " + left + " more in findings.json" : "")));
  });
}

// Each picture stands once on the page, as a background in the style sheet.
function loaded(sample) {
  const probe = element("div", { class: "p" + sample.row });
  detail.append(probe);
  const address = getComputedStyle(probe).backgroundImage.slice(5, -2);
  probe.remove();
  const image = new Image();
  image.src = address;
  return image.decode().then(() => image);
}

async function difference(canvas, one, other) {
  const images = await Promise.all([loaded(one), loaded(other)]);
  // One may be kept larger than the other.
  const [width, height] = ["naturalWidth", "naturalHeight"].map((side) => Math.min(...images.map((image) => image[side])));
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const pixels = images.map((image) => {
    context.drawImage(image, 0, 0, width, height);
    return context.getImageData(0, 0, width, height);
  });
  const [a, b] = pixels.map((part) => part.data);
  for (let at = 0; at < a.length; at += 1) if (at % 4 < 3) a[at] = Math.min(255, 8 * Math.abs(a[at] - b[at]));
  context.putImageData(pixels[0], 0, 0);
}

function curve(sample) {
  const median = DATA.medians[sample.label] || [];
  const lines = [["this picture", sample.curvature], ["median of " + labelOf(sample), median]];
  const values = lines.flatMap(([, line]) => line).filter((value) => value > 0);
  if (values.length === 0 || sample.curvature.length < 2) return null;
  const [width, height, left, bottom] = [420, 190, 62, 34];
  const [low, high] = [Math.log10(Math.min(...values)) - 0.1, Math.log10(Math.max(...values)) + 0.1];
  const last = DATA.epochs.length - 1;
  const [first, span] = [DATA.epochs[0], DATA.epochs[last] - DATA.epochs[0] || 1];
  const x = (epoch) => left + (epoch - first) / span * (width - left - 12);
  // 0 stands for an epoch without probes: on the axis. Epochs without a measurement are null.
  const y = (value) => height - bottom - (Math.max(low, Math.log10(value)) - low) / (high - low) * (height - bottom - 10);
  const told = lines.map(([name, line]) => name + ": " + number(line[0]) + " at first, " + number(line[last]) + " at the end").join("; ");
  const svg = drawing("svg", { class: "chart", viewBox: "0 0 " + width + " " + height, role: "img", "aria-label": "Curvature over epochs. " + told });
  const decades = [];
  for (let power = Math.ceil(low); power <= high; power += Math.max(1, Math.ceil((high - low) / 4))) decades.push(10 ** power);
  for (const value of decades.length ? decades : [10 ** ((low + high) / 2)]) {
    svg.append(
      drawing("line", { class: "grid", x1: left, x2: width - 12, y1: y(value), y2: y(value) }),
      drawing("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, number(value)),
    );
  }
  svg.append(drawing("line", { class: "axis", x1: left, x2: width - 12, y1: height - bottom, y2: height - bottom }));
  for (const epoch of new Set([first, DATA.epochs[last >> 1], DATA.epochs[last]])) {
    svg.append(drawing("text", { x: x(epoch), y: height - bottom + 15, "text-anchor": "middle" }, String(epoch)));
  }
  svg.append(drawing("text", { class: "name", x: (left + width) / 2, y: height - 4, "text-anchor": "middle" }, "epoch"));
  lines.forEach(([, line], place) => {
    const points = line.map((value, at) => (typeof value === "number" ? x(DATA.epochs[at]).toFixed(1) + "," + y(value).toFixed(1) : "")).filter(Boolean);
    svg.append(drawing("polyline", { class: "line s" + place, points: points.join(" ") }));
  });
  const shown = sample.curvature.map((value, at) => ({ value, at })).filter(({ value }) => value > 0);
  const measured = shown.filter(({ at }) => sample.probed[at]);
  for (const { value, at } of measured) {
    svg.append(drawing("circle", { class: "probed", cx: x(DATA.epochs[at]).toFixed(1), cy: y(value).toFixed(1), r: 2.5 }));
  }
  const legend = element("p", { class: "legend" }, ...lines.map(([name], place) => element("span", {}, element("i", { class: "key s" + place }), named(name))));
  const certain = lines.some(([, line]) => line.some((value) => value === 0));
  const expected = sample.probed.length > 0 && measured.length < shown.length;
  const notes = [
    [expected, "Dots: measured by probes. In the other epochs curvature is what the gradient makes expect."],
    [certain, "On the axis: 0, for the loss was too small to measure curvature."],
  ];
  return part("Curvature over epochs" + OF_SEED, svg, legend, ...notes.filter(([holds]) => holds).map(([, text]) => element("p", { class: "soft" }, text)));
}

// One cell an epoch: what the network took the picture for.
function seen(sample) {
  if (sample.seen.length === 0) return null;
  const counts = new Map();
  for (const label of sample.seen) if (label >= 0) counts.set(label, (counts.get(label) || 0) + 1);
  const sorted = Array.from(counts).sort((a, b) => b[1] - a[1]);
  const cells = sample.seen.map((label, at) => {
    const kind = label === sample.label ? "given" : label >= 0 && label === sorted.find(([one]) => one !== sample.label)?.[0] ? "other" : "rest";
    return element("i", { class: kind, title: "epoch " + DATA.epochs[at] + ": " + (label >= 0 ? DATA.classes[label] : "not logged") });
  });
  const words = sorted.slice(0, 4).flatMap(([label, count], at) => [
    at ? ", " : "", element("b", { class: label === sample.label ? "given" : "other" }, named(DATA.classes[label])), " in " + count,
  ]);
  return part("What the network saw in each epoch" + OF_SEED, element("div", { class: "epochs", "aria-hidden": "true" }, ...cells),
    element("p", {}, ...words, " of " + sample.seen.length + " epochs" + (sorted.length > 4 ? "; other classes in the rest" : "")));
}

// What the manifest says beyond path and label.
function further(sample) {
  if (DATA.columns.length === 0) return null;
  const lines = DATA.columns.map((name, at) => element("tr", {}, element("th", { scope: "row" }, named(name)), element("td", {}, named(sample.further[at]))));
  return part("Further columns", element("table", { class: "table" }, element("tbody", {}, ...lines)));
}

function scoreTable(sample) {
  if (DATA.scores.length === 0) return null;
  const lines = DATA.scores.map((name, at) => element("tr", {},
    element("th", { scope: "row" }, name),
    element("td", { class: "n" }, number(sample.values[at])),
    element("td", { class: "n" }, sample.values[at] === null ? "" : "#" + sample.ranks[at].toLocaleString("en"))));
  const head = element("tr", {}, element("th", { scope: "col" }, "score"), element("th", { scope: "col", class: "n" }, "value"),
    element("th", { scope: "col", class: "n" }, "rank of " + DATA.total.toLocaleString("en")));
  return part("All scores", element("table", { class: "table" }, element("thead", {}, head), element("tbody", {}, ...lines)));
}
