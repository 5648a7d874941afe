/** The service worker that keeps the page for offline use: registration, and asking whether there is a newer version. */

/** @returns {any} */
function scriptUrl() {
  const url = new URL('sw.js', import.meta.url).href;
  const { trustedTypes } = /** @type {any} */ (globalThis);
  return trustedTypes?.createPolicy('signer', { createScriptURL: () => url }).createScriptURL('') ?? url;
}

export async function register() {
  if (!navigator.serviceWorker) return;
  await navigator.serviceWorker.register(scriptUrl(), { type: 'module', updateViaCache: 'none' }).catch((error) => console.error(error));
}

/** Has the worker fetch a newer version, if there is one. @returns {Promise<boolean>} whether the next load is another version */
export async function update() {
  const worker = navigator.serviceWorker?.controller;
  if (!worker) return false;
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = (event) => resolve(event.data === 'new');
    worker.postMessage('update', [port2]);
    setTimeout(() => resolve(false), 30_000);
  });
}
