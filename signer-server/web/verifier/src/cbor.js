/**
 * Deterministic CBOR (RFC 8949 section 4.2.1), the part our formats use: integers, byte strings, text, arrays, maps,
 * false, true, null. What is not the one encoding of its value is refused while it is read, so encoding a decoded
 * value again gives the same bytes.
 *
 * Values: integers are numbers (bigint beyond 2^53), byte strings Uint8Array, maps Map.
 */

import { compare, concat, utf8 } from './bytes.js';

/** @typedef {number | bigint | string | boolean | null | Uint8Array | CborArray | CborMap} Cbor */
/** @typedef {Cbor[]} CborArray */
/** @typedef {Map<number | string, Cbor>} CborMap */

const DEPTH_MAX = 8;
const UINT = 0;
const NEGATIVE = 1;
const BYTES = 2;
const TEXT = 3;
const ARRAY = 4;
const MAP = 5;
const SIMPLE = 7;

/** Bytes that are not the one encoding of what is expected. */
export class FormatError extends Error {
  name = 'FormatError';
}

/**
 * @param {Uint8Array} bytes exactly one value
 * @param {number} bytesMax
 * @returns {Cbor}
 */
export function decode(bytes, bytesMax) {
  if (bytes.length > bytesMax) throw new FormatError(`${bytes.length} bytes, at most ${bytesMax}`);
  const reader = new Reader(bytes);
  const value = reader.value(0);
  if (reader.at !== bytes.length) throw new FormatError('bytes are left over');
  return value;
}

class Reader {
  at = 0;

  /** @param {Uint8Array} bytes */
  constructor(bytes) {
    this.bytes = bytes;
  }

  /** @param {number} length */
  take(length) {
    if (length > this.bytes.length - this.at) throw new FormatError('ends early');
    this.at += length;
    return this.bytes.subarray(this.at - length, this.at);
  }

  /** Major type and argument, in its shortest form. */
  head() {
    const [first] = this.take(1);
    const major = first >> 5;
    const short = first & 31;
    if (short < 24) return { major, argument: short };
    if (short > 27 || major === SIMPLE) throw new FormatError('not a form we use');
    const wide = this.take(2 ** (short - 24)).reduce((sum, byte) => sum * 256n + BigInt(byte), 0n);
    const least = [24n, 0x100n, 0x1_0000n, 0x1_0000_0000n][short - 24];
    if (wide < least) throw new FormatError('an integer is longer than needed');
    return { major, argument: wide <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(wide) : wide };
  }

  /**
   * @param {number} depth
   * @returns {Cbor}
   */
  value(depth) {
    if (depth > DEPTH_MAX) throw new FormatError('nested too deep');
    const { major, argument } = this.head();
    if (major === UINT) return argument;
    if (major === NEGATIVE) return typeof argument === 'bigint' ? -1n - argument : -1 - argument;
    if (major === SIMPLE) return simple(argument);
    // A length beyond the input is refused here, before anything is allocated for it.
    if (typeof argument === 'bigint' || argument > this.bytes.length - this.at) throw new FormatError('ends early');
    switch (major) {
      case BYTES:
        return this.take(argument).slice();
      case TEXT:
        return text(this.take(argument));
      case ARRAY:
        return Array.from({ length: argument }, () => this.value(depth + 1));
      case MAP:
        return this.map(argument, depth);
      default:
        throw new FormatError('a tag where none belongs');
    }
  }

  /**
   * @param {number} length
   * @param {number} depth
   */
  map(length, depth) {
    /** @type {CborMap} */
    const map = new Map();
    let before = new Uint8Array();
    for (let left = length; left > 0; left -= 1) {
      const start = this.at;
      const key = this.value(depth + 1);
      const encoded = this.bytes.slice(start, this.at);
      if (typeof key !== 'number' && typeof key !== 'string') throw new FormatError('not a key we use');
      if (compare(before, encoded) >= 0) throw new FormatError('keys are repeated or out of order');
      before = encoded;
      map.set(key, this.value(depth + 1));
    }
    return map;
  }
}

/** @param {number | bigint} argument */
function simple(argument) {
  if (argument === 20) return false;
  if (argument === 21) return true;
  if (argument === 22) return null;
  throw new FormatError('not a form we use');
}

/** @param {Uint8Array} bytes */
function text(bytes) {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new FormatError('text is not UTF-8');
  }
}

/**
 * @param {Cbor} value
 * @returns {import('./bytes.js').Bytes}
 */
export function encode(value) {
  if (value === false) return Uint8Array.of(0xf4);
  if (value === true) return Uint8Array.of(0xf5);
  if (value === null) return Uint8Array.of(0xf6);
  if (typeof value === 'number' || typeof value === 'bigint') {
    return value < 0 ? head(NEGATIVE, -1n - BigInt(value)) : head(UINT, value);
  }
  if (typeof value === 'string') {
    const bytes = utf8(value);
    return concat(head(TEXT, bytes.length), bytes);
  }
  if (value instanceof Uint8Array) return concat(head(BYTES, value.length), value);
  if (Array.isArray(value)) return concat(head(ARRAY, value.length), ...value.map(encode));
  const entries = Array.from(value, ([key, entry]) => [encode(key), encode(entry)]);
  entries.sort(([a], [b]) => compare(a, b));
  return concat(head(MAP, entries.length), ...entries.flat());
}

/**
 * @param {number} major
 * @param {number | bigint} argument
 */
function head(major, argument) {
  const wide = BigInt(argument);
  const type = major << 5;
  if (wide < 24n) return Uint8Array.of(type | Number(wide));
  const size = [1, 2, 4, 8].find((bytes) => wide < 1n << BigInt(8 * bytes));
  if (size === undefined) throw new RangeError('an integer of more than 8 bytes');
  const big = Array.from({ length: size }, (_, at) => Number((wide >> BigInt(8 * (size - 1 - at))) & 255n));
  return Uint8Array.of(type | (24 + Math.log2(size)), ...big);
}
