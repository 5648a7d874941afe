/** Checks by the server: a code or number goes out, a signed answer comes back, maybe after the holder was asked. */

import { AnswerError, openAnswer } from '../verifier/src/index.js';
import { raiseFloor, trust } from './trust.js';

const ASK_MS = 15_000;
const POLL_MS = 20_000;

/** No answer to show; `code` is the end of a text `fail_…`. */
export class Failure extends Error {
  name = 'Failure';

  /** @param {'network' | 'token' | 'too_many' | 'server' | 'answer' | 'setup' | 'no_token'} code */
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
 * @param {{ code: string, token: string, profile: string, challenge: string | null }} question
 * @param {(asked: Asked) => void} onAsked the holder is being asked
 * @param {AbortSignal} stop
 * @returns {Promise<OnlineResult>}
 * @throws {Failure}
 */
export async function checkOnline({ code, token, profile, challenge }, onAsked, stop) {
  const requestId = `web-${crypto.randomUUID()}`;
  const body = { code, request_id: requestId, ...(profile ? { profile } : {}), ...(challenge ? { challenge } : {}) };
  const ask = () =>
    call('/v1/verifications', token, stop, ASK_MS, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });
  // The same id again gets the same answer: what was lost on the way is not used up for nothing.
  const first = await ask().catch((error) => (retryable(error) ? ask() : Promise.reject(error)));
  if (first.status === 200) return believe(first.body, requestId);
  /** @type {Asked} */
  const asked = first.body;
  onAsked(asked);
  return believe(await waitFor(asked, token, stop), requestId);
}

/** @param {unknown} error */
const retryable = (error) => error instanceof Failure && error.code === 'network';

/**
 * @param {Asked} asked
 * @param {string} token
 * @param {AbortSignal} stop
 */
async function waitFor(asked, token, stop) {
  const path = `/v1/verifications/${encodeURIComponent(asked.check)}?timeout_ms=${POLL_MS}`;
  let failures = 0;
  for (;;) {
    try {
      const answer = await call(path, token, stop, POLL_MS + ASK_MS, {});
      if (answer.status === 200) return answer.body;
      failures = 0;
    } catch (error) {
      failures += 1;
      if (!retryable(error) || stop.aborted || failures > 5) throw error;
      await new Promise((resolve) => setTimeout(resolve, 1_000 * failures));
    }
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
  throw new Failure(response.status >= 500 ? 'network' : 'server');
}

/** @param {Response} response */
const json = (response) =>
  response.json().catch(() => {
    throw new Failure('network');
  });

/**
 * Takes from the answer what its signature covers, the portrait by its digest; of notes only the known ones are told.
 * @param {any} body
 * @param {string} requestId
 * @returns {Promise<OnlineResult>}
 */
async function believe(body, requestId) {
  if (!trust.list) throw new Failure('setup');
  try {
    const portrait = bytesOf(body.portrait);
    const { payload, claims } = await openAnswer(String(body.answer), body.disclosure ?? null, trust.list, requestId, portrait);
    await raiseFloor(payload.iat);
    return {
      result: payload.result,
      reason: payload.reason,
      document_type: payload.document_type ?? null,
      claims: payload.result === 'red' ? null : claims,
      predicates: payload.predicates ?? null,
      portrait: portrait && new Blob([portrait], { type: portrait[0] === 0x89 ? 'image/png' : 'image/jpeg' }),
      notes: Array.isArray(body.notes) ? body.notes : [],
      time: payload.iat,
    };
  } catch (error) {
    if (error instanceof AnswerError) throw new Failure('answer');
    throw error;
  }
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
