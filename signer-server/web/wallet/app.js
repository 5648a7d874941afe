/** The wallet page: asks the phone for its state, and draws it. What is on the page but not in the state is only the view. */

import * as api from './api.js';
import * as ask from './ask.js';
import * as choose from './choose.js';
import * as code from './code.js';
import * as documents from './documents.js';
import { node, say } from '../verify/dom.js';
import * as history from './history.js';
import { hasText, otherLanguage, setLanguage, t } from './i18n.js';
import * as requests from './requests.js';

/** Also without an event the state is asked for this often, seconds. */
const ASK_AGAIN = 15;
const VIEWS = ['documents', 'choose', 'request', 'link', 'signing', 'code', 'history', 'safety'];

/** @type {api.State | null} */
let state = null;
/** When that state came, by the clock that nobody sets, milliseconds. */
let came = 0;
let view = 'documents';
let reached = true;
/** What this page itself has to say; goes with the next act. @type {{ code: string, values: Record<string, string | number> }} */
let said = { code: '', values: {} };

/** @param {string} code @param {Record<string, string | number>} [values] */
function tell(code, values = {}) {
  said = { code, values };
}


/** The phone's time, seconds; between two states by the page's own clock. */
const now = () => (state ? state.now + (performance.now() - came) / 1000 : 0);

/** @param {string} wanted @param {{ focus?: boolean }} [options] */
function go(wanted, { focus = true } = {}) {
  const moved = view !== wanted;
  view = wanted;
  for (const name of VIEWS) node(name).hidden = name !== view;
  node('tabs').hidden = !['documents', 'history', 'safety'].includes(view);
  for (const tab of node('tabs').querySelectorAll('button')) {
    if (tab.dataset.view === view) tab.setAttribute('aria-current', 'page');
    else tab.removeAttribute('aria-current');
  }
  if (view === 'history') void history.load(now());
  if (moved) node('main').scrollTop = 0;
  if (moved && focus) node(`${view}-title`).focus({ preventScroll: true });
}

/** Goes on, and says no more what was said. @param {string} wanted */
function goQuietly(wanted) {
  tell('');
  drawNotice();
  go(wanted);
}

/** Runs an act of the holder, and tells if it did not work. @param {() => Promise<unknown>} act */
async function doing(act) {
  tell('');
  try {
    await act();
  } catch (error) {
    tell(error instanceof api.Problem ? error.code : 'offline');
    node('main').scrollTop = 0;
  }
  await refresh();
}

/** States are asked for one at a time; a change while one is under way asks once more. */
let asking = false;
let again = false;
async function refresh() {
  if (asking) {
    again = true;
    return;
  }
  asking = true;
  try {
    do {
      again = false;
      state = await api.state();
      came = performance.now();
      reached = true;
    } while (again);
  } catch {
    reached = false;
  }
  asking = false;
  draw();
}

function draw() {
  const chip = node('network');
  const mode = reached && state?.online ? 'online' : 'offline';
  say(chip, t(mode));
  chip.dataset.mode = mode;
  drawNotice();
  if (!state) return;
  document.documentElement.dataset.ready = 'true';
  documents.draw(state, (document) => {
    choose.open(document);
    if (state) choose.draw(state);
    go('choose');
  });
  choose.draw(state);
  const asked = requests.draw(state.requests);
  if (view === 'signing' && !asked) go('documents');
  // Pictures are as large as their place, so that has to be on the screen first.
  if (state.show && view !== 'code') go('code');
  if (!state.show && view === 'code') go('documents');
  code.draw(state.show);
  ask.draw(state.checks);
  if (view === 'history') void history.load(now());
  const shop = node('shop');
  shop.hidden = !state.shop;
  if (state.shop) shop.setAttribute('href', state.shop);
  tick();
}

function drawNotice() {
  const notice = node('notice');
  const given = state?.notice;
  let text = '';
  if (!reached) text = t(state ? 'stopped' : 'starting');
  else if (said.code) text = t(hasText(`notice_${said.code}`) ? `notice_${said.code}` : 'notice_failed', said.values);
  else if (given && hasText(`notice_${given.code}`)) text = t(`notice_${given.code}`, { who: given.who ?? t('unknown_reader') });
  say(notice, text);
  notice.hidden = !text;
}

let sinceAsked = 0;
function tick() {
  if (!state) return;
  code.tick(now());
  ask.tick(now());
  requests.tick(now());
}

function everySecond() {
  tick();
  sinceAsked += 1;
  const ended = state?.show && now() >= state.show.until;
  if (sinceAsked >= ASK_AGAIN || ended) {
    sinceAsked = 0;
    void refresh();
  }
}

/** @param {string} language */
function speak(language) {
  setLanguage(language);
  const other = node('language');
  say(other, t('other_language'));
  other.setAttribute('aria-label', t('other_language_label'));
  other.lang = otherLanguage();
  draw();
}

/** Theme and language are of the reader, not of the phone. */
const kept = (/** @type {string} */ name) => localStorage.getItem(`wallet-${name}`);
const keep = (/** @type {string} */ name, /** @type {string} */ value) => localStorage.setItem(`wallet-${name}`, value);

function start() {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  document.documentElement.dataset.theme = kept('theme') ?? (dark ? 'dark' : 'light');
  node('theme').addEventListener('click', () => {
    const theme = document.documentElement.dataset.theme === 'dark' ? 'light' : 'dark';
    document.documentElement.dataset.theme = theme;
    keep('theme', theme);
  });
  node('language').addEventListener('click', () => {
    keep('language', otherLanguage());
    speak(otherLanguage());
  });
  for (const tab of node('tabs').querySelectorAll('button')) {
    tab.addEventListener('click', () => goQuietly(String(tab.dataset.view)));
  }
  for (const back of document.querySelectorAll('[data-back]')) {
    back.addEventListener('click', () => go(view === 'request' ? 'choose' : 'documents'));
  }
  node('request-open').addEventListener('click', () => go('request'));
  node('done').addEventListener('click', () => doing(api.hide));
  choose.start((show) => doing(() => api.show(show)), doing);
  requests.start({ doing, tell, go: goQuietly });
  ask.start((id, allow) => doing(() => api.answer(id, allow)));
  speak(kept('language') ?? navigator.language);
  go('documents', { focus: false });
  api.listen(() => void refresh(), (open) => {
    if (open || state) reached = open;
    if (open) void refresh();
    else draw();
  });
  addEventListener('resize', draw);
  document.addEventListener('visibilitychange', () => !document.hidden && void refresh());
  setInterval(everySecond, 1000);
  void refresh();
}

start();
