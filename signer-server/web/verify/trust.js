/**
 * Whom this device trusts: the pinned root, the newest trust list, the newest of each status list. Fetched while online,
 * kept for offline, never replaced by an older one.
 */

import {
  STATUS_LIST_BYTES_MAX,
  TRUST_LIST_BYTES_MAX,
  fromBase64url,
  openStatusList,
  openTrustList,
  ruleFor,
  STANDARD,
} from '../verifier/src/index.js';
import * as store from './store.js';

export const REFRESH_SECONDS = 900;
const FETCH_MS = 20_000;
/** A list that its issuer no longer names is kept so long: no credential in it lives longer. */
const LIST_KEPT_SECONDS = 4 * 86_400;

/**
 * @typedef {{
 *   root: string | null, otherRoot: string | null, server: string, rule: import('../verifier/src/step.js').StepRule,
 *   list: import('../verifier/src/trust-list.js').TrustList | null,
 *   statusLists: Map<string, import('../verifier/src/status-list.js').StatusList>,
 *   clockFloor: number, fetched: number | null,
 * }} Trust
 */

/** @type {Trust} */
export const trust = {
  root: null,
  otherRoot: null,
  server: location.origin,
  rule: STANDARD,
  list: null,
  statusLists: new Map(),
  clockFloor: 0,
  fetched: null,
};

export const now = () => Math.floor(Date.now() / 1000);

/** Reads what is kept; checks every signature again. */
export async function load() {
  trust.root = (await store.get('root')) ?? null;
  trust.server = (await store.get('server')) ?? location.origin;
  trust.rule = ruleFor((await store.get('stepSeconds')) ?? STANDARD.seconds);
  trust.clockFloor = (await store.get('clockFloor')) ?? 0;
  trust.fetched = (await store.get('fetched')) ?? null;
  const kept = await store.get('trustList');
  if (!trust.root || !kept) return;
  // A list that a rotated root signed is read under that root, which was believed when it came.
  const under = (await store.get('trustListRoot')) ?? fromBase64url(trust.root);
  trust.list = await openTrustList(kept, under).catch(() => null);
  if (!trust.list) return;
  for (const bytes of await store.lists()) await take(bytes).catch(() => {});
}

/**
 * Fetches everything that may be newer. What fails stays as it was.
 * @returns {Promise<boolean>} whether the server was reached
 */
export async function refresh() {
  const config = await fetchJson('config.json').catch(() => null);
  if (!config) return false;
  await believeConfig(config);
  await refreshTrustList();
  if (trust.list) {
    for (const issuer of trust.list.issuers.values()) await refreshStatusLists(issuer.statusUri).catch(() => {});
  }
  trust.fetched = now();
  await store.set('fetched', trust.fetched);
  return true;
}

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
  await store.forget('trustList');
  await store.forget('trustListRoot');
  for (const uri of trust.statusLists.keys()) await store.dropList(uri);
  Object.assign(trust, { root: trust.otherRoot, otherRoot: null, list: null, statusLists: new Map() });
  await store.set('root', trust.root);
  await refresh();
}

async function refreshTrustList() {
  if (!trust.root) return;
  const pinned = fromBase64url(trust.root);
  const bytes = await fetchBytes('/v1/trust-list', TRUST_LIST_BYTES_MAX).catch(() => null);
  const list = bytes && (await openTrustList(bytes, pinned, trust.list).catch(() => null));
  if (!list || list === trust.list) return;
  const underPinned = await openTrustList(list.bytes, pinned).then(() => true, () => false);
  const root = underPinned ? pinned : await rootOf(list.bytes, trust.list?.roots ?? []);
  await store.set('trustListRoot', root);
  await store.set('trustList', list.bytes);
  trust.list = list;
  await raiseFloor(list.issued);
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
 */
async function refreshStatusLists(statusUri) {
  const named = (await fetchJson(near(statusUri))).status_lists;
  const live = new Set(Array.isArray(named) ? named.filter((uri) => typeof uri === 'string') : []);
  for (const uri of live) {
    if (!uri.startsWith(`${statusUri}/`)) continue;
    await take(await fetchBytes(near(uri), STATUS_LIST_BYTES_MAX)).catch(() => {});
  }
  for (const [uri, list] of trust.statusLists) {
    const ended = list.issued < now() - LIST_KEPT_SECONDS;
    if (uri.startsWith(`${statusUri}/`) && !live.has(uri) && ended) await drop(uri);
  }
}

/** @param {Uint8Array} bytes */
async function take(bytes) {
  if (!trust.list) return;
  const fetched = await openStatusList(bytes, trust.list);
  const before = trust.statusLists.get(fetched.uri);
  // Within its quarter of an hour a list may be replaced by one that withdraws more.
  if (before && fetched.issued < before.issued) return;
  trust.statusLists.set(fetched.uri, fetched);
  await store.putList(fetched.uri, fetched.bytes);
  await raiseFloor(fetched.issued);
}

/** @param {string} uri */
async function drop(uri) {
  trust.statusLists.delete(uri);
  await store.dropList(uri);
}

/** @param {number} signed a time under a trusted signature */
export async function raiseFloor(signed) {
  trust.clockFloor = Math.max(trust.clockFloor, signed);
  await store.raise('clockFloor', trust.clockFloor);
}

/** The newest time to which every list of withdrawals is known, or null. */
export function withdrawalsKnownTo() {
  const times = Array.from(trust.statusLists.values(), (list) => list.issued);
  return times.length ? Math.max(...times) : null;
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
