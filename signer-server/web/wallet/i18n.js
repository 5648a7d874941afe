/** The language of the page, and its words. */

import { TEXTS } from './texts.js';

/** @typedef {'en' | 'uk'} Language */

/** @type {Language} */
let language = 'en';

/** @returns {Language} */
export const otherLanguage = () => (language === 'en' ? 'uk' : 'en');

/** @param {string} wanted a language tag; any but Ukrainian is English */
export function setLanguage(wanted) {
  language = wanted.startsWith('uk') ? 'uk' : 'en';
  document.documentElement.lang = language;
  document.title = t('title');
  for (const node of document.querySelectorAll('[data-t]')) node.textContent = t(String(node.getAttribute('data-t')));
  for (const node of document.querySelectorAll('[data-t-label]')) {
    const label = t(String(node.getAttribute('data-t-label')));
    node.setAttribute('aria-label', label);
    if (node instanceof HTMLButtonElement) node.title = label;
  }
}

/**
 * @param {string} key
 * @param {Record<string, string | number>} [values] for `{name}` in the text
 */
export function t(key, values = {}) {
  const text = TEXTS[language][key] ?? TEXTS.en[key];
  if (text === undefined) throw new Error(`no text for ${key}`);
  return text.replace(/\{(\w+)\}/g, (_, name) => String(values[name]));
}

/** @param {string} key */
export const hasText = (key) => key in TEXTS.en;

const locale = () => (language === 'uk' ? 'uk-UA' : 'en-GB');

/** Minutes and seconds as on a clock. @param {number} seconds */
export const clock = (seconds) => t('minutes', { m: Math.floor(seconds / 60), ss: String(seconds % 60).padStart(2, '0') });

/** @param {number} seconds Unix seconds */
export const timeOfDay = (seconds) => new Date(seconds * 1000).toLocaleTimeString(locale(), { timeStyle: 'short' });

/** Today, yesterday or a date. @param {number} seconds Unix seconds @param {number} now Unix seconds */
export function dayOf(seconds, now) {
  const day = new Date(seconds * 1000);
  for (const [key, back] of /** @type {[string, number][]} */ ([['today', 0], ['yesterday', 86400]])) {
    if (day.toDateString() === new Date((now - back) * 1000).toDateString()) return t(key);
  }
  return day.toLocaleDateString(locale(), { dateStyle: 'long' });
}

/** A date of a document. @param {string} iso YYYY-MM-DD */
export const dateOf = (iso) => new Date(`${iso}T00:00:00Z`).toLocaleDateString(locale(), { day: '2-digit', month: '2-digit', year: 'numeric', timeZone: 'UTC' });
