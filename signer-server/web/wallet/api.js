/**
 * The demo's phone over HTTP. It holds all state; the page asks again whenever it is told that something changed.
 *
 * @typedef {'age' | 'minimal' | 'full'} Profile
 * @typedef {'identity_card' | 'driving_licence'} DocumentType
 * @typedef {{ type: DocumentType, number: string, expires: string, stock: Record<Profile, number> }} Held
 * @typedef {{
 *   document_type: DocumentType, profile: Profile, whoever: boolean, request_of: string | null,
 *   qr: string, qr_side: number, bar: string | null, bar_svg: string | null, bar_width: number | null, number: string | null,
 *   until: number, step_seconds: number, turn: number, online: boolean, linkable: boolean, used_at: number | null,
 * }} Shown `qr_side` and `bar_width`: width of the pictures in modules, quiet zone counted in
 * @typedef {{ id: string, verifier: string, profile: Profile, document_type: DocumentType, match: string, expires: number }} Check
 * @typedef {{
 *   id: string, who: string, text: string, documents: { name: string, sha256: string }[], fields: { label: string, value: string }[],
 *   codes: string[] | null, expires: number,
 * }} Wanted a request for a signature; `codes` to choose from before the PIN
 * @typedef {{
 *   now: number, online: boolean, person: { family: string, given: string }, shop: string | null, documents: Held[],
 *   show: Shown | null, checks: Check[], requests: Wanted[], notice: { code: string, who: string | null } | null,
 * }} State
 * @typedef {{ at: number | null, kind: string, who: string | null, what: string | null, claims: string[] }} Entry
 * @typedef {{ name: string, profile: Profile, document_type: DocumentType | null }} Asked
 */

/** The code of a problem (RFC 9457), or `failed`. */
export class Problem extends Error {
  /** @param {string} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** @param {string} path @param {RequestInit} [init] */
async function call(path, init) {
  const response = await fetch(path, { cache: 'no-store', ...init });
  if (response.status === 204) return null;
  const body = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(typeof body.code === 'string' ? body.code : 'failed');
  return body;
}

/** @param {string} path @param {object} body */
const post = (path, body) => call(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });

/** @returns {Promise<State>} */
export const state = () => call('state');
/** Newest first. @returns {Promise<{ fault: string | null, entries: Entry[] }>} */
export const history = () => call('history');
/** @param {string} request @returns {Promise<Asked>} */
export const readRequest = (request) => post('request', { request });
/** @param {{ document_type: DocumentType, profile: Profile, to_whoever_scans: boolean, request?: string }} show */
export const show = (show) => post('show', show);
export const hide = () => post('hide', {});
/** @param {string} id @param {boolean} allow */
export const answer = (id, allow) => post(`checks/${encodeURIComponent(id)}`, { allow });

/** @param {string} link @returns {Promise<{ id: string }>} the request that it was of */
export const openLink = (link) => post('link', { link });
/** @param {string} id @param {string} act @param {object} body */
const about = (id, act, body) => post(`requests/${encodeURIComponent(id)}/${act}`, body);
/** The first choice decides. @param {string} id @param {string} code @returns {Promise<{ right: boolean }>} */
export const chooseCode = (id, code) => about(id, 'code', { code });
/** @param {string} id @param {string} pin @returns {Promise<{ signed: true } | { signed: false, left: number }>} */
export const sign = (id, pin) => about(id, 'sign', { pin });
/** @param {string} id */
export const decline = (id) => about(id, 'decline', {});

/** @param {() => void} changed @param {(reached: boolean) => void} reached */
export function listen(changed, reached) {
  const events = new EventSource('events');
  events.addEventListener('changed', changed);
  events.addEventListener('open', () => reached(true));
  events.addEventListener('error', () => reached(false));
}
