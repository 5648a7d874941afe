/** What a credential says of a document: of a person's in three profiles, of a vehicle's in one; told apart by their length. */

import { toHex } from './bytes.js';
import { FormatError } from './cbor.js';
import { fromDays1900, fromDays1970 } from './date.js';
import * as fields from './fields.js';

/** @type {Readonly<Record<number, string>>} */
export const DOCUMENT_TYPES = Object.freeze({ 1: 'identity_card', 2: 'driving_licence', 3: 'vehicle_registration' });

/** Profiles by their number in requests. */
export const PROFILES = Object.freeze(['age', 'minimal', 'full']);

/** Whether a kind of document is about a person: then no server holds its keys. @param {string | null | undefined} name */
export const isPersonal = (name) => name !== 'vehicle_registration';

const NAME_MAX = 96;
const MODEL_MAX = 64;
const SHORT_MAX = 32;
const U32_MAX = 0xffff_ffff;

/**
 * Claims as they stand in JSON: one member, named after the profile, or `vehicle`.
 * @typedef {{ [profile: string]: Record<string, string | number | boolean | null> }} Claims
 */

/**
 * @param {import('./cbor.js').Cbor | undefined} value
 * @returns {{ type: number, document_type: string, profile: string, expires: string | null, claims: Claims }}
 */
export function readDocument(value) {
  const row = fields.array(value, 3, 8);
  const type = fields.uint(row[0], 255);
  if (!(type in DOCUMENT_TYPES)) throw new FormatError('an unknown kind of document');
  const document_type = DOCUMENT_TYPES[type];
  if (isPersonal(document_type) === (row.length === 5)) throw new FormatError('not a profile of this kind of document');
  switch (row.length) {
    case 8: {
      const full = {
        document_type,
        family: fields.line(row[1], NAME_MAX),
        given: fields.line(row[2], NAME_MAX),
        birth: fromDays1900(fields.uint(row[3], U32_MAX)),
        number: fields.line(row[4], SHORT_MAX),
        expires: fromDays1970(fields.uint(row[5], U32_MAX)),
        rights: fields.line(row[6], SHORT_MAX),
        portrait: portrait(row[7]),
      };
      return { type, document_type, profile: 'full', expires: full.expires, claims: { full } };
    }
    case 5: {
      const vehicle = {
        plate: fields.line(row[1], SHORT_MAX),
        model: fields.line(row[2], MODEL_MAX),
        number: fields.line(row[3], SHORT_MAX),
        expires: fromDays1970(fields.uint(row[4], U32_MAX)),
      };
      return { type, document_type, profile: 'full', expires: vehicle.expires, claims: { vehicle } };
    }
    case 4: {
      const minimal = {
        document_type,
        initials: fields.line(row[1], SHORT_MAX),
        ddmm: fields.uint(row[2], 0xffff),
        over18: fields.bool(row[3]),
      };
      return { type, document_type, profile: 'minimal', expires: null, claims: { minimal } };
    }
    case 3: {
      const age = { document_type, over: fields.uint(row[1], 255), portrait: portrait(row[2]) };
      return { type, document_type, profile: 'age', expires: null, claims: { age } };
    }
    default:
      throw new FormatError('an unknown profile');
  }
}

/** Salted digest of the portrait in hexadecimal, or null. @param {import('./cbor.js').Cbor | undefined} value */
function portrait(value) {
  return value === null ? null : toHex(fields.bytes(value, 16));
}
