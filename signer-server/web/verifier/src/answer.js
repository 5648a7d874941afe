/**
 * Signed answers of the server: a JWS by a key that the trust list names for answers, and beside it the claims as a
 * disclosure whose digest is signed (as in SD-JWT, RFC 9901).
 */

import { concat, equal, fromBase64url, fromHex, sha256, toBase64url, toHex, utf8 } from './bytes.js';
import { publicKey, verifies } from './p256.js';
import { USE, signsAt } from './trust-list.js';

const TYPE = 'signer-verification+jwt';
const ANSWER_CHARS_MAX = 8_192;
const DISCLOSURE_CHARS_MAX = 16_384;

/** An answer that is not the server's, or not to this question. */
export class AnswerError extends Error {
  name = 'AnswerError';

  /** @param {'malformed' | 'unknown_key' | 'bad_signature' | 'other_request' | 'bad_disclosure' | 'bad_portrait'} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * @typedef {{
 *   iat: number, verifier: string, request_id: string, code_sha256: string, document_type?: string, profile?: string,
 *   result: 'green' | 'amber' | 'red', reason: string, offline: false,
 *   predicates?: Record<string, number | boolean>, disclosure_sha256?: string,
 * }} AnswerPayload
 */

/**
 * What the answer must be to.
 * @typedef {{
 *   requestId: string, code: string, codeSalt?: unknown, verifier?: string, since?: number, portrait?: Uint8Array | null,
 * }} Question
 * `code` is what was sent, `codeSalt` the `code_salt` that came beside; `verifier` is this verifier's id; `since` the earliest time of an answer, Unix seconds; `portrait` the file that came
 * beside it, whose salted digest stands in the claims. Request ids that were used before need `since`.
 */

/**
 * @param {string} answer JWS, compact
 * @param {string | null} disclosure
 * @param {import('./trust-list.js').TrustList} trust
 * @param {Question} question
 * @returns {Promise<{ payload: AnswerPayload, claims: import('./document.js').Claims | null, signer: Uint8Array }>}
 *   `signer` is the key: what it signed counts as long as the trust list names it
 * @throws {AnswerError}
 */
export async function openAnswer(answer, disclosure, trust, question) {
  const { requestId, code, codeSalt, verifier, since = 0, portrait = null } = question;
  const { kid, payload, signed, signature } = read(answer);
  let known = false;
  for (const candidate of trust.keysFor(USE.answers)) {
    const key = await publicKey(candidate.point);
    if (!equal(key.kid, kid) || !signsAt(candidate, payload.iat)) continue;
    known = true;
    if (await verifies(key, signed, signature)) {
      const isOurs = payload.request_id === requestId && (verifier === undefined || payload.verifier === verifier);
      const isOfCode = payload.code_sha256 === (await answeredCode(codeSalt, code));
      if (!isOurs || !isOfCode || payload.iat < since) throw new AnswerError('other_request');
      const opened = await openDisclosure(disclosure, payload);
      if (portrait) await checkPortrait(portrait, opened);
      return { payload, claims: opened?.claims ?? null, signer: candidate.point };
    }
  }
  throw new AnswerError(known ? 'bad_signature' : 'unknown_key');
}

/**
 * The code as an answer names it: a labelled hash (spec/protocol.md) under the salt beside. Digits count without their space.
 * @param {unknown} salt base64url
 * @param {string} code
 * @returns {Promise<string>} base64url
 */
export async function answeredCode(salt, code) {
  const bytes = salted(salt);
  const canonical = utf8(/^[0-9]{4} [0-9]{4}$/.test(code) ? code.replace(' ', '') : code);
  const label = utf8('signer/v1/answered-code');
  return toBase64url(await sha256(concat(Uint8Array.of(label.length), label, field(bytes), field(canonical))));
}

/** @param {unknown} salt */
function salted(salt) {
  try {
    const bytes = fromBase64url(String(salt));
    if (bytes.length === 16) return bytes;
  } catch {
    // As one of another length.
  }
  throw new AnswerError('malformed');
}

/** A field of a labelled hash: its length in eight bytes, then itself. @param {Uint8Array} bytes */
function field(bytes) {
  const length = new Uint8Array(8);
  new DataView(length.buffer).setUint32(4, bytes.length);
  return concat(length, bytes);
}

/**
 * Whom answers to a bearer token must name: its first 16 bytes are the verifier's id.
 * @param {string} token
 * @returns {string | undefined} undefined for a token of another form
 */
export function verifierOf(token) {
  try {
    const bytes = fromBase64url(token);
    return bytes.length === 48 ? toHex(bytes.slice(0, 16)) : undefined;
  } catch {
    return undefined;
  }
}

/** @param {string} answer */
function read(answer) {
  try {
    const parts = answer.length <= ANSWER_CHARS_MAX ? answer.split('.') : [];
    if (parts.length !== 3) throw new TypeError('not three parts');
    const header = json(parts[0]);
    const payload = /** @type {AnswerPayload} */ (json(parts[1]));
    if (header.alg !== 'ES256' || header.typ !== TYPE || Object.keys(header).length !== 3) throw new TypeError('header');
    const wellFormed =
      Number.isSafeInteger(payload.iat) &&
      ['green', 'amber', 'red'].includes(payload.result) &&
      typeof payload.reason === 'string' &&
      typeof payload.request_id === 'string' &&
      payload.offline === false;
    if (!wellFormed) throw new TypeError('payload');
    return {
      kid: fromHex(String(header.kid)),
      payload,
      signed: utf8(`${parts[0]}.${parts[1]}`),
      signature: fromBase64url(parts[2]),
    };
  } catch {
    throw new AnswerError('malformed');
  }
}

/** @param {string} part */
function json(part) {
  const value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(fromBase64url(part)));
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new TypeError('not an object');
  return value;
}

/**
 * The claims, if the answer speaks of any and red does not.
 * @param {string | null} disclosure
 * @param {AnswerPayload} payload
 */
async function openDisclosure(disclosure, payload) {
  if (payload.disclosure_sha256 === undefined && !disclosure) return null;
  if (!disclosure || payload.result === 'red' || disclosure.length > DISCLOSURE_CHARS_MAX) {
    throw new AnswerError('bad_disclosure');
  }
  if (toBase64url(await sha256(utf8(disclosure))) !== payload.disclosure_sha256) throw new AnswerError('bad_disclosure');
  try {
    const row = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(fromBase64url(disclosure)));
    const salt = fromBase64url(String(row[0]));
    if (!Array.isArray(row) || row.length !== 2 || salt.length !== 16) throw new TypeError('row');
    return { salt, claims: row[1] };
  } catch {
    throw new AnswerError('bad_disclosure');
  }
}

/**
 * @param {Uint8Array} portrait
 * @param {{ salt: Uint8Array, claims: any } | null} opened
 */
async function checkPortrait(portrait, opened) {
  const digest = opened?.claims.full?.portrait ?? opened?.claims.age?.portrait;
  const found = opened && toHex((await sha256(concat(opened.salt, portrait))).slice(0, 16));
  if (!digest || digest !== found) throw new AnswerError('bad_portrait');
}
