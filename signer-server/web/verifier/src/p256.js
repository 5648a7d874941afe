/** P-256: compressed points, key identifiers, ES256 with the low of the two s (SEC 1, FIPS 186-5). */

import { compare, concat, fromHex, sha256, toHex } from './bytes.js';
import { FormatError } from './cbor.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

const P = 2n ** 256n - 2n ** 224n + 2n ** 192n + 2n ** 96n - 1n;
const B = 0x5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604bn;
const N = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
const HALF_N = bytesOf(N >> 1n);
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNATURE = { name: 'ECDSA', hash: 'SHA-256' };
// SubjectPublicKeyInfo of a P-256 key, up to the point (RFC 5480).
const SPKI_HEAD = fromHex('3059301306072a8648ce3d020106082a8648ce3d030107034200');
const KEYS_MAX = 512;

/** @param {bigint} number */
function bytesOf(number) {
  return fromHex(number.toString(16).padStart(64, '0'));
}

/** @param {Uint8Array} bytes */
const numberOf = (bytes) => BigInt(`0x${toHex(bytes)}`);

/**
 * The uncompressed form (65 bytes) of a compressed point.
 * @param {Uint8Array} point
 * @returns {Bytes}
 */
export function decompress(point) {
  if (point.length !== 33 || (point[0] !== 2 && point[0] !== 3)) throw new FormatError('not a compressed point');
  const x = numberOf(point.subarray(1));
  if (x >= P) throw new FormatError('not a point of the curve');
  const square = (((x * x - 3n) % P) * x + B + 3n * P) % P;
  const root = power(square, (P + 1n) / 4n);
  if ((root * root) % P !== square) throw new FormatError('not a point of the curve');
  const y = (root & 1n) === BigInt(point[0] & 1) ? root : P - root;
  return concat(Uint8Array.of(4), bytesOf(x), bytesOf(y));
}

/**
 * @param {bigint} base
 * @param {bigint} exponent
 */
function power(base, exponent) {
  let result = 1n;
  for (let square = base % P, left = exponent; left > 0n; left >>= 1n, square = (square * square) % P) {
    if (left & 1n) result = (result * square) % P;
  }
  return result;
}

/** @param {Uint8Array} uncompressed 65 bytes */
export function compress(uncompressed) {
  return concat(Uint8Array.of(2 | (uncompressed[64] & 1)), uncompressed.subarray(1, 33));
}

/**
 * A public key and what names it.
 * @typedef {{ point: Bytes, kid: Bytes, key: CryptoKey }} PublicKey
 */

/** @type {Map<string, Promise<PublicKey>>} */
const known = new Map();

/**
 * @param {Uint8Array} point compressed
 * @returns {Promise<PublicKey>}
 */
export function publicKey(point) {
  const name = toHex(point);
  const before = known.get(name);
  if (before) return before;
  // Day keys come by the thousand and are seen once or twice; what is forgotten is computed again.
  if (known.size >= KEYS_MAX) known.clear();
  const made = make(/** @type {Bytes} */ (point.slice()));
  known.set(name, made);
  return made;
}

/** @param {Bytes} point */
async function make(point) {
  const uncompressed = decompress(point);
  const [hash, key] = await Promise.all([
    sha256(concat(SPKI_HEAD, uncompressed)),
    crypto.subtle.importKey('raw', uncompressed, ALGORITHM, true, ['verify']),
  ]);
  return { point, kid: hash.slice(0, 4), key };
}

/**
 * Whether `signature` (r then s, 64 bytes, low s) is the key's over `message`.
 * @param {PublicKey} key
 * @param {Uint8Array} message
 * @param {Uint8Array} signature
 */
export async function verifies(key, message, signature) {
  if (signature.length !== 64 || compare(signature.subarray(32), HALF_N) > 0) return false;
  return crypto.subtle.verify(SIGNATURE, key.key, /** @type {Bytes} */ (signature), /** @type {Bytes} */ (message));
}

/** A key pair whose private half cannot be read out of the browser. */
export const generateKeyPair = () => crypto.subtle.generateKey(ALGORITHM, false, ['sign', 'verify']);

/**
 * The compressed point of a public key.
 * @param {CryptoKey} key
 */
export async function pointOf(key) {
  return compress(new Uint8Array(await crypto.subtle.exportKey('raw', key)));
}

/**
 * @param {CryptoKey} key private
 * @param {Uint8Array} message
 * @returns {Promise<Bytes>} r then s, low s
 */
export async function sign(key, message) {
  const signature = new Uint8Array(await crypto.subtle.sign(SIGNATURE, key, /** @type {Bytes} */ (message)));
  const s = numberOf(signature.subarray(32));
  return s > N >> 1n ? concat(signature.subarray(0, 32), bytesOf(N - s)) : signature;
}
