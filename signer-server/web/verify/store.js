/**
 * What this device keeps, in IndexedDB: settings, trust list, status lists, a memory of used codes, the last results.
 * Never a code, never a claim.
 */

import { judge } from '../verifier/src/index.js';

const NAME = 'signer-verify';
const VERSION = 1;
const HISTORY_MAX = 50;

/**
 * @template T
 * @param {IDBRequest<T>} request
 * @returns {Promise<T>}
 */
const done = (request) =>
  new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });

/** @type {Promise<IDBDatabase> | null} */
let opening = null;

function open() {
  opening ??= new Promise((resolve, reject) => {
    const request = indexedDB.open(NAME, VERSION);
    request.onupgradeneeded = () => {
      const database = request.result;
      database.createObjectStore('settings');
      database.createObjectStore('lists');
      database.createObjectStore('seen').createIndex('expires', 'expires');
      database.createObjectStore('history', { autoIncrement: true });
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  return opening;
}

/**
 * Runs `act` on one object store in one transaction; resolves once it is durable.
 * @template T
 * @param {string} name
 * @param {(store: IDBObjectStore) => Promise<T>} act awaits nothing but requests of the store
 * @returns {Promise<T>}
 */
async function write(name, act) {
  const transaction = (await open()).transaction(name, 'readwrite', { durability: 'strict' });
  const committed = new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve(undefined);
    transaction.onabort = () => reject(transaction.error);
  });
  const result = await act(transaction.objectStore(name));
  await committed;
  return result;
}

/** @param {string} name */
async function reading(name) {
  return (await open()).transaction(name).objectStore(name);
}

/** @param {string} key */
export const get = async (key) => done((await reading('settings')).get(key));

/** @param {string} key @param {unknown} value */
export const set = (key, value) => write('settings', (store) => done(store.put(value, key)));

/** @param {string} key */
export const forget = (key) => write('settings', (store) => done(store.delete(key)));

/**
 * @typedef {{ number: number, bytes: Uint8Array, root: Uint8Array }} KeptTrustList
 * @typedef {{ issued: number, bytes: Uint8Array }} KeptList
 */

/** Keeps a trust list, unless another tab has kept a newer one meanwhile. @param {KeptTrustList} list */
export const putTrustList = (list) => putNewer('settings', 'trustList', list, (before) => before.number > list.number);

/** Every status list kept. @returns {Promise<KeptList[]>} */
export const lists = async () => done((await reading('lists')).getAll());

/** Keeps a status list, unless another tab has kept a newer one meanwhile. @param {string} uri @param {KeptList} list */
export const putList = (uri, list) => putNewer('lists', uri, list, (before) => before.issued > list.issued);

/**
 * @template T
 * @param {string} name
 * @param {string} key
 * @param {T} value
 * @param {(before: T) => boolean} isNewer
 */
const putNewer = (name, key, value, isNewer) =>
  write(name, async (store) => {
    const before = await done(store.get(key));
    if (!before || !isNewer(before)) await done(store.put(value, key));
  });

/** @param {string} uri */
export const dropList = (uri) => write('lists', (store) => done(store.delete(uri)));

/** The memory of used codes, one for all tabs. @type {import('../verifier/src/check.js').Memory} */
export const memory = {
  accept: (place, show) =>
    write('seen', async (store) => {
      const answer = judge(await done(store.get(place)), show);
      if (answer === 'new') await done(store.put(show, place));
      return answer;
    }),
};

/** Forgets codes of credentials that have ended. @param {number} now Unix seconds */
export const expire = (now) =>
  write('seen', async (store) => {
    const ended = await done(store.index('expires').getAllKeys(IDBKeyRange.upperBound(now - 86_400)));
    for (const key of ended) await done(store.delete(key));
  });

/**
 * @typedef {{ result: string, reason: string, type: string | null, time: number, token: string | null }} Entry
 * `token` is a hash.
 */

/** @param {Entry} entry */
export const addHistory = (entry) =>
  write('history', async (store) => {
    await done(store.add(entry));
    const keys = await done(store.getAllKeys());
    for (const key of keys.slice(0, Math.max(0, keys.length - HISTORY_MAX))) await done(store.delete(key));
  });

/** Newest first. @returns {Promise<Entry[]>} */
export const history = async () => (await done((await reading('history')).getAll())).reverse();

export const clearHistory = () => write('history', (store) => done(store.clear()));
