/** An issuer, a phone, a root and a business, made for tests from the format's own page. */

import { deflateSync } from 'node:zlib';

import { answeredCode } from '../../src/answer.js';
import { decode as unbase45, encode as base45 } from '../../src/base45.js';
import { concat, sha256, toBase64url, utf8 } from '../../src/bytes.js';
import { encode } from '../../src/cbor.js';
import { boundAad, readSign1, signElement, toSign } from '../../src/cose.js';
import { generateKeyPair, pointOf, publicKey, sign } from '../../src/p256.js';

export const STATUS_URI = 'https://issuer.example/status/v1/lists';
const STATUS_PROTECTED = encode(new Map([[1, -7], [16, 'application/statuslist+cwt']]));

/** A key pair with its point and kid. */
export async function newKey() {
  const pair = await generateKeyPair();
  const point = await pointOf(pair.publicKey);
  return { private: pair.privateKey, point, kid: (await publicKey(point)).kid };
}

/** COSE_Sign1 with kid, as a value. */
async function withKid(key, aad, payload, header) {
  const signature = await sign(key.private, toSign(aad, payload, header));
  return [header ?? Uint8Array.of(0xa1, 1, 0x26), new Map([[4, key.kid]]), payload, signature];
}

/** Root, issuer 1 with a key for each use, and a trust list over them. */
export async function newWorld(now) {
  const keys = { root: await newKey(), credentials: await newKey(), lists: await newKey(), answers: await newKey(), businesses: await newKey() };
  return { keys, from: now - 86_400 * 30, until: now + 86_400 * 365 };
}

const sorted = (rows, at) => [...rows].sort((a, b) => Buffer.compare(at ? a[at] : a, at ? b[at] : b));

/** The trust list of a world; `change` may replace fields of the payload or give whole rows. */
export async function trustListOf(world, issued, change = {}) {
  const { root, credentials, lists, answers, businesses } = world.keys;
  const row = (use, key, types = []) => [1, use, key.point, types, world.from, world.until];
  const { number = 1, life = 93_600, roots = [root.point], signer = root, statusUri = STATUS_URI, types = [1, 2] } = change;
  const issuers = change.issuers ?? [[1, 'Ministry of Examples', statusUri]];
  const keys = change.keys ?? [row(1, credentials, types), row(2, lists), ...(answers ? [row(3, answers)] : []), row(4, businesses)];
  const payload = new Map([[1, number], [2, issued], [3, life], [4, issuers], [5, change.keys ?? sorted(keys, 2)], [6, sorted(roots)]]);
  return encode(await withKid(signer, utf8('DQ1/trust-list'), encode(payload)));
}

/** A status list; `statuses` is { index: value }. */
export async function statusListOf(world, issued, { number = 1, statuses = {}, signer = world.keys.lists, uri = `${STATUS_URI}/${number}`, bytes = 262_144, times = {} } = {}) {
  const entries = new Uint8Array(bytes);
  for (const [index, value] of Object.entries(statuses)) entries[index >> 2] |= value << (2 * (index & 3));
  const list = new Map([['bits', 2], ['lst', new Uint8Array(deflateSync(entries))]]);
  const payload = new Map([[2, uri], [4, times.exp ?? issued + 86_400], [6, issued], [65533, list], [65534, times.ttl ?? 900]]);
  return concat(Uint8Array.of(0xd2), encode(await withKid(signer, new Uint8Array(), encode(payload), STATUS_PROTECTED)));
}

/** A day credential with its key. */
export async function newCredential(world, issued, { list = 1, index = 5, document = [2, 18, null], custody = false, signer = world.keys.credentials } = {}) {
  const dayKey = await newKey();
  const claims = new Map([[4, issued + 93_600], [6, issued], [-1, dayKey.point], [-2, [list, index]], [-3, document]]);
  if (custody) claims.set(-4, 1);
  const element = await withKid(signer, utf8('DQ1/issuer'), encode(claims));
  return { dayKey, element };
}

/** The text of a code. */
export async function show({ dayKey, element }, step, { n = 0, otp = 12_345_678, challenge = null } = {}) {
  const issuer = readSign1(element, 'kid');
  const payload = encode(challenge ? [step, n, otp, challenge] : [step, n, otp]);
  const device = await signElement(dayKey.private, await boundAad('DQ1/show', issuer), payload);
  return `DQ1:${base45(encode([element, device]))}`;
}

/** A business's credential for a key elsewhere. */
export async function businessCredential(world, issued, { point, name = 'Аптека №7', profiles = [0, 1], life = 86_400 * 30, signer = world.keys.businesses }) {
  const payload = new Map([[4, issued + life], [6, issued], [-1, point], [-5, name], [-6, profiles], [-7, new Uint8Array(16).fill(7)]]);
  return encode(await withKid(signer, utf8('DQ1/business'), encode(payload)));
}

/** A business with its key. */
export async function newBusiness(world, issued, options = {}) {
  const pair = await generateKeyPair();
  const point = await pointOf(pair.publicKey);
  return { key: pair.privateKey, point, bytes: await businessCredential(world, issued, { point, ...options }) };
}

/** The challenge of a request's text. */
export const challengeOf = async (text) => (await sha256(concat(utf8('DQ1/req'), unbase45(text.slice(4))))).slice(0, 16);

/** What questions are about where it does not matter. */
export const CODE = '12345678';

/** A signed answer with its disclosure, to a question about `code`; a portrait's digest takes its place in the claims. */
export async function answerOf(world, payload, claims = null, { signer = world.keys.answers, header = {}, portrait = null, code = CODE } = {}) {
  const codeSalt = toBase64url(crypto.getRandomValues(new Uint8Array(16)));
  const salt = crypto.getRandomValues(new Uint8Array(16));
  const [profile] = Object.keys(claims ?? {});
  if (portrait) claims[profile].portrait = Buffer.from((await sha256(concat(salt, portrait))).slice(0, 16)).toString('hex');
  const disclosure = claims ? toBase64url(utf8(JSON.stringify([toBase64url(salt), claims]))) : null;
  const kid = Array.from(signer.kid, (byte) => byte.toString(16).padStart(2, '0')).join('');
  const whole = { code_sha256: await answeredCode(codeSalt, code), ...payload, ...(disclosure ? { disclosure_sha256: toBase64url(await sha256(utf8(disclosure))) } : {}) };
  const signed = [{ alg: 'ES256', typ: 'signer-verification+jwt', kid, ...header }, whole].map((part) => toBase64url(utf8(JSON.stringify(part)))).join('.');
  return { answer: `${signed}.${toBase64url(await sign(signer.private, utf8(signed)))}`, disclosure, codeSalt };
}

