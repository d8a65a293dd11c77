// Masks as run lengths: {size: [H, W], counts}, alternating runs of background and object down the
// columns. A bitmap is a Uint8Array of H * W pixels, row by row, 1 on the object.

export function decode(mask) {
  const [height, width] = mask.size;
  const bitmap = new Uint8Array(height * width);
  let position = 0; // counted down the columns
  let isObject = false;
  for (const count of mask.counts) {
    if (isObject) {
      fillRun(bitmap, width, height, position, count);
    }
    position += count;
    isObject = !isObject;
  }
  return bitmap;
}

function fillRun(bitmap, width, height, start, count) {
  let x = Math.floor(start / height);
  let y = start % height;
  for (let left = count; left > 0; left -= 1) {
    bitmap[y * width + x] = 1;
    y += 1;
    if (y === height) {
      y = 0;
      x += 1;
    }
  }
}

export function encode(bitmap, height, width) {
  const counts = [];
  let value = 0;
  let count = 0;
  for (let x = 0; x < width; x += 1) {
    for (let y = 0; y < height; y += 1) {
      const pixel = bitmap[y * width + x];
      if (pixel !== value) {
        counts.push(count);
        value = pixel;
        count = 0;
      }
      count += 1;
    }
  }
  counts.push(count);
  return { size: [height, width], counts };
}

// A canvas that shows a bitmap in a color: filled as strongly as `opacity` (0 to 1) says, its border
// more strongly.
export function paint(bitmap, height, width, color, opacity) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const red = parseInt(color.slice(1, 3), 16);
  const green = parseInt(color.slice(3, 5), 16);
  const blue = parseInt(color.slice(5, 7), 16);
  const rgb = (blue << 16) | (green << 8) | red;
  const inside = ((Math.round(255 * opacity) << 24) | rgb) >>> 0;
  const border = ((235 << 24) | rgb) >>> 0;
  const thick = Math.max(1, Math.round(height / 300)); // pixels of the border
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      if (!bitmap[at]) {
        continue;
      }
      const isInside =
        x >= thick && bitmap[at - thick] && x < width - thick && bitmap[at + thick] &&
        y >= thick && bitmap[at - thick * width] &&
        y < height - thick && bitmap[at + thick * width];
      pixels[at] = isInside ? inside : border;
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}
