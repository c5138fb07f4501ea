// Any image as the network takes it: the twin of stages/shared/image_reading.py, and of those parts
// of Pillow that it uses. Change one, change the other.
//
// An image is { width, height, channels, values }, values row by row, from 0 to 255.

import { centerInk } from "./ink.js";

const PRECISION = 2 ** 22; // Pillow's fixed-point coefficients
const SUPPORT = 3; // pixels on each side that the Lanczos filter reaches

/** What the network gets, a Uint8Array, of a picture of RGBA values and model.json's `images`. */
export function readPixels(picture, images) {
  const image = toColour(picture, images);
  const { height, width, fit, background } = images;
  if (fit === "ink") return centerInk(image.values, image.height, image.width, height, width);
  if (image.width === width && image.height === height) return image.values;
  if (fit === "stretch") return resize(image, width, height).values;
  if (fit === "crop") return resize(image, width, height, centralBox(image, width, height)).values;
  const scale = Math.min(width / image.width, height / image.height);
  const innerWidth = Math.max(1, roundHalfEven(image.width * scale));
  const innerHeight = Math.max(1, roundHalfEven(image.height * scale));
  const inner = resize(image, innerWidth, innerHeight);
  const left = Math.floor((width - innerWidth) / 2), top = Math.floor((height - innerHeight) / 2);
  const { channels } = image;
  const colour = [background].flat();
  const whole = Uint8Array.from({ length: width * height * channels },
    (_, i) => colour[i % channels] ?? colour[0]);
  for (let y = 0; y < innerHeight; y++)
    whole.set(
      inner.values.subarray(y * innerWidth * channels, (y + 1) * innerWidth * channels),
      ((top + y) * width + left) * channels);
  return whole;
}

/** Python's round: halves to the even neighbour. */
function roundHalfEven(value) {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 ? floor + 1 : floor;
}

function centralBox(image, width, height) {
  const scale = Math.min(image.width / width, image.height / height);
  const boxWidth = width * scale, boxHeight = height * scale;
  const left = (image.width - boxWidth) / 2, top = (image.height - boxHeight) / 2;
  return [left, top, left + boxWidth, top + boxHeight];
}

/** The picture over the background where it is transparent, in grey or RGB. */
export function toColour({ width, height, values }, { colour, background }) {
  const under = Array.isArray(background) ? background : [background, background, background];
  const channels = colour === "grey" ? 1 : 3;
  const result = new Uint8Array(width * height * channels);
  const rgb = [0, 0, 0];
  for (let i = 0; i < width * height; i++) {
    const alpha = values[4 * i + 3];
    for (let c = 0; c < 3; c++) rgb[c] = blend(values[4 * i + c], under[c], alpha);
    if (channels === 1)
      result[i] = (rgb[0] * 19595 + rgb[1] * 38470 + rgb[2] * 7471 + 0x8000) >> 16;
    else result.set(rgb, 3 * i);
  }
  return { width, height, channels, values: result };
}

/** Pillow's alpha_composite over an opaque background. */
function blend(over, under, alpha) {
  const sum = (over * alpha + under * (255 - alpha)) * 128 + (0x80 << 7);
  return ((sum >> 8) + sum) >> 8 >> 7;
}

/** Pillow's resize with the Lanczos filter, of a box [left, top, right, bottom] of the image. */
export function resize(image, width, height, box = [0, 0, image.width, image.height]) {
  const [left, top, right, bottom] = box.map(Math.fround); // Pillow's boxes are 32-bit floats
  const rows = (from) =>
    width !== image.width || left !== 0 || right !== width
      ? resizeRows(from, width, coefficients(image.width, left, right, width))
      : from;
  const columns = (from) =>
    height !== image.height || top !== 0 || bottom !== height
      ? resizeColumns(from, height, coefficients(image.height, top, bottom, height))
      : from;
  // Pillow 13 starts with the columns where they shrink by much more than the rows do.
  const tall = height < image.height && image.height - height > 2 * (image.width - width);
  return tall ? rows(columns(image)) : columns(rows(image));
}

/** For each of `count` pixels of the result: the first pixel it is made of, and their weights. */
function coefficients(length, start, stop, count) {
  const scale = Math.fround(stop - start) / count;
  const filterScale = Math.max(scale, 1);
  const support = SUPPORT * filterScale;
  return Array.from({ length: count }, (_, i) => {
    const centre = start + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(length, Math.trunc(centre + support + 0.5));
    const weights = [];
    for (let x = first; x < last; x++) weights.push(lanczos((x - centre + 0.5) / filterScale));
    const total = weights.reduce((a, b) => a + b, 0);
    return {
      first,
      weights: weights.map((weight) => {
        const share = total === 0 ? weight : weight / total;
        return Math.trunc(share * PRECISION + (share < 0 ? -0.5 : 0.5));
      }),
    };
  });
}

function lanczos(x) {
  return -SUPPORT <= x && x < SUPPORT ? sinc(x) * sinc(x / SUPPORT) : 0;
}

function sinc(x) {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

function clip(sum) {
  return Math.min(Math.max(Math.floor((sum + PRECISION / 2) / PRECISION), 0), 255);
}

function resizeRows({ width, height, channels, values }, count, table) {
  const result = new Uint8Array(count * height * channels);
  for (let y = 0; y < height; y++)
    table.forEach(({ first, weights }, x) => {
      for (let c = 0; c < channels; c++) {
        let sum = 0;
        let at = (y * width + first) * channels + c;
        for (const weight of weights) {
          sum += values[at] * weight;
          at += channels;
        }
        result[(y * count + x) * channels + c] = clip(sum);
      }
    });
  return { width: count, height, channels, values: result };
}

function resizeColumns({ width, channels, values }, count, table) {
  const step = width * channels;
  const result = new Uint8Array(step * count);
  table.forEach(({ first, weights }, y) => {
    for (let x = 0; x < step; x++) {
      let sum = 0;
      let at = first * step + x;
      for (const weight of weights) {
        sum += values[at] * weight;
        at += step;
      }
      result[y * step + x] = clip(sum);
    }
  });
  return { width, height: count, channels, values: result };
}
