/** One check from text to outcome: online where it can, offline where it may. */

import {
  Refusal,
  answersRequest,
  checkOffline,
  colourOf,
  placeHash,
  readToken,
  tokenHash,
  verify,
} from '../verifier/src/index.js';
import { Failure, checkOnline } from './online.js';
import * as store from './store.js';
import { answerFloor, now, trust } from './trust.js';

/**
 * @typedef {{
 *   result: 'green' | 'amber' | 'red' | 'grey', reason: string, clock: import('../verifier/src/refusal.js').ClockFault | null,
 *   document_type: string | null, claims: import('../verifier/src/document.js').Claims | null,
 *   predicates: Record<string, number | boolean> | null, portrait: Blob | null, notes: string[],
 *   time: number, offline: boolean, withdrawalsKnownTo: number | null, digits: string | null,
 * }} Outcome
 * `grey` is no verdict on the document; `reason` is then the code of a Failure.
 *
 * @typedef {{ token: string | null, ask: string, onlineOnly: boolean }} Settings
 */

/** What every outcome has. */
const EMPTY = { clock: null, document_type: null, claims: null, predicates: null, portrait: null, notes: [], withdrawalsKnownTo: null, digits: null };

/** The eight or sixteen digits of a short code, or null. @param {string} text */
export function numberOf(text) {
  const digits = text.replace(/[\s\u00a0-]/g, '');
  return /^([0-9]{8}|[0-9]{16})$/.test(digits) ? digits : null;
}

/**
 * @param {string} text of a QR, or digits
 * @param {Settings} settings
 * @param {import('../verifier/src/request.js').MadeRequest[] | null} requests shown and open; null where none is shown: then a
 *   code answers none
 * @param {(asked: import('./online.js').Asked) => void} onAsked
 * @param {AbortSignal} stop
 * @returns {Promise<Outcome>}
 */
export async function check(text, settings, requests, onAsked, stop) {
  const outcome = await decide(text, settings, requests, onAsked, stop).catch((error) => {
    if (error instanceof Failure) return failed(error.code);
    throw error;
  });
  if (outcome.result !== 'grey') await remember(text, outcome);
  return outcome;
}

/** @type {typeof check} */
async function decide(text, settings, requests, onAsked, stop) {
  const number = numberOf(text);
  if (number === null) {
    const refusal = misread(text);
    if (refusal) return refused(refusal);
  }
  const { token } = settings;
  if (number !== null && !token) throw new Failure('no_token');
  const request = number === null && requests?.find((one) => answersRequest(readToken(text), one));
  if (number === null && requests && !request) return refused(new Refusal('not_for_this_request'));
  const challenge = request ? request.challenge : null;
  if (token) {
    let wasAsked = false;
    const question = { code: number ?? text, token, profile: settings.ask, request: request ? request.text : null };
    try {
      const answer = await checkOnline(question, (open) => ((wasAsked = true), onAsked(open)), stop);
      if (number === null) await noteSeen(text, challenge);
      return { ...EMPTY, ...answer, offline: false };
    } catch (error) {
      const isGone = error instanceof Failure && error.code === 'network' && !stop.aborted;
      if (number !== null || !isGone) {
        if (number === null && wasAsked) await noteSeen(text, challenge);
        throw error;
      }
    }
  }
  return settings.onlineOnly ? refused(new Refusal('online_required')) : offline(text, challenge);
}

/**
 * The memory for offline checks learns of a code that the server has used up: it is good once, here too.
 * @param {string} text
 * @param {import('../verifier/src/bytes.js').Bytes | null} challenge
 */
async function noteSeen(text, challenge) {
  if (!trust.list) return;
  const checked = await verify(text, trust.list, { now: now(), rule: trust.rule, challenge }).catch(() => null);
  if (checked) await store.memory.accept(await placeHash(checked), { step: checked.step, n: checked.n, expires: checked.expires });
}

/** What is no code of ours never leaves this device. @param {string} text */
function misread(text) {
  try {
    readToken(text);
    return null;
  } catch (error) {
    if (error instanceof Refusal) return error;
    throw error;
  }
}

/**
 * @param {string} text
 * @param {import('../verifier/src/bytes.js').Bytes | null} challenge
 * @returns {Promise<Outcome>}
 */
async function offline(text, challenge) {
  if (!trust.list) throw new Failure('setup');
  const { sentence, next_step, withdrawals_known_to, checked_at, ...result } = await checkOffline(
    text,
    { trust: trust.list, statusLists: trust.statusLists, memory: store.memory },
    { now: now(), rule: trust.rule, clockFloor: answerFloor(), challenge },
  );
  const digits = String(readToken(text).show.otp).padStart(8, '0').replace(/^..../, '$& ');
  return {
    ...EMPTY,
    ...result,
    time: checked_at,
    withdrawalsKnownTo: withdrawals_known_to,
    digits: result.result === 'red' ? null : digits,
  };
}

/** @param {Refusal} refusal @returns {Outcome} */
const refused = ({ reason, clock }) => ({ ...EMPTY, result: colourOf(reason), reason, clock, time: now(), offline: true });

/** @param {Failure['code']} code @returns {Outcome} */
const failed = (code) => ({ ...EMPTY, result: 'grey', reason: code, time: now(), offline: true });

/** @param {string} text @param {Outcome} outcome */
async function remember(text, outcome) {
  const { result, reason, document_type, time } = outcome;
  await store.addHistory({ result, reason, type: document_type, time, token: await tokenHash(text) });
}
