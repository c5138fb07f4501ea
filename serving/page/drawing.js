// A sheet of paper: strokes of a mouse, a pen, a finger or the arrow keys, or a photo in their place.

const SIDE = 392; // pixels of the sheet
const PEN = 26; // pixels wide
const PAPER = "#ffffff", INK = "#000000";
const STEP = 8; // pixels that an arrow key moves the pen
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Drawing {
  /** `changed` is called after each change. */
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.context = canvas.getContext("2d", { willReadFrequently: true });
    this.strokes = [];
    this.stroke = null; // the one being drawn
    this.pointer = null; // the pointer that draws it
    this.pen = null; // where the arrow keys hold the pen: { x, y, down }
    canvas.width = canvas.height = SIDE;
    canvas.addEventListener("pointerdown", (event) => this.start(event));
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const name of ["pointerup", "pointercancel"])
      canvas.addEventListener(name, (event) => this.end(event));
    canvas.addEventListener("keydown", (event) => this.press(event));
    canvas.addEventListener("blur", () => this.liftPen());
    this.paint();
  }

  get empty() {
    return this.strokes.length === 0 && this.stroke === null;
  }

  /** The sheet's RGBA values. */
  get picture() {
    const { width, height, data } = this.context.getImageData(0, 0, SIDE, SIDE);
    return { width, height, values: data };
  }

  place(event) {
    const box = this.canvas.getBoundingClientRect();
    return {
      x: ((event.clientX - box.left) / box.width) * SIDE,
      y: ((event.clientY - box.top) / box.height) * SIDE,
    };
  }

  start(event) {
    if (event.button !== 0 || this.pointer !== null) return;
    this.liftPen();
    this.pointer = event.pointerId;
    this.canvas.setPointerCapture(event.pointerId);
    this.stroke = [this.place(event)];
    this.paint();
    this.changed();
  }

  move(event) {
    if (event.pointerId !== this.pointer) return;
    const events = event.getCoalescedEvents?.() ?? [];
    for (const each of events.length ? events : [event]) this.stroke.push(this.place(each));
    this.paint();
    this.changed();
  }

  end(event) {
    if (event.pointerId !== this.pointer) return;
    this.pointer = null;
    this.keepStroke();
  }

  keepStroke() {
    if (this.stroke) this.strokes.push(this.stroke);
    this.stroke = null;
    this.paint();
    this.changed();
  }

  press(event) {
    const arrow = ARROWS[event.key];
    if ((!arrow && event.key !== " ") || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    this.pen ??= { x: SIDE / 2, y: SIDE / 4, down: false };
    if (arrow) {
      const step = event.shiftKey ? 4 * STEP : STEP;
      const inside = (value) => Math.min(Math.max(value, PEN), SIDE - PEN);
      this.pen.x = inside(this.pen.x + arrow[0] * step);
      this.pen.y = inside(this.pen.y + arrow[1] * step);
      if (this.pen.down) this.stroke.push({ x: this.pen.x, y: this.pen.y });
    } else if (this.pen.down) {
      this.pen.down = false;
      this.keepStroke();
      return;
    } else {
      this.pen.down = true;
      this.stroke = [{ x: this.pen.x, y: this.pen.y }];
    }
    this.paint();
    this.changed();
  }

  liftPen() {
    const down = this.pen?.down;
    this.pen = null;
    if (down) this.keepStroke();
  }

  undo() {
    this.liftPen();
    this.strokes.pop();
    this.paint();
    this.changed();
  }

  clear() {
    this.strokes = [];
    this.stroke = this.pointer = this.pen = null;
    this.paint();
    this.changed();
  }

  paint() {
    const { context } = this;
    context.fillStyle = PAPER;
    context.fillRect(0, 0, SIDE, SIDE);
    context.strokeStyle = INK;
    context.lineWidth = PEN;
    context.lineCap = context.lineJoin = "round";
    for (const stroke of this.stroke ? [...this.strokes, this.stroke] : this.strokes) {
      context.beginPath();
      context.moveTo(stroke[0].x, stroke[0].y);
      for (const { x, y } of stroke) context.lineTo(x, y);
      context.stroke();
    }
  }
}
