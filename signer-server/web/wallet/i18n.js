/** The language of the page, and its words. */

import { wordsOf } from '../verify/language.js';
import { TEXTS } from './texts.js';

export const { t, hasText, setLanguage, otherLanguage, locale } = wordsOf(TEXTS);

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
