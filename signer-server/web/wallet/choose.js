/** What is to be shown: the profile, or the answer to a shop's request. */

import * as api from './api.js';
import { icon, make, node, refocus } from '../verify/dom.js';
import { t } from './i18n.js';

/** @type {api.Profile[]} */
const PROFILES = ['age', 'minimal', 'full'];

/** @type {api.DocumentType} */
let document_type = 'identity_card';
/** @type {api.Profile} */
let profile = 'age';
let drawn = '';
/** @type {{ text: string, asked: api.Asked } | null} */
let request = null;

/** @typedef {(show: Parameters<typeof api.show>[0]) => void} Show */
/** @type {Show} */
let show = () => {};

/** Begins with the least, whatever was chosen before. @param {api.DocumentType} document */
export function open(document) {
  document_type = document;
  profile = 'age';
  drawn = '';
  forget();
}

/**
 * @param {Show} shown
 * @param {(act: () => Promise<unknown>) => Promise<void>} doing
 */
export function start(shown, doing) {
  show = shown;
  node('choose-form').addEventListener('submit', (event) => {
    event.preventDefault();
    // For the full document this press is the holder's "show to whoever scans".
    show({ document_type, profile, to_whoever_scans: profile === 'full' });
  });
  node('request-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const text = /** @type {HTMLTextAreaElement} */ (node('request-text')).value.trim();
    request = null;
    void doing(async () => {
      request = { text, asked: await api.readRequest(text) };
    });
  });
}

function forget() {
  request = null;
  /** @type {HTMLTextAreaElement} */ (node('request-text')).value = '';
}

/** @param {api.State} state */
export function draw({ documents }) {
  const held = documents.find(({ type }) => type === document_type) ?? documents[0];
  if (!held) return;
  const now = JSON.stringify([held, profile, document.documentElement.lang]);
  if (now !== drawn) {
    drawn = now;
    node('choose-document').textContent = t(held.type);
    const focused = document.activeElement?.getAttribute('value');
    node('profiles').replaceChildren(...PROFILES.map((name) => option(name, held.stock[name])));
    if (focused) refocus(node('profiles'), `[value="${focused}"]`);
    drawFull();
  }
  drawRequest();
}

function drawFull() {
  const full = profile === 'full';
  node('whoever-warning').hidden = !full;
  node('choose-show').textContent = t(full ? 'whoever' : 'show_code');
  node('choose-show').classList.toggle('careful', full);
}

/** @param {api.Profile} name @param {number} left */
function option(name, left) {
  const input = make('input', { type: 'radio', name: 'profile', value: name, 'aria-describedby': `about-${name}` });
  if (name === profile) input.setAttribute('checked', '');
  input.addEventListener('change', () => {
    profile = name;
    drawFull();
  });
  const title = make('span', { class: 'title' }, make('span', {}, t(`profile_${name}`)));
  if (name === 'age') title.append(make('span', { class: 'usual' }, t('usual')));
  return make(
    'label',
    { class: 'option' },
    input,
    title,
    make('span', { class: 'about', id: `about-${name}` },
      make('span', { class: 'learn' }, icon('check'), t(`${name}_learn`)),
      make('span', { class: name === 'full' ? 'keep none' : 'keep' }, icon(name === 'full' ? 'warning' : 'lock'), t(`${name}_keep`)),
      make('span', { class: 'left' }, left ? t('stock', { n: left }) : t('stock_none'))),
  );
}

/** What the shop's request says, before anything is shown. */
function drawRequest() {
  const read = node('request-read');
  read.hidden = !request;
  if (!request) return read.replaceChildren();
  const { text, asked } = request;
  const button = make('button', { type: 'button', class: 'primary' }, t('request_answer', { who: asked.name }));
  button.addEventListener('click', () => {
    show({ document_type: asked.document_type ?? document_type, profile: asked.profile, to_whoever_scans: false, request: text });
    forget();
  });
  read.replaceChildren(
    make('h2', {}, t('request_asks', { who: asked.name })),
    make('p', { class: 'learn' }, icon('check'), t(`${asked.profile}_learn`)),
    make('p', { class: 'hint' }, t('request_signed', { who: asked.name })),
    button,
  );
}
