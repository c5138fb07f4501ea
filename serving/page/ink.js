// `fit: ink`: the twin of stages/shared/ink.py, which explains it. Everything is computed in whole
// numbers below 2 ** 53, so both give the same result. Change one, change the other.

const MOST_PIXELS = 512, FINE = 4, BOX_SHARE = 20 / 28;
const SAME_LEVEL = 1 / 32, PLAIN_BORDER = 1 / 4, PLAIN_QUARTER = 1 / 32;
const GRID = 32, TREND = 8, CLOSING = 4;
const LEAST_CONTRAST = 16, NOISE_CONTRAST = 8, SHADE = 1 / 3;
const BOX_LEVEL = 0.5, PHOTO_BOX_LEVEL = 0.25, MARGIN = 8;
const PALE = 0.1, FULL = 0.9;
const THIN = 0.105, THICK = 0.16, MOST_THINNING = 0.075;

const roundHalfUp = (value) => Math.floor(value + 0.5);
const divide = (dividend, divisor) => Math.floor((2 * dividend + divisor) / (2 * divisor));

/** The ink of `grey`, a Uint8Array of rows x columns, as a Uint8Array of height x width. */
export function centerInk(grey, rows, columns, height, width) {
  const [strength, drawn] = findInk(reduceBlocks(plane(rows, columns, grey), MOST_PIXELS));
  if (strength.values.every((value) => value === 0)) return new Uint8Array(height * width);
  if (drawn && hasForm(strength, height, width)) return Uint8Array.from(strength.values);
  const level = drawn ? BOX_LEVEL : PHOTO_BOX_LEVEL;
  const [top, bottom, left, right] = findBox(strength, level * robustPeak(strength));
  const tallBox = bottom - top, wideBox = right - left;
  const mostRows = BOX_SHARE * height * FINE, mostColumns = BOX_SHARE * width * FINE;
  const upright = tallBox * mostColumns >= wideBox * mostRows;
  const most = roundHalfUp(upright ? mostRows : mostColumns);
  const share = upright ? wideBox / tallBox : tallBox / wideBox;

  const draw = (change) => {
    const longer = most - 2 * change;
    const shorter = Math.max(1, roundHalfUp(longer * share));
    const [tall, wide] = upright ? [longer, shorter] : [shorter, longer];
    const halfWay = transpose(resample(strength, top, bottom, tall, MARGIN + change));
    const drawing = transpose(resample(halfWay, left, right, wide, MARGIN + change));
    return thicken(stretchContrast(drawing), change);
  };

  const drawing = draw(0);
  const change = strokeChange(drawing, most);
  return place(change ? draw(change) : drawing, height, width);
}

function plane(rows, columns, values) {
  return { rows, columns, values: new Float64Array(values ?? rows * columns) };
}

function map(image, change) {
  return { ...image, values: image.values.map(change) };
}

function transpose({ rows, columns, values }) {
  const turned = plane(columns, rows);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) turned.values[x * rows + y] = values[y * columns + x];
  return turned;
}

function reduceBlocks(image, most) {
  const { rows, columns, values } = image;
  const block = Math.ceil(Math.max(rows, columns) / most);
  if (block === 1) return image;
  const reduced = plane(Math.ceil(rows / block), Math.ceil(columns / block));
  for (let y = 0; y < rows; y++) {
    const start = Math.floor(y / block) * reduced.columns;
    for (let x = 0; x < columns; x++)
      reduced.values[start + Math.floor(x / block)] += values[y * columns + x];
  }
  for (let y = 0; y < reduced.rows; y++)
    for (let x = 0; x < reduced.columns; x++) {
      const count =
        Math.min(block, rows - y * block) * Math.min(block, columns - x * block);
      reduced.values[y * reduced.columns + x] =
        divide(reduced.values[y * reduced.columns + x], count);
    }
  return reduced;
}

function findInk(grey) {
  const plain = plainBackground(grey);
  const strength =
    plain === null ? photographedInk(grey) : map(grey, (value) => Math.abs(value - plain));
  const peak = robustPeak(strength);
  const nothing = () => plane(grey.rows, grey.columns);
  if (plain !== null) return [peak >= LEAST_CONTRAST ? strength : nothing(), true];
  const noise = middle(quarterBorders(strength, true)[0]);
  if (peak < Math.max(LEAST_CONTRAST, NOISE_CONTRAST * noise)) return [nothing(), false];
  const shade = roundHalfUp(SHADE * peak);
  return [map(strength, (value) => Math.max(value - shade, 0)), false];
}

function plainBackground(grey) {
  const low = grey.values.reduce((a, b) => Math.min(a, b));
  const high = grey.values.reduce((a, b) => Math.max(a, b));
  const near = (high - low) * SAME_LEVEL;
  const borders = quarterBorders(grey);
  const counts = (test) => borders.map((border) => border.filter(test).length);
  const sum = (numbers) => numbers.reduce((a, b) => a + b);
  const dark = counts((value) => value <= low + near);
  const bright = counts((value) => value >= high - near);
  const more = sum(dark) >= sum(bright) ? dark : bright;
  if (sum(more) < PLAIN_BORDER * sum(borders.map((border) => border.length))) return null;
  if (more.some((count, i) => count < PLAIN_QUARTER * borders[i].length)) return null;
  return more === dark ? low : high;
}

function photographedInk(grey) {
  let paper = smooth(grey);
  const trend = enlarge(trendOf(reduceBlocks(paper, GRID)), paper);
  const difference = map(paper, (value, i) => value - trend.values[i]);
  const over = robustPeak(map(difference, (value) => Math.max(value, 0)));
  const under = robustPeak(map(difference, (value) => Math.max(-value, 0)));
  if (over >= under) {
    paper = map(paper, (value) => 255 - value);
    const around = localBackground(paper);
    return map(paper, (value, i) => Math.max(around.values[i] - value, 0));
  }
  const light = localBackground(paper).values;
  return map(paper, (value, i) =>
    divide(255 * Math.max(light[i] - value, 0), Math.max(light[i], 1)));
}

/** The values on the border of each quarter; with `whole`, those of the whole border, once. */
function quarterBorders({ rows, columns, values }, whole = false) {
  const wide = Math.max(1, Math.floor(Math.min(rows, columns) / 32));
  const downs = whole ? [[0, rows]] : [[0, (rows + 1) >> 1], [rows >> 1, rows]];
  const alongs = whole ? [[0, columns]] : [[0, (columns + 1) >> 1], [columns >> 1, columns]];
  return downs.flatMap(([top, bottom]) =>
    alongs.map(([left, right]) => {
      const border = [];
      for (let y = top; y < bottom; y++) {
        const edge = y < wide || y >= rows - wide;
        for (let x = left; x < right; x++)
          if (edge || x < wide || x >= columns - wide) border.push(values[y * columns + x]);
      }
      return border;
    }),
  );
}

function localBackground(paper) {
  const grid = reduceBlocks(paper, GRID);
  const trend = trendOf(grid).values;
  const invert = (value) => 510 - value;
  const rest = map(grid, (value, i) => value - trend[i] + 255);
  const grown = spread(rest, CLOSING, 0);
  const closed = map(spread(map(grown, invert), CLOSING, 0), invert);
  return enlarge(map(closed, (value, i) => Math.min(value - 255 + trend[i], 255)), paper);
}

function trendOf(grid) {
  const padded = transpose(mirrorRows(transpose(mirrorRows(grid))));
  const side = 2 * TREND + 1;
  const trend = plane(grid.rows, grid.columns);
  const around = new Float64Array(side * side);
  for (let y = 0; y < grid.rows; y++)
    for (let x = 0; x < grid.columns; x++) {
      for (let dy = 0; dy < side; dy++) {
        const start = (y + dy) * padded.columns + x;
        around.set(padded.values.subarray(start, start + side), dy * side);
      }
      trend.values[y * grid.columns + x] = Math.min(Math.max(middle(around), 0), 255);
    }
  return trend;
}

function mirrorRows({ rows, columns, values }) {
  const padded = plane(rows + 2 * TREND, columns);
  const last = rows - 1;
  for (let y = 0; y < padded.rows; y++) {
    const inside = Math.min(Math.max(y - TREND, 0), last);
    const beyond = y - TREND - inside; // below 0 above the image
    const from = inside - Math.sign(beyond) * Math.min(Math.abs(beyond), last);
    for (let x = 0; x < columns; x++)
      padded.values[y * columns + x] =
        2 * values[inside * columns + x] - values[from * columns + x];
  }
  return padded;
}

/** Block means as an image of as many rows and columns; the outermost are repeated outwards. */
function enlarge(grid, { rows, columns }) {
  let enlarged = grid;
  for (const count of [rows, columns]) {
    const { rows: inner, columns: across, values } = enlarged;
    const padded = plane(inner + 2, across);
    padded.values.set(values, across);
    padded.values.set(values.subarray(0, across), 0);
    padded.values.set(values.subarray((inner - 1) * across), (inner + 1) * across);
    enlarged = transpose(resample(padded, 1, inner + 1, count));
  }
  return enlarged;
}

function middle(values) {
  return Float64Array.from(values).sort()[Math.floor(values.length / 2)];
}

function smooth({ rows, columns, values }) {
  const smoothed = plane(rows, columns);
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      let sum = 0;
      for (let dy = -1; dy <= 1; dy++) {
        const start = Math.min(Math.max(y + dy, 0), rows - 1) * columns;
        for (let dx = -1; dx <= 1; dx++)
          sum += values[start + Math.min(Math.max(x + dx, 0), columns - 1)];
      }
      smoothed.values[y * columns + x] = divide(sum, 9);
    }
  return smoothed;
}

function robustPeak({ values }) {
  const counts = new Uint32Array(256);
  for (const value of values) counts[value]++;
  let spared = Math.min(
    Math.floor(values.length / 4096), Math.floor((values.length - counts[0]) / 4));
  let level = 255;
  while (level > 0 && counts[level] <= spared) spared -= counts[level--];
  return level;
}

function findBox({ rows, columns, values }, level) {
  let top = rows, bottom = 0, left = columns, right = 0;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++)
      if (values[y * columns + x] > level) {
        top = Math.min(top, y);
        bottom = y + 1;
        left = Math.min(left, x);
        right = Math.max(right, x + 1);
      }
  return [top, bottom, left, right];
}

function hasForm(strength, height, width) {
  const { rows, columns, values } = strength;
  if (rows !== height || columns !== width || Math.max(...values) < 192) return false;
  const [top, bottom, left, right] = findBox(strength, 0);
  const size = Math.max((bottom - top) / height, (right - left) / width);
  let total = 0, down = 0, along = 0;
  for (let y = 0; y < rows; y++)
    for (let x = 0; x < columns; x++) {
      const value = values[y * columns + x];
      total += value;
      down += value * (2 * y + 1);
      along += value * (2 * x + 1);
    }
  const off = Math.max(
    Math.abs(2 * down - 2 * (height + 1) * total),
    Math.abs(2 * along - 2 * (width + 1) * total));
  return Math.abs(size - BOX_SHARE) * Math.max(height, width) < 1.01 && off <= 3 * total;
}

function resample({ rows, columns, values }, start, stop, count, margin = 0) {
  const length = stop - start, reach = 2 * Math.max(count, length);
  const resampled = plane(count + 2 * margin, columns);
  for (let i = 0; i < resampled.rows; i++) {
    const centre = 2 * count * start + (2 * (i - margin) + 1) * length;
    const row = resampled.values.subarray(i * columns, (i + 1) * columns);
    const first = Math.floor((centre - reach) / (2 * count)) - 1;
    const last = Math.ceil((centre + reach) / (2 * count)) + 1;
    let total = 0;
    for (let y = first; y < last; y++) {
      const weight = reach - Math.abs(centre - (2 * y + 1) * count);
      if (weight <= 0) continue;
      total += weight;
      if (y < 0 || y >= rows) continue;
      for (let x = 0; x < columns; x++) row[x] += weight * values[y * columns + x];
    }
    for (let x = 0; x < columns; x++) row[x] = divide(row[x], total);
  }
  return resampled;
}

function stretchContrast(drawing) {
  const peak = Math.max(drawing.values.reduce((a, b) => Math.max(a, b)), 1);
  const low = roundHalfUp(PALE * peak), high = roundHalfUp(FULL * peak);
  const span = Math.max(high - low, 1);
  return map(drawing, (value) =>
    Math.min(Math.max(divide((value - low) * 255, span), 0), 255));
}

function strokeChange(drawing, longer) {
  const { rows, columns, values } = drawing;
  const at = (y, x) =>
    y < 0 || x < 0 || y >= rows || x >= columns ? 0 : values[y * columns + x];
  let steps = 0;
  for (let y = 0; y <= rows; y++)
    for (let x = 0; x <= columns; x++)
      steps += Math.abs(at(y, x) - at(y - 1, x)) + Math.abs(at(y, x) - at(y, x - 1));
  const sum = values.reduce((a, b) => a + b, 0);
  const thickness = Math.min((8 * sum) / (Math.PI * steps), 0.45 * longer);
  const wanted = Math.min(Math.max(thickness, THIN * longer), THICK * longer);
  const change = roundHalfUp(
    (longer - (longer * (longer - wanted)) / (longer - thickness)) / 2);
  return Math.max(change, -roundHalfUp(MOST_THINNING * longer));
}

function thicken(drawing, change) {
  if (change >= 0) return spread(drawing, change, 0);
  const invert = (value) => 255 - value;
  return map(spread(map(drawing, invert), -change, 255), invert);
}

function spread(image, times, outside) {
  const { rows, columns } = image;
  let values = image.values;
  for (let time = 0; time < times; time++) {
    const from = values;
    const at = (y, x) =>
      y < 0 || x < 0 || y >= rows || x >= columns ? outside : from[y * columns + x];
    values = new Float64Array(rows * columns);
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        let most = Math.max(
          at(y, x), at(y - 1, x), at(y + 1, x), at(y, x - 1), at(y, x + 1));
        if (time % 2)
          most = Math.max(
            most, at(y - 1, x - 1), at(y - 1, x + 1), at(y + 1, x - 1), at(y + 1, x + 1));
        values[y * columns + x] = most;
      }
  }
  return { rows, columns, values };
}

function place(drawing, height, width) {
  const inset = MARGIN / FINE;
  let result = drawing;
  for (const length of [height, width]) {
    const { rows, columns, values } = result;
    let total = 0, moment = 0;
    for (let y = 0; y < rows; y++)
      for (let x = 0; x < columns; x++) {
        total += values[y * columns + x];
        moment += values[y * columns + x] * (2 * y + 1);
      }
    let start = roundHalfUp((FINE * (length + 1) * total - moment) / (2 * FINE * total));
    start = Math.max(-inset, Math.min(start, length - Math.ceil((rows - MARGIN) / FINE)));
    const averaged = plane(length, columns);
    for (let y = 0; y < rows; y++) {
      const row = start + Math.floor(y / FINE);
      if (row < 0 || row >= length) continue;
      for (let x = 0; x < columns; x++)
        averaged.values[row * columns + x] += values[y * columns + x];
    }
    result = transpose(averaged);
  }
  return Uint8Array.from(result.values, (value) => divide(value, FINE * FINE));
}
