/** A shop asks: the sheet that the holder answers. The oldest question first, one at a time. */

import { node, say } from '../verify/dom.js';
import { clock, t } from './i18n.js';

const LIFE = 120;
const BEHIND = '.skip, #screen, aside';

/** @type {import('./api.js').Check | null} */
let check = null;
/** Where the focus was before the sheet came. @type {Element | null} */
let before = null;

/** @param {(id: string, allow: boolean) => void} answered */
export function start(answered) {
  for (const [id, allow] of /** @type {[string, boolean][]} */ ([['deny', false], ['allow', true]])) {
    node(id).addEventListener('click', () => check && answered(check.id, allow));
  }
}

/** @param {import('./api.js').Check[]} checks */
export function draw(checks) {
  const next = checks[0] ?? null;
  const changed = next?.id !== check?.id;
  check = next;
  if (check) fill(check);
  if (changed) check ? open() : close();
}

/** @param {import('./api.js').Check} asked */
function fill({ verifier, profile, document_type, match }) {
  say(node('ask-title'), t('ask_title', { who: verifier }));
  say(node('ask-learn'), t(`${profile}_learn`));
  node('ask-learn').classList.toggle('careful', profile === 'full');
  say(node('ask-from'), profile === 'full' ? `${t('ask_from', { what: t(document_type) })} ${t('ask_full')}` : t('ask_from', { what: t(document_type) }));
  say(node('match'), match);
}

/** The dialog stays inside the drawn phone, so it is no `showModal`; what lies behind it is made inert. */
function open() {
  const sheet = /** @type {HTMLDialogElement} */ (node('ask'));
  if (!sheet.open) {
    before = document.activeElement;
    for (const behind of document.querySelectorAll(BEHIND)) behind.setAttribute('inert', '');
    node('shade').hidden = false;
    sheet.show();
  }
  node('ask-title').focus();
}

function close() {
  /** @type {HTMLDialogElement} */ (node('ask')).close();
  node('shade').hidden = true;
  for (const behind of document.querySelectorAll(BEHIND)) behind.removeAttribute('inert');
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
}

/** @param {number} now seconds */
export function tick(now) {
  if (!check) return;
  const left = Math.max(0, Math.ceil(check.expires - now));
  say(node('ask-left'), t('ask_left', { left: clock(left) }));
  node('life-left').style.setProperty('width', `${Math.min(100, (100 * left) / LIFE)}%`);
}
