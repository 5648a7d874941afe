/** The page: views, the camera, one check at a time, fresh lists every quarter of an hour. */

import { sentenceOf } from '../verifier/src/index.js';
import { check, numberOf } from './check.js';
import { currentLanguage, otherLanguage, setLanguage, t, when } from './i18n.js';
import * as request from './request.js';
import * as result from './result.js';
import { Scanner, readPicture, warmUp } from './scanner.js';
import * as settings from './settings.js';
import * as store from './store.js';
import { REFRESH_SECONDS, load, now, refresh, trust, withdrawalsKnown } from './trust.js';
import { listen } from './wedge.js';
import * as worker from './worker.js';

const VIEWS = ['scan', 'asked', 'history', 'settings'];
const TICK_MS = 1_000;

/** @param {string} id */
const node = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const digits = /** @type {HTMLInputElement} */ (node('digits'));
const scanner = new Scanner(/** @type {HTMLVideoElement} */ (node('video')), (text) => submit(text));

let view = 'scan';
let camera = 'off';
/** @type {AbortController | null} */
let running = null;
/** @type {import('./online.js').Asked | null} */
let asked = null;
let numberSaid = '';
let reached = navigator.onLine;
let refreshedAt = 0;
/** How many fetches of the lists are under way. */
let refreshing = 0;
let clockOff = 0;
let updateReady = false;

/** @param {string} wanted */
function go(wanted) {
  view = wanted;
  for (const id of VIEWS) node(id).hidden = id !== view;
  for (const button of document.querySelectorAll('[data-view]')) {
    button.toggleAttribute('aria-current', button.getAttribute('data-view') === view);
  }
  if (view === 'scan') scanner.resume();
  else scanner.pause();
  if (view === 'history') renderHistory();
  if (view === 'settings') settings.render();
}

/** One check from a text to the result on the screen. @param {string} text */
async function submit(text) {
  if (running) return;
  running = new AbortController();
  result.close();
  scanner.pause();
  say('');
  document.body.toggleAttribute('data-busy', true);
  try {
    const outcome = await check(text, settings.current(), request.open(), showAsked, running.signal);
    // Stopped by the clerk while the holder was asked: there is nothing to show.
    if (outcome.result === 'grey' && running.signal.aborted) return go('scan');
    if (outcome.result === 'green' || outcome.result === 'amber') request.spent();
    if (!outcome.offline) reached = true;
    go('scan');
    scanner.pause();
    result.show(outcome);
    digits.value = '';
  } catch (error) {
    console.error(error);
    scanner.resume();
  } finally {
    running = null;
    asked = null;
    document.body.toggleAttribute('data-busy', false);
    render();
  }
}

/** @param {import('./online.js').Asked} open */
function showAsked(open) {
  asked = open;
  go('asked');
  render();
  node('asked-stop').focus();
  announce(`${t('asked_title')}: ${Array.from(open.match).join(' ')}. ${t('asked_compare')}`);
}

async function startCamera() {
  camera = 'starting';
  render();
  try {
    await scanner.start();
    camera = 'on';
  } catch (error) {
    const name = error instanceof DOMException ? error.name : '';
    camera = name === 'NotAllowedError' ? 'denied' : name === 'NotFoundError' ? 'none' : 'failed';
  }
  render();
}

/** @param {string} key of a text, or nothing */
function say(key) {
  numberSaid = key;
  digits.toggleAttribute('aria-invalid', Boolean(key));
  if (key) announce(t(key));
  render();
}

/** For screen readers; the dialog of a result speaks for itself. @param {string} text */
function announce(text) {
  node('announce').textContent = text;
}

function render() {
  const { token, onlineOnly } = settings.current();
  const isOnline = Boolean(token) && reached;
  node('mode').textContent = t(isOnline ? 'mode_online' : onlineOnly ? 'mode_blocked' : 'mode_offline');
  node('mode').dataset.mode = isOnline ? 'online' : onlineOnly ? 'blocked' : 'offline';
  node('number-hint').textContent = numberSaid ? t(numberSaid) : t(token ? 'number_hint' : 'number_hint_offline');
  node('camera').dataset.state = camera;
  node('camera-text').textContent = camera === 'on' || camera === 'starting' ? '' : t(`camera_${camera}`);
  node('camera-start').hidden = camera === 'on' || camera === 'starting';
  if (asked) {
    node('asked-match').textContent = asked.match;
    node('asked-left').textContent = t('asked_left', { s: Math.max(0, asked.expires - now()) });
  }
  renderRequest();
  renderNotice();
  renderAges();
}

function renderRequest() {
  const toggle = node('request-toggle');
  toggle.hidden = !request.isReady();
  toggle.textContent = t(request.isShowing() ? 'request_off' : 'request_on');
  node('request').hidden = !request.isShowing();
  node('request-name').textContent = request.businessName();
}

function renderNotice() {
  const text = !isSecureContext
    ? t('insecure')
    : trust.otherRoot
      ? t('root_changed')
      : Math.abs(clockOff) > 60
        ? t('clock_off', { s: Math.abs(clockOff) })
        : updateReady
          ? t('update_ready')
          : '';
  const notice = node('notice');
  notice.hidden = !text;
  if (notice.dataset.text === text) return;
  notice.dataset.text = text;
  notice.textContent = text;
  if (text && updateReady && !trust.otherRoot) {
    const button = Object.assign(document.createElement('button'), { type: 'button', textContent: t('update_now') });
    button.addEventListener('click', () => location.reload());
    notice.append(' ', button);
  }
}

function renderAges() {
  const known = withdrawalsKnown();
  const isBehind = known.missing > 0 || (known.time === null && !known.none) || now() - (known.time ?? now()) >= 86_400;
  const part = (/** @type {string} */ name, /** @type {number | null} */ time, /** @type {boolean} */ old) => {
    const span = Object.assign(document.createElement('span'), { className: old ? 'age old' : 'age' });
    span.textContent = `${t(name)}: ${time === null ? t(old ? 'age_never' : 'trust_none') : when(time)}${old && time !== null ? ` (${t('age_old')})` : ''}`;
    return span;
  };
  const parts = [
    part('age_issuers', trust.list?.issued ?? null, !trust.list || trust.list.isOld(now())),
    part('age_withdrawals', known.time, isBehind),
  ];
  const text = parts.map((span) => span.textContent).join();
  if (node('ages').dataset.text === text) return;
  node('ages').dataset.text = text;
  node('ages').replaceChildren(...parts);
}

async function renderHistory() {
  const entries = await store.history();
  const items = entries.map((entry) => {
    const item = Object.assign(document.createElement('li'), { className: entry.result });
    const cell = (/** @type {string} */ text, /** @type {string} */ kind) =>
      item.append(Object.assign(document.createElement('span'), { textContent: text, className: kind }));
    cell(t(entry.result), 'word');
    cell([entry.type ? t(entry.type) : '', sentenceOf(entry, currentLanguage()).sentence].filter(Boolean).join(' · '), 'what');
    cell(when(entry.time), 'time');
    return item;
  });
  const none = Object.assign(document.createElement('li'), { textContent: t('history_empty'), className: 'none' });
  node('history-list').replaceChildren(...(items.length ? items : [none]));
}

async function refreshLists() {
  refreshing += 1;
  node('refresh').setAttribute('aria-busy', 'true');
  await fetchLists().finally(() => (refreshing -= 1));
  if (refreshing === 0) node('refresh').removeAttribute('aria-busy');
}

async function fetchLists() {
  refreshedAt = now();
  const probe = await fetch('config.json', { cache: 'no-store', credentials: 'omit' }).catch(() => null);
  const told = Date.parse(probe?.headers.get('date') ?? '');
  clockOff = Number.isNaN(told) ? 0 : now() - Math.floor(told / 1_000);
  reached = await refresh();
  await request.load();
  await store.expire(now());
  updateReady = await worker.update();
  render();
  settings.renderFacts();
}

async function drawRequest() {
  // Seen before it is drawn: its size is that of its place.
  node('request').hidden = false;
  await request.draw(/** @type {HTMLCanvasElement} */ (node('request-code')));
  render();
}

function tick() {
  if (now() - refreshedAt >= REFRESH_SECONDS) refreshLists();
  if (!running && request.isStale()) drawRequest();
  render();
}

/** @param {string} language */
function speak(language) {
  setLanguage(language);
  localStorage.setItem('language', currentLanguage());
  const button = node('language');
  button.textContent = t('other_language');
  button.setAttribute('aria-label', `${t('other_language')}: ${t('other_language_label')}`);
  button.lang = otherLanguage();
  result.render();
  render();
  if (view === 'history') renderHistory();
  settings.renderFacts();
}

/** @param {string | null} theme */
function paint(theme) {
  const wanted = theme ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  document.documentElement.dataset.theme = wanted;
}

function connect() {
  for (const button of document.querySelectorAll('[data-view]')) {
    button.addEventListener('click', () => {
      running?.abort();
      go(String(button.getAttribute('data-view')));
    });
  }
  node('camera-start').addEventListener('click', startCamera);
  node('number').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = digits.value.trim();
    if (text.startsWith('DQ1:') || numberOf(text)) submit(numberOf(text) ?? text);
    else say('number_bad');
  });
  digits.addEventListener('input', () => say(''));
  node('picture').addEventListener('change', async (event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    const [file] = input.files ?? [];
    input.value = '';
    const text = file ? await readPicture(file) : null;
    if (text !== null) submit(text);
    else if (file) say('picture_none');
  });
  node('asked-stop').addEventListener('click', () => running?.abort());
  node('history-clear').addEventListener('click', async () => {
    await store.clearHistory();
    renderHistory();
  });
  node('request-toggle').addEventListener('click', () => (request.isShowing() ? (request.hide(), render()) : drawRequest()));
  node('language').addEventListener('click', () => speak(otherLanguage()));
  node('theme').addEventListener('click', () => {
    const next = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    localStorage.setItem('theme', next);
    paint(next);
  });
  result.onClose(() => {
    scanner.resume();
    (camera === 'on' ? node('main') : digits).focus({ preventScroll: true });
  });
  settings.connect({ onChange: render, onRefresh: refreshLists });
  listen(
    (text) => submit(numberOf(text) ?? text),
    (target) => view === 'scan' && (!(target instanceof HTMLInputElement || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) || target === digits),
  );
  addEventListener('online', refreshLists);
  addEventListener('offline', () => {
    reached = false;
    render();
  });
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => paint(localStorage.getItem('theme')));
}

/** A link may carry a token for a device that has none. It is shown, kept only on "Save", and gone from the address. */
function offeredToken() {
  const [, token] = /^#token=([\x21-\x7e]{16,200})$/.exec(location.hash) ?? [];
  if (location.hash) history.replaceState(null, '', location.pathname);
  return token ?? null;
}

async function start() {
  paint(localStorage.getItem('theme'));
  speak(localStorage.getItem('language') ?? navigator.language);
  if (!isSecureContext) return;
  connect();
  go('scan');
  const offered = offeredToken();
  worker.register();
  await settings.load();
  await load();
  await request.load();
  render();
  if (offered && !settings.current().token) {
    go('settings');
    settings.offer(offered);
  }
  warmUp();
  // The first time there is nothing to check with until the lists are here.
  const fresh = refreshLists();
  if (!trust.list) await fresh;
  // Where the camera was allowed before, it starts by itself.
  const allowed = await navigator.permissions?.query({ name: /** @type {PermissionName} */ ('camera') }).catch(() => null);
  if (allowed?.state === 'granted') startCamera();
  await fresh;
  setInterval(tick, TICK_MS);
  document.documentElement.dataset.ready = 'true';
}

start();
