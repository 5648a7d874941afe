/**
 * The authorisation page: says who asks for what, has the phone asked once, waits for it, and goes back to the site.
 *
 * The visit's id is in the address, what makes it this browser's in a cookie that no script reads. What was decided is not in
 * this page: the server sends the browser back itself.
 */

import { otherLanguage, setLanguage, t } from './words.js';

const POLL_MS = 20_000;
const AGAIN_MS = 2_000;
const SECTIONS = ['who', 'waiting', 'leaving', 'over'];

/** @param {string} id */
const node = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const parameters = new URLSearchParams(location.search);
const visit = parameters.get('visit') ?? '';

/**
 * @typedef {{ relying_party: string, scope: 'service' | 'credential', text: string | null, documents: string[], state: 'new' | 'waiting' | 'decided',
 *   asks_who: boolean, seconds: number, verification_code: string | null }} Visit
 */

/** @type {Visit | null} */
let view = null;
let shown = '';
let noticed = '';
/** What the server says of an address that is wrong: for who made it. */
let reason = '';
/** When the phone's time ends, by this machine's clock. */
let ends = 0;
/** Goes up with each beginning: what an earlier one still waits for counts no more. */
let turn = 0;

/** @param {string} act @param {object} [body] */
function call(act, body) {
  const init = body && { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return fetch(`/oauth2/visits/${visit}${act}`, { cache: 'no-store', ...init });
}

/** @param {string} section */
function show(section) {
  const moved = section !== shown;
  shown = section;
  render();
  if (moved) node(`${section}-title`).focus();
}

/** @param {string} key of the words, or nothing */
function notice(key) {
  noticed = key;
  render();
}

function render() {
  const name = view?.relying_party ?? '';
  for (const id of SECTIONS) node(id).hidden = id !== shown;
  node('notice').hidden = !noticed;
  node('notice').textContent = noticed && t(noticed);
  node('again').hidden = !['busy', 'failed'].includes(noticed) || shown === 'over';
  node('cancel').hidden = !['who', 'waiting'].includes(shown);
  node('who-title').textContent = t('who_title', { name });
  node('leaving-title').textContent = t('leaving', { name });
  node('over-text').textContent = t(visit ? 'over_text' : 'over_link');
  node('over-reason').textContent = reason;
  node('language').textContent = t('other_language');
  node('language').setAttribute('lang', otherLanguage());
  if (!view) return;
  node('asks').textContent = t(`asks_${view.scope}`, { name });
  node('what').hidden = view.documents.length === 0;
  node('text').textContent = view.text ?? '';
  node('documents-title').textContent = t('documents', { n: view.documents.length });
  node('documents').replaceChildren(...view.documents.map((document_) => Object.assign(document.createElement('li'), { textContent: document_ })));
  node('code-card').hidden = !view.verification_code;
  node('code').textContent = view.verification_code ?? '';
  tick();
}

function tick() {
  const left = Math.max(0, Math.round((ends - performance.now()) / 1000));
  node('left').textContent = t('left', { m: Math.floor(left / 60), s: String(left % 60).padStart(2, '0') });
}

const pause = (/** @type {number} */ ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** From what the server knows to the way back, however often the connection breaks. */
async function go() {
  const mine = ++turn;
  let wait = 0;
  while (mine === turn) {
    const answer = await call(`?timeout_ms=${wait}`).catch(() => null);
    if (mine !== turn) return;
    if (answer?.status === 404) return show('over');
    if (!answer?.ok) {
      notice('offline');
      await pause(AGAIN_MS);
      wait = 0;
      continue;
    }
    wait = POLL_MS;
    view = /** @type {Visit} */ (await answer.json());
    ends = performance.now() + view.seconds * 1000;
    if (noticed === 'offline') noticed = '';
    if (view.state === 'decided') return leave();
    if (view.state === 'waiting') {
      show('waiting');
    } else if (view.asks_who) {
      return show('who');
    } else {
      if (!(await ask({}))) return;
      // What the phone is asked is shown at once.
      wait = 0;
    }
  }
}

/** Whether the phone is asked now. @param {{ person?: string }} who */
async function ask(who) {
  const answer = await call('/start', who).catch(() => null);
  if (answer?.ok) {
    notice('');
    return true;
  }
  if (answer?.status === 404) show('over');
  else notice(answer?.status === 429 ? 'busy' : 'failed');
  if (!shown) show('waiting');
  return false;
}

function leave() {
  show('leaving');
  location.replace(`/oauth2/visits/${visit}/return`);
}

/** @param {string} language */
function speak(language) {
  setLanguage(language);
  render();
}

function paint() {
  document.documentElement.dataset.theme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
}

async function begin() {
  paint();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', paint);
  speak(parameters.get('lang') ?? navigator.language);
  node('language').addEventListener('click', () => speak(otherLanguage()));
  node('who-form').addEventListener('submit', async (event) => {
    event.preventDefault();
    const person = /** @type {HTMLInputElement} */ (node('person')).value.trim();
    if (await ask({ person })) go();
  });
  node('again').addEventListener('click', () => {
    notice('');
    go();
  });
  node('cancel').addEventListener('click', async () => {
    turn += 1;
    await call('/cancel', {}).catch(() => null);
    leave();
  });
  setInterval(tick, 1000);
  addEventListener('offline', () => notice('offline'));
  addEventListener('online', () => {
    if (shown === 'waiting') go();
  });
  if (visit) {
    go();
  } else {
    // Where the address was wrong; the server says to programs how.
    const answer = await fetch(location.href, { headers: { accept: 'application/json' }, redirect: 'manual' }).catch(() => null);
    reason = (await answer?.json().catch(() => null))?.error_description ?? '';
    show('over');
  }
  document.documentElement.dataset.ready = 'true';
}

begin();
