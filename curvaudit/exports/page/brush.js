// Histograms: drag over the bars, or move the two sliders, to see pictures of that range.

function makeBrush(figure) {
  const svg = figure.querySelector("svg");
  const edges = svg.dataset.edges.split(" ").map(Number);
  const counts = svg.dataset.counts.split(" ").map(Number);
  const [left, right, top, bottom] = ["left", "right", "top", "bottom"].map((name) => Number(svg.dataset[name]));
  const score = DATA.scores.indexOf(DATA.rankBy);
  const bins = counts.length;
  const place = (bin) => left + bin / bins * (right - left);
  const band = drawing("rect", { class: "band", y: top, height: bottom - top, width: 0, x: left });
  svg.append(band);
  const slider = (name, value) => element("input", { type: "range", min: 0, max: bins, value, "aria-label": DATA.rankBy + " " + name });
  const [from, to] = [slider("from", 0), slider("to", bins)];
  const told = element("output", {}, "Drag over the bars, or move the sliders, to see pictures of a range.");
  const all = element("button", { type: "button", hidden: "" }, "Clear");
  const thumbs = element("div", { class: "thumbs", role: "group", "aria-label": "pictures of the range" });
  figure.append(element("div", { class: "sliders" }, from, to), element("p", { class: "soft" }, told, " ", all), thumbs);

  function show(a, b) {
    const [low, high] = [Math.min(a, b), Math.max(a, b, Math.min(a, b) + 1)];
    [from.value, to.value] = [low, high];
    from.setAttribute("aria-valuetext", number(edges[low]));
    to.setAttribute("aria-valuetext", number(edges[high]));
    band.setAttribute("x", place(low));
    band.setAttribute("width", place(high) - place(low));
    const inside = Array.from(samples.values()).filter((sample) => {
      const value = sample.values[score];
      return value !== null && value >= edges[low] && (high === bins ? value <= edges[bins] * (1 + 1e-8) : value < edges[high]);
    }).sort((one, other) => one.rank - other.rank);
    const total = counts.slice(low, high).reduce((sum, count) => sum + count, 0);
    const shown = inside.slice(0, THUMBS);
    told.textContent = total.toLocaleString("en") + (total === 1 ? " picture" : " pictures") + " from " + number(edges[low]) + " to " + number(edges[high])
      + (total === 0 ? "." : shown.length < total ? "; " + shown.length + " of them here, by rank." : ".");
    all.hidden = false;
    figure.classList.add("active");
    fillThumbs(thumbs, shown);
  }

  function clear() {
    [from.value, to.value] = [0, bins];
    band.setAttribute("width", 0);
    thumbs.replaceChildren();
    figure.classList.remove("active");
    told.textContent = "Drag over the bars, or move the sliders, to see pictures of a range.";
    all.hidden = true;
  }

  function binAt(event) {
    const box = svg.getBoundingClientRect();
    const x = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
    return Math.max(0, Math.min(bins, (x - left) / (right - left) * bins));
  }

  let start = null;
  svg.addEventListener("pointerdown", (event) => {
    start = binAt(event);
    svg.setPointerCapture(event.pointerId);
    event.preventDefault();
  });
  svg.addEventListener("pointermove", (event) => {
    if (start === null) return;
    const now = binAt(event);
    const [low, high] = [Math.min(start, now), Math.max(start, now)];
    band.setAttribute("x", place(low));
    band.setAttribute("width", place(high) - place(low));
  });
  svg.addEventListener("pointerup", (event) => {
    if (start === null) return;
    const now = binAt(event);
    const low = Math.min(Math.floor(Math.min(start, now)), bins - 1);
    const high = Math.max(low + 1, Math.ceil(Math.max(start, now)));
    start = null;
    show(low, high);
  });
  svg.addEventListener("pointercancel", () => { start = null; });
  for (const input of [from, to]) input.addEventListener("input", () => show(Number(from.value), Number(to.value)));
  all.addEventListener("click", clear);
}
