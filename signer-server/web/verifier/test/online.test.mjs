import assert from 'node:assert/strict';
import test from 'node:test';

import { answeredCode, openAnswer, verifierOf } from '../src/answer.js';
import { toBase64url } from '../src/bytes.js';
import { checkOffline } from '../src/check.js';
import { answersRequest, checkRequest, makeRequest, openBusiness } from '../src/request.js';
import { readToken } from '../src/token.js';
import { openTrustList } from '../src/trust-list.js';
import { LANGUAGES, reasonsWithWords, sentenceOf } from '../src/words.js';
import * as issuer from './support/issuer.mjs';

const NOW = 1_795_169_700;
const HOUR = NOW - (NOW % 3_600);
const STEP = Math.floor(NOW / 180);
const code = (promise) => promise.then(() => null, (error) => error.code ?? error.reason ?? String(error));

async function world() {
  const made = await issuer.newWorld(NOW);
  return { made, trust: await openTrustList(await issuer.trustListOf(made, NOW - 60), made.keys.root.point) };
}

test('WEB-020 a request names the business, and only its answer is accepted', async () => {
  const { made, trust } = await world();
  const { key, bytes } = await issuer.newBusiness(made, HOUR);
  const business = await openBusiness(bytes, trust, NOW);
  const request = await makeRequest(business, key, { now: NOW, profile: 1, type: 2 });
  assert.ok(request.text.length <= 600);
  const checked = await checkRequest(request.text, trust, { now: NOW });
  assert.deepEqual([checked.business.name, checked.profile, checked.type, checked.step], ['Аптека №7', 1, 2, STEP]);
  assert.deepEqual(checked.challenge, request.challenge);
  const credential = await issuer.newCredential(made, HOUR);
  const reason = async (shown, challenge) =>
    (await checkOffline(await issuer.show(credential, STEP, { challenge: shown }), { trust }, { now: NOW, challenge })).reason;
  assert.equal(await reason(checked.challenge, request.challenge), 'withdrawals_not_checked');
  const other = await makeRequest(business, key, { now: NOW, profile: 1, type: 2 });
  assert.equal(await reason(other.challenge, request.challenge), 'not_for_this_request');
  assert.equal(await reason(null, request.challenge), 'not_for_this_request');
  assert.equal(await reason(checked.challenge, null), 'not_for_this_request');
  // A phone that answers with less, or with another document, does not answer what was asked.
  const answers = async (document) => {
    const shown = await issuer.newCredential(made, HOUR, { document });
    return answersRequest(readToken(await issuer.show(shown, STEP, { challenge: request.challenge })), request);
  };
  assert.equal(await answers([2, 'Ш.Т.Г.', 903, true]), true);
  assert.equal(await answers([1, 'Ш.Т.Г.', 903, true]), false);
  assert.equal(await answers([2, 18, null]), false);
});

test('WEB-021 a request that is forged, old, or beyond what the business may ask is refused', async () => {
  const { made, trust } = await world();
  const own = await issuer.newBusiness(made, HOUR);
  const business = await openBusiness(own.bytes, trust, NOW);
  await assert.rejects(makeRequest(business, own.key, { now: NOW, profile: 2 }), RangeError);
  const greedy = await makeRequest({ ...business, profiles: [2] }, own.key, { now: NOW, profile: 2 });
  assert.equal(await code(checkRequest(greedy.text, trust, { now: NOW })), 'not_allowed');
  const stolen = await makeRequest(business, (await issuer.newBusiness(made, HOUR)).key, { now: NOW, profile: 0 });
  assert.equal(await code(checkRequest(stolen.text, trust, { now: NOW })), 'bad_signature');
  const good = await makeRequest(business, own.key, { now: NOW, profile: 0 });
  assert.equal(await code(checkRequest(good.text, trust, { now: NOW + 300 })), 'clock');
  assert.equal(await code(checkRequest(good.text, trust, { now: NOW + 86_400 * 30 })), 'expired');
  assert.equal(await code(checkRequest('DQ1:AAAA', trust, { now: NOW })), 'not_ours');
  const self = await issuer.newBusiness(made, HOUR, { signer: made.keys.credentials });
  assert.equal(await code(openBusiness(self.bytes, trust, NOW)), 'unknown_issuer');
  let refused = 0;
  for (let at = 4; at < good.text.length; at += 7) {
    const text = good.text.slice(0, at) + (good.text[at] === 'A' ? 'B' : 'A') + good.text.slice(at + 1);
    assert.notEqual(await code(checkRequest(text, trust, { now: NOW })), null);
    refused += 1;
  }
  assert.ok(refused > 50);
});

test('WEB-022 an answer is believed under an answer key, for what was asked, with the claims it names', async () => {
  const { made, trust } = await world();
  const payload = { iat: NOW, verifier: '00', request_id: 'till-000001', result: 'green', reason: 'valid', offline: false };
  const claims = { age: { document_type: 'identity_card', over: 18, portrait: null } };
  const { answer, disclosure, codeSalt } = await issuer.answerOf(made, payload, claims);
  const till = { requestId: 'till-000001', code: issuer.CODE, codeSalt };
  const opened = await openAnswer(answer, disclosure, trust, till);
  assert.deepEqual([opened.payload.result, opened.claims], ['green', claims]);
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, requestId: 'till-000002' })), 'other_request');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, verifier: '01' })), 'other_request');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, verifier: '00', since: NOW })), null);
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, since: NOW + 1 })), 'other_request');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, code: '12345679' })), 'other_request');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, code: '1234 5678' })), null);
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, codeSalt: 'AAAAAAAAAAAAAAAAAAAAAA' })), 'other_request');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, codeSalt: undefined })), 'malformed');
  assert.equal(await code(openAnswer(answer, null, trust, till)), 'bad_disclosure');
  assert.equal(await code(openAnswer(answer, `${disclosure}A`, trust, till)), 'bad_disclosure');
  assert.equal(await code(openAnswer(answer.replace('.', '.A'), disclosure, trust, till)), 'malformed');
  const foreign = await issuer.answerOf(made, payload, null, { signer: made.keys.lists });
  assert.equal(await code(openAnswer(foreign.answer, null, trust, { ...till, codeSalt: foreign.codeSalt })), 'unknown_key');
  const none = await issuer.answerOf(made, payload, null, { header: { alg: 'none' } });
  assert.equal(await code(openAnswer(none.answer, null, trust, till)), 'malformed');
  const red = await issuer.answerOf(made, { ...payload, result: 'red', reason: 'used' }, claims);
  assert.equal(await code(openAnswer(red.answer, red.disclosure, trust, { ...till, codeSalt: red.codeSalt })), 'bad_disclosure');
  const portrait = Uint8Array.of(0xff, 0xd8, 0xff, 1, 2, 3);
  const salted = await issuer.answerOf(made, payload, { age: { document_type: 'identity_card', over: 18, portrait: 'digest' } }, { portrait });
  const withPortrait = (picture) => openAnswer(salted.answer, salted.disclosure, trust, { ...till, codeSalt: salted.codeSalt, portrait: picture });
  assert.equal((await withPortrait(portrait)).claims.age.over, 18);
  assert.equal(await code(withPortrait(portrait.slice(1))), 'bad_portrait');
  assert.equal(await code(openAnswer(answer, disclosure, trust, { ...till, portrait })), 'bad_portrait');
  const [head, body] = answer.split('.');
  const forged = `${head}.${body}.${foreign.answer.split('.')[2]}`;
  assert.equal(await code(openAnswer(forged, disclosure, trust, till)), 'bad_signature');
});

test('WEB-023 every reason has a sentence and a next step in both languages', () => {
  assert.deepEqual(reasonsWithWords('uk'), reasonsWithWords('en'));
  for (const language of LANGUAGES) {
    for (const reason of reasonsWithWords(language)) {
      const { sentence, next } = sentenceOf({ reason }, language);
      assert.ok(sentence.endsWith('.') && next.endsWith('.'), `${language} ${reason}`);
    }
  }
  assert.match(sentenceOf({ reason: 'clock', clock: { code: 'late', seconds: 42 } }, 'uk').sentence, /42/);
});

test('WEB-024 an answer names the code by a labelled hash, and a token the verifier', async () => {
  // As signer-core makes it: spec/verification.md.
  assert.equal(await answeredCode('AQEBAQEBAQEBAQEBAQEBAQ', '1234 5678'), await answeredCode('AQEBAQEBAQEBAQEBAQEBAQ', '12345678'));
  assert.equal(await answeredCode('AQEBAQEBAQEBAQEBAQEBAQ', '1234 5678'), 'id_BXAFw2rgZwdg-mnbX2Oo2JNmrd3JCi0Wsyl-Q350');
  assert.equal(verifierOf(toBase64url(new Uint8Array(48).fill(10))), '0a'.repeat(16));
  assert.equal(verifierOf(toBase64url(new Uint8Array(32))), undefined);
  assert.equal(verifierOf('not a token'), undefined);
});
