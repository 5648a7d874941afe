/**
 * The trust list: which key may do what, signed by an offline root. A list is believed under the pinned root or a root
 * that the newest list believed names; its number never falls.
 */

import { equal, utf8 } from './bytes.js';
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

  /** @param {'malformed' | 'unknown_root' | 'bad_signature' | 'rollback' | 'changed'} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

export class TrustList {
  /** @type {Map<number, Issuer>} */
  issuers = new Map();
  /** @type {TrustedKey[]} */
  keys = [];
  /** @type {{ point: Bytes }[]} */
  roots = [];

  /** @param {Bytes} bytes @param {Bytes} payload */
  constructor(bytes, payload) {
    this.bytes = bytes;
    const map = fields.map(decode(payload, TRUST_LIST_BYTES_MAX), [1, 2, 3, 4, 5, 6]);
    this.number = fields.uint(map.get(1));
    this.issued = fields.uint(map.get(2));
    this.life = fields.uint(map.get(3));
    if (this.life !== LIFE && this.life !== EMERGENCY_LIFE) throw new FormatError('not a life');
    for (const row of fields.array(map.get(4), 0, ROWS_MAX)) this.addIssuer(row);
    this.keys = fields.array(map.get(5), 0, ROWS_MAX).map((row) => this.readKey(row));
    this.roots = fields.array(map.get(6), 1, ROWS_MAX).map((value) => ({ point: readPoint(value) }));
  }

  /** @param {import('./cbor.js').Cbor} row */
  addIssuer(row) {
    const [first, name, uri] = fields.array(row, 3);
    const id = fields.uint(first, U32_MAX);
    const statusUri = fields.line(uri, 200, 1);
    if (id === 0 || this.issuers.has(id)) throw new FormatError('an issuer is 0 or stands twice');
    if (!/^https?:\/\/[\x21-\x7e]+$/.test(statusUri) || statusUri.endsWith('/')) throw new FormatError('not a URL');
    this.issuers.set(id, { id, name: fields.line(name, 96, 1), statusUri });
  }

  /**
   * @param {import('./cbor.js').Cbor} row
   * @returns {TrustedKey}
   */
  readKey(row) {
    const [issuer, use, point, types, notBefore, notAfter] = fields.array(row, 6);
    const key = {
      issuer: fields.uint(issuer, U32_MAX),
      use: fields.uint(use),
      point: readPoint(point),
      types: fields.array(types, 0, 255).map((type) => fields.uint(type, 255)),
      notBefore: fields.uint(notBefore),
      notAfter: fields.uint(notAfter),
    };
    if (!this.issuers.has(key.issuer) || key.use < 1 || key.use > 4) throw new FormatError('not a use of an issuer');
    if ((key.use === USE.credentials) !== key.types.length > 0) throw new FormatError('types belong to credential keys');
    if (key.notAfter <= key.notBefore) throw new FormatError('a key that is never valid');
    return key;
  }

  /** Keys for one use. @param {number} use */
  keysFor(use) {
    return this.keys.filter((key) => key.use === use);
  }

  /** Whether the list is too old for a plain yes. @param {number} now Unix seconds */
  isOld(now) {
    return now - this.issued > OLD_AFTER;
  }
}

/**
 * Whether `key` may have signed a credential for `type` in the hour of `issued`.
 * @param {TrustedKey} key
 * @param {number} type
 * @param {number} issued
 */
export function maySignCredential(key, type, issued) {
  const start = key.notBefore - (key.notBefore % HOUR);
  return key.types.includes(type) && start <= issued && issued < key.notAfter;
}

/** @param {TrustedKey} key @param {number} time */
export const validAt = (key, time) => key.notBefore <= time && time < key.notAfter;

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
  const { element, list } = read(bytes);
  const { signer, known } = await findSigner(element, AAD, [{ point: pinnedRoot }, ...(newest?.roots ?? [])]);
  if (!signer) throw new TrustListError(known ? 'bad_signature' : 'unknown_root');
  if (newest && list.number < newest.number) throw new TrustListError('rollback');
  if (newest && list.number === newest.number) {
    if (!equal(bytes, newest.bytes)) throw new TrustListError('changed');
    return newest;
  }
  return list;
}

/** @param {Bytes} bytes */
function read(bytes) {
  try {
    const element = readSign1(decode(bytes, TRUST_LIST_BYTES_MAX), 'kid');
    return { element, list: new TrustList(bytes, element.payload) };
  } catch (error) {
    if (error instanceof FormatError) throw new TrustListError('malformed');
    throw error;
  }
}
