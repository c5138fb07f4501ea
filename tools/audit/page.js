"use strict";

const data = JSON.parse(document.querySelector("#data").textContent);
const { classes, suspects } = data;
const STORE = `audit ${data.dataset}`; // one for all audits of a data set
const $ = (id) => document.getElementById(id);
// An image with another given label is another question.
const keyOf = (suspect) => `${suspect.image} ${suspect.given}`;
let current = 0;
let keepsProgress = true;

// Decisions: by key, null keeps the label, "" drops the image, a class's name takes its place.

const decisions = readDecisions();

function readDecisions() {
  try {
    const found = JSON.parse(localStorage.getItem(STORE) ?? "{}");
    return new Map(Object.entries(found).filter(([, label]) => label === null || typeof label === "string"));
  } catch {
    keepsProgress = isStoreUsable();
    return new Map();
  }
}

function isStoreUsable() {
  try {
    localStorage.getItem(STORE);
    return true;
  } catch {
    return false;
  }
}

function writeDecisions() {
  try {
    localStorage.setItem(STORE, JSON.stringify(Object.fromEntries(decisions)));
  } catch {
    keepsProgress = false;
  }
}

const isRecorded = (suspect) => suspect.recorded !== null;
const isDecided = (suspect) => isRecorded(suspect) || decisions.has(keyOf(suspect));
const labelOf = (suspect) => (isRecorded(suspect) ? suspect.recorded : decisions.get(keyOf(suspect)));

function decide(label) {
  const suspect = suspects[current];
  if (!suspect || isRecorded(suspect)) return;
  const new_label = label === suspect.given ? null : label;
  decisions.set(keyOf(suspect), new_label);
  writeDecisions();
  showMark(current);
  const said = describeDecision(suspect);
  const next = findUndecided(current);
  if (next >= 0) show(next, said);
  else show(current, `${said} All are decided.`);
}

function undo() {
  const suspect = suspects[current];
  if (!suspect || isRecorded(suspect) || !decisions.delete(keyOf(suspect))) return;
  writeDecisions();
  showMark(current);
  show(current, "Undone.");
}

function findUndecided(from) {
  for (let step = 1; step <= suspects.length; step++) {
    const place = (from + step) % suspects.length;
    if (!isDecided(suspects[place])) return place;
  }
  return -1;
}

// What is shown

const quote = (name) => (name.length > 2 ? name : `“${name}”`);
const percent = (share) => `${(100 * share).toFixed(1)} %`;

function describeDecision(suspect) {
  if (!isDecided(suspect)) return "";
  const label = labelOf(suspect);
  const where = isRecorded(suspect) ? ` in ${data.corrections}: edit that file to change it.` : ".";
  if (label === null) return `Kept: ${quote(suspect.given)} is right${where}`;
  if (label === "") return `Dropped${where}`;
  return `Corrected: ${quote(suspect.given)} to ${quote(label)}${where}`;
}

function markOf(suspect) {
  if (!isDecided(suspect)) return ["", ""];
  const label = labelOf(suspect);
  if (label === null) return ["kept", "kept"];
  if (label === "") return ["dropped", "dropped"];
  return ["accepted", `→ ${label}`];
}

function showMark(place) {
  const mark = $("list").children[place].querySelector(".mark");
  const [kind, text] = markOf(suspects[place]);
  mark.className = `mark ${kind}`;
  mark.textContent = text;
  showCount();
}

function showCount() {
  const counts = { accepted: 0, kept: 0, dropped: 0 };
  for (const suspect of suspects) {
    const [kind] = markOf(suspect);
    if (kind) counts[kind] += 1;
  }
  const decided = counts.accepted + counts.kept + counts.dropped;
  $("bar").max = Math.max(1, suspects.length);
  $("bar").value = decided;
  $("count").textContent =
    `${decided} of ${suspects.length} decided: ${counts.accepted} corrected, ${counts.kept} kept, ${counts.dropped} dropped` +
    (keepsProgress ? "" : ". This browser keeps nothing of a page opened from a file: download before you close it");
  const rows = correctionRows().length;
  $("download").disabled = $("copy").disabled = rows === 0;
}

function show(place, said = "") {
  const suspect = suspects[place];
  const before = $("list").children[current]?.firstElementChild;
  before?.removeAttribute("aria-current");
  if (before) before.tabIndex = -1;
  current = place;
  const button = $("list").children[place].firstElementChild;
  button.setAttribute("aria-current", "true");
  button.tabIndex = 0;
  if ($("list").contains(document.activeElement)) button.focus();
  $("image").src = suspect.png;
  $("image").alt = `${suspect.split} image ${suspect.index}, given ${suspect.given}`;
  $("place").textContent = `${place + 1} of ${suspects.length}: ${suspect.split} image ${suspect.index}`;
  $("given").textContent = suspect.given;
  $("suggested").textContent = suspect.suggested;
  $("accepted").textContent = quote(suspect.suggested);
  $("kept").textContent = quote(suspect.given);
  $("bars").replaceChildren(...suspect.probabilities.map(makeBar));
  const fixed = isRecorded(suspect);
  const label = labelOf(suspect);
  for (const [id, chosen] of [["accept", suspect.suggested], ["keep", null], ["drop", ""]]) {
    $(id).disabled = fixed;
    $(id).setAttribute("aria-pressed", String(isDecided(suspect) && label === chosen));
  }
  const is_other = isDecided(suspect) && label && label !== suspect.suggested;
  $("other").value = is_other ? label : "";
  $("other").disabled = fixed;
  $("decision").textContent = describeDecision(suspect);
  $("decision").className = markOf(suspect)[0];
  $("undo").disabled = fixed || !isDecided(suspect);
  $("back").disabled = place === 0;
  $("next").disabled = place === suspects.length - 1;
  $("open").disabled = findUndecided(current) < 0;
  $("live").textContent =
    `${said} Image ${place + 1} of ${suspects.length}: given ${suspect.given}, suggested ${suspect.suggested}.`;
}

function makeBar([name, share], number) {
  const bar = document.createElement("li");
  bar.className = number === 0 ? "best" : "";
  const [title, track, text] = ["name", "track", "share"].map((kind) => {
    const part = document.createElement("span");
    part.className = kind;
    bar.append(part);
    return part;
  });
  title.textContent = name;
  title.title = name;
  const fill = document.createElement("span");
  fill.style.width = `${100 * share}%`;
  track.append(fill);
  text.textContent = percent(share);
  return bar;
}

function makeItem(suspect, place) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  button.type = "button";
  button.tabIndex = -1;
  button.setAttribute("aria-label", `${place + 1}: given ${suspect.given}, suggested ${suspect.suggested}`);
  const image = document.createElement("img");
  image.src = suspect.png;
  image.alt = "";
  image.decoding = "async";
  const labels = document.createElement("span");
  labels.textContent = `${suspect.given} → ${suspect.suggested}`;
  labels.title = labels.textContent;
  const mark = document.createElement("span");
  [mark.className, mark.textContent] = markOf(suspect);
  mark.classList.add("mark");
  button.append(image, labels, mark);
  button.addEventListener("click", () => {
    show(place);
    const { top, bottom } = $("now").getBoundingClientRect();
    if (top < 0 || bottom > innerHeight) $("now").scrollIntoView({ block: "start" });
  });
  item.append(button);
  return item;
}

function makePair(pair) {
  const item = document.createElement("li");
  const two = document.createElement("div");
  two.className = "two";
  for (const side of pair.sides) {
    const image = document.createElement("img");
    image.src = side.png;
    image.alt = side.name;
    two.append(image);
  }
  const text = document.createElement("p");
  text.className = "quiet";
  text.textContent = `${pair.sides.map((side) => side.name).join(" and ")}: ${pair.similarity}`;
  item.append(two, text);
  return item;
}

// The result: rows as corrections.csv has them

function correctionRows() {
  return suspects
    .filter((suspect) => !isRecorded(suspect) && typeof decisions.get(keyOf(suspect)) === "string")
    .map((suspect) => [suspect.image, suspect.given, decisions.get(keyOf(suspect)), suspect.reason]);
}

function asCsv(rows) {
  const cell = (text) => (/[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
  return [["image", "old", "new", "reason"], ...rows].map((row) => `${row.map(cell).join(",")}\n`).join("");
}

function download() {
  const link = document.createElement("a");
  // A data: address, as the page may not make others.
  link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(asCsv(correctionRows()))}`;
  link.download = data.file;
  link.click();
  $("command").textContent = `${data.command} ~/Downloads/${data.file}`;
  $("said").textContent = `${data.file} is in your browser's folder for downloads.`;
}

async function copy() {
  $("command").textContent = `${data.command} -`;
  try {
    await navigator.clipboard.writeText(asCsv(correctionRows()));
    $("said").textContent = "Copied. Run the command, paste, and end with Ctrl-D.";
  } catch {
    $("said").textContent = "This browser does not let the page copy: download instead.";
  }
}

// Keys and buttons

const ACTIONS = {
  a: () => decide(suspects[current].suggested),
  k: () => decide(suspects[current].given),
  d: () => decide(""),
  u: undo,
  n: () => findUndecided(current) >= 0 && show(findUndecided(current)),
  ArrowLeft: () => current > 0 && show(current - 1),
  ArrowRight: () => current < suspects.length - 1 && show(current + 1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches?.("select, summary")) return;
  const action = ACTIONS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || !suspects.length) return;
  event.preventDefault();
  action();
});

for (const [id, key] of [["accept", "a"], ["keep", "k"], ["drop", "d"], ["undo", "u"], ["open", "n"], ["back", "ArrowLeft"], ["next", "ArrowRight"]])
  $(id).addEventListener("click", ACTIONS[key]);
$("other").addEventListener("change", () => $("other").value && decide($("other").value));
$("download").addEventListener("click", download);
$("copy").addEventListener("click", copy);

document.title = $("title").textContent = `Suspect labels: ${data.title}`;
$("about").textContent = data.about;
$("command").textContent = `${data.command} ~/Downloads/${data.file}`;
$("other").append(new Option("choose…", ""), ...classes.map((name) => new Option(name, name)));
document.body.classList.toggle("pixels", data.pixels);
$("bars").style.setProperty("--names", `${Math.min(16, Math.max(...classes.map((name) => name.length))) + 1}ch`);
$("list").append(...suspects.map(makeItem));
if (data.pairs.length) {
  $("pairs").hidden = false;
  $("pairs-title").textContent = data.pairs_title;
  $("pairs").addEventListener("toggle", () => $("pairs-list").childElementCount || $("pairs-list").append(...data.pairs.map(makePair)));
}
showCount();
if (suspects.length) {
  const first = isDecided(suspects[0]) ? findUndecided(0) : 0;
  show(Math.max(0, first));
} else {
  $("now").hidden = $("all").hidden = $("result").hidden = true;
}
document.body.dataset.state = "ready";
