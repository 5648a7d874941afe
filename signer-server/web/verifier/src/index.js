/** Checks three-minute document codes. See README.md; the format is `spec/credential.md`. */

export { answeredCode, openAnswer, AnswerError, verifierOf } from './answer.js';
export { fromBase64url, toBase64url, toHex, fromHex } from './bytes.js';
export { checkOffline, judge } from './check.js';
export { DOCUMENT_TYPES, PROFILES, isPersonal } from './document.js';
export { generateKeyPair, pointOf } from './p256.js';
export { colourOf, Refusal } from './refusal.js';
export { answersRequest, checkRequest, makeRequest, openBusiness, REQUEST_PREFIX } from './request.js';
export { openStatusList, STATUS_LIST_BYTES_MAX, StatusListError } from './status-list.js';
export { ruleFor, STANDARD, stepAt } from './step.js';
export { PREFIX, readToken } from './token.js';
export { openTrustList, TRUST_LIST_BYTES_MAX, TrustListError, USE } from './trust-list.js';
export { placeHash, tokenHash, verify } from './verify.js';
export { LANGUAGES, reasonsWithWords, sentenceOf } from './words.js';
