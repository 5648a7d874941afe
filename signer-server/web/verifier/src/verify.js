/**
 * Checking a code without network. Signatures first, so that a reason about time is never about a forgery; then time,
 * then what the verifier asked for, then withdrawals, then what this verifier has seen before.
 */

import { concat, sha256, toHex, utf8 } from './bytes.js';
import { boundAad, findSigner, toSign } from './cose.js';
import { today } from './date.js';
import { isPersonal } from './document.js';
import { publicKey, verifies } from './p256.js';
import { Refusal } from './refusal.js';
import { sameChallenge } from './request.js';
import { STANDARD, clockFault } from './step.js';
import { LIFE, readToken } from './token.js';
import { USE, signsAt } from './trust-list.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */
/** @typedef {import('./trust-list.js').TrustList} TrustList */

const ISSUER_AAD = utf8('DQ1/issuer');

/**
 * What the verifier knows and wants.
 * @typedef {{
 *   now: number,
 *   rule?: import('./step.js').StepRule,
 *   challenge?: Bytes | null,
 *   clockFloor?: number,
 * }} VerifyOptions
 * `now` is the verifier's clock in Unix seconds; `challenge` that of the request shown, if any; `clockFloor` the newest
 * time seen under a trusted signature.
 *
 * @typedef {{
 *   issuer: number, list: number, index: number, step: number, n: number, issued: number, expires: number,
 *   isEmergency: boolean, custody: boolean, digits: string, dayKey: Bytes, document: ReturnType<typeof import('./document.js').readDocument>,
 * }} Verified
 */

/**
 * @param {string} text the text of a QR
 * @param {TrustList} trust
 * @param {VerifyOptions} options
 * @returns {Promise<Verified>}
 * @throws {Refusal} the first in this order: form, issuer, signatures, verifier's clock, life, custody, step, request, document
 */
export async function verify(text, trust, options) {
  const { now, rule = STANDARD, challenge = null, clockFloor = 0 } = options;
  const token = readToken(text);
  const { claims, show } = token;
  const signer = await checkIssuer(token, trust);
  await checkShow(token);

  // Lists are dated with the very quarter of an hour: a clock within the grace of theirs is no fault.
  const floor = Math.max(clockFloor, claims.issued);
  if (now + rule.grace < floor) throw new Refusal('clock', { code: 'behind', seconds: floor - now });
  const expires = claims.issued + trust.life;
  if (now >= expires) throw new Refusal('expired');
  if (claims.custody && isPersonal(claims.document.document_type)) throw new Refusal('held_by_server');
  const fault = clockFault(rule, show.step, now);
  if (fault) throw new Refusal('clock', fault);
  if (!sameChallenge(show.challenge, challenge)) throw new Refusal('not_for_this_request');
  const last = claims.document.expires;
  if (last !== null && today(now) > last) throw new Refusal('document_expired');

  const digits = show.otp.toString().padStart(8, '0');
  return {
    issuer: signer.issuer,
    list: claims.list,
    index: claims.index,
    step: show.step,
    n: show.n,
    issued: claims.issued,
    expires,
    isEmergency: now >= claims.issued + LIFE,
    custody: claims.custody,
    digits: `${digits.slice(0, 4)} ${digits.slice(4)}`,
    dayKey: claims.dayKey,
    document: claims.document,
  };
}

/**
 * @param {import('./token.js').Token} token
 * @param {TrustList} trust
 */
async function checkIssuer({ issuer, claims }, trust) {
  const { signer, known } = await findSigner(issuer, ISSUER_AAD, trust.keysFor(USE.credentials));
  if (!signer) throw new Refusal(known ? 'bad_signature' : 'unknown_issuer');
  if (!signer.types.includes(claims.document.type) || !signsAt(signer, claims.issued)) throw new Refusal('unknown_issuer');
  return signer;
}

/** @param {import('./token.js').Token} token */
async function checkShow({ issuer, device, claims }) {
  const message = toSign(await boundAad('DQ1/show', issuer), device.payload);
  if (!(await verifies(await publicKey(claims.dayKey), message, device.signature))) {
    throw new Refusal('bad_signature');
  }
}

/**
 * The credential a code belongs to, as a hash for a memory of used codes: says nothing of the document.
 * @param {Verified} verified
 */
export async function placeHash({ issuer, list, index }) {
  return toHex(await sha256(utf8(`signer-verifier place ${issuer} ${list} ${index}`)));
}

/** The code's own hash, for a history that keeps neither code nor claims. @param {string} text */
export async function tokenHash(text) {
  return toHex(await sha256(concat(utf8('signer-verifier code '), utf8(text))));
}
