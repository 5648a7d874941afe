/** Decoded values that must have a certain form: each function gives the value back or throws FormatError. */

import { FormatError } from './cbor.js';

/** @typedef {import('./cbor.js').Cbor} Cbor */

/**
 * @param {Cbor | undefined} value
 * @param {number} [max]
 * @returns {number}
 */
export function uint(value, max = Number.MAX_SAFE_INTEGER) {
  if (typeof value !== 'number' || value < 0 || value > max) throw new FormatError('not a number in its bounds');
  return value;
}

/**
 * @param {Cbor | undefined} value
 * @param {number} length
 * @returns {import('./bytes.js').Bytes}
 */
export function bytes(value, length) {
  if (!(value instanceof Uint8Array) || value.length !== length) throw new FormatError(`not ${length} bytes`);
  return /** @type {import('./bytes.js').Bytes} */ (value);
}

/** @param {Cbor | undefined} value */
export function byteString(value) {
  if (!(value instanceof Uint8Array)) throw new FormatError('not a byte string');
  return /** @type {import('./bytes.js').Bytes} */ (value);
}

/**
 * @param {Cbor | undefined} value
 * @param {number} least
 * @param {number} [most]
 * @returns {Cbor[]}
 */
export function array(value, least, most = least) {
  if (!Array.isArray(value) || value.length < least || value.length > most) {
    throw new FormatError('not an array of its length');
  }
  return value;
}

/**
 * A map with all of `keys` and at most the `optional` ones beside.
 * @param {Cbor | undefined} value
 * @param {(number | string)[]} keys
 * @param {(number | string)[]} [optional]
 */
export function map(value, keys, optional = []) {
  if (!(value instanceof Map) || !keys.every((key) => value.has(key))) throw new FormatError('a map lacks a key');
  const known = [...keys, ...optional];
  for (const key of value.keys()) {
    if (!known.includes(key)) throw new FormatError('a map has an unknown key');
  }
  return value;
}

/** @param {Cbor | undefined} value */
export function bool(value) {
  if (typeof value !== 'boolean') throw new FormatError('not true or false');
  return value;
}

// Does not show as itself: control, bidi override or isolate, zero-width or otherwise invisible.
const HIDDEN =
  /[\p{Cc}\u{AD}\u{34F}\u{61C}\u{115F}\u{1160}\u{17B4}\u{17B5}\u{180B}-\u{180F}\u{200B}-\u{200F}\u{2028}-\u{202E}\u{2060}-\u{206F}\u{2800}\u{3164}\u{FE00}-\u{FE0F}\u{FEFF}\u{FFA0}\u{FFF0}-\u{FFFB}\u{1D173}-\u{1D17A}\u{E0000}-\u{E0FFF}]/u;

/**
 * One line of NFC text of at most `max` bytes, without hidden characters.
 * @param {Cbor | undefined} value
 * @param {number} max bytes of UTF-8
 * @param {number} [min]
 */
export function line(value, max, min = 0) {
  if (typeof value !== 'string') throw new FormatError('not text');
  const length = new TextEncoder().encode(value).length;
  if (length < min || length > max || HIDDEN.test(value) || value.normalize('NFC') !== value) {
    throw new FormatError('text is too short, too long, not in NFC, or has hidden characters');
  }
  return value;
}
