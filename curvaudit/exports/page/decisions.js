// What the reviewer decided: kept in this browser, written to files, read back.

const STORE = "curvaudit:" + DATA.store;
const SCHEMA = "curvaudit-decisions/1";
const decisions = new Map();  // row -> entry of the file; may hold rows that are not on this page
const done = [];  // for undo: what each step replaced, [[row, entry or undefined], …]

const inOrder = () => Array.from(decisions.values()).sort((a, b) => a.index - b.index);
const asDocument = () => ({ schema: SCHEMA, run: DATA.run, source_fingerprint: DATA.fingerprint, decisions: inOrder() });

function entry(row, decision, newLabel) {
  const sample = samples.get(row);
  return {
    index: row,
    id: sample.id,
    label: labelOf(sample),
    content_hash: sample.hash,
    decision,
    new_label: newLabel,
    findings: sample.findings.map((finding) => finding.fingerprint),
  };
}

function replace(changes) {
  if (changes.length === 0) return;
  done.push(changes.map(([row]) => [row, decisions.get(row)]));
  apply(changes);
}

function apply(changes) {
  for (const [row, value] of changes) {
    if (value) decisions.set(row, value);
    else decisions.delete(row);
  }
  keep();
  for (const [row] of changes) mark(row);
  showProgress();
}

// Rows decided on a page that showed more, or in a loaded file: no picture here takes the key that clears them.
const notHere = () => Array.from(decisions.keys()).filter((row) => !samples.has(row));

function forget() {
  const rows = notHere();
  replace(rows.map((row) => [row, undefined]));
  say(rows.length + (rows.length === 1 ? " decision" : " decisions") + " cleared. (u: undo)");
}

// The row to go back to, or undefined if there is nothing to undo.
function undo() {
  const changes = done.pop();
  if (!changes) {
    say("Nothing to undo.");
    return undefined;
  }
  apply(changes);
  say(changes.length === 1 ? "Undone: " + describe(changes[0][0]) : "Undone: " + changes.length + " decisions.");
  return changes.length === 1 ? changes[0][0] : undefined;
}

function describe(row) {
  const sample = samples.get(row);
  const value = decisions.get(row);
  const what = value ? WORDS[value.decision] + (value.new_label === null ? "" : ", right is " + value.new_label) : "undecided";
  return (sample ? sample.id : "row " + row) + ": " + what + ".";
}

function keep() {
  try {
    localStorage.setItem(STORE, JSON.stringify(asDocument()));
  } catch {
    trouble("This browser does not keep decisions of this page: they are lost when you close it. Save them to a file.");
  }
}

function recall() {
  let text;
  try {
    text = localStorage.getItem(STORE);
  } catch {
    trouble("This browser does not keep decisions of this page: they are lost when you close it. Save them to a file.");
    return;
  }
  decisions.clear();
  if (!text) return;
  try {
    for (const value of checked(JSON.parse(text))) decisions.set(value.index, value);
  } catch (error) {
    trouble("The decisions kept in this browser cannot be read (" + error.message + ").");
  }
}

// The entries of a decisions file. Throws an Error that says what is wrong with it.
function checked(content) {
  if (!content || content.schema !== SCHEMA || !Array.isArray(content.decisions)) {
    throw new Error("it is no decisions file (schema " + SCHEMA + ")");
  }
  return content.decisions.map((value, at) => {
    const good = value && Number.isInteger(value.index) && typeof value.id === "string" && typeof value.label === "string"
      && typeof value.content_hash === "string" && Object.hasOwn(WORDS, value.decision)
      && (value.new_label === null || typeof value.new_label === "string");
    if (!good) throw new Error("decision " + (at + 1) + " is incomplete or unknown");
    const findings = Array.isArray(value.findings) ? value.findings.filter((name) => typeof name === "string") : [];
    const { index, id, label, content_hash, decision, new_label } = value;
    return { index, id, label, content_hash, decision, new_label, findings };
  });
}

// Decisions on this version of the data set count as they are. Those on another version count where
// the same picture stands here under the same label, and so do those on the anonymized page of this run.
function adopt(content) {
  const entries = checked(content);
  if (DATA.fingerprint && content.source_fingerprint === DATA.fingerprint) {
    replace(entries.map((value) => [value.index, value]));
    return entries.length + (entries.length === 1 ? " decision loaded." : " decisions loaded.");
  }
  const known = new Map();
  for (const sample of samples.values()) {
    for (const hash of [sample.hash, sample.masked]) {
      const key = hash + " " + labelOf(sample);
      if (!known.has(key)) known.set(key, []);
      known.get(key).push(sample);
    }
  }
  const changes = [];
  for (const value of entries) {
    const same = known.get(value.content_hash + " " + value.label) || [];
    const sample = same.find((one) => one.id === value.id) || same.find((one) => one.row === value.index) || same[0];
    if (sample) changes.push([sample.row, entry(sample.row, value.decision, value.new_label)]);
  }
  replace(changes);
  return (content.table ? "" : "This file belongs to another version or report of the data: ") + changes.length + " of " + entries.length
    + " decisions fit a picture of this page and were loaded.";
}

const COLUMNS = ["index", "id", "label", "content_hash", "decision", "new_label", "findings"];
const FORMULA = /^[=+\-@\t\r\n]/;

// A saved file, JSON or CSV. A table does not name its data set: its decisions are matched by content, label and id.
function parsed(text) {
  const bare = text.replace(/^\ufeff/, "");
  if (/^\s*[{[]/.test(bare)) return JSON.parse(bare);
  const [head, ...lines] = records(bare);
  const place = Object.fromEntries(COLUMNS.map((name) => [name, head ? head.indexOf(name) : -1]));
  const missing = COLUMNS.slice(0, 6).find((name) => place[name] < 0);
  if (missing) throw new Error("it is no JSON, and as CSV it has no column " + missing);
  const names = (text) => (text[0] === "'" && FORMULA.test(text.slice(1)) ? text.slice(1) : text);
  return { schema: SCHEMA, table: true, decisions: lines.map((line) => {
    const get = (name) => line[place[name]] ?? "";
    return {
      index: /^\d+$/.test(get("index")) ? Number(get("index")) : null,
      id: names(get("id")),
      label: names(get("label")),
      content_hash: get("content_hash"),
      decision: get("decision"),
      new_label: get("new_label") ? names(get("new_label")) : null,
      findings: get("findings").split(" ").filter(Boolean),
    };
  }) };
}

// The lines of a CSV text, each a list of fields (RFC 4180).
function records(text) {
  const found = [];
  let line = [];
  for (const match of text.matchAll(/(?:"((?:[^"]|"")*)"|([^",\r\n]*))(,|\r\n|\n|\r|$)/g)) {
    if (match.index === text.length && line.length === 0) break;
    line.push(match[1] === undefined ? match[2] : match[1].replaceAll('""', '"'));
    if (match[3] === ",") continue;
    if (line.length > 1 || line[0]) found.push(line);  // spreadsheets may end a table with an empty line
    line = [];
  }
  return found;
}

function asCsv() {
  const lines = inOrder().map((value) => COLUMNS.map((name) => {
    if (name === "findings") return value.findings.join(" ");
    return field(value[name] === null ? "" : String(value[name]), name === "id" || name.endsWith("label"));
  }).join(","));
  return [COLUMNS.join(","), ...lines].join("\n") + "\n";
}

// As in ranking.csv: a spreadsheet would run text that starts like a formula, so it gets an apostrophe.
function field(text, fromOutside) {
  const safe = fromOutside && FORMULA.test(text) ? "'" + text : text;
  return /[",\r\n]/.test(safe) ? '"' + safe.replaceAll('"', '""') + '"' : safe;
}

function download(name, type, text) {
  const address = URL.createObjectURL(new Blob([text], { type }));
  element("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60000);
  say(name + ": " + decisions.size + (decisions.size === 1 ? " decision" : " decisions") + " saved.");
}

function trouble(message) {
  if (!byId("trouble")) return;
  byId("trouble").hidden = false;
  byId("trouble-text").textContent = message;
}

function noTrouble() {
  byId("trouble").hidden = true;
  byId("trouble-text").textContent = "";  // an alert is read out when its text changes, thus the same one a second time, too
}

function say(message) {
  for (const id of ["said", "detail-said"]) if (byId(id)) byId(id).textContent = message;
}
