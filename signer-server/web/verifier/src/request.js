/**
 * Business requests: what a shop shows so that the holder's phone names it and answers it alone. Two envelopes like a
 * code: the business's credential under the trust list, and its own signature over step, nonce and what is asked.
 */

import { decode as base45, encode as toBase45 } from './base45.js';
import { concat, equal, sha256, utf8 } from './bytes.js';
import { FormatError, decode, encode } from './cbor.js';
import { boundAad, findSigner, readSign1, signElement, toSign } from './cose.js';
import { DOCUMENT_TYPES, PROFILES } from './document.js';
import * as fields from './fields.js';
import { decompress, publicKey, verifies } from './p256.js';
import { Refusal } from './refusal.js';
import { STANDARD, clockFault, stepAt } from './step.js';
import { USE, signsAt } from './trust-list.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

export const REQUEST_PREFIX = 'DR1:';
const TEXT_MAX = 600;
const BYTES_MAX = 397;
const BUSINESS_AAD = utf8('DQ1/business');

/**
 * @typedef {{
 *   expires: number, issued: number, point: Bytes, name: string, profiles: number[], id: Bytes,
 *   element: import('./cose.js').Sign1,
 * }} Business
 * @typedef {{ text: string, challenge: Bytes, step: number, profile: number, type: number }} MadeRequest
 * @typedef {{ issuer: number, business: Business, challenge: Bytes, step: number, profile: number, type: number }} CheckedRequest
 */

/**
 * A business's credential, read and checked against the trust list.
 * @param {Uint8Array} bytes
 * @param {import('./trust-list.js').TrustList} trust
 * @param {number} now Unix seconds
 * @returns {Promise<Business>}
 * @throws {Refusal} unreadable, unknown_issuer, bad_signature, expired, clock
 */
export async function openBusiness(bytes, trust, now) {
  const business = readable(() => readBusiness(decode(bytes, BYTES_MAX)));
  await checkIssuer(business, trust);
  checkLife(business, trust, now, STANDARD);
  return business;
}

/** @param {import('./cbor.js').Cbor} value */
function readBusiness(value) {
  const element = readSign1(value, 'kid');
  const map = fields.map(decode(element.payload, BYTES_MAX), [4, 6, -1, -5, -6, -7]);
  const point = fields.bytes(map.get(-1), 33);
  decompress(point);
  const profiles = fields.array(map.get(-6), 1, 3).map((profile) => fields.uint(profile, 2));
  if (profiles.some((profile, at) => at > 0 && profile <= profiles[at - 1])) throw new FormatError('profiles repeat');
  const business = {
    expires: fields.uint(map.get(4)),
    issued: fields.uint(map.get(6)),
    point,
    name: fields.line(map.get(-5), 96, 1),
    profiles,
    id: fields.bytes(map.get(-7), 16),
    element,
  };
  if (business.expires <= business.issued) throw new FormatError('a credential that is never valid');
  return business;
}

/**
 * @param {Business} business
 * @param {import('./trust-list.js').TrustList} trust
 */
async function checkIssuer(business, trust) {
  const { signer, known } = await findSigner(business.element, BUSINESS_AAD, trust.keysFor(USE.businesses));
  if (!signer) throw new Refusal(known ? 'bad_signature' : 'unknown_issuer');
  if (!signsAt(signer, business.issued)) throw new Refusal('unknown_issuer');
  return signer.issuer;
}

/**
 * @param {Business} business
 * @param {import('./trust-list.js').TrustList} trust
 * @param {number} now
 * @param {import('./step.js').StepRule} rule
 */
function checkLife(business, trust, now, rule) {
  const floor = Math.max(business.issued, trust.issued);
  if (now + rule.grace < floor) throw new Refusal('clock', { code: 'behind', seconds: floor - now });
  if (now >= business.expires) throw new Refusal('expired');
}

/**
 * A request of this moment.
 * @param {Business} business
 * @param {CryptoKey} key the business's private key
 * @param {{ now: number, profile: number, type?: number, rule?: import('./step.js').StepRule, nonce?: Bytes }} asked
 *   `type` 0 is any document; `nonce` is for tests
 * @returns {Promise<MadeRequest>}
 */
export async function makeRequest(business, key, { now, profile, type = 0, rule = STANDARD, nonce }) {
  if (!business.profiles.includes(profile)) throw new RangeError('the business may not ask for this profile');
  const step = stepAt(rule, now);
  const payload = encode([step, nonce ?? crypto.getRandomValues(new Uint8Array(16)), profile, type]);
  const request = await signElement(key, await boundAad('DQ1/request', business.element), payload);
  const token = concat(Uint8Array.of(0x82), business.element.bytes, encode(request));
  const text = REQUEST_PREFIX + toBase45(token);
  if (text.length > TEXT_MAX) throw new RangeError('the request is longer than 600 characters');
  return { text, challenge: await challengeOf(token), step, profile, type };
}

/**
 * What the phone does with a request; here for tests and for whoever writes a phone.
 * @param {string} text
 * @param {import('./trust-list.js').TrustList} trust
 * @param {{ now: number, rule?: import('./step.js').StepRule }} options
 * @returns {Promise<CheckedRequest>}
 * @throws {Refusal}
 */
export async function checkRequest(text, trust, { now, rule = STANDARD }) {
  if (!text.startsWith(REQUEST_PREFIX)) throw new Refusal('not_ours');
  const { token, business, request, row } = readable(() => {
    const token = text.length <= TEXT_MAX ? base45(text.slice(REQUEST_PREFIX.length)) : null;
    if (token === null) throw new FormatError('not base45 of a request');
    const [first, second] = fields.array(decode(token, BYTES_MAX), 2);
    const request = readSign1(second, 'no kid');
    const row = fields.array(decode(request.payload, BYTES_MAX), 4);
    return { token, business: readBusiness(first), request, row: readRow(row) };
  });
  const issuer = await checkIssuer(business, trust);
  const message = toSign(await boundAad('DQ1/request', business.element), request.payload);
  if (!(await verifies(await publicKey(business.point), message, request.signature))) {
    throw new Refusal('bad_signature');
  }
  checkLife(business, trust, now, rule);
  const fault = clockFault(rule, row.step, now);
  if (fault) throw new Refusal('clock', fault);
  if (!business.profiles.includes(row.profile)) throw new Refusal('not_allowed');
  return { issuer, business, challenge: await challengeOf(token), ...row };
}

/** @param {import('./cbor.js').Cbor[]} row */
function readRow([step, nonce, profile, type]) {
  fields.bytes(nonce, 16);
  const row = { step: fields.uint(step), profile: fields.uint(profile, 2), type: fields.uint(type, 255) };
  if (row.type !== 0 && !(row.type in DOCUMENT_TYPES)) throw new FormatError('an unknown kind of document');
  return row;
}

/** @param {Uint8Array} token */
async function challengeOf(token) {
  return (await sha256(concat(utf8('DQ1/req'), token))).slice(0, 16);
}

/**
 * Whether a code answers a request with what it asked for: this challenge, this profile, this kind of document. Read
 * from the code, so it says nothing of signatures.
 * @param {import('./token.js').Token} token
 * @param {MadeRequest} request
 */
export function answersRequest({ claims: { document }, show }, request) {
  const isAsked = document.profile === PROFILES[request.profile] && (request.type === 0 || request.type === document.type);
  return isAsked && sameChallenge(show.challenge, request.challenge);
}

/** @param {Bytes | null} a @param {Bytes | null} b */
export const sameChallenge = (a, b) => (a && b ? equal(a, b) : a === b);

/**
 * @template T
 * @param {() => T} read
 */
function readable(read) {
  try {
    return read();
  } catch (error) {
    if (error instanceof FormatError) throw new Refusal('unreadable');
    throw error;
  }
}
