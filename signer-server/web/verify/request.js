/** This shop's own request: the key of this device, its credential, and the QR that the holder scans first. */

import { fromBase64url, generateKeyPair, makeRequest, openBusiness, pointOf, toBase64url } from '../verifier/src/index.js';
import { prepareZXingModule, writeBarcode } from '../vendor/zxing-wasm/3.1.4/writer/index.js';
import * as store from './store.js';
import { now, trust } from './trust.js';

const WASM = new URL('../vendor/zxing-wasm/3.1.4/writer/', import.meta.url);
prepareZXingModule({ overrides: { locateFile: (/** @type {string} */ name) => new URL(name, WASM).href } });

/** White modules around a code, ISO/IEC 18004. */
const QUIET = 4;
/** Widest code on the screen, CSS pixels. */
const SIDE_MAX = 440;

/**
 * @typedef {{ pair: CryptoKeyPair, credential: Uint8Array | null, profile: number }} Kept
 */

/** @type {{ business: import('../verifier/src/request.js').Business, kept: Kept } | null} */
let ready = null;
/** Requests shown and not answered yet, newest first. @type {import('../verifier/src/request.js').MadeRequest[]} */
let shown = [];
let showing = false;

/** The key of this device, made when first asked for; its private half cannot be read out. @returns {Promise<Kept>} */
async function kept() {
  const before = await store.get('business');
  if (before) return before;
  const made = { pair: await generateKeyPair(), credential: null, profile: 0 };
  await store.set('business', made);
  return made;
}

/** Public key of this device, base64url. */
export const devicePoint = async () => toBase64url(await pointOf((await kept()).pair.publicKey));

export const keptProfile = async () => (await kept()).profile;

/** Opens the kept credential, if there is one that is still good. */
export async function load() {
  const before = await store.get('business');
  ready = null;
  if (!before?.credential || !trust.list) return;
  const business = await openBusiness(before.credential, trust.list, now()).catch(() => null);
  if (business) ready = { business, kept: before };
}

/**
 * Keeps a credential for the key of this device.
 * @param {string} text base64url
 * @param {number} profile
 * @returns {Promise<boolean>} whether it is one
 */
export async function keep(text, profile) {
  const mine = await kept();
  if (!trust.list) return false;
  try {
    const credential = fromBase64url(text.replace(/\s/g, ''));
    const business = await openBusiness(credential, trust.list, now());
    const isMine = toBase64url(business.point) === (await devicePoint());
    if (!isMine || !business.profiles.includes(profile)) return false;
    await store.set('business', { ...mine, credential, profile });
    await load();
    return ready !== null;
  } catch {
    return false;
  }
}

export async function forget() {
  await store.forget('business');
  ready = null;
  hide();
}

export const isReady = () => ready !== null;
export const isShowing = () => showing;
export const businessName = () => ready?.business.name ?? '';

/** Requests an answer may be to, newest first. Null where none is shown: then a code answers none. */
export const open = () => (showing ? shown : null);

/** Draws a fresh request. @param {HTMLCanvasElement} canvas */
export async function draw(canvas) {
  if (!ready) return;
  showing = true;
  const { business, kept } = ready;
  const request = await makeRequest(business, kept.pair.privateKey, { now: now(), profile: kept.profile, rule: trust.rule });
  shown = [request, ...shown].slice(0, 2);
  const { symbol } = await writeBarcode(request.text, { format: 'QRCode', options: 'ecLevel=M', scale: 1, addQuietZones: false });
  paint(canvas, symbol);
}

/**
 * Whole device pixels for each module and four white modules around: that is what cameras read best.
 * @param {HTMLCanvasElement} canvas
 * @param {{ width: number, height: number, data: ArrayLike<number> }} symbol
 */
function paint(canvas, symbol) {
  const side = symbol.width + 2 * QUIET;
  const room = Math.min(SIDE_MAX, canvas.parentElement?.clientWidth ?? SIDE_MAX) * devicePixelRatio;
  const scale = Math.max(2, Math.floor(room / side));
  canvas.width = canvas.height = side * scale;
  canvas.style.width = `${canvas.width / devicePixelRatio}px`;
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext('2d'));
  context.fillStyle = '#fff';
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.fillStyle = '#000';
  Array.from(symbol.data).forEach((shade, at) => {
    const [x, y] = [at % symbol.width, Math.floor(at / symbol.width)];
    if (shade < 128) context.fillRect((x + QUIET) * scale, (y + QUIET) * scale, scale, scale);
  });
}

/** Whether another request belongs on the screen: the one there is answered, or of an earlier step. */
export const isStale = () => showing && (shown[0] === undefined || shown[0].step < Math.floor(now() / trust.rule.seconds));

/** After an answer: none of the requests shown is good again. */
export function spent() {
  shown = [];
}

export function hide() {
  showing = false;
  shown = [];
}
