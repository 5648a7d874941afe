/** Requests for signatures: the list on the first view, the verification code, the PIN, and a link that is pasted. */

import * as api from './api.js';
import { icon, make, node, say } from '../verify/dom.js';
import { clock, t } from './i18n.js';

const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (node(id));

/**
 * What the page lends: how to run an act, say what came of it, and change the view.
 *
 * @typedef {{
 *   doing: (act: () => Promise<unknown>) => Promise<void>,
 *   tell: (code: string, values?: Record<string, string | number>) => void,
 *   go: (view: string) => void,
 * }} Page
 */
/** @type {Page} */
let page = { doing: async () => {}, tell: () => {}, go: () => {} };
/** @type {api.Wanted[]} */
let requests = [];
/** Which is open. */
let id = '';
/** Tries that are left after a wrong PIN. @type {number | null} */
let left = null;
let drawn = '';
let busy = false;

const open = () => requests.find((request) => request.id === id);

/** @param {Page} lent */
export function start(lent) {
  page = lent;
  node('link-open').addEventListener('click', () => page.go('link'));
  node('link-form').addEventListener('submit', (event) => {
    event.preventDefault();
    act(async () => {
      const link = field('link-text').value.trim();
      field('link-text').value = '';
      const opened = await api.openLink(link);
      show(opened.id);
    });
  });
  node('pin-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const pin = field('pin').value;
    field('pin').value = '';
    const request = open();
    if (!request) return;
    act(async () => {
      const answer = await api.sign(request.id, pin);
      left = answer.signed ? null : answer.left;
      if (answer.signed) page.tell('signed', { who: request.who });
      else field('pin').focus();
    });
  });
  node('decline').addEventListener('click', () => {
    const request = open();
    if (!request) return;
    act(async () => {
      await api.decline(request.id);
      page.tell('declined', { who: request.who });
    });
  });
}

/** One at a time: a second press says nothing new. @param {() => Promise<void>} doing */
function act(doing) {
  if (busy) return;
  busy = true;
  void page.doing(doing).finally(() => {
    busy = false;
  });
}

/** @param {string} wanted */
function show(wanted) {
  [id, left, drawn] = [wanted, null, ''];
  field('pin').value = '';
  page.go('signing');
}

/** Whether the request that was open is still one. @param {api.Wanted[]} listed */
export function draw(listed) {
  requests = listed;
  const now = JSON.stringify([listed, id, left, document.documentElement.lang]);
  const request = open();
  if (now === drawn) return Boolean(request);
  drawn = now;
  node('wanted').hidden = listed.length === 0;
  node('wanted').replaceChildren(...listed.map(card));
  if (request) fill(request);
  return Boolean(request);
}

/** @param {api.Wanted} request */
function card(request) {
  const title = t('signing_title', { who: request.who });
  const button = make('button', { type: 'button', 'data-request': request.id }, icon('pen'), make('span', {}, title));
  button.addEventListener('click', () => {
    show(request.id);
    fill(request);
  });
  return make('li', {}, button);
}

/** @param {api.Wanted} request */
function fill({ who, text, documents, fields, codes }) {
  say(node('signing-title'), t('signing_title', { who }));
  say(node('signing-text'), text);
  node('signing-fields').hidden = fields.length === 0;
  node('signing-fields').replaceChildren(...fields.flatMap(({ label, value }) => [make('dt', {}, label), make('dd', {}, value)]));
  node('signing-documents').replaceChildren(...documents.map(({ name, sha256 }) => make('li', {}, make('strong', {}, name), make('span', { class: 'digest' }, `SHA-256 ${sha256}`))));
  const chose = !node('codes-choice').hidden && !codes;
  node('codes-choice').hidden = !codes;
  node('pin-form').hidden = Boolean(codes);
  say(node('codes-title'), t('codes_title', { who }));
  node('codes').replaceChildren(...(codes ?? []).map((code) => choice(code, who)));
  say(node('decline'), t(codes ? 'codes_none' : 'decline'));
  say(node('pin-error'), left === null ? '' : t('wrong_pin', { left }));
  if (chose && !node('signing').hidden) field('pin').focus();
}

/** @param {string} code @param {string} who */
function choice(code, who) {
  const button = make('button', { type: 'button', value: code }, code);
  button.addEventListener('click', () => {
    act(async () => {
      const { right } = await api.chooseCode(id, code);
      if (!right) page.tell('wrong_code', { who });
    });
  });
  return button;
}

/** @param {number} now seconds */
export function tick(now) {
  const request = open();
  if (request) say(node('signing-left'), t('signing_left', { left: clock(Math.max(0, Math.ceil(request.expires - now))) }));
}
