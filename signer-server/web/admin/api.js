/**
 * The operator's API as the page uses it. The token is kept in this module only: a reload forgets it.
 *
 * @typedef {{ id: string, name: string, may_ask: boolean, may_verify: boolean, report: string[], report_deceased: boolean, generates_for?: string, kept_bytes: number, revoked: boolean }} Party
 * @typedef {{ id: string, relying_party: string, status: string, documents: number, created: number, expires: number }} Summary
 * @typedef {{ index: number, at: number, act: string, subject?: string, relying_party?: string, object?: string, detail?: string }} AuditLine
 * @typedef {{ node: string, version: string, time: number, started: number, unready: string[],
 *   totals: { calls: number, refused: number, failed: number, signatures: number, wrong_pins: number, keys_ended: number, codes_good: number, commits: number, acts: number },
 *   now: { connections: number, turns: number, turns_max: number, waiting: number, store_waiting: number, audit_entries: number, checkpoint_age: number, webhooks_waiting: number, memory: number, leads: boolean },
 *   call_seconds: { at_most?: number, count: number }[] }} Figures
 */

/** Entries of the audit log that are asked for at once. */
export const AUDIT_LINES = 50;

let token = '';

/** @param {string} given none forgets it */
export const use = (given) => {
  token = given;
};

/** What the server refused (RFC 9457), or that it was not reached: then the code is `unreached`. */
export class Problem extends Error {
  /** @param {string} code @param {string} [detail] */
  constructor(code, detail) {
    super(detail ?? code);
    this.code = code;
  }
}

/** @param {string} method @param {string} path @param {object} [body] */
async function call(method, path, body) {
  /** @type {Record<string, string>} */
  const headers = { authorization: `Bearer ${token}` };
  if (body) headers['content-type'] = 'application/json';
  const init = { method, headers, body: body && JSON.stringify(body), cache: /** @type {const} */ ('no-store') };
  const response = await fetch(`v1/${path}`, init).catch(() => {
    throw new Problem('unreached');
  });
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Problem(String(answer.code), answer.detail ?? answer.title);
  return answer;
}

/** @returns {Promise<Party[]>} */
export const parties = () => call('GET', 'relying-parties');
/** @param {string} party none for all @returns {Promise<Summary[]>} newest first */
export const requests = (party) => call('GET', `requests?limit=100${party && `&relying_party=${encodeURIComponent(party)}`}`);
/** @param {string} about an id; none for all @param {number} [before] only entries before this place @returns {Promise<AuditLine[]>} newest first */
export const audit = (about, before) => {
  const query = new URLSearchParams({ limit: String(AUDIT_LINES) });
  if (about) query.set('about', about);
  if (before !== undefined) query.set('before', String(before));
  return call('GET', `audit/found?${query}`);
};
/** @returns {Promise<Figures>} of the node that answers */
export const figures = () => call('GET', 'figures');
/** @returns {Promise<{ key: string }>} */
export const auditKey = () => call('GET', 'audit/key');
/** @param {{ name: string, may_ask: boolean, may_verify: boolean }} party @returns {Promise<{ id: string, token: string }>} */
export const add = (party) => call('POST', 'relying-parties', party);
/** @param {string} id */
export const end = (id) => call('DELETE', `relying-parties/${encodeURIComponent(id)}`);
/** @param {string} id @param {object} [key] a public JWK; without one a secret is made, in a sandbox @returns {Promise<{ client_id: string, client_secret?: string }>} */
export const setClient = (id, key) => call('PUT', `relying-parties/${encodeURIComponent(id)}/oauth-client`, key ? { key } : {});
