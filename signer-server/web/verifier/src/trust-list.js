/**
 * The trust list: which key may do what, signed by an offline root. A list is believed under the pinned root or a root
 * that the newest list believed names; its number never falls.
 */

import { compare, equal, utf8 } from './bytes.js';
import { FormatError, decode } from './cbor.js';
import { findSigner, readSign1 } from './cose.js';
import * as fields from './fields.js';
import { decompress } from './p256.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

export const USE = Object.freeze({ credentials: 1, statusLists: 2, answers: 3, businesses: 4 });
/** Longest list, bytes. */
export const TRUST_LIST_BYTES_MAX = 256 * 1024;
const AAD = utf8('DQ1/trust-list');
const LIFE = 93_600;
const EMERGENCY_LIFE = 259_200;
const OLD_AFTER = 7 * 86_400;
const U32_MAX = 0xffff_ffff;
const ROWS_MAX = 65_536;
const ROOTS_MAX = 8;
const HOUR = 3_600;

/**
 * @typedef {{ id: number, name: string, statusUri: string }} Issuer
 * @typedef {{
 *   issuer: number, use: number, point: Bytes, types: number[], notBefore: number, notAfter: number,
 * }} TrustedKey
 */

/** Why a list is not taken; what was believed before stays. */
export class TrustListError extends Error {
  name = 'TrustListError';

  /** @param {'malformed' | 'unknown_root' | 'bad_signature' | 'older' | 'conflict'} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** A list that was believed. Only `openTrustList` makes one. */
export class TrustList {
  /** @param {Bytes} bytes the whole list @param {Bytes} payload */
  constructor(bytes, payload) {
    this.bytes = bytes;
    const map = fields.map(decode(payload, TRUST_LIST_BYTES_MAX), [1, 2, 3, 4, 5, 6]);
    this.number = fields.uint(map.get(1));
    this.issued = fields.uint(map.get(2));
    this.life = fields.uint(map.get(3));
    if (this.life !== LIFE && this.life !== EMERGENCY_LIFE) throw new FormatError('not a life');
    const issuers = fields.array(map.get(4), 0, ROWS_MAX).map(readIssuer);
    ascending(issuers, (a, b) => a.id - b.id);
    if (new Set(issuers.map((issuer) => issuer.statusUri)).size !== issuers.length) {
      throw new FormatError('two issuers have one address');
    }
    /** @type {Map<number, Issuer>} */
    this.issuers = new Map(issuers.map((issuer) => [issuer.id, issuer]));
    /** @type {TrustedKey[]} */
    this.keys = fields.array(map.get(5), 0, ROWS_MAX).map((row) => readKey(row, this.issuers));
    /** @type {{ point: Bytes }[]} */
    this.roots = fields.array(map.get(6), 1, ROOTS_MAX).map((value) => ({ point: readPoint(value) }));
    // One form for each list; and each key has one issuer and one use.
    ascending(this.keys, byPoint);
    ascending(this.roots, byPoint);
    ascending([...this.keys, ...this.roots].sort(byPoint), byPoint);
  }

  /** Keys for one use. @param {number} use */
  keysFor(use) {
    return this.keys.filter((key) => key.use === use);
  }

  /** Whether the list is too old for a plain yes. @param {number} now Unix seconds */
  isOld(now) {
    return now - this.issued >= OLD_AFTER;
  }
}

/**
 * @param {import('./cbor.js').Cbor} row
 * @returns {Issuer}
 */
function readIssuer(row) {
  const [first, name, uri] = fields.array(row, 3);
  const id = fields.uint(first, U32_MAX);
  const statusUri = fields.line(uri, 200, 1);
  if (id === 0) throw new FormatError('an issuer is not 0');
  if (!/^https?:\/\/(?!\/)[!-~]+$/.test(statusUri) || /[?#]|\/$/.test(statusUri)) throw new FormatError('not an address');
  return { id, name: fields.line(name, 96, 1), statusUri };
}

/**
 * @param {import('./cbor.js').Cbor} row
 * @param {Map<number, Issuer>} issuers
 * @returns {TrustedKey}
 */
function readKey(row, issuers) {
  const [issuer, use, point, types, notBefore, notAfter] = fields.array(row, 6);
  const key = {
    issuer: fields.uint(issuer, U32_MAX),
    use: fields.uint(use, 4),
    point: readPoint(point),
    // A kind of document that is not known yet is kept and means nothing.
    types: fields.array(types, 0, ROWS_MAX).map((type) => fields.uint(type, U32_MAX)),
    notBefore: fields.uint(notBefore),
    notAfter: fields.uint(notAfter),
  };
  ascending(key.types, (a, b) => a - b);
  if (!issuers.has(key.issuer) || key.use === 0) throw new FormatError('not a use of an issuer');
  if ((key.use === USE.credentials) !== key.types.length > 0) throw new FormatError('types belong to credential keys');
  if (key.notAfter <= key.notBefore) throw new FormatError('a key that is never valid');
  return key;
}

/**
 * @template T
 * @param {T[]} rows
 * @param {(a: T, b: T) => number} order
 */
function ascending(rows, order) {
  if (rows.some((row, at) => at > 0 && order(rows[at - 1], row) >= 0)) throw new FormatError('repeated or out of order');
}

/** @param {{ point: Bytes }} a @param {{ point: Bytes }} b */
const byPoint = (a, b) => compare(a.point, b.point);

/**
 * Whether `key` may have signed something dated `time`, which may be rounded down to the hour.
 * @param {TrustedKey} key
 * @param {number} time
 */
export const signsAt = (key, time) => key.notBefore - (key.notBefore % HOUR) <= time && time < key.notAfter;

/** @param {import('./cbor.js').Cbor} value */
function readPoint(value) {
  const point = fields.bytes(value, 33);
  decompress(point);
  return point;
}

/**
 * Checks a list that was fetched. Gives `newest` back where it is the same list.
 * @param {Uint8Array} fetched
 * @param {Uint8Array} pinnedRoot compressed point
 * @param {TrustList | null} [newest] the newest list believed so far
 * @returns {Promise<TrustList>}
 * @throws {TrustListError}
 */
export async function openTrustList(fetched, pinnedRoot, newest = null) {
  const bytes = /** @type {Bytes} */ (fetched.slice());
  const element = read(() => readSign1(decode(bytes, TRUST_LIST_BYTES_MAX), 'kid'));
  const { signer, known } = await findSigner(element, AAD, [{ point: pinnedRoot }, ...(newest?.roots ?? [])]);
  if (!signer) throw new TrustListError(known ? 'bad_signature' : 'unknown_root');
  const list = read(() => new TrustList(bytes, element.payload));
  if (newest && list.number < newest.number) throw new TrustListError('older');
  if (newest && list.number === newest.number) {
    if (!equal(bytes, newest.bytes)) throw new TrustListError('conflict');
    return newest;
  }
  return list;
}

/**
 * @template T
 * @param {() => T} reading
 */
function read(reading) {
  try {
    return reading();
  } catch (error) {
    if (error instanceof FormatError) throw new TrustListError('malformed');
    throw error;
  }
}
