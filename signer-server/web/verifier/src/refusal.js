/** Why a code is not accepted, as a stable code; the words are in `words.js`. */

/**
 * @typedef {'unreadable' | 'not_ours' | 'unknown_issuer' | 'bad_signature' | 'clock' | 'expired' | 'document_expired'
 *   | 'not_for_this_request' | 'held_by_server' | 'used' | 'superseded' | 'revoked' | 'suspended'
 *   | 'register_not_reached' | 'unknown_code' | 'declined' | 'no_answer' | 'too_young'
 *   | 'online_required'
 *   | 'not_allowed'} RefusalReason `not_allowed` is of requests only
 * @typedef {RefusalReason | 'valid' | 'withdrawals_not_checked' | 'trust_list_old' | 'list_old'} Reason
 * @typedef {{ code: 'early' | 'late' | 'behind', seconds: number }} ClockFault
 */

export class Refusal extends Error {
  name = 'Refusal';

  /**
   * @param {RefusalReason} reason
   * @param {ClockFault | null} [clock] whose clock, and by how many seconds; only with `clock`
   */
  constructor(reason, clock = null) {
    super(reason);
    this.reason = reason;
    this.clock = clock;
  }
}

/** Genuine as far as known; something could not be checked. */
const AMBER = new Set(['withdrawals_not_checked', 'trust_list_old', 'list_old', 'register_not_reached']);

/**
 * @param {string} reason
 * @returns {'green' | 'amber' | 'red'}
 */
export function colourOf(reason) {
  if (reason === 'valid') return 'green';
  return AMBER.has(reason) ? 'amber' : 'red';
}
