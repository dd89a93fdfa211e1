// After "wrong label": which label is right? Likely ones first, all others by typing.

const picker = byId("picker");
const LISTED = 50;  // labels shown at once; typing narrows them down
let choose = null;  // called with the chosen label (null: not known)
let choices = [];
let chosen = 0;

function pickLabel(row, then) {
  const sample = samples.get(row);
  choose = then;
  byId("picker-title").replaceChildren("Wrong label: ", named(labelOf(sample)));
  byId("picker-text").value = "";
  picker.dataset.row = row;
  offer();
  picker.showModal();
}

// Suggested, then labels of copies and of neighbours, then what the network saw in any epoch; the rest by name.
function offered(sample) {
  const likely = new Map();
  const add = (label, why) => {
    if (label >= 0 && label !== sample.label && !likely.has(label)) likely.set(label, why);
  };
  add(sample.suggested, "suggested");
  for (const finding of sample.findings) {
    for (const row of finding.rows) add(samples.get(row).label, "label of a copy");
  }
  const near = new Map();
  for (const row of sample.near) {
    const label = (samples.get(row) || others.get(row)).label;
    near.set(label, (near.get(label) || 0) + 1);
  }
  for (const [label, count] of Array.from(near).sort((a, b) => b[1] - a[1])) {
    add(label, "label of " + count + " of " + sample.near.length + " neighbours");
  }
  const counts = new Map();
  for (const label of sample.seen) counts.set(label, (counts.get(label) || 0) + 1);
  for (const [label] of Array.from(counts).sort((a, b) => b[1] - a[1])) add(label, "seen in training");
  const rest = DATA.classes.map((name, label) => label)
    .filter((label) => label !== sample.label && !likely.has(label))
    .sort((a, b) => DATA.classes[a].localeCompare(DATA.classes[b], "en", { numeric: true }));
  return [
    ...Array.from(likely, ([label, why]) => ({ name: DATA.classes[label], why })),
    { name: null, why: "" },
    ...rest.map((label) => ({ name: DATA.classes[label], why: "" })),
  ];
}

function offer() {
  const typed = byId("picker-text").value.trim().toLowerCase();
  choices = offered(samples.get(Number(picker.dataset.row)))
    .filter((choice) => !typed || (choice.name !== null && choice.name.toLowerCase().includes(typed)));
  if (typed) choices.sort((a, b) => rank(a) - rank(b));
  function rank(choice) {
    const name = choice.name.toLowerCase();
    return name === typed ? 0 : name.startsWith(typed) ? 1 : 2;
  }
  const more = choices.length - LISTED;
  choices = choices.slice(0, LISTED);
  chosen = 0;
  byId("picker-list").replaceChildren(...choices.map((choice, at) => element(
    "li", { role: "option", id: "choice-" + at, "aria-selected": "false" },
    choice.name === null ? element("i", {}, "not known yet") : named(choice.name),
    choice.why ? element("small", {}, " " + choice.why) : "",
  )));
  if (more > 0) byId("picker-list").append(element("li", { role: "presentation", class: "soft" }, more + " more: type to narrow down"));
  if (choices.length === 0) byId("picker-list").append(element("li", { role: "presentation", class: "soft" }, "no such label"));
  highlight(0);
}

function highlight(at) {
  if (choices.length === 0) {
    byId("picker-text").removeAttribute("aria-activedescendant");
    return;
  }
  byId("choice-" + chosen)?.setAttribute("aria-selected", "false");
  chosen = (at + choices.length) % choices.length;
  const option = byId("choice-" + chosen);
  option.setAttribute("aria-selected", "true");
  option.scrollIntoView({ block: "nearest" });
  byId("picker-text").setAttribute("aria-activedescendant", option.id);
}

function take(at) {
  if (!choices[at]) return;
  const name = choices[at].name;
  picker.close();
  choose(name);
}

byId("picker-text").addEventListener("input", offer);
byId("picker-text").addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown") highlight(chosen + 1);
  else if (event.key === "ArrowUp") highlight(chosen - 1);
  else if (event.key === "Enter" && !event.isComposing) take(chosen);
  else return;
  event.preventDefault();
});
byId("picker-list").addEventListener("click", (event) => {
  const option = event.target.closest("[role=option]");
  if (option) take(Number(option.id.slice("choice-".length)));
});
