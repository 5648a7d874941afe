import assert from 'node:assert/strict';
import test from 'node:test';

import { checkOffline, judge } from '../src/check.js';
import { openStatusList } from '../src/status-list.js';
import { openTrustList } from '../src/trust-list.js';
import { sentenceOf } from '../src/words.js';
import * as issuer from './support/issuer.mjs';

const NOW = 1_795_169_700;
const HOUR = NOW - (NOW % 3_600);
const QUARTER = NOW - (NOW % 900);
const STEP = Math.floor(NOW / 180);

async function world() {
  const made = await issuer.newWorld(NOW);
  const bytes = await issuer.trustListOf(made, NOW - 60);
  return { made, bytes, root: made.keys.root.point, trust: await openTrustList(bytes, made.keys.root.point) };
}

const code = (promise) => promise.then(() => null, (error) => error.code ?? error.reason ?? String(error));

test('WEB-010 a trust list is believed under the pinned root or a root of the newest list', async () => {
  const { made, bytes, root, trust } = await world();
  assert.equal(trust.number, 1);
  const next = await issuer.newKey();
  assert.equal(await code(openTrustList(bytes, next.point)), 'unknown_root');
  const rotated = await openTrustList(await issuer.trustListOf(made, NOW, { number: 2, roots: [root, next.point] }), root, trust);
  const third = await issuer.trustListOf(made, NOW, { number: 3, roots: [next.point], signer: next });
  assert.equal((await openTrustList(third, root, rotated)).number, 3);
  assert.equal(await code(openTrustList(third, root, trust)), 'unknown_root');
  const forged = bytes.slice();
  forged[60] ^= 1;
  assert.match(await code(openTrustList(forged, root)), /bad_signature|malformed/);
});

test('WEB-011 the number of a trust list never falls, and one number has one list', async () => {
  const { made, bytes, root, trust } = await world();
  const second = await openTrustList(await issuer.trustListOf(made, NOW, { number: 2 }), root, trust);
  assert.equal(await code(openTrustList(bytes, root, second)), 'older');
  assert.equal(await code(openTrustList(await issuer.trustListOf(made, NOW + 1, { number: 2 }), root, second)), 'conflict');
  assert.equal(await openTrustList(second.bytes, root, second), second);
});

test('WEB-012 a malformed trust list is refused', async () => {
  const { made, root } = await world();
  const { point } = made.keys.credentials;
  const row = [1, 1, point, [1], made.from, made.until];
  for (const change of [
    { life: 93_601 },
    { issuers: [[0, 'Zero', 'https://a.example/s']] },
    { issuers: [[1, 'A', 'https://a.example/s'], [1, 'B', 'https://b.example/s']] },
    { issuers: [[1, 'A', 'ftp://a.example/s']] },
    { issuers: [[1, 'A', 'https://a.example/s/']] },
    { issuers: [[1, 'A', 'https://a.example/s?x']] },
    { issuers: [[1, 'A', 'https://a.example/s'], [2, 'B', 'https://a.example/s']] },
    { issuers: [[2, 'B', 'https://b.example/s'], [1, 'A', 'https://a.example/s']] },
    { keys: [row, [1, 2, row[2], [], ...row.slice(4)]] },
    { keys: [[1, 2, root, [], ...row.slice(4)]] },
    { keys: [[1, 1, point, [2, 1], ...row.slice(4)]] },
    { roots: [root, root] },
    { issuers: [[1, 'A\u202e', 'https://a.example/s']] },
    { keys: [[2, ...row.slice(1)]] },
    { keys: [[1, 5, ...row.slice(2)]] },
    { keys: [[1, 2, ...row.slice(2)]] },
    { keys: [[...row.slice(0, 4), made.until, made.from]] },
    { keys: [[1, 1, new Uint8Array(33), [1], made.from, made.until]] },
    { roots: [] },
  ]) {
    assert.equal(await code(issuer.trustListOf(made, NOW, change).then((bytes) => openTrustList(bytes, root))), 'malformed', JSON.stringify(change));
  }
});

test('WEB-013 a status list is the issuer\'s own, of 2^20 entries, and never older than one seen', async () => {
  const { made, trust } = await world();
  const open = (issued, change, newest) => issuer.statusListOf(made, issued, change).then((bytes) => openStatusList(bytes, trust, newest));
  const list = await open(QUARTER, { statuses: { 5: 1, 6: 2, 7: 3, 1_048_575: 1 } });
  assert.deepEqual([4, 5, 6, 7, 1_048_575, 1_048_576].map((at) => list.statusOf(at)), ['valid', 'revoked', 'suspended', 'revoked', 'revoked', null]);
  assert.deepEqual([list.issuer, list.number, list.issued], [1, 1, QUARTER]);
  assert.equal(await code(open(QUARTER - 900, {}, list)), 'older');
  for (const change of [{ bytes: 262_143 }, { bytes: 262_145 }, { bytes: 50_000_000 }, { times: { exp: QUARTER + 86_401 } }, { times: { ttl: 901 } }]) {
    assert.equal(await code(open(QUARTER, change)), 'malformed', JSON.stringify(change));
  }
  assert.equal(await code(open(QUARTER + 1, {})), 'malformed');
  assert.equal(await code(open(QUARTER, { signer: made.keys.credentials })), 'unknown_issuer');
  for (const uri of ['https://other.example/1', `${issuer.STATUS_URI}/01`, `${issuer.STATUS_URI}/x`, issuer.STATUS_URI]) {
    assert.equal(await code(open(QUARTER, { uri })), 'unknown_issuer', uri);
  }
});

test('WEB-090 a status list of the same date is taken if it takes nothing back', async () => {
  const { made, trust } = await world();
  const open = (statuses, newest, issued = QUARTER) =>
    issuer.statusListOf(made, issued, { statuses }).then((bytes) => openStatusList(bytes, trust, newest));
  for (const [seen, next] of [[{}, { 5: 2 }], [{ 5: 1, 6: 2 }, { 5: 1, 6: 2 }], [{ 5: 2 }, { 5: 1, 6: 2 }], [{ 5: 3 }, { 5: 1 }]]) {
    const list = await open(next, await open(seen));
    assert.equal(list.statusOf(5), next[5] === 1 ? 'revoked' : 'suspended');
  }
  for (const [seen, next] of [[{ 5: 1 }, {}], [{ 5: 1 }, { 5: 2 }], [{ 5: 2 }, {}], [{ 5: 1 }, { 6: 1 }]]) {
    const list = await open(seen);
    assert.equal(await code(open(next, list)), 'conflict', JSON.stringify([seen, next]));
    // A later date takes back what it likes.
    assert.equal((await open(next, list, QUARTER + 900)).issued, QUARTER + 900);
  }
});

test('WEB-014 offline, withdrawals and the age of lists decide the colour', async () => {
  const { made, root, trust } = await world();
  const check = async ({ statuses = {}, listed = QUARTER, trusted = trust, with_list = true } = {}) => {
    const credential = await issuer.newCredential(made, HOUR);
    const list = await openStatusList(await issuer.statusListOf(made, listed, { statuses }), trust);
    const statusLists = with_list ? new Map([[list.uri, list]]) : new Map();
    const { result, reason, claims, withdrawals_known_to } = await checkOffline(await issuer.show(credential, STEP), { trust: trusted, statusLists }, { now: NOW });
    assert.equal(claims === null, result === 'red');
    return [result, reason, withdrawals_known_to];
  };
  assert.deepEqual(await check(), ['green', 'valid', QUARTER]);
  assert.deepEqual(await check({ with_list: false }), ['amber', 'withdrawals_not_checked', null]);
  assert.deepEqual(await check({ statuses: { 5: 1 } }), ['red', 'revoked', null]);
  assert.deepEqual(await check({ statuses: { 5: 2 } }), ['red', 'suspended', null]);
  assert.deepEqual(await check({ statuses: { 4: 1, 6: 1 } }), ['green', 'valid', QUARTER]);
  assert.deepEqual(await check({ listed: HOUR - 900 }), ['amber', 'list_old', HOUR - 900]);
  const old = await openTrustList(await issuer.trustListOf(made, NOW - 7 * 86_400 - 1), root);
  assert.deepEqual(await check({ trusted: old }), ['amber', 'trust_list_old', QUARTER]);
});

test('WEB-015 a verifier remembers what it accepted and refuses the same and what came before', async () => {
  const { made, trust } = await world();
  const memory = new Map();
  const accept = async (place, show) => {
    const answer = judge(memory.get(place), show);
    if (answer === 'new') memory.set(place, show);
    return answer;
  };
  const known = { trust, memory: { accept } };
  const credential = await issuer.newCredential(made, HOUR);
  const reason = async (n, step = STEP, of = credential) => (await checkOffline(await issuer.show(of, step, { n }), known, { now: NOW })).reason;
  assert.equal(await reason(0), 'withdrawals_not_checked');
  assert.equal(await reason(0), 'used');
  assert.equal(await reason(2), 'withdrawals_not_checked');
  assert.equal(await reason(1), 'superseded');
  assert.equal(await reason(0, STEP, await issuer.newCredential(made, HOUR, { index: 6 })), 'withdrawals_not_checked');
  assert.ok([...memory.keys()].every((place) => /^[0-9a-f]{64}$/.test(place)));
});

test('WEB-016 an emergency life keeps a credential for 72 hours', async () => {
  const { made, root, trust } = await world();
  const credential = await issuer.newCredential(made, HOUR - 72 * 3_600 + 3_600);
  const text = await issuer.show(credential, STEP);
  assert.equal((await checkOffline(text, { trust }, { now: NOW })).reason, 'expired');
  const emergency = await openTrustList(await issuer.trustListOf(made, NOW, { number: 2, life: 259_200 }), root, trust);
  assert.equal((await checkOffline(text, { trust: emergency }, { now: NOW })).reason, 'withdrawals_not_checked');
});

test("WEB-017 a code of a person's document under a key that a server holds is refused", async () => {
  const { made, trust } = await world();
  const text = await issuer.show(await issuer.newCredential(made, HOUR, { custody: true }), STEP);
  assert.equal((await checkOffline(text, { trust }, { now: NOW })).reason, 'held_by_server');
});

/** A vehicle of an organisation, under a trust list whose issuer signs such. */
async function vehicleOf({ custody, document = [3, 'КА1234ВВ', 'Škoda Octavia', 'СХН654321', 22_000] }) {
  const made = await issuer.newWorld(NOW);
  const trust = await openTrustList(await issuer.trustListOf(made, NOW - 60, { types: [1, 2, 3] }), made.keys.root.point);
  return { trust, text: await issuer.show(await issuer.newCredential(made, HOUR, { custody, document }), STEP) };
}

test('WEB-094 a vehicle is shown whole; a code that a server made says so, one of a phone does not', async () => {
  const check = async (options) => {
    const { trust, text } = await vehicleOf(options);
    return checkOffline(text, { trust }, { now: NOW });
  };
  const made = await check({ custody: true });
  assert.deepEqual([made.result, made.document_type], ['amber', 'vehicle_registration']);
  assert.deepEqual(made.notes, ['copy not excluded', 'code made by a server', 'withdrawals not checked']);
  assert.deepEqual(made.claims, { vehicle: { plate: 'КА1234ВВ', model: 'Škoda Octavia', number: 'СХН654321', expires: '2030-03-27' } });
  assert.match(made.next_step, /^Compare the plate with the vehicle; go online/);
  assert.match(sentenceOf(made, 'uk').next, /^Порівняйте номерний знак з автомобілем;/);
  const phone = await check({ custody: false });
  assert.deepEqual(phone.notes, ['copy not excluded', 'withdrawals not checked']);
});

test('WEB-095 a kind of document has its own profiles, and a vehicle fields in their bounds', async () => {
  const good = ['КА1234ВВ', 'Škoda', 'СХН654321', 22_000];
  for (const document of [
    [1, ...good], [4, ...good], [3, 18, null], [3, 'К.В.', 905, true], [3, 'a', 'b', 30_000, 'c', 22_000, '', null],
    [3, 'П'.repeat(17), ...good.slice(1)], [3, 'A', 'М'.repeat(33), 'B', 22_000], [3, 'A\u202E', ...good.slice(1)], [3, 'A', 'B', 'C', 200_000],
  ]) {
    const { trust, text } = await vehicleOf({ custody: true, document });
    assert.equal((await checkOffline(text, { trust }, { now: NOW })).reason, 'unreadable', JSON.stringify(document));
  }
});
