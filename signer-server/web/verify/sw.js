/**
 * Keeps one whole version of the page. `files.json` names every file with its SHA-256; a version is taken only when all
 * of it has arrived as named, and then serves every load until a newer one has. What the page fetches as data is not kept here.
 */

const PREFIX = 'verify-';
const FILES = new URL('files.json', self.location.href).href;
const PAGE = new URL('index.html', self.location.href).href;
const ROOT = new URL('./', self.location.href).href;

self.addEventListener('install', (event) => event.waitUntil(fetchVersion().then(() => self.skipWaiting())));
self.addEventListener('activate', (event) => event.waitUntil(dropOthers().then(() => self.clients.claim())));
self.addEventListener('message', (event) => {
  const answer = fetchVersion().then(async (isNew) => {
    if (isNew) await dropOthers();
    event.ports[0]?.postMessage(isNew ? 'new' : 'same');
  });
  event.waitUntil(answer.catch(() => event.ports[0]?.postMessage('same')));
});
self.addEventListener('fetch', (event) => {
  const { request } = event;
  if (request.method === 'GET' && request.url.startsWith(self.location.origin)) event.respondWith(serve(request));
});

/** @param {Request} request */
async function serve(request) {
  const url = request.url.split(/[?#]/)[0];
  const cache = await currentCache();
  return (await cache?.match(url === ROOT ? PAGE : url)) ?? fetch(request);
}

/** Versions kept, oldest first. */
const versions = async () => (await caches.keys()).filter((name) => name.startsWith(PREFIX)).sort();

/** The newest complete version: its `files.json` was put last. */
async function currentCache() {
  for (const name of (await versions()).reverse()) {
    const cache = await caches.open(name);
    if (await cache.match(FILES)) return cache;
  }
  return null;
}

/** @returns {Promise<boolean>} whether another version than before was taken */
async function fetchVersion() {
  const response = await fetch(FILES, { cache: 'no-store' });
  if (!response.ok) throw new Error(`files.json: ${response.status}`);
  const { version, files } = await response.clone().json();
  const before = await (await currentCache())?.match(FILES);
  if (before && (await before.json()).version === version) return false;
  const fetched = await Promise.all(Object.entries(files).map(([path, sha256]) => fetchFile(path, String(sha256))));
  // By time first, so that the newest sorts last whatever its version says.
  const cache = await caches.open(`${PREFIX}${Date.now()}-${version}`);
  for (const [url, file] of fetched) await cache.put(url, file);
  await cache.put(FILES, response);
  return before !== undefined;
}

/**
 * @param {string} path
 * @param {string} sha256 hexadecimal
 * @returns {Promise<[string, Response]>}
 */
async function fetchFile(path, sha256) {
  const url = new URL(path, self.location.origin).href;
  const response = await fetch(url, { cache: 'no-cache', redirect: 'error' });
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer()));
  const hex = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
  if (!response.ok || hex !== sha256) throw new Error(`${path} is not the file that was named`);
  return [url, response];
}

async function dropOthers() {
  await Promise.all((await versions()).slice(0, -1).map((name) => caches.delete(name)));
}
