/** What happened with the holder's keys and documents: who, what, when, which claims. */

import * as api from './api.js';
import { icon, make, node } from '../verify/dom.js';
import { dayOf, hasText, t, timeOfDay } from './i18n.js';

/** Kinds by what they look like; any other is like an entry of this phone. @type {Record<string, [string, string]>} */
const LOOKS = {
  verified: ['check', 'good'], denied: ['cross', 'bad'], asked: ['clock', ''], unanswered: ['clock', ''], refused: ['cross', 'bad'], shown: ['code', ''],
  signed: ['pen', 'good'], declined: ['cross', 'bad'], wrong_code: ['warning', 'bad'], wrong_pin: ['warning', 'bad'], issued: ['code', ''],
  document_changed: ['person', ''], document_withdrawn: ['warning', 'bad'], suspended: ['warning', 'bad'], frozen: ['warning', 'bad'],
  revoked: ['warning', 'bad'], reported_lost: ['warning', 'bad'], key_ended: ['warning', 'bad'], unreadable: ['lock', ''],
};
/** @type {Record<string, string>} */
const DONE_BY = {
  shown: 'unknown_reader', issued: 'by_register', document_changed: 'by_register', document_withdrawn: 'by_register',
  suspended: 'by_operator', resumed: 'by_operator', revoked: 'by_operator',
};

let drawn = '';

/** @param {number} now seconds */
export async function load(now) {
  const list = node('entries');
  const told = await api.history().catch(() => null);
  const key = JSON.stringify([told, document.documentElement.lang]);
  if (key === drawn) return;
  drawn = key;
  if (!told) return list.replaceChildren(make('p', { class: 'empty' }, t('history_failed')));
  const parts = told.fault ? [fault(told.fault)] : [];
  if (!told.entries.length) parts.push(make('p', { class: 'empty' }, t('history_empty')));
  for (const [day, entries] of byDay(told.entries, now)) {
    parts.push(make('h2', {}, day), make('ul', { class: 'entries' }, ...entries.map(entry)));
  }
  list.replaceChildren(...parts);
}

/** What has no time of its own stays with its neighbours. @param {api.Entry[]} entries @param {number} now */
function byDay(entries, now) {
  /** @type {Map<string, api.Entry[]>} */
  const days = new Map();
  let day = t('today');
  for (const entry of entries) {
    if (entry.at !== null) day = dayOf(entry.at, now);
    days.set(day, [...(days.get(day) ?? []), entry]);
  }
  return days;
}

/** @param {string} code */
const fault = (code) =>
  make('div', { class: 'strip warn', role: 'alert' }, icon('warning'),
    make('p', {}, make('strong', {}, t('fault_title')), ` ${t(`fault_${code}`)} ${t('fault_next')}`));

/** @param {api.Entry} entry */
function entry({ at, kind, who, what, claims }) {
  const [symbol, tone] = LOOKS[kind] ?? ['key', ''];
  const about = what && hasText(what) ? t(what) : what;
  const line = t(hasText(`kind_${kind}`) ? `kind_${kind}` : 'kind_unreadable');
  const item = make(
    'li',
    {},
    make('span', { class: `mark ${tone}` }, icon(symbol)),
    make('strong', {}, who ?? t(DONE_BY[kind] ?? 'this_phone')),
    at === null ? '' : make('time', { datetime: new Date(at * 1000).toISOString() }, timeOfDay(at)),
    make('span', { class: 'what' }, about ? `${line}: ${about}` : line),
  );
  if (claims.length) {
    const names = claims.map((claim) => make('li', {}, t(`claim_${claim}`)));
    item.append(make('ul', { class: 'claims', 'aria-label': t('claims_told') }, ...names));
  }
  return item;
}
