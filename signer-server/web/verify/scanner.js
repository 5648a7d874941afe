/** Reads codes from the camera and from pictures. QR and Code 128 only. */

import { prepareZXingModule, readBarcodes } from '../vendor/zxing-wasm/3.1.4/reader/index.js';

const WASM = new URL('../vendor/zxing-wasm/3.1.4/reader/', import.meta.url);
/** @type {import('../vendor/zxing-wasm/3.1.4/reader/index.js').ReaderOptions} */
const READING = { formats: ['QRCode', 'Code128'], tryHarder: true, tryInvert: false, maxNumberOfSymbols: 4, textMode: 'Plain' };
const FRAME_MS = 120;
const SIDE_MAX = 1_920;
const PICTURE_SIDE_MAX = 2_400;
/** A code that is not ours may stand in the picture by chance: it counts after so many frames. */
const FOREIGN_FRAMES = 4;
/** The code that was just checked is read again only after it was out of sight for so long. */
const SAME_AGAIN_MS = 1_500;

prepareZXingModule({ overrides: { locateFile: (/** @type {string} */ name) => new URL(name, WASM).href } });

/** @param {string} text */
export const isOurs = (text) => text.startsWith('DQ1:') || /^[0-9]{16}$/.test(text);

/** Starts loading the reader, so that the first picture is not the slow one. */
export const warmUp = () => readBarcodes(new ImageData(8, 8), READING).catch(() => {});

/**
 * The code in a picture, ours first, or null.
 * @param {ImageData} image
 */
async function read(image) {
  const texts = (await readBarcodes(image, READING)).filter((found) => found.isValid).map((found) => found.text);
  return texts.find(isOurs) ?? texts[0] ?? null;
}

/** @param {Blob} file @returns {Promise<string | null>} */
export async function readPicture(file) {
  const bitmap = await createImageBitmap(file).catch(() => null);
  if (!bitmap) return null;
  const scale = Math.min(1, PICTURE_SIDE_MAX / Math.max(bitmap.width, bitmap.height));
  const canvas = new OffscreenCanvas(Math.round(bitmap.width * scale), Math.round(bitmap.height * scale));
  const context = /** @type {OffscreenCanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
  bitmap.close();
  return read(context.getImageData(0, 0, canvas.width, canvas.height));
}

export class Scanner {
  /** @type {MediaStream | null} */
  stream = null;
  paused = false;
  foreignFrames = 0;
  last = { text: '', seen: 0 };

  /**
   * @param {HTMLVideoElement} video
   * @param {(text: string) => void} onCode
   */
  constructor(video, onCode) {
    this.video = video;
    this.onCode = onCode;
    this.canvas = document.createElement('canvas');
  }

  /** @throws {DOMException} as getUserMedia */
  async start() {
    if (this.stream) return;
    this.stream = await navigator.mediaDevices.getUserMedia({
      audio: false,
      video: { facingMode: { ideal: 'environment' }, width: { min: 640, ideal: 1_920 }, height: { min: 480, ideal: 1_080 } },
    });
    this.video.srcObject = this.stream;
    await this.video.play();
    this.loop(this.stream);
  }

  stop() {
    for (const track of this.stream?.getTracks() ?? []) track.stop();
    this.stream = null;
    this.video.srcObject = null;
  }

  /** @param {MediaStream} stream */
  async loop(stream) {
    while (this.stream === stream) {
      if (!this.paused && !document.hidden) await this.frame().catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, FRAME_MS));
    }
  }

  async frame() {
    const { videoWidth, videoHeight } = this.video;
    if (!videoWidth) return;
    const scale = Math.min(1, SIDE_MAX / Math.max(videoWidth, videoHeight));
    this.canvas.width = Math.round(videoWidth * scale);
    this.canvas.height = Math.round(videoHeight * scale);
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext('2d', { willReadFrequently: true }));
    context.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
    const text = await read(context.getImageData(0, 0, this.canvas.width, this.canvas.height));
    if (text === null || this.paused) return;
    if (this.isStillThere(text)) return;
    this.foreignFrames = isOurs(text) ? 0 : this.foreignFrames + 1;
    if (!isOurs(text) && this.foreignFrames < FOREIGN_FRAMES) return;
    this.foreignFrames = 0;
    this.last = { text, seen: performance.now() };
    this.onCode(text);
  }

  /** @param {string} text */
  isStillThere(text) {
    const now = performance.now();
    const same = text === this.last.text && now - this.last.seen < SAME_AGAIN_MS;
    if (same) this.last.seen = now;
    return same;
  }

  pause() {
    this.paused = true;
  }

  resume() {
    this.paused = false;
    if (this.last.text) this.last.seen = performance.now();
  }
}
