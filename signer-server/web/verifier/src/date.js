/** Dates of documents, counted in days; years 1900 to 2199, no time zones. */

import { FormatError } from './cbor.js';

const DAY_MS = 86_400_000;
const DAYS_1900 = Date.UTC(1900, 0, 1) / DAY_MS;
const LAST = Date.UTC(2199, 11, 31) / DAY_MS;

/** `YYYY-MM-DD` of a day counted from 1970. @param {number} days */
function iso(days) {
  if (days < DAYS_1900 || days > LAST) throw new FormatError('a date is out of range');
  return new Date(days * DAY_MS).toISOString().slice(0, 10);
}

/** @param {number} days since 1900-01-01 */
export const fromDays1900 = (days) => iso(days + DAYS_1900);

/** @param {number} days since 1970-01-01 */
export const fromDays1970 = (days) => iso(days);

/** The day in UTC, never ahead of the day in Ukraine. @param {number} now Unix seconds */
export const today = (now) => new Date(now * 1000).toISOString().slice(0, 10);
