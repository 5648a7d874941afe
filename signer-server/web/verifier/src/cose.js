/** COSE_Sign1 with ES256 (RFC 9052), in the one form our formats use: no tag, kid or nothing in the unprotected header. */

import { concat, equal, fromHex, sha256, utf8 } from './bytes.js';
import { FormatError, encode } from './cbor.js';
import * as fields from './fields.js';
import { publicKey, sign, verifies } from './p256.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

/**
 * @typedef {{ kid: Bytes | null, payload: Bytes, signature: Bytes, bytes: Bytes }} Sign1
 * `bytes` is the whole element, encoded.
 */

export const PROTECTED_ES256 = fromHex('a10126');
export const NO_AAD = new Uint8Array();

/**
 * @param {import('./cbor.js').Cbor | undefined} value a decoded element
 * @param {'kid' | 'no kid'} expected
 * @param {Uint8Array} [protectedHeader]
 * @returns {Sign1}
 */
export function readSign1(value, expected, protectedHeader = PROTECTED_ES256) {
  const [header, unprotected, payload, signature] = fields.array(value, 4);
  if (!equal(fields.byteString(header), protectedHeader)) throw new FormatError('another algorithm or header');
  const kid = expected === 'kid' ? fields.bytes(fields.map(unprotected, [4]).get(4), 4) : null;
  if (kid === null) fields.map(unprotected, []);
  return {
    kid,
    payload: fields.byteString(payload),
    signature: fields.bytes(signature, 64),
    bytes: encode(/** @type {import('./cbor.js').Cbor} */ (value)),
  };
}

/**
 * The bytes that are signed.
 * @param {Uint8Array} aad
 * @param {Uint8Array} payload
 * @param {Uint8Array} [protectedHeader]
 */
export function toSign(aad, payload, protectedHeader = PROTECTED_ES256) {
  return encode(['Signature1', protectedHeader, aad, payload]);
}

/**
 * The first of `candidates` under whose key the element verifies; the kid is a hint, so all with that kid are tried.
 * `known` says whether any has the kid.
 * @template {{ point: Uint8Array }} T
 * @param {Sign1} element
 * @param {Uint8Array} aad
 * @param {Iterable<T>} candidates
 * @param {Uint8Array} [protectedHeader]
 * @returns {Promise<{ signer: T | null, known: boolean }>}
 */
export async function findSigner(element, aad, candidates, protectedHeader = PROTECTED_ES256) {
  const message = toSign(aad, element.payload, protectedHeader);
  let known = false;
  for (const candidate of candidates) {
    const key = await publicKey(candidate.point);
    if (element.kid && equal(key.kid, element.kid)) {
      known = true;
      if (await verifies(key, message, element.signature)) return { signer: candidate, known };
    }
  }
  return { signer: null, known };
}

/**
 * `label || SHA-256(element)`: binds the second envelope of a pair to the bytes of the first.
 * @param {string} label
 * @param {Sign1} element
 */
export async function boundAad(label, element) {
  return concat(utf8(label), await sha256(element.bytes));
}

/**
 * An element without kid, as value and bytes.
 * @param {CryptoKey} key
 * @param {Uint8Array} aad
 * @param {Uint8Array} payload
 */
export async function signElement(key, aad, payload) {
  const signature = await sign(key, toSign(aad, payload));
  return [PROTECTED_ES256, new Map(), payload, signature];
}
