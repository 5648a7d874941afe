/** What happened with the holder's keys and documents: who, what, when, which claims. */

import * as api from './api.js';
import { icon, make, node } from './dom.js';
import { dayOf, hasText, t, timeOfDay } from './i18n.js';

/** @type {Record<string, string>} */
const ICONS = {
  check: 'shop', answer: 'check', refusal: 'cross', expired: 'clock', show: 'code', signature: 'pen', signature_declined: 'cross',
  wrong_pin: 'warning', enrolled: 'key', refresh: 'key', documents: 'person',
};
/** @type {Record<string, string>} */
const TONES = { answer: 'good', check: 'good', refusal: 'bad', wrong_pin: 'bad' };

let drawn = '';

/** @param {number} now seconds */
export async function load(now) {
  const list = node('entries');
  let entries;
  try {
    entries = await api.history();
  } catch {
    drawn = '';
    return list.replaceChildren(make('p', { class: 'empty' }, t('history_failed')));
  }
  const key = JSON.stringify([entries, document.documentElement.lang]);
  if (key === drawn) return;
  drawn = key;
  if (!entries.length) return list.replaceChildren(make('p', { class: 'empty' }, t('history_empty')));
  const days = Map.groupBy(entries, ({ at }) => dayOf(at, now));
  list.replaceChildren(...[...days].flatMap(([day, all]) => [make('h2', {}, day), make('ul', { class: 'entries' }, ...all.map(entry))]));
}

/** @param {api.Entry} entry */
function entry({ at, kind, who, what, claims }) {
  const known = hasText(`kind_${kind}`) ? kind : 'other';
  const about = what && hasText(what) ? t(what) : what;
  const line = make('span', { class: 'what' }, t(`kind_${known}`));
  if (about) line.append(': ', make('span', {}, about));
  const item = make(
    'li',
    {},
    make('span', { class: `mark ${TONES[known] ?? ''}` }, icon(ICONS[known] ?? 'code')),
    make('strong', {}, who ?? t(['check', 'show'].includes(known) ? 'unknown_reader' : 'this_phone')),
    make('time', { datetime: new Date(at * 1000).toISOString() }, timeOfDay(at)),
    line,
  );
  if (claims.length) {
    const names = claims.map((claim) => make('li', {}, hasText(`claim_${claim}`) ? t(`claim_${claim}`) : claim));
    item.append(make('ul', { class: 'claims', 'aria-label': t('claims_told') }, ...names));
  }
  return item;
}
