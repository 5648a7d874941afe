/** The operator's page: live figures, relying parties, their keys, how their requests ended, and the audit log. */

import { make, node, say } from '../verify/dom.js';
import { wordsOf } from '../verify/language.js';
import * as api from './api.js';
import { auditLog } from './audit.js';
import { liveFigures } from './figures.js';
import { TEXTS } from './texts.js';

const { t, hasText, setLanguage, otherLanguage, locale } = wordsOf(TEXTS);

/** @type {api.Party[]} */
let parties = [];
/** @type {api.Summary[]} */
let requests = [];
/** Whom the open dialog is about. @type {api.Party | null} */
let chosen = null;

const field = (/** @type {string} */ id) => /** @type {HTMLInputElement} */ (node(id));
const dialog = (/** @type {string} */ id) => /** @type {HTMLDialogElement} */ (node(id));
const nameOf = (/** @type {string} */ id) => parties.find((party) => party.id === id)?.name ?? id;

const log = auditLog({ t, hasText, locale, nameOf });

const live = liveFigures({ t, hasText, locale }, doing);

/** Does one thing and says what went wrong. @param {() => Promise<void>} act */
async function doing(act) {
  say(node('notice'), '');
  try {
    await act();
  } catch (error) {
    if (!(error instanceof api.Problem)) throw error;
    const known = `problem_${error.code}`;
    say(node('notice'), hasText(known) ? t(known) : t('problem', { detail: error.message }));
    if (error.code === 'unauthenticated') enter(false);
  }
}

async function load() {
  [parties, requests] = await Promise.all([api.parties(), api.requests(field('filter').value), log.load()]);
  draw();
}

/** @param {boolean} inside */
function enter(inside) {
  node('enter').hidden = inside;
  node('parties').hidden = !inside;
  node('leave').hidden = !inside;
  if (inside) {
    void live.watch();
    return node('parties-title').focus();
  }
  api.use('');
  [parties, requests] = [[], []];
  log.forget();
  live.forget();
  draw();
  node('token').focus();
}

function draw() {
  node('party-rows').replaceChildren(...(parties.length ? parties.map(partyRow) : [empty(5)]));
  drawFilter();
  log.draw();
  live.draw();
  node('request-rows').replaceChildren(...(requests.length ? requests.map(requestRow) : [empty(5)]));
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const { status } of requests) counts.set(status, (counts.get(status) ?? 0) + 1);
  const each = [...counts].map(([status, count]) => `${statusText(status)} ${count}`).join(', ');
  say(node('counts'), requests.length ? t('counts', { count: requests.length, each }) : '');
}

/** @param {number} columns */
const empty = (columns) => make('tr', {}, make('td', { colspan: String(columns), class: 'hint' }, t('none')));

/** @param {string} status */
const statusText = (status) => (hasText(`status_${status}`) ? t(`status_${status}`) : status);

/** @param {api.Party} party */
function partyRow(party) {
  const may = [
    [party.may_ask, 'may_ask'],
    [party.may_verify, 'may_verify'],
    [party.report.length > 0 || party.report_deceased, 'may_report'],
    [party.generates_for !== undefined, 'may_generate'],
  ];
  const rights = may.filter(([there]) => there).map(([, key]) => t(String(key)));
  const acts = make('td', { class: 'acts' });
  if (party.revoked) acts.append(t('revoked'));
  else {
    if (party.may_ask) acts.append(button('set_key', 'set_key_of', party, 'key'));
    acts.append(button('end', 'end_of', party, 'end'));
  }
  return make('tr', party.revoked ? { class: 'ended' } : {}, make('th', { scope: 'row' }, party.name), make('td', {}, rights.join(', ')), make('td', {}, mebibytes(party.kept_bytes)), make('td', {}, make('code', {}, party.id)), acts);
}

/** @param {number} bytes */
const mebibytes = (bytes) => `${(bytes / 2 ** 20).toLocaleString(locale(), { maximumFractionDigits: 1 })} MiB`;

/** @param {string} text @param {string} label @param {api.Party} party @param {'key' | 'end'} opens */
function button(text, label, party, opens) {
  const made = make('button', { type: 'button', 'aria-label': t(label, { name: party.name }) }, t(text));
  made.addEventListener('click', () => {
    chosen = party;
    say(node(`${opens}-title`), t(label, { name: party.name }));
    field('jwk').value = '';
    dialog(opens).showModal();
  });
  return made;
}

function drawFilter() {
  const filter = field('filter');
  const before = filter.value;
  const option = (/** @type {string} */ value, /** @type {string} */ text) => make('option', { value }, text);
  filter.replaceChildren(option('', t('everybody')), ...parties.map(({ id, name }) => option(id, name)));
  filter.value = parties.some(({ id }) => id === before) ? before : '';
}

/** @param {api.Summary} request */
function requestRow(request) {
  const made = new Date(request.created * 1000);
  const time = make('time', { datetime: made.toISOString() }, made.toLocaleString(locale(), { dateStyle: 'short', timeStyle: 'medium' }));
  const status = make('td', {}, make('span', { class: 'status', 'data-status': request.status }, statusText(request.status)));
  return make('tr', {}, make('td', {}, time), make('td', {}, nameOf(request.relying_party)), make('td', {}, String(request.documents)), status, make('td', {}, make('code', {}, request.id)));
}

/** Shows what is told once. @param {[string, string][]} values */
function hand(values) {
  node('shown-values').replaceChildren(...values.flatMap(([key, value]) => [make('dt', {}, t(key)), make('dd', {}, make('code', {}, value))]));
  dialog('shown').showModal();
}

async function add() {
  const party = { name: field('name').value, may_ask: field('ask').checked, may_verify: field('verify').checked };
  const made = await api.add(party);
  hand([['shown_id', made.id], ['shown_token', made.token]]);
  field('name').value = '';
  await load();
}

async function setKey() {
  if (!chosen) return;
  const text = field('jwk').value.trim();
  let key;
  try {
    key = text ? JSON.parse(text) : undefined;
  } catch {
    return say(node('notice'), t('jwk_bad'));
  }
  const client = await api.setClient(chosen.id, key);
  if (client.client_secret) hand([['shown_id', client.client_id], ['shown_secret', client.client_secret]]);
  else say(node('notice'), t('done_key'));
}

async function end() {
  if (!chosen) return;
  await api.end(chosen.id);
  say(node('notice'), t('done_end', { name: chosen.name }));
  await load();
}

/** @param {string} id @param {() => Promise<void>} act */
const onSubmit = (id, act) =>
  node(id).addEventListener('submit', (event) => {
    event.preventDefault();
    const within = /** @type {HTMLElement} */ (event.currentTarget).closest('dialog');
    within?.close();
    void doing(act);
  });

/** @param {string} language */
function speak(language) {
  setLanguage(language);
  const other = node('language');
  say(other, t('other_language'));
  other.lang = otherLanguage();
  draw();
}

const kept = (/** @type {string} */ name) => localStorage.getItem(`admin-${name}`);
const keep = (/** @type {string} */ name, /** @type {string} */ value) => localStorage.setItem(`admin-${name}`, value);

function start() {
  const root = document.documentElement;
  root.dataset.theme = kept('theme') ?? (matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light');
  node('theme').addEventListener('click', () => {
    root.dataset.theme = root.dataset.theme === 'dark' ? 'light' : 'dark';
    keep('theme', root.dataset.theme);
  });
  node('language').addEventListener('click', () => {
    keep('language', otherLanguage());
    speak(otherLanguage());
  });
  node('leave').addEventListener('click', () => enter(false));
  node('key-cancel').addEventListener('click', () => dialog('key').close());
  node('end-cancel').addEventListener('click', () => dialog('end').close());
  // What was told once is not left in the page.
  node('shown').addEventListener('close', () => node('shown-values').replaceChildren());
  onSubmit('enter-form', async () => {
    api.use(field('token').value.trim());
    field('token').value = '';
    await load();
    enter(true);
  });
  onSubmit('add-form', add);
  onSubmit('key-form', setKey);
  onSubmit('end-form', end);
  onSubmit('filter-form', load);
  onSubmit('audit-form', log.search);
  node('older').addEventListener('click', () => void doing(log.older));
  node('audit-rows').addEventListener('click', ({ target }) => {
    const id = target instanceof Element && target.closest('button')?.value;
    if (!id) return;
    field('about').value = id;
    node('about').focus();
    void doing(log.search);
  });
  onSubmit('audit-key-form', async () => {
    field('audit-key').select();
    // Without https browsers do not copy; then it is selected.
    const copied = await navigator.clipboard?.writeText(field('audit-key').value).then(() => true, () => false);
    if (copied) say(node('notice'), t('copied'));
  });
  speak(kept('language') ?? navigator.language);
  root.dataset.ready = 'true';
}

start();
