/** Checks by the server: a code or number goes out, a signed answer comes back, maybe after the holder was asked. */

import { AnswerError, USE, isPersonal, openAnswer, verifierOf } from '../verifier/src/index.js';
import { noteAnswer, now, trust } from './trust.js';

const ASK_MS = 15_000;
const POLL_MS = 20_000;
const ASK_TRIES = 3;
const POLL_TRIES = 6;
const RETRY_MS = 500;
/** How much older than this clock's now an answer may be, seconds: clocks are wrong by minutes. */
const ANSWER_AGE_MAX = 900;
/** What stands between here and the server says so; a server that is there and cannot answer is no missing network. */
const GATEWAY = [502, 504];

/** No answer to show; `code` is the end of a text `fail_…`. */
export class Failure extends Error {
  name = 'Failure';

  /** @param {'network' | 'token' | 'too_many' | 'server' | 'refused' | 'answer' | 'setup' | 'no_token'} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/**
 * @typedef {{ check: string, match: string, expires: number }} Asked
 * @typedef {{
 *   result: 'green' | 'amber' | 'red', reason: string, document_type: string | null,
 *   claims: import('../verifier/src/document.js').Claims | null, predicates: Record<string, number | boolean> | null,
 *   portrait: Blob | null, notes: string[], time: number,
 * }} OnlineResult
 */

/**
 * @param {{ code: string, token: string, profile: string, request: string | null }} question `request`: the text that was shown
 * @param {(asked: Asked) => void} onAsked the holder is being asked
 * @param {AbortSignal} stop
 * @returns {Promise<OnlineResult>}
 * @throws {Failure}
 */
export async function checkOnline({ code, token, profile, request }, onAsked, stop) {
  // Nothing is used up for an answer that could not be believed.
  if (!trust.list?.keysFor(USE.answers).length) throw new Failure('setup');
  const requestId = `web-${crypto.randomUUID()}`;
  const body = { code, request_id: requestId, ...(profile ? { profile } : {}), ...(request ? { request } : {}) };
  const question = { requestId, code, verifier: verifierOf(token), since: now() - ANSWER_AGE_MAX };
  const ask = () =>
    call('/v1/verifications', token, stop, ASK_MS, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  // The same id again gets the same answer: what was lost on the way is not used up for nothing.
  const first = await again(ask, ASK_TRIES, stop);
  if (first.status === 200) return believe(first.body, question);
  /** @type {Asked} */
  const asked = first.body;
  onAsked(asked);
  return believe(await waitFor(asked, token, stop), question);
}

/**
 * Tries again where the network or the server had a bad moment.
 * @template T
 * @param {() => Promise<T>} act
 * @param {number} tries
 * @param {AbortSignal} stop
 * @returns {Promise<T>}
 */
async function again(act, tries, stop) {
  for (let failures = 1; ; failures += 1) {
    try {
      return await act();
    } catch (error) {
      const isMoment = error instanceof Failure && (error.code === 'network' || error.code === 'server');
      if (!isMoment || stop.aborted || failures >= tries) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS * failures));
    }
  }
}

/**
 * @param {Asked} asked
 * @param {string} token
 * @param {AbortSignal} stop
 */
async function waitFor(asked, token, stop) {
  const path = `/v1/verifications/${encodeURIComponent(asked.check)}?timeout_ms=${POLL_MS}`;
  for (;;) {
    const answer = await again(() => call(path, token, stop, POLL_MS + ASK_MS, {}), POLL_TRIES, stop);
    if (answer.status === 200) return answer.body;
  }
}

/**
 * @param {string} path
 * @param {string} token
 * @param {AbortSignal} stop
 * @param {number} limit ms
 * @param {RequestInit} init
 */
async function call(path, token, stop, limit, init) {
  const response = await fetch(path, {
    ...init,
    headers: { ...init.headers, authorization: `Bearer ${token}` },
    cache: 'no-store',
    credentials: 'omit',
    redirect: 'error',
    referrerPolicy: 'no-referrer',
    signal: AbortSignal.any([stop, AbortSignal.timeout(limit)]),
  }).catch(() => {
    throw new Failure('network');
  });
  if (response.status === 200 || response.status === 202) return { status: response.status, body: await json(response) };
  if (response.status === 401 || response.status === 403) throw new Failure('token');
  if (response.status === 429) throw new Failure('too_many');
  throw new Failure(GATEWAY.includes(response.status) ? 'network' : response.status >= 500 ? 'server' : 'refused');
}

/** @param {Response} response */
const json = (response) =>
  response.json().catch(() => {
    throw new Failure('network');
  });

/**
 * Takes from the answer what its signature covers, the portrait by its digest; of notes only the known ones are told.
 * @param {any} body
 * @param {import('../verifier/src/answer.js').Question} question
 * @returns {Promise<OnlineResult>}
 */
async function believe(body, question) {
  if (!trust.list) throw new Failure('setup');
  try {
    const portrait = bytesOf(body.portrait);
    const { payload, claims, signer } = await openAnswer(String(body.answer), body.disclosure ?? null, trust.list, {
      ...question,
      codeSalt: body.code_salt,
      portrait,
    });
    await noteAnswer(payload.iat, signer);
    return {
      result: payload.result,
      reason: payload.reason,
      document_type: payload.document_type ?? null,
      claims: payload.result === 'red' ? null : claims,
      predicates: payload.predicates ?? null,
      portrait: portrait && new Blob([portrait], { type: portrait[0] === 0x89 ? 'image/png' : 'image/jpeg' }),
      notes: notesOf(payload, portrait, body.notes),
      time: payload.iat,
    };
  } catch (error) {
    if (error instanceof AnswerError) throw new Failure('answer');
    throw error;
  }
}

/**
 * What the answer does not cover: no portrait of a person means that no photo was checked, whatever is said beside the signature.
 * @param {import('../verifier/src/answer.js').AnswerPayload} payload
 * @param {Uint8Array | null} portrait
 * @param {unknown} told
 */
function notesOf({ result, document_type }, portrait, told) {
  if (result === 'red') return [];
  const others = Array.isArray(told) ? told.filter((note) => note !== 'photo not checked') : [];
  return portrait || !isPersonal(document_type) ? others : ['photo not checked', ...others];
}

/** @param {unknown} base64 standard, or nothing */
function bytesOf(base64) {
  if (typeof base64 !== 'string') return null;
  try {
    return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  } catch {
    throw new Failure('answer');
  }
}
