/** A whole check without network, as one result: verification, withdrawals, memory, the age of what is known. */

import { isPersonal } from './document.js';
import { Refusal, colourOf } from './refusal.js';
import { placeHash, verify } from './verify.js';
import { sentenceOf } from './words.js';

/** @typedef {import('./verify.js').Verified} Verified */

/**
 * The outcome in the form of the result file; words in English. Red says nothing of the document.
 * @typedef {{
 *   result: 'green' | 'amber' | 'red', reason: string, sentence: string, next_step: string,
 *   document_type: string | null, claims: import('./document.js').Claims | null, step: number | null,
 *   checked_at: number, offline: boolean, notes: string[], withdrawals_known_to: number | null,
 * }} VerificationResult
 */

/**
 * What was accepted here before, by the hash of a credential's place. `accept` looks and notes in one step, so that of
 * two checks at once one is the first; `judge` says what to answer.
 * @typedef {{ step: number, n: number, expires: number }} Seen
 * @typedef {{ accept(place: string, show: Seen): Promise<'new' | 'used' | 'superseded'> }} Memory
 */

/**
 * @param {{ step: number, n: number } | null | undefined} before the highest accepted
 * @param {{ step: number, n: number }} show
 * @returns {'new' | 'used' | 'superseded'}
 */
export function judge(before, show) {
  if (!before) return 'new';
  const later = show.step - before.step || show.n - before.n;
  return later > 0 ? 'new' : later === 0 ? 'used' : 'superseded';
}

/**
 * @param {string} text the text of a QR
 * @param {{
 *   trust: import('./trust-list.js').TrustList,
 *   statusLists?: Map<string, import('./status-list.js').StatusList>,
 *   memory?: Memory | null,
 * }} known status lists by URI
 * @param {import('./verify.js').VerifyOptions} options
 * @returns {Promise<VerificationResult & { clock: import('./refusal.js').ClockFault | null }>}
 *   `clock` says whose clock, for words in another language
 */
export async function checkOffline(text, { trust, statusLists = new Map(), memory = null }, options) {
  const signedTimes = Array.from(statusLists.values(), (list) => list.issued);
  const clockFloor = Math.max(options.clockFloor ?? 0, trust.issued, ...signedTimes);
  try {
    const verified = await verify(text, trust, { ...options, clockFloor });
    const found = statusLists.get(`${trust.issuers.get(verified.issuer)?.statusUri}/${verified.list}`);
    // A place beyond the end of its list is one that no list speaks of.
    const list = found && found.statusOf(verified.index) !== null ? found : null;
    refuseWithdrawn(verified, list);
    if (memory) await refuseSeen(verified, memory);
    return accepted(verified, trust, list, options.now);
  } catch (error) {
    if (error instanceof Refusal) return refused(error, options.now);
    throw error;
  }
}

/**
 * @param {Verified} verified
 * @param {import('./status-list.js').StatusList | null} list
 */
function refuseWithdrawn(verified, list) {
  const status = list?.statusOf(verified.index);
  if (status === 'revoked' || status === 'suspended') throw new Refusal(status);
}

/**
 * Refuses what was accepted here, and remembers this one.
 * @param {Verified} verified
 * @param {Memory} memory
 */
async function refuseSeen(verified, memory) {
  const { step, n, expires } = verified;
  const answer = await memory.accept(await placeHash(verified), { step, n, expires });
  if (answer !== 'new') throw new Refusal(answer);
}

/**
 * @param {Verified} verified
 * @param {import('./trust-list.js').TrustList} trust
 * @param {import('./status-list.js').StatusList | null} list
 * @param {number} now
 */
function accepted(verified, trust, list, now) {
  const { document_type, claims } = verified.document;
  const notes = ['copy not excluded'];
  if (isPersonal(document_type)) notes.push('photo not checked');
  if (verified.custody) notes.push('code made by a server');
  let reason = 'valid';
  if (verified.isEmergency) notes.push('emergency life');
  if (list === null) {
    notes.push('withdrawals not checked');
    reason = 'withdrawals_not_checked';
  } else if (list.isOld(now) || list.issued < verified.issued) {
    notes.push('status list old');
    reason = 'list_old';
  }
  if (trust.isOld(now)) {
    notes.push('trust list old');
    reason = 'trust_list_old';
  }
  return {
    ...words(reason, null, document_type),
    document_type,
    claims,
    step: verified.step,
    checked_at: now,
    withdrawals_known_to: list?.issued ?? null,
    offline: true,
    notes,
    clock: null,
  };
}

/**
 * @param {Refusal} refusal
 * @param {number} now
 */
function refused(refusal, now) {
  return {
    ...words(refusal.reason, refusal.clock),
    document_type: null,
    claims: null,
    step: null,
    checked_at: now,
    offline: true,
    notes: [],
    withdrawals_known_to: null,
    clock: refusal.clock,
  };
}

/**
 * @param {string} reason
 * @param {import('./refusal.js').ClockFault | null} [clock]
 * @param {string | null} [document_type]
 */
function words(reason, clock = null, document_type = null) {
  const { sentence, next } = sentenceOf({ reason, clock, document_type }, 'en');
  return { result: colourOf(reason), reason, sentence, next_step: next };
}
