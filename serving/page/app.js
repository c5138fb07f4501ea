// The page: an image in, a drawing or a photo, and the network's answer while it changes.

import { Drawing } from "./drawing.js";
import { readPixels } from "./image_reading.js";
import { openModel } from "./model.js";
import { openPhoto } from "./photo.js";

const MOST_BARS = 10; // of more classes, the most probable ones are shown
const LONG_NAME = 6; // characters of a class: longer ones are written smaller
const WHEN_STILL = 600; // milliseconds without a change, until a screen reader reads the answer

const element = (id) => document.getElementById(id);
const percent = (share) => `${(100 * share).toFixed(1)}\u00a0%`;
// No answer is certain, and no class is impossible.
const probability = (share) =>
  share >= 0.9995 ? ">\u00a099.9\u00a0%" : share < 0.0005 ? "<\u00a00.1\u00a0%" : percent(share);

let model, predict, drawing;
let photo = null; // RGBA values of the photo in the drawing's place
let wanted = false, busy = false; // an answer to the image as it is now; one is being computed
let timer = 0;

const draws = () => model.images.fit === "ink" && model.images.colour === "grey";

async function start() {
  drawing = new Drawing(element("canvas"), () => {
    photo = null;
    update();
  });
  try {
    ({ model, predict } = await openModel());
  } catch (error) {
    document.body.dataset.state = "failed";
    say("The network could not be loaded.", error.message, "quiet");
    return;
  }
  describe();
  listen();
  document.body.dataset.state = "ready";
  update();
}

function describe() {
  const { title, classes, images, accuracy, test_images: count } = model;
  const { body } = document;
  body.dataset.mode = draws() ? "drawing" : "photo";
  document.title = element("title").textContent = title;
  element("about").textContent = draws()
    ? `Draw one of: ${listOf(classes)}. Or show a photo of it.`
    : `Show a photo of one of: ${listOf(classes)}.`;
  element("hint").textContent = draws() ? "Draw here" : "Drop or paste a photo here";
  element("help").textContent = draws()
    ? "Mouse, pen or finger. With the keyboard: arrow keys move the pen (faster with Shift), " +
      "the space bar lowers and lifts it. You can also drop or paste a photo."
    : "You can also paste one, or drop it anywhere on this page.";
  element("canvas").ariaLabel = draws() ? "Sheet to draw on" : "Your photo";
  if (!draws()) {
    element("canvas").tabIndex = -1; // the button does what it does
    clear();
  }
  element("undo").hidden = !draws();
  const seen = element("seen");
  [seen.width, seen.height] = [images.width, images.height];
  const facts = [
    accuracy == null ? "" : `${percent(accuracy)} of ${count.toLocaleString("en")} test images ` +
      "were classified correctly; other images may be harder.",
    model.threshold == null ? "" : `Below a probability of ${percent(model.threshold)} the ` +
      "answer is “unsure”.",
    "Your browser computes everything: the image stays on this device.",
  ];
  element("facts").textContent = facts.filter(Boolean).join(" ");
  const shown = Math.min(classes.length, MOST_BARS);
  const longest = Math.max(...classes.map((name) => name.length));
  element("bars").style.setProperty("--names", `${Math.min(0.75 * longest + 0.5, 9)}rem`);
  element("bars").replaceChildren(...Array.from({ length: shown }, makeBar));
}

function listOf(classes) {
  if (classes.length > 12) return `${classes.length} classes`;
  return classes.join(", ");
}

function makeBar() {
  const row = document.createElement("li");
  for (const name of ["name", "track", "share"]) {
    const part = document.createElement("span");
    part.className = name;
    row.append(part);
  }
  const bar = document.createElement("span");
  bar.className = "bar";
  row.children[1].append(bar);
  return row;
}

function listen() {
  const file = element("file");
  element("undo").addEventListener("click", () => drawing.undo());
  element("clear").addEventListener("click", clear);
  element("choose").addEventListener("click", () => file.click());
  file.addEventListener("change", () => {
    if (file.files[0]) show(file.files[0]);
    file.value = ""; // so that the same file can be chosen again
  });
  if (!draws()) element("canvas").addEventListener("click", () => file.click());
  addEventListener("paste", (event) => {
    if (event.clipboardData.files[0]) show(event.clipboardData.files[0]);
  });
  let inside = 0; // elements that a dragged file is over
  addEventListener("dragenter", () => document.body.classList.toggle("dragging", ++inside > 0));
  addEventListener("dragleave", () => document.body.classList.toggle("dragging", --inside > 0));
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    inside = 0;
    document.body.classList.remove("dragging");
    if (event.dataTransfer.files[0]) show(event.dataTransfer.files[0]);
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape") clear();
    else if (event.key === "z" && (event.ctrlKey || event.metaKey)) drawing.undo();
    else return;
    event.preventDefault();
  });
}

function clear() {
  drawing.clear();
  if (!draws()) element("canvas").getContext("2d").clearRect(0, 0, 1e4, 1e4);
}

async function show(file) {
  try {
    drawing.clear();
    photo = await openPhoto(file, element("canvas"));
    update();
  } catch (error) {
    clear();
    await settled();
    say("No answer", error.message, "quiet");
    element("live").textContent = error.message;
  }
}

async function settled() {
  while (busy || wanted) await new Promise(requestAnimationFrame);
}

function update() {
  const nothing = photo === null && (drawing.empty || !draws());
  document.body.dataset.input = photo ? "photo" : "drawing";
  element("hint").hidden = !nothing || drawing.pen !== null;
  element("clear").disabled = nothing;
  element("undo").disabled = drawing.empty;
  if (model && !wanted) {
    wanted = true;
    requestAnimationFrame(answer);
  }
}

async function answer() {
  if (busy) return;
  busy = true;
  while (wanted) {
    wanted = false;
    if (photo === null && (drawing.empty || !draws())) showNothing();
    else {
      const pixels = readPixels(photo ?? drawing.picture, model.images);
      paintSeen(pixels);
      if (model.images.fit === "ink" && pixels.every((value) => value === 0))
        showNothing("No ink found", "Draw with more contrast to the background.");
      else showAnswer(await predict(pixels));
    }
  }
  busy = false;
}

function paintSeen(pixels) {
  const { width, height, colour } = model.images;
  const step = colour === "rgb" ? 3 : 1;
  const image = new ImageData(width, height);
  for (let i = 0; i < width * height; i++)
    for (let c = 0; c < 4; c++)
      image.data[4 * i + c] = c === 3 ? 255 : pixels[step * i + (step === 3 ? c : 0)];
  element("seen").getContext("2d").putImageData(image, 0, 0);
}

function showNothing(text = draws() ? "Draw something" : "Show a photo", detail = "") {
  if (!detail) paintSeen(new Uint8Array(3 * model.images.width * model.images.height));
  fillBars(model.classes.map(() => 0), -1);
  element("bars").classList.remove("unsure");
  delete document.body.dataset.answer;
  say(text, detail, "quiet");
}

function showAnswer(probabilities) {
  const { classes, threshold } = model;
  const best = probabilities.indexOf(Math.max(...probabilities));
  const unsure = threshold != null && probabilities[best] < threshold;
  fillBars(probabilities, best);
  element("bars").classList.toggle("unsure", unsure);
  const share = probability(probabilities[best]);
  if (unsure) say("unsure", `Most likely ${classes[best]}, at ${share}`, "unsure");
  else say(classes[best], `Probability ${share}`, classes[best].length > LONG_NAME ? "long" : "");
  document.body.dataset.answer = classes[best];
}

function fillBars(probabilities, best) {
  const order = probabilities.map((_, index) => index);
  if (order.length > MOST_BARS) order.sort((a, b) => probabilities[b] - probabilities[a] || a - b);
  [...element("bars").children].forEach((row, place) => {
    const index = order[place];
    const [name, track, share] = row.children;
    name.textContent = name.title = model.classes[index];
    track.firstChild.style.width = `${100 * probabilities[index]}%`;
    share.textContent = best < 0 ? "–" : probability(probabilities[index]);
    row.className = index === best ? "best" : "";
  });
}

function say(text, detail, kind) {
  element("answer").textContent = text;
  element("answer").className = kind;
  element("detail").textContent = detail;
  clearTimeout(timer);
  timer = setTimeout(() => {
    element("live").textContent = [text, detail].filter(Boolean).join(". ");
  }, WHEN_STILL);
}

start();
