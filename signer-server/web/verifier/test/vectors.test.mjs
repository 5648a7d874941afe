import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { fromHex, toBase64url, toHex } from '../src/bytes.js';
import { checkOffline } from '../src/check.js';
import { DOCUMENT_TYPES, PROFILES } from '../src/document.js';
import { checkRequest } from '../src/request.js';
import { openStatusList } from '../src/status-list.js';
import { TrustList, openTrustList } from '../src/trust-list.js';
import { decode } from '../src/cbor.js';
import { readSign1 } from '../src/cose.js';

const vectors = JSON.parse(readFileSync(new URL('../../../../spec/vectors/verification.json', import.meta.url), 'utf8'));
const USES = { 1: 'credentials', 2: 'status_lists', 3: 'answers', 4: 'businesses' };

/** A list as if it had been believed before; only for what is not a test of the list itself. */
function believed(hex) {
  const bytes = fromHex(hex);
  return new TrustList(bytes, readSign1(decode(bytes, 1 << 20), 'kid').payload);
}

/** The JSON view of a trust list. */
function jsonOf(list) {
  const typeNames = (types) => types.map((type) => DOCUMENT_TYPES[type] ?? type);
  return {
    emergency: list.life === 259_200,
    issued: list.issued,
    issuers: Array.from(list.issuers.values(), ({ id, name, statusUri }) => ({ id, name, status_uri: statusUri })),
    keys: list.keys.map(({ issuer, use, point, types, notBefore, notAfter }) => ({
      ...(types.length ? { document_types: typeNames(types) } : {}),
      issuer,
      key: toBase64url(point),
      not_after: notAfter,
      not_before: notBefore,
      use: USES[use],
    })),
    number: list.number,
    roots: list.roots.map(({ point }) => toBase64url(point)),
  };
}

const outcome = (promise) => promise.then((value) => ({ code: 'accepted', value }), (error) => ({ code: error.code ?? error.reason ?? String(error), value: null }));

test('WEB-030 the shared vectors of codes: the same result, word for word', async () => {
  assert.ok(vectors.codes.length >= 60);
  for (const vector of vectors.codes) {
    const trust = await openTrustList(fromHex(vector.trust_list), fromHex(vector.root));
    const statusLists = new Map();
    for (const hex of vector.status_lists) {
      const list = await openStatusList(fromHex(hex), trust);
      statusLists.set(list.uri, list);
    }
    const { clock, ...result } = await checkOffline(vector.text, { trust, statusLists }, {
      now: vector.now,
      clockFloor: vector.clock_floor,
      challenge: vector.expected_challenge ? fromHex(vector.expected_challenge) : null,
    });
    assert.deepEqual(result, vector.expected, vector.name);
  }
});

test('WEB-031 the shared vectors of trust lists', async () => {
  for (const { name, list, pinned, seen, expected, content } of vectors.trust_lists) {
    assert.equal(pinned.length, 1);
    const { code, value } = await outcome(openTrustList(fromHex(list), fromHex(pinned[0]), seen && believed(seen)));
    assert.equal(code, expected, name);
    if (value) assert.deepEqual(jsonOf(value), content, name);
  }
});

test('WEB-032 the shared vectors of status lists', async () => {
  for (const { name, list, seen, trust_list, expected, content } of vectors.status_lists) {
    const trust = believed(trust_list);
    const before = seen ? await openStatusList(fromHex(seen), trust) : null;
    const { code, value } = await outcome(openStatusList(fromHex(list), trust, before));
    assert.equal(code, expected, name);
    if (!value) continue;
    const { issuer, number, issued } = value;
    const statuses = content.statuses.map(([index]) => [index, value.statusOf(index)]);
    assert.deepEqual({ issued, issuer, number, statuses }, content, name);
  }
});

test('WEB-033 the shared vectors of requests', async () => {
  for (const { name, text, now, trust_list, expected, content } of vectors.requests) {
    const { code, value } = await outcome(checkRequest(text, believed(trust_list), { now }));
    assert.equal(code, expected, name);
    if (!value) continue;
    const found = {
      business: value.business.name,
      challenge: toHex(value.challenge),
      document_type: DOCUMENT_TYPES[value.type] ?? null,
      id: toHex(value.business.id),
      issuer: value.issuer,
      profile: PROFILES[value.profile],
    };
    assert.deepEqual(found, content, name);
  }
});

test('WEB-034 the shared mutations: each character changed, all refused', async () => {
  const { text, alphabet, shifts, now, trust_list, status_lists } = vectors.mutations;
  const trust = believed(trust_list);
  const statusLists = new Map();
  for (const hex of status_lists) {
    const list = await openStatusList(fromHex(hex), trust);
    statusLists.set(list.uri, list);
  }
  const check = (changed) => checkOffline(changed, { trust, statusLists }, { now });
  assert.equal((await check(text)).result, 'green');
  let refused = 0;
  for (let at = 0; at < text.length; at += 1) {
    for (const shift of shifts) {
      const letter = alphabet[(alphabet.indexOf(text[at]) + shift) % alphabet.length];
      const { result } = await check(text.slice(0, at) + letter + text.slice(at + 1));
      assert.equal(result, 'red', `${at} ${letter}`);
      refused += 1;
    }
  }
  assert.ok(refused > 804);
});
