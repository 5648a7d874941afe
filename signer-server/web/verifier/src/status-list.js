/**
 * Status lists: which credentials were withdrawn or suspended, without asking about one of them. IETF Token Status List
 * (draft), CWT form, two bits an entry, always 2^20 entries.
 */

import { equal } from './bytes.js';
import { FormatError, decode, encode } from './cbor.js';
import { NO_AAD, findSigner, readSign1 } from './cose.js';
import * as fields from './fields.js';
import { USE, signsAt } from './trust-list.js';

/** @typedef {import('./bytes.js').Bytes} Bytes */

export const STATUS_LIST_BYTES_MAX = 288 * 1024;
const ENTRIES = 2 ** 20;
const BITS = 2;
const INFLATED_BYTES = (ENTRIES * BITS) / 8;
const PERIOD = 900;
const LIFE = 86_400;
const U32_MAX = 0xffff_ffff;
const PROTECTED = encode(
  new Map(/** @type {[number, string | number][]} */ ([[1, -7], [16, 'application/statuslist+cwt']])),
);
const TAG_SIGN1 = 0xd2;
// 3 has no meaning of ours: withdrawn, to be safe.
const STATUS = Object.freeze(/** @type {const} */ (['valid', 'revoked', 'suspended', 'revoked']));

/** Why a list is not taken; what was believed before stays. */
export class StatusListError extends Error {
  name = 'StatusListError';

  /** @param {'malformed' | 'unknown_issuer' | 'bad_signature' | 'older' | 'conflict'} code */
  constructor(code) {
    super(code);
    this.code = code;
  }
}

/** One list, checked; keeps only what is withdrawn. Only `openStatusList` makes one. */
export class StatusList {
  /**
   * @param {{
   *   uri: string, signer: import('./trust-list.js').TrustedKey, number: number, issued: number, bytes: Bytes,
   *   withdrawn: Map<number, 'revoked' | 'suspended'>,
   * }} parts
   */
  constructor({ uri, signer, number, issued, bytes, withdrawn }) {
    this.uri = uri;
    this.signer = signer;
    this.issuer = signer.issuer;
    this.number = number;
    this.issued = issued;
    this.bytes = bytes;
    this.withdrawn = withdrawn;
  }

  /**
   * @param {number} index
   * @returns {'valid' | 'revoked' | 'suspended' | null} null beyond the end
   */
  statusOf(index) {
    return index < ENTRIES ? (this.withdrawn.get(index) ?? 'valid') : null;
  }

  /**
   * Whether the key that signed it is still its issuer's: with a stolen key a list could have been dated ahead, and no
   * true one would follow it.
   * @param {import('./trust-list.js').TrustList} trust
   */
  isTrusted(trust) {
    const { signer, issued } = this;
    return trust
      .keysFor(USE.statusLists)
      .some((key) => key.issuer === signer.issuer && equal(key.point, signer.point) && signsAt(key, issued));
  }

  /**
   * Refuses to take the place of a newer state of the list, and of one with the same date that says worse of a credential.
   * @param {StatusList | null | undefined} seen
   * @throws {StatusListError}
   */
  mustFollow(seen) {
    if (!seen || seen.uri !== this.uri || seen.issued < this.issued) return;
    if (seen.issued > this.issued) throw new StatusListError('older');
    for (const [index, status] of seen.withdrawn) {
      const now = this.withdrawn.get(index);
      if (now !== 'revoked' && now !== status) throw new StatusListError('conflict');
    }
  }

  /** Whether it is too old for a plain yes. @param {number} now Unix seconds */
  isOld(now) {
    return now - this.issued >= LIFE;
  }
}

/**
 * Checks a list that was fetched.
 * @param {Uint8Array} fetched
 * @param {import('./trust-list.js').TrustList} trust
 * @param {StatusList | null} [newest] the newest of the same URI believed so far
 * @returns {Promise<StatusList>}
 * @throws {StatusListError}
 */
export async function openStatusList(fetched, trust, newest = null) {
  const bytes = /** @type {Bytes} */ (fetched.slice());
  const { element, uri, issued, packed } = read(bytes);
  const candidates = trust.keysFor(USE.statusLists).filter((key) => isAddressOf(trust, key, uri));
  const { signer, known } = await findSigner(element, NO_AAD, candidates, PROTECTED);
  if (!signer) throw new StatusListError(known ? 'bad_signature' : 'unknown_issuer');
  if (!signsAt(signer, issued)) throw new StatusListError('unknown_issuer');
  // Only what an issuer has signed is inflated.
  const withdrawn = withdrawnOf(await inflate(packed));
  const list = new StatusList({ uri, signer, number: Number(uri.slice(uri.lastIndexOf('/') + 1)), issued, bytes, withdrawn });
  list.mustFollow(newest);
  return list;
}

/**
 * Whether `uri` is that of a list of the issuer of `key`.
 * @param {import('./trust-list.js').TrustList} trust
 * @param {import('./trust-list.js').TrustedKey} key
 * @param {string} uri
 */
function isAddressOf(trust, key, uri) {
  const base = `${trust.issuers.get(key.issuer)?.statusUri}/`;
  const rest = uri.slice(base.length);
  return uri.startsWith(base) && /^(0|[1-9][0-9]{0,9})$/.test(rest) && Number(rest) <= U32_MAX;
}

/** @param {Bytes} bytes */
function read(bytes) {
  try {
    if (bytes[0] !== TAG_SIGN1) throw new FormatError('not tagged COSE_Sign1');
    const element = readSign1(decode(bytes.subarray(1), STATUS_LIST_BYTES_MAX), 'kid', PROTECTED);
    const map = fields.map(decode(element.payload, STATUS_LIST_BYTES_MAX), [2, 4, 6, 65533, 65534]);
    const issued = fields.uint(map.get(6));
    if (issued % PERIOD !== 0 || fields.uint(map.get(4)) !== issued + LIFE || map.get(65534) !== PERIOD) {
      throw new FormatError('not the times of a list');
    }
    const list = fields.map(map.get(65533), ['bits', 'lst']);
    if (list.get('bits') !== BITS) throw new FormatError('not two bits');
    return { element, uri: fields.line(map.get(2), 220, 1), issued, packed: fields.byteString(list.get('lst')) };
  } catch (error) {
    if (error instanceof FormatError) throw new StatusListError('malformed');
    throw error;
  }
}

/**
 * What is not valid, by index.
 * @param {Bytes} entries
 */
function withdrawnOf(entries) {
  /** @type {Map<number, 'revoked' | 'suspended'>} */
  const withdrawn = new Map();
  entries.forEach((byte, at) => {
    for (let slot = 0; byte !== 0 && slot < 4; slot += 1) {
      const status = STATUS[(byte >> (BITS * slot)) & 3];
      if (status !== 'valid') withdrawn.set(4 * at + slot, status);
    }
  });
  return withdrawn;
}

/**
 * Inflates zlib data and stops as soon as it is more than a list has.
 * @param {Bytes} packed
 * @returns {Promise<Bytes>}
 */
async function inflate(packed) {
  const entries = new Uint8Array(INFLATED_BYTES);
  const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate')).getReader();
  let length = 0;
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      if (length + value.length > INFLATED_BYTES) throw new StatusListError('malformed');
      entries.set(value, length);
      length += value.length;
    }
  } catch {
    await reader.cancel().catch(() => {});
    throw new StatusListError('malformed');
  }
  if (length !== INFLATED_BYTES) throw new StatusListError('malformed');
  return entries;
}
