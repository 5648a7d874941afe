/** The result, over the whole screen: colour, icon, word, one sentence, one next step. */

import { sentenceOf } from '../verifier/src/index.js';
import { currentLanguage, dateOf, hasText, t, when } from './i18n.js';

/** @param {string} id */
const node = (id) => /** @type {HTMLElement} */ (document.getElementById(id));
const dialog = /** @type {HTMLDialogElement} */ (node('result'));

/** @type {import('./check.js').Outcome | null} */
let shown = null;
let portraitUrl = '';

/** @param {import('./check.js').Outcome} outcome */
export function show(outcome) {
  shown = outcome;
  render();
  if (!dialog.open) dialog.showModal();
  node('again').focus({ preventScroll: true });
  dialog.scrollTop = 0;
  // Browsers refuse it, loudly, on a page that nobody has touched yet.
  if (navigator.userActivation?.hasBeenActive) navigator.vibrate?.(outcome.result === 'green' ? 80 : [80, 80, 80]);
}

export function render() {
  if (!shown) return;
  const outcome = shown;
  dialog.dataset.result = outcome.result;
  node('verdict').textContent = t(outcome.result);
  const words = wordsOf(outcome);
  node('sentence').textContent = words.sentence;
  node('next').textContent = words.next;
  renderClaims(outcome);
  node('notes').replaceChildren(...outcome.notes.filter(isTold).map((note) => element('li', t(note))));
  node('when').textContent = whenOf(outcome);
}

/** Closes and forgets what the document said. */
export function close() {
  shown = null;
  if (dialog.open) dialog.close();
  node('claims').replaceChildren();
  URL.revokeObjectURL(portraitUrl);
}

/** @param {() => void} onClose */
export function onClose(onClose) {
  node('again').addEventListener('click', close);
  dialog.addEventListener('close', () => {
    // The event comes later: by then the next result may stand there.
    if (dialog.open) return;
    close();
    onClose();
  });
}

/** @param {import('./check.js').Outcome} outcome */
function wordsOf(outcome) {
  if (outcome.result === 'grey') {
    return { sentence: t(`fail_${outcome.reason}`), next: t(`fail_${outcome.reason}_next`) };
  }
  const known = outcome.reason === 'register_not_reached' && (outcome.claims || outcome.predicates);
  const reason = known ? 'register_not_reached_known' : outcome.reason;
  return sentenceOf({ reason, clock: outcome.clock, document_type: outcome.document_type }, currentLanguage());
}

/** A note that is known here: several words. @param {string} note */
const isTold = (note) => note.includes(' ') && hasText(note);

/** @param {import('./check.js').Outcome} outcome */
function whenOf(outcome) {
  if (outcome.result === 'grey') return '';
  const parts = [`${t(outcome.offline ? 'checked_offline' : 'checked_online')}, ${when(outcome.time)}`];
  if (outcome.withdrawalsKnownTo) parts.push(t('withdrawals_at', { when: when(outcome.withdrawalsKnownTo) }));
  return parts.join(' · ');
}

/** @param {import('./check.js').Outcome} outcome */
function renderClaims(outcome) {
  const box = node('claims');
  const rows = rowsOf(outcome);
  const type = outcome.document_type && hasText(outcome.document_type) ? t(outcome.document_type) : null;
  box.hidden = !type && rows.length === 0;
  const list = element('dl');
  for (const [name, value] of rows) {
    if (name) list.append(element('dt', name));
    list.append(Object.assign(element('dd', value), { className: name ? '' : 'headline' }));
  }
  box.replaceChildren(...(type ? [element('h2', type)] : []), ...portraitIn(outcome), list);
}

/** @param {import('./check.js').Outcome} outcome */
function portraitIn({ portrait }) {
  URL.revokeObjectURL(portraitUrl);
  if (!portrait) return [];
  portraitUrl = URL.createObjectURL(portrait);
  return [Object.assign(document.createElement('img'), { src: portraitUrl, alt: t('portrait') })];
}

/**
 * Name and value of what the document says; no name for what stands big.
 * @param {import('./check.js').Outcome} outcome
 * @returns {[string, string][]}
 */
function rowsOf({ result, claims, predicates, digits }) {
  if (result === 'red' || result === 'grey') return [];
  /** @type {[string, string][]} */
  const rows = [];
  const { age, minimal, full, vehicle } = /** @type {Record<string, any>} */ (claims ?? {});
  if (full) {
    rows.push(['', `${full.family} ${full.given}`.trim()], [t('birth'), dateOf(full.birth)], [t('number'), full.number]);
    rows.push([t('expires'), dateOf(full.expires)]);
    if (full.rights) rows.push([t('rights'), full.rights]);
  } else if (minimal) {
    const birthday = `${String(Math.floor(minimal.ddmm / 100)).padStart(2, '0')}.${String(minimal.ddmm % 100).padStart(2, '0')}`;
    rows.push(['', t(`over18_${Boolean(minimal.over18)}`)], [t('initials'), minimal.initials], [t('birthday'), birthday]);
  } else if (vehicle) {
    rows.push(['', vehicle.plate], [t('model'), vehicle.model], [t('number'), vehicle.number], [t('expires'), dateOf(vehicle.expires)]);
  } else if (age) {
    rows.push(['', t('over', { n: age.over })]);
  } else if (predicates && 'over' in predicates) {
    rows.push(['', t('over', { n: Number(predicates.over) })]);
  } else if (predicates && 'over18' in predicates) {
    rows.push(['', t(`over18_${Boolean(predicates.over18)}`)]);
  }
  if (digits) rows.push([t('digits'), digits]);
  return rows;
}

/** @param {string} tag @param {string} [text] */
function element(tag, text = '') {
  return Object.assign(document.createElement(tag), { textContent: text });
}
