/**
 * Whom this device trusts: the pinned root, the newest trust list, the newest of each status list. Fetched while online,
 * kept for offline, never replaced by an older one.
 */

import {
  STATUS_LIST_BYTES_MAX,
  TRUST_LIST_BYTES_MAX,
  USE,
  fromBase64url,
  openStatusList,
  openTrustList,
  ruleFor,
  STANDARD,
  toHex,
} from '../verifier/src/index.js';
import * as store from './store.js';

export const REFRESH_SECONDS = 900;
const FETCH_MS = 20_000;
/** Lists of three days, and some. */
const LISTS_MAX = 512;
/** A list that its issuer no longer names is kept so long: no credential in it lives longer. */
const LIST_KEPT_SECONDS = 4 * 86_400;

/**
 * @typedef {{
 *   root: string | null, otherRoot: string | null, server: string, rule: import('../verifier/src/step.js').StepRule,
 *   list: import('../verifier/src/trust-list.js').TrustList | null,
 *   statusLists: Map<string, import('../verifier/src/status-list.js').StatusList>,
 *   named: string[],
 *   answer: { time: number, signer: Uint8Array } | null,
 * }} Trust
 * `named` are the status lists that the issuers named last; `answer` is the newest signed answer's time and key.
 */

/** @type {Trust} */
export const trust = {
  root: null,
  otherRoot: null,
  server: location.origin,
  rule: STANDARD,
  list: null,
  statusLists: new Map(),
  named: [],
  answer: null,
};

export const now = () => Math.floor(Date.now() / 1000);

/** Reads what is kept; checks every signature again. */
export async function load() {
  trust.root = (await store.get('root')) ?? null;
  trust.server = (await store.get('server')) ?? location.origin;
  trust.rule = ruleFor((await store.get('stepSeconds')) ?? STANDARD.seconds);
  trust.named = (await store.get('named')) ?? [];
  trust.answer = (await store.get('answer')) ?? null;
  const kept = await store.get('trustList');
  if (!trust.root || !kept) return;
  // A list that a rotated root signed is read under that root, which was believed when it came.
  trust.list = await openTrustList(kept.bytes, kept.root).catch(() => null);
  if (!trust.list) return;
  for (const { bytes } of await store.lists()) {
    const list = await openStatusList(bytes, trust.list).catch(() => null);
    if (list) trust.statusLists.set(list.uri, list);
  }
}

/**
 * Fetches everything that may be newer, one tab at a time. What fails stays as it was.
 * @returns {Promise<boolean>} whether the server was reached
 */
export const refresh = async () => navigator.locks.request('refresh', fetchAll);

async function fetchAll() {
  const config = await fetchJson('config.json').catch(() => null);
  if (!config) return false;
  await believeConfig(config);
  await refreshTrustList();
  if (!trust.list) return true;
  const named = [];
  for (const issuer of trust.list.issuers.values()) {
    named.push(...(await refreshStatusLists(issuer.statusUri).catch(() => keptOf(issuer.statusUri))));
  }
  trust.named = named;
  await store.set('named', named);
  return true;
}

/** The lists of an issuer that was not reached: those it named before. @param {string} statusUri */
const keptOf = (statusUri) => trust.named.filter((uri) => uri.startsWith(`${statusUri}/`));

/** @param {any} config */
async function believeConfig(config) {
  trust.server = String(config.server);
  await store.set('server', trust.server);
  if (typeof config.step_seconds === 'number') {
    trust.rule = ruleFor(config.step_seconds);
    await store.set('stepSeconds', config.step_seconds);
  }
  const root = typeof config.root === 'string' ? config.root : null;
  // The first root seen is pinned; another one is a person's decision.
  if (root && !trust.root) {
    trust.root = root;
    await store.set('root', root);
  }
  trust.otherRoot = root && root !== trust.root ? root : null;
}

/** Trusts the other root the server names, and nothing of what the first one said. */
export async function replaceRoot() {
  if (!trust.otherRoot) return;
  for (const key of ['trustList', 'answer', 'named']) await store.forget(key);
  for (const uri of trust.statusLists.keys()) await store.dropList(uri);
  Object.assign(trust, { root: trust.otherRoot, otherRoot: null, list: null, statusLists: new Map(), named: [], answer: null });
  await store.set('root', trust.root);
  await refresh();
}

async function refreshTrustList() {
  if (!trust.root) return;
  const pinned = fromBase64url(trust.root);
  const bytes = await fetchBytes('/v1/trust-list', TRUST_LIST_BYTES_MAX).catch(() => null);
  const list = bytes && (await openTrustList(bytes, pinned, trust.list).catch(() => null));
  if (!list || list === trust.list) return;
  const root = await rootOf(list.bytes, [{ point: pinned }, ...(trust.list?.roots ?? [])]);
  await store.putTrustList({ number: list.number, bytes: list.bytes, root });
  trust.list = list;
  // What a removed key has signed goes with it, and its dates too.
  for (const [uri, statusList] of trust.statusLists) {
    if (!statusList.isTrusted(list)) await drop(uri);
  }
}

/** @param {Uint8Array} bytes @param {{ point: Uint8Array }[]} roots */
async function rootOf(bytes, roots) {
  for (const { point } of roots) {
    if (await openTrustList(bytes, point).then(() => true, () => false)) return point;
  }
  throw new Error('a list was believed under no root');
}

/**
 * All lists of an issuer, so that no fetch tells whose document is looked at.
 * @param {string} statusUri
 * @returns {Promise<string[]>} the lists it names
 */
async function refreshStatusLists(statusUri) {
  const told = (await fetchJson(near(statusUri))).status_lists;
  const isOne = (/** @type {unknown} */ uri) => typeof uri === 'string' && uri.startsWith(`${statusUri}/`);
  const named = Array.isArray(told) ? told.filter(isOne).slice(0, LISTS_MAX) : [];
  for (const uri of named) await fetchBytes(near(uri), STATUS_LIST_BYTES_MAX).then(take).catch(() => {});
  for (const [uri, list] of trust.statusLists) {
    const ended = list.issued < now() - LIST_KEPT_SECONDS;
    if (uri.startsWith(`${statusUri}/`) && !named.includes(uri) && ended) await drop(uri);
  }
  return named;
}

/**
 * Takes a list in the place of the one before, or throws.
 * @param {Uint8Array} bytes
 */
async function take(bytes) {
  if (!trust.list) return;
  const fetched = await openStatusList(bytes, trust.list);
  fetched.mustFollow(trust.statusLists.get(fetched.uri));
  trust.statusLists.set(fetched.uri, fetched);
  await store.putList(fetched.uri, { issued: fetched.issued, bytes: fetched.bytes });
}

/** @param {string} uri */
async function drop(uri) {
  trust.statusLists.delete(uri);
  await store.dropList(uri);
}

/**
 * Remembers when the server answered last.
 * @param {number} time under the signature
 * @param {Uint8Array} signer
 */
export async function noteAnswer(time, signer) {
  if (answerFloor() >= time) return;
  trust.answer = { time, signer };
  await store.set('answer', trust.answer);
}

/** The newest time of an answer whose key is still trusted: the clock cannot be before it. Lists have dates of their own. */
export function answerFloor() {
  const { answer, list } = trust;
  const isTrusted = answer && list?.keysFor(USE.answers).some((key) => toHex(key.point) === toHex(answer.signer));
  return isTrusted ? answer.time : 0;
}

/**
 * To when withdrawals are known: the date of the oldest list that is named.
 * @returns {{ time: number | null, missing: number, none: boolean }} how many were never fetched; whether there are none
 */
export function withdrawalsKnown() {
  const times = trust.named.flatMap((uri) => trust.statusLists.get(uri)?.issued ?? []);
  return { time: times.length ? Math.min(...times) : null, missing: trust.named.length - times.length, none: trust.list !== null && trust.named.length === 0 };
}

/**
 * The address on this page's own origin: the server's public name may be another than the one in the address bar, and
 * what a list says is under a signature wherever it is fetched.
 * @param {string} uri
 */
const near = (uri) => (uri.startsWith(`${trust.server}/`) ? uri.slice(trust.server.length) : uri);

/** @param {string} address */
async function fetchJson(address) {
  const response = await fetch(address, options());
  if (!response.ok) throw new Error(`${response.status}`);
  return response.json();
}

/**
 * @param {string} address
 * @param {number} bytesMax
 */
async function fetchBytes(address, bytesMax) {
  const response = await fetch(address, options());
  if (!response.ok) throw new Error(`${response.status}`);
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (bytes.length > bytesMax) throw new Error('too long');
  return bytes;
}

/** @returns {RequestInit} */
const options = () => ({
  cache: 'no-cache',
  credentials: 'omit',
  redirect: 'error',
  referrerPolicy: 'no-referrer',
  signal: AbortSignal.timeout(FETCH_MS),
});
