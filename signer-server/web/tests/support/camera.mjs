/** What a camera would see: a code on a phone, as frames of a Y4M file that Chromium takes for a camera. */

import { closeSync, openSync, readFileSync, writeSync } from 'node:fs';

import { prepareZXingModule, writeBarcode } from '../../vendor/zxing-wasm/3.1.4/writer/index.js';

const wasmBinary = readFileSync(new URL('../../vendor/zxing-wasm/3.1.4/writer/zxing_writer.wasm', import.meta.url));
prepareZXingModule({ overrides: { wasmBinary } });

const WIDTH = 1280;
const HEIGHT = 720;
const FRAMES_A_SECOND = 10;

/** Modules of a QR or bar code with its quiet zone: { width, height, isDark(x, y) }. */
export async function symbolOf(text, format = 'QRCode') {
  const isQr = format === 'QRCode';
  const { symbol } = await writeBarcode(text, { format, options: isQr ? 'ecLevel=M' : '', scale: 1, addQuietZones: false });
  const quiet = isQr ? 4 : 10;
  return {
    width: symbol.width + 2 * quiet,
    height: isQr ? symbol.height + 2 * quiet : 1,
    isDark: (x, y) => {
      const [column, row] = [x - quiet, isQr ? y - quiet : symbol.height >> 1];
      const inside = column >= 0 && column < symbol.width && row >= 0 && row < symbol.height;
      return inside && symbol.data[row * symbol.width + column] < 128;
    },
  };
}

/** A grey picture of the code, `scale` pixels a module, `tilt` pixels of slant from top to bottom. */
function frame(symbol, tilt) {
  const wide = symbol.width > 2 * symbol.height;
  const scale = Math.floor(Math.min((WIDTH * 0.9) / symbol.width, wide ? 6 : (HEIGHT * 0.9) / symbol.height));
  const [width, height] = [symbol.width * scale, wide ? 220 : symbol.height * scale];
  const [left, top] = [(WIDTH - width) >> 1, (HEIGHT - height) >> 1];
  const shades = Buffer.alloc(WIDTH * HEIGHT, 150);
  for (let y = 0; y < height; y += 1) {
    const row = wide ? 0 : Math.floor(y / scale);
    for (let x = 0; x < width; x += 1) {
      const dark = symbol.isDark(Math.floor(x / scale), row);
      shades[(top + y) * WIDTH + left + x + Math.round((tilt * y) / height)] = dark ? 40 : 215;
    }
  }
  // Like the noise of a sensor, and the same in every run.
  for (let at = 0; at < shades.length; at += 1) shades[at] += ((at * 7919) % 17) - 8;
  return shades;
}

/** Writes a film of the codes, one after the other, each for `seconds`. An empty text is an empty table. */
export async function film(file, texts, { seconds = 2, format = 'QRCode' } = {}) {
  const out = openSync(file, 'w');
  const colourless = Buffer.alloc((WIDTH * HEIGHT) / 2, 128);
  writeSync(out, `YUV4MPEG2 W${WIDTH} H${HEIGHT} F${FRAMES_A_SECOND}:1 Ip A1:1 C420jpeg\n`);
  for (const [at, text] of texts.entries()) {
    const shades = text ? frame(await symbolOf(text, format), at % 3) : Buffer.alloc(WIDTH * HEIGHT, 150);
    for (let count = Math.round(seconds * FRAMES_A_SECOND); count > 0; count -= 1) {
      for (const part of ['FRAME\n', shades, colourless]) writeSync(out, part);
    }
  }
  closeSync(out);
}

/** A PNG of the code, for the upload of a picture. */
export async function picture(text) {
  const { image } = await writeBarcode(text, { format: 'QRCode', options: 'ecLevel=M', scale: 6, addQuietZones: true });
  return Buffer.from(await image.arrayBuffer());
}
