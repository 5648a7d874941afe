/** The code itself: text, two envelopes, what the issuer and the phone say. Read, nothing of it checked. */

import { decode as base45 } from './base45.js';
import { FormatError, decode } from './cbor.js';
import { readSign1 } from './cose.js';
import { readDocument } from './document.js';
import * as fields from './fields.js';
import { Refusal } from './refusal.js';
import { decompress } from './p256.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

export const PREFIX = 'DQ1:';
export const TEXT_MAX = 600;
const TOKEN_BYTES_MAX = 397;
/** A credential's life, seconds. */
export const LIFE = 93_600;
const HOUR = 3_600;
const U32_MAX = 0xffff_ffff;

/**
 * @typedef {{
 *   issued: number, dayKey: Bytes, list: number, index: number, custody: boolean,
 *   document: ReturnType<typeof readDocument>,
 * }} DayClaims
 * @typedef {{ step: number, n: number, otp: number, challenge: Bytes | null }} Show
 * @typedef {{
 *   issuer: import('./cose.js').Sign1, device: import('./cose.js').Sign1, claims: DayClaims, show: Show,
 * }} Token
 */

/**
 * @param {string} text
 * @returns {Token}
 * @throws {Refusal} not_ours, unreadable
 */
export function readToken(text) {
  if (!text.startsWith(PREFIX)) throw new Refusal('not_ours');
  try {
    const bytes = text.length <= TEXT_MAX ? base45(text.slice(PREFIX.length)) : null;
    if (bytes === null) throw new FormatError('not base45 of a code');
    const [first, second] = fields.array(decode(bytes, TOKEN_BYTES_MAX), 2);
    const issuer = readSign1(first, 'kid');
    const device = readSign1(second, 'no kid');
    return { issuer, device, claims: readDayClaims(issuer.payload), show: readShow(device.payload) };
  } catch (error) {
    if (error instanceof FormatError) throw new Refusal('unreadable');
    throw error;
  }
}

/**
 * @param {Bytes} payload
 * @returns {DayClaims}
 */
function readDayClaims(payload) {
  const map = fields.map(decode(payload, TOKEN_BYTES_MAX), [4, 6, -1, -2, -3], [-4]);
  const issued = fields.uint(map.get(6));
  if (issued % HOUR !== 0 || fields.uint(map.get(4)) !== issued + LIFE) {
    throw new FormatError('not a life of 26 hours from a full hour');
  }
  if (map.has(-4) && map.get(-4) !== 1) throw new FormatError('custody is 1 or absent');
  const dayKey = fields.bytes(map.get(-1), 33);
  decompress(dayKey);
  const [list, index] = fields.array(map.get(-2), 2);
  return {
    issued,
    dayKey,
    list: fields.uint(list, U32_MAX),
    index: fields.uint(index, U32_MAX),
    custody: map.has(-4),
    document: readDocument(map.get(-3)),
  };
}

/**
 * @param {Bytes} payload
 * @returns {Show}
 */
function readShow(payload) {
  const row = fields.array(decode(payload, TOKEN_BYTES_MAX), 3, 4);
  return {
    // A step beyond 2^53 has no exact number; it is refused as a time anyway.
    step: typeof row[0] === 'bigint' ? Number(row[0]) : fields.uint(row[0]),
    n: fields.uint(row[1], 15),
    otp: fields.uint(row[2], 99_999_999),
    challenge: row.length === 4 ? fields.bytes(row[3], 16) : null,
  };
}
