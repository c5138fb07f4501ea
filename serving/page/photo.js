// A photo that someone drops, pastes or chooses, decoded by the browser.

const MOST_PIXELS = 89_478_485; // as stages/shared/image_reading.py has it

/** Its RGBA values, upright; drawn on `shown`, a canvas, as large as it fits. */
export async function openPhoto(file, shown) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image", colorSpaceConversion: "none", premultiplyAlpha: "none",
    });
  } catch {
    throw new Error(`${file.name || "This file"} is no image that this browser can read.`);
  }
  const { width, height } = bitmap;
  if (width * height > MOST_PIXELS)
    throw new Error(`${width} x ${height} pixels: more than ${MOST_PIXELS} in all.`);
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const scale = Math.min(shown.width / width, shown.height / height);
  const size = [width * scale, height * scale];
  const sheet = shown.getContext("2d");
  sheet.clearRect(0, 0, shown.width, shown.height);
  sheet.drawImage(bitmap, (shown.width - size[0]) / 2, (shown.height - size[1]) / 2, ...size);
  bitmap.close();
  return { width, height, values: data };
}
