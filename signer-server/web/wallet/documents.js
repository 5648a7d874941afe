/** The cards of the holder's documents, and how many codes are at hand. */

import { icon, make, node, refocus } from '../verify/dom.js';
import { dateOf, t } from './i18n.js';

const PROFILES = /** @type {const} */ (['age', 'minimal', 'full']);
const ICONS = { identity_card: 'person', driving_licence: 'car' };
const SHOWN_OF_NUMBER = 4;

let drawn = '';

/**
 * @param {import('./api.js').State} state
 * @param {(document: import('./api.js').DocumentType) => void} chosen
 */
export function draw({ person, documents }, chosen) {
  // Redrawn only when something changed, so that the focus stays where it is.
  const now = JSON.stringify([person, documents, document.documentElement.lang]);
  if (now === drawn) return;
  drawn = now;
  const focused = document.activeElement?.getAttribute('data-document');
  node('cards').replaceChildren(...documents.map((held) => card(person, held, chosen)));
  if (focused) refocus(node('cards'), `[data-document="${focused}"]`);
  node('stock').replaceChildren(...documents.map(stock));
}

/**
 * @param {import('./api.js').State['person']} person
 * @param {import('./api.js').Held} held
 * @param {(document: import('./api.js').DocumentType) => void} chosen
 */
function card(person, held, chosen) {
  const what = t(held.type);
  const any = PROFILES.some((profile) => held.stock[profile] > 0);
  const field = (/** @type {string} */ name, /** @type {string} */ value) =>
    make('span', { class: 'field' }, make('span', { class: 'name' }, name), make('span', { class: 'value' }, value));
  const button = make(
    'button',
    { type: 'button', class: 'document', 'data-document': held.type },
    make('span', { class: 'kind' }, make('span', {}, what), icon(ICONS[held.type])),
    make('span', { class: 'person', lang: 'uk' }, make('strong', {}, person.family), make('span', {}, person.given)),
    make('span', { class: 'fields' }, field(t('document_number'), held.number.slice(-SHOWN_OF_NUMBER)), field(t('valid_to'), dateOf(held.expires))),
    make('span', { class: any ? 'ready' : 'ready not' }, icon(any ? 'check' : 'offline'), t(any ? 'codes_left' : 'no_codes')),
  );
  button.addEventListener('click', () => chosen(held.type));
  return make('li', {}, button);
}

/** @param {import('./api.js').Held} held */
function stock(held) {
  const counts = PROFILES.map((profile) =>
    make('div', {}, make('dt', {}, t(`profile_${profile}`)), make('dd', {}, String(held.stock[profile]))));
  return make('div', { class: 'counts' }, make('h3', {}, t(held.type)), make('dl', {}, ...counts));
}
