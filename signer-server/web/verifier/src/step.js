/** Three-minute steps and the grace around them. */

export const STEP_SECONDS = 180;
export const GRACE_SECONDS = 30;

/** @typedef {{ seconds: number, grace: number }} StepRule */

/** @type {StepRule} */
export const STANDARD = Object.freeze({ seconds: STEP_SECONDS, grace: GRACE_SECONDS });

/**
 * Shorter steps (6 to 180 s) for demonstrations, with the same share of grace.
 * @param {number} seconds
 * @returns {StepRule}
 */
export function ruleFor(seconds) {
  if (!Number.isInteger(seconds) || seconds < 6 || seconds > STEP_SECONDS) throw new RangeError('6 to 180 seconds');
  return { seconds, grace: Math.floor(seconds / (STEP_SECONDS / GRACE_SECONDS)) };
}

/**
 * @param {StepRule} rule
 * @param {number} now Unix seconds
 */
export const stepAt = (rule, now) => Math.floor(now / rule.seconds);

/**
 * Whether a code of `step` is accepted at `now`: from the grace before the step to the grace after its last second.
 * @param {StepRule} rule
 * @param {number} step
 * @param {number} now Unix seconds
 * @returns {{ code: 'early' | 'late', seconds: number } | null} what is wrong, in seconds
 */
export function clockFault(rule, step, now) {
  const start = step * rule.seconds;
  const end = start + rule.seconds;
  if (now < start - rule.grace) return { code: 'early', seconds: start - now };
  if (now >= end + rule.grace) return { code: 'late', seconds: now - end + 1 };
  return null;
}
