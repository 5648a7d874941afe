import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import test from 'node:test';

import { decode, encode } from '../src/base45.js';
import { fromHex, sha256, toHex } from '../src/bytes.js';
import * as cbor from '../src/cbor.js';
import { compress, decompress, publicKey } from '../src/p256.js';
import { Refusal } from '../src/refusal.js';
import { USE } from '../src/trust-list.js';
import { verify } from '../src/verify.js';

const vector = JSON.parse(readFileSync(new URL('../../../../spec/vectors/credential.json', import.meta.url), 'utf8'));
const point = compress(fromHex(vector.issuer.spki_der).subarray(26));

/** A trust list of one key, without its envelope. */
function trusting(overrides = {}) {
  const key = { issuer: 1, use: USE.credentials, point, types: [1, 2], notBefore: 1_790_000_000, notAfter: 1_800_000_000, ...overrides };
  return { life: 93_600, issued: 0, keysFor: (use) => [key].filter((k) => k.use === use), issuers: new Map() };
}

async function reason(promise) {
  const error = await promise.then(
    () => null,
    (error) => error,
  );
  if (error === null) return null;
  if (error instanceof Refusal) return error.clock ? `${error.reason} ${error.clock.code} ${error.clock.seconds}` : error.reason;
  throw error;
}

test('WEB-001 the published vector is read and verified', async () => {
  assert.equal(vector.text, `DQ1:${encode(fromHex(vector.token))}`);
  assert.equal(toHex(decode(vector.text.slice(4))), vector.token);
  assert.equal(toHex((await publicKey(point)).kid), vector.issuer.kid);
  assert.equal(toHex(decompress(point)), vector.issuer.spki_der.slice(52));
  const verified = await verify(vector.text, trusting(), { now: vector.now });
  const { document_type, family, given, birth, number, expires, rights, portrait } = verified.document.claims.full;
  assert.deepEqual({ birth, document_type, expires, family, given, number, rights, portrait: vector.record.portrait }, vector.record);
  const { salt, portrait: picture } = vector.portrait;
  assert.equal(portrait, toHex((await sha256(fromHex(salt + picture))).slice(0, 16)));
  assert.deepEqual(
    [verified.list, verified.index, verified.step, verified.n, verified.digits, verified.issued, verified.expires],
    [vector.status.list, vector.status.index, vector.step, vector.n, vector.otp.digits, vector.iat, vector.exp],
  );
});

test('WEB-002 every changed character and every truncation of a code is refused', async () => {
  const trust = trusting();
  const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:';
  let count = 0;
  for (let at = 0; at < vector.text.length; at += 1) {
    const other = alphabet[(alphabet.indexOf(vector.text[at]) + 1 + (at % 44)) % 45];
    for (const changed of new Set([other, '0', ':', 'a'].filter((letter) => letter !== vector.text[at]))) {
      const text = vector.text.slice(0, at) + changed + vector.text.slice(at + 1);
      assert.notEqual(await reason(verify(text, trust, { now: vector.now })), null, `${at}: ${changed}`);
      count += 1;
    }
    assert.notEqual(await reason(verify(vector.text.slice(0, at), trust, { now: vector.now })), null);
  }
  assert.ok(count > 402);
});

test('WEB-003 a code is accepted from 30 s before its step to 30 s after its last second', async () => {
  const trust = trusting();
  const start = vector.step * 180;
  const at = (now, options = {}) => reason(verify(vector.text, trust, { now, ...options }));
  assert.equal(await at(start - 30), null);
  assert.equal(await at(start - 31), 'clock early 31');
  assert.equal(await at(start + 209), null);
  assert.equal(await at(start + 210), 'clock late 31');
  assert.equal(await at(start, { clockFloor: start + 30 }), null);
  assert.equal(await at(start, { clockFloor: start + 31 }), 'clock behind 31');
  assert.equal(await at(vector.iat - 31), 'clock behind 31');
  assert.equal(await at(vector.exp), 'expired');
});

test('WEB-004 a key signs only its kinds of document, in its time; other keys are unknown', async () => {
  const now = vector.now;
  assert.equal(await reason(verify(vector.text, trusting({ types: [1] }), { now })), 'unknown_issuer');
  assert.equal(await reason(verify(vector.text, trusting({ notAfter: vector.iat }), { now })), 'unknown_issuer');
  assert.equal(await reason(verify(vector.text, trusting({ notBefore: vector.iat + 3_600 }), { now })), 'unknown_issuer');
  assert.equal(await reason(verify(vector.text, trusting({ notBefore: vector.iat + 3_599 }), { now })), null);
  assert.equal(await reason(verify(vector.text, trusting({ use: USE.answers }), { now })), 'unknown_issuer');
  const stranger = fromHex(vector.day_key.compressed);
  assert.equal(await reason(verify(vector.text, trusting({ point: stranger }), { now })), 'unknown_issuer');
});

test('WEB-005 of the two forms of a signature only the low one is accepted', async () => {
  const n = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551n;
  const twin = (signature) => {
    const s = (n - BigInt(`0x${signature.slice(64)}`)).toString(16).padStart(64, '0');
    return vector.token.replace(signature, signature.slice(0, 64) + s);
  };
  for (const signature of [vector.issuer_signature, vector.show_signature]) {
    const text = `DQ1:${encode(fromHex(twin(signature)))}`;
    assert.equal(await reason(verify(text, trusting(), { now: vector.now })), 'bad_signature');
  }
});

test('WEB-006 one value has one encoding', () => {
  const refused = [
    '1800', '190017', '1a00000100', '1b0000000000000001', // longer than needed
    '9fff', '5fff', 'bfff', // indefinite
    'a201000100', 'a202000100', // repeated, out of order
    'c100', 'f7', 'f97e00', 'fb7ff8000000000000', 'f8ff', // tags, undefined, floats
    '0000', '', '8201', '61ff', '62c080', // left over, short, not UTF-8
    '9bffffffffffffffff', '5affffffff', '818181818181818181818100', // lengths, depth
  ];
  for (const hex of refused) assert.throws(() => cbor.decode(fromHex(hex), 100), cbor.FormatError, hex);
  for (const hex of ['00', '17', '1818', '1903e8', '1bffffffffffffffff', '20', '3863', '40', '60', '80', 'a0', 'f4', 'f6']) {
    assert.equal(toHex(cbor.encode(cbor.decode(fromHex(hex), 100))), hex);
  }
});

test('WEB-007 base45 has one form, and the examples of RFC 9285 hold', () => {
  for (const [text, encoded] of [['AB', 'BB8'], ['Hello!!', '%69 VD92EX0'], ['base-45', 'UJCLQE7W581'], ['ietf!', 'QED8WEX0']]) {
    assert.equal(encode(new TextEncoder().encode(text)), encoded);
    assert.equal(new TextDecoder().decode(decode(encoded)), text);
  }
  for (const bad of ['GGW', ':::', 'A', 'ABCD', 'ab', 'ÅB', '6S', '::']) assert.equal(decode(bad), null, bad);
});

test('WEB-008 a point off the curve is no key', () => {
  assert.throws(() => decompress(fromHex(`02${'00'.repeat(31)}01`)), cbor.FormatError);
  assert.throws(() => decompress(fromHex(`02${'ff'.repeat(32)}`)), cbor.FormatError);
  assert.throws(() => decompress(fromHex(`04${'00'.repeat(32)}`)), cbor.FormatError);
});
