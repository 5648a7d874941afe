/** The code on the screen: QR, bar code, number, and how long they last. */

import { node, say } from '../verify/dom.js';
import { clock, t } from './i18n.js';

/** The last seconds of a code are marked: it may change before it is typed. */
const SOON = 20;
/** For how long the screen says that the code was used. */
const USED_SAID = 12;
const GROUP = /(\d{4})(?=\d)/g;

/** @type {import('./api.js').Shown | null} */
let shown = null;
let announced = '';

/** @param {import('./api.js').Shown | null} show */
export function draw(show) {
  shown = show;
  if (!show) {
    announced = '';
    for (const id of ['qr', 'bar']) node(id).removeAttribute('src');
    for (const id of ['number', 'bar-digits', 'announce']) say(node(id), '');
    return;
  }
  say(node('code-title'), t('code_of', { what: t(show.document_type), profile: t(`profile_${show.profile}`) }));
  say(node('code-learn'), t(`${show.profile}_learn`));
  picture('qr', show.qr, show.qr_side);
  drawShort(show);
  node('turn').hidden = show.turn === 0;
  say(node('turn'), t('turn', { n: show.turn + 1 }));
  node('linkable').hidden = !show.linkable;
  node('code-whoever').hidden = !show.whoever;
  node('for-request').hidden = !show.request_of;
  if (show.request_of) say(/** @type {HTMLElement} */ (node('for-request').lastElementChild), t('for_request', { who: show.request_of }));
}

/** @param {import('./api.js').Shown} show */
function drawShort(show) {
  const { bar, bar_svg, bar_width, number } = show;
  node('short').hidden = number === null;
  node('no-short').hidden = number !== null;
  if (number === null || bar === null || bar_svg === null) {
    announced = '';
    return;
  }
  picture('bar', bar_svg, bar_width ?? 0);
  say(node('bar-digits'), bar.replace(GROUP, '$1 '));
  say(node('number'), number.replace(GROUP, '$1\u2002'));
  // Once for each code, digit by digit.
  if (announced !== number) {
    announced = number;
    const digits = number.replace(GROUP, '$1,').split('').join(' ').replaceAll(' ,', ',');
    say(node('announce'), t('number_said', { digits }));
  }
}

/** A whole number of the screen's pixels to a module, so that no scanner sees grey. @param {string} id @param {string} source @param {number} modules */
function picture(id, source, modules) {
  const image = node(id);
  if (image.getAttribute('src') !== source) image.setAttribute('src', source);
  const room = image.parentElement?.clientWidth ?? 0;
  const pixels = Math.floor((room * devicePixelRatio) / modules);
  if (modules && pixels) image.style.setProperty('width', `${(pixels * modules) / devicePixelRatio}px`);
}

/** @param {number} now seconds */
export function tick(now) {
  if (!shown) return;
  const left = Math.max(0, Math.ceil(shown.until - now));
  say(node('changes'), t('changes_in', { left: clock(left) }));
  node('ring-left').setAttribute('stroke-dashoffset', String(100 - (100 * left) / shown.step_seconds));
  node('ring').classList.toggle('soon', left <= SOON);
  node('used').hidden = !shown.used_at || now - shown.used_at > USED_SAID;
}
