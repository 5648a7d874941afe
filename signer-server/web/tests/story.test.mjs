/** Both pages of `cargo demo`, as a newcomer uses them: the holder's and the shop's, a real phone and a real server behind them. */

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { request } from 'node:http';
import test, { after, before } from 'node:test';
import { promisify } from 'node:util';

import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { steady } from './support/server.mjs';

const DEMO = process.env.SIGNER_DEMO ?? new URL('../../../target/debug/examples/demo', import.meta.url).pathname;
const START_MS = 120_000;
const STOP_MS = 60_000;

let chromium;
let demo;
/** What it ended with. */
let ended;
/** Addresses that the demo prints. */
let wallet;
let shop;
/** Token of the bank. */
let bank;
/** Folder of the demo's server. */
let folder;

before(async () => {
  demo = spawn(DEMO, [], { stdio: ['ignore', 'pipe', 'inherit'] });
  ended = new Promise((resolve) => demo.once('exit', (code, signal) => resolve(code ?? signal)));
  let told = '';
  await new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`the demo told no addresses:\n${told}`)), START_MS);
    demo.once('exit', (code) => reject(new Error(`${DEMO} ended with ${code}:\n${told}`)));
    demo.stdout.on('data', (text) => {
      told += text;
      wallet = /^Holder: (\S+)$/m.exec(told)?.[1];
      shop = /^Shop: +(\S+)$/m.exec(told)?.[1];
      bank = /SIGNER_TOKEN=(\S+)/.exec(told)?.[1];
      folder = /its store in (.+)\.$/m.exec(told)?.[1];
      if (wallet && shop && bank) resolve(clearTimeout(late));
    });
  });
  chromium = await browser.launch();
});
after(async () => {
  demo.kill();
  const end = await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, STOP_MS, 'nothing: it does not stop'))]);
  demo.kill('SIGKILL');
  await chromium?.close();
  if (end !== 0) throw new Error(`${DEMO} ended with ${end}`);
});

const openWallet = (t, options = {}) => browser.open(t, chromium, new URL(wallet).origin, { size: browser.PHONE, at: '/wallet/', ...options });

/** The shop's page with the token of the link saved, as a person does it. */
async function openShop(t, options = {}) {
  const { origin, pathname, hash } = new URL(shop);
  const page = await browser.open(t, chromium, origin, { at: pathname + hash, ...options });
  await page.click('[data-view="settings"]');
  await page.waitForFunction(() => document.getElementById('token').value !== '');
  await page.click('#online button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('token').value === '');
  await page.click('[data-view="scan"]');
  await page.waitForSelector('#mode[data-mode="online"]');
  return page;
}

/** Puts a document's code on the phone's screen, one that will not change by itself before it is used. */
async function show(phone, document = 'identity_card', profile = 'age') {
  if (await phone.isVisible('#done')) await phone.click('#done');
  await phone.click(`[data-document="${document}"]`);
  await phone.check(`input[value="${profile}"]`);
  await phone.click('#choose-show');
  await phone.waitForFunction(() => document.getElementById('number').textContent.length === 9);
  await phone.waitForFunction(() => {
    const [, minutes, seconds] = /(\d):(\d\d)/.exec(document.getElementById('changes').textContent) ?? [0, 0, 0];
    return Number(minutes) * 60 + Number(seconds) > 45;
  }, null, { timeout: 60_000 });
  await drawn(phone);
}

/** The pictures of the code have arrived. */
const drawn = (phone) => phone.waitForFunction(() => ['qr', 'bar'].every((id) => document.getElementById(id).complete && document.getElementById(id).naturalWidth));

const numberOf = async (phone) => (await phone.innerText('#number')).replace(/\D/g, '');

/** The clerk types the number; both sides show the same two digits. */
async function typeNumber(clerk, phone) {
  const before = await numberOf(phone);
  await clerk.fill('#digits', before);
  await clerk.press('#digits', 'Enter');
  await phone.waitForSelector('#ask[open]');
  await clerk.waitForSelector('#asked:not([hidden])');
  const match = await phone.innerText('#match');
  assert.match(match, /^\d\d$/);
  assert.equal((await clerk.innerText('.match')).trim(), match);
  assert.equal(await phone.innerText('#ask-title'), 'Corner Shop asks');
  return before;
}

test('WEB-111 a number typed in the shop is allowed on the phone, and the shop learns it', async (t) => {
  const [phone, clerk] = [await openWallet(t), await openShop(t)];
  await show(phone);
  await browser.shot(phone, 'story-code');
  const before = await typeNumber(clerk, phone);
  await browser.shot(phone, 'story-ask');
  await browser.shot(clerk, 'story-asked');
  await phone.click('#allow');
  const { result, claims } = await browser.result(clerk);
  assert.equal(result, 'green');
  assert.match(claims, /At least 18 years old/);
  await browser.shot(clerk, 'story-green');
  // The code is used up on both sides: the phone shows the next one.
  await phone.waitForSelector('#ask', { state: 'hidden' });
  await phone.waitForSelector('#turn:not([hidden])');
  assert.notEqual(await numberOf(phone), before);
  await phone.waitForFunction(() => document.getElementById('notice').textContent === 'Allowed. Corner Shop has the answer.');
});

test('WEB-112 a question denied on the phone tells the shop that and no more', async (t) => {
  const [phone, clerk] = [await openWallet(t), await openShop(t)];
  await show(phone);
  await typeNumber(clerk, phone);
  await phone.click('#deny');
  const { result, claims } = await browser.result(clerk);
  assert.equal(result, 'red');
  assert.equal(await browser.lastReason(clerk), 'declined');
  assert.equal(claims, '');
  await phone.click('#done');
  await phone.click('[data-view="history"]');
  await browser.says(phone, '#entries', /Corner Shop\s+[\d:]+\s+You denied/);
});

test('WEB-113 the picture of the code is scanned once; the phone says so and shows the next', async (t) => {
  const [phone, clerk] = [await openWallet(t, { theme: 'dark' }), await openShop(t)];
  await show(phone, 'driving_licence');
  const text = await browser.readCanvas(phone, '#qr');
  assert.match(text, /^DQ1:/);
  const [bars] = await browser.readBars(phone, '#bar');
  assert.equal(bars, (await phone.innerText('#bar-digits')).replace(/\D/g, ''));
  // It is said for some seconds: who looks later sees it no more.
  const said = phone.waitForSelector('#used:not([hidden])');
  await browser.wedge(clerk, text);
  const { result, when } = await browser.result(clerk);
  assert.equal(result, 'green');
  assert.match(when, /^Checked online/);
  await said;
  await drawn(phone);
  await browser.next(clerk);
  await browser.wedge(clerk, text);
  assert.equal((await browser.result(clerk)).result, 'red');
  assert.equal(await browser.lastReason(clerk), 'used');
  assert.notEqual(await browser.readCanvas(phone, '#qr'), text);
});

test('WEB-114 the holder sees the whole document asked for, and axe finds nothing while it is (both themes and languages)', async (t) => {
  for (const [language, theme] of [['en', 'dark'], ['uk', 'light']]) {
    const phone = await openWallet(t, { language, theme });
    await show(phone, 'identity_card', 'full');
    assert.ok(await phone.isVisible('#code-whoever'));
    await browser.shot(phone, `story-full-${theme}-${language}`);
    assert.deepEqual(await violations(phone), []);
    await phone.click('#done');
    await phone.click('[data-view="history"]');
    await phone.waitForSelector('.entries');
    await browser.shot(phone, `story-history-${theme}-${language}`);
    assert.deepEqual(await violations(phone), []);
    await phone.finish();
  }
});

/** Gives a shop's page a credential of its own, and has it show its request. Returns the request's text. */
async function showRequest(clerk, name, profile) {
  await clerk.click('[data-view="settings"]');
  await clerk.waitForFunction(() => document.getElementById('business-key').value.length === 44);
  const key = await clerk.inputValue('#business-key');
  const operator = ['__signer-server', '--json', '--config', `${folder}/config.toml`];
  // A relying party's token begins with its id, 16 bytes.
  const id = Buffer.from(/#token=(.+)$/.exec(shop)[1], 'base64url').subarray(0, 16).toString('hex');
  const asked = ['business-credential', '--relying-party', id, '--name', name, '--key', key, '--profiles', profile];
  const { stdout } = await promisify(execFile)(DEMO, [...operator, ...asked]);
  await clerk.fill('#business-credential', JSON.parse(stdout).credential);
  await clerk.selectOption('#business-profile', { index: ['age', 'minimal', 'full'].indexOf(profile) });
  await clerk.click('#business button[type="submit"]');
  await clerk.waitForFunction(() => document.getElementById('business-credential').value === '');
  await clerk.click('[data-view="scan"]');
  await clerk.click('#request-toggle');
  return browser.readCanvas(clerk, '#request-code');
}

test('WEB-116 the holder answers the request of one shop, and no other shop can use the answer', async (t) => {
  const [phone, clerk, other] = [await openWallet(t), await openShop(t), await openShop(t)];
  await steady();
  await showRequest(other, 'Night Club Neon', 'minimal');
  const request = await showRequest(clerk, 'Pharmacy Seven', 'minimal');
  assert.match(request, /^DR1:/);
  await browser.shot(clerk, 'story-request');
  if (await phone.isVisible('#done')) await phone.click('#done');
  await phone.click('[data-document="identity_card"]');
  await phone.click('#request-open');
  await phone.fill('#request-text', request);
  await phone.click('#request-form button[type="submit"]');
  await phone.waitForSelector('#request-read:not([hidden])');
  assert.match(await phone.innerText('#request-read'), /^Pharmacy Seven asks for\s+Initials, day and month of birth, and whether you are 18\./);
  assert.deepEqual(await violations(phone), []);
  await browser.shot(phone, 'story-request-read');
  await phone.click('#request-read button');
  await phone.waitForSelector('#for-request:not([hidden])');
  assert.match(await phone.innerText('#for-request'), /^Answers the request of Pharmacy Seven\./);
  await browser.shot(phone, 'story-request-code');
  const text = await browser.readCanvas(phone, '#qr');

  for (const elsewhere of [other, await openShop(t)]) {
    await browser.wedge(elsewhere, text);
    const { result, claims } = await browser.result(elsewhere);
    assert.deepEqual([result, await browser.lastReason(elsewhere), claims], ['red', 'not_for_this_request', '']);
  }
  await browser.wedge(clerk, text);
  const { result, claims, when } = await browser.result(clerk);
  assert.deepEqual([result, await browser.lastReason(clerk)], ['green', 'valid']);
  assert.match(claims, /Of age[\s\S]*Initials/);
  assert.match(when, /^Checked online/);
});

test('WEB-117 a request changed on its way is refused by the phone, and nothing is shown', async (t) => {
  const [phone, clerk] = [await openWallet(t), await openShop(t)];
  await steady();
  const request = await showRequest(clerk, 'Pharmacy Seven', 'age');
  if (await phone.isVisible('#done')) await phone.click('#done');
  await phone.click('[data-document="identity_card"]');
  await phone.click('#request-open');
  const letter = request.at(-9);
  await phone.fill('#request-text', `${request.slice(0, -9)}${letter === 'A' ? 'B' : 'A'}${request.slice(-8)}`);
  await phone.click('#request-form button[type="submit"]');
  await browser.says(phone, '#notice', /does not trust this request/);
  assert.equal(await phone.isVisible('#request-read'), false);
});

/** A request as no browser lets a page send it, but an attacker's setup does. */
const send = (path, { method = 'GET', headers = {}, body = '' } = {}) =>
  new Promise((resolve, reject) => {
    const { hostname, port } = new URL(wallet);
    const sent = request({ hostname, port, path: `/wallet/${path}`, method, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer));
    });
    sent.once('error', reject);
    sent.end(body);
  });

test('WEB-115 only the page itself, on loopback, is answered: no other host, no other origin, no other site', async () => {
  const { host, origin } = new URL(wallet);
  const json = { 'content-type': 'application/json' };
  const post = (headers, body = '{}') => send('hide', { method: 'POST', headers: { host, ...headers }, body }).then(({ statusCode }) => statusCode);
  const get = (path, headers) => send(path, { headers: { host, ...headers } }).then(({ statusCode }) => statusCode);

  assert.equal(await post({ ...json, origin }), 204);
  // Cross-site request forgery, by script and by form.
  assert.equal(await post(json), 403);
  for (const other of ['http://evil.example', 'null', `https://${host}`, origin.replace(/\d+$/, '1'), new URL(shop).origin]) {
    assert.equal(await post({ ...json, origin: other }), 403, other);
    assert.equal(await get('state', { origin: other }), 403, other);
  }
  assert.equal(await post({ origin, 'content-type': 'text/plain' }), 415);
  assert.equal(await post({ origin, 'content-type': 'application/x-www-form-urlencoded' }, 'a=1'), 415);
  // DNS rebinding: the name is the attacker's, the address is this one.
  for (const path of ['', 'state', 'history', 'qr.svg', 'events']) {
    assert.equal(await get(path, { host: `evil.example:${new URL(wallet).port}` }), 403, path);
    assert.equal(await get(path, { host: '127.0.0.1' }), 403, path);
  }
  // Another site shows the code as a picture.
  assert.equal(await get('qr.svg', { 'sec-fetch-site': 'cross-site' }), 403);
  assert.equal(await get('qr.svg', { 'sec-fetch-site': 'same-site' }), 403);
  assert.equal(await get('', { 'sec-fetch-site': 'cross-site' }), 200);
  const { headers } = await send('', { headers: { host } });
  assert.match(headers['content-security-policy'], /default-src 'self'.*frame-ancestors 'none'/);
  assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
  assert.equal(headers['cache-control'], 'no-store');
});

const server = () => new URL(shop).origin;

/** Has the bank ask. */
async function ask(what) {
  const documents = [{ name: 'agreement.pdf', sha256: Buffer.alloc(32, 7).toString('base64') }];
  const response = await fetch(`${server()}/v1/requests`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bank}`, 'content-type': 'application/json' },
    body: JSON.stringify({ text: 'Agreement 4711', documents, ...what }),
  });
  assert.equal(response.status, 201);
  return response.json();
}

const statusOf = async (id) => {
  const response = await fetch(`${server()}/v1/requests/${id}`, { headers: { authorization: `Bearer ${bank}` } });
  return (await response.json()).status;
};

/** Opens what the bank asks on the phone. */
async function openRequest(phone) {
  if (await phone.isVisible('#done')) await phone.click('#done');
  await phone.click('#wanted button');
  await phone.waitForSelector('#signing:not([hidden])');
}

async function typePin(phone, pin) {
  await phone.fill('#pin', pin);
  await phone.click('#pin-form button');
}

test('WEB-120 a request with a verification code is signed after the right one, and ended by a wrong one', async (t) => {
  const phone = await openWallet(t);
  const made = await ask({ person: 'olena', verification_code: true });
  await openRequest(phone);
  await browser.shot(phone, 'story-codes');
  assert.match(await phone.innerText('#signing-title'), /^Bank of Examples asks/);
  assert.ok(await phone.isHidden('#pin-form'));
  await phone.click(`#codes button[value="${made.verification_code}"]`);
  await phone.waitForSelector('#pin-form:not([hidden])');
  await typePin(phone, '730149');
  await browser.says(phone, '#pin-error', /The PIN was wrong/);
  assert.equal(await statusOf(made.id), 'open');
  await typePin(phone, '730194');
  await browser.says(phone, '#notice', /^Signed\. Bank of Examples/);
  assert.equal(await statusOf(made.id), 'signed');

  const lure = await ask({ person: 'olena', verification_code: true });
  await openRequest(phone);
  await phone.click(`#codes button:not([value="${lure.verification_code}"])`);
  await browser.says(phone, '#notice', /The request has ended, and nothing was signed/);
  assert.equal(await statusOf(lure.id), 'wrong_code');
});

/** A link, as the bank's own machine makes it: protocol.md section 6.7. */
function linkOf({ link_url, link_token, link_secret }, elapsed) {
  const token = Buffer.from(link_token, 'base64url');
  const label = Buffer.from('signer/v1/device-link');
  const length = (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64BE(BigInt(value));
    return bytes;
  };
  const message = Buffer.concat([Buffer.from([label.length]), label, length(32), token, length(8), length(elapsed)]);
  const mac = createHmac('sha256', Buffer.from(link_secret, 'base64url')).update(message).digest('base64url');
  return `${link_url}/link?v=1&t=${elapsed}&s=${token.toString('base64url')}&a=${mac}`;
}

test('WEB-121 a link that is pasted in time brings its request, which is signed; an old one says so', async (t) => {
  const phone = await openWallet(t);
  if (await phone.isVisible('#done')) await phone.click('#done');
  const began = Date.now();
  const made = await ask({ link: true });
  await phone.click('#link-open');
  const paste = async (link) => {
    await phone.fill('#link-text', link);
    await phone.click('#link-form button');
  };
  await paste('https://example.com/');
  await browser.says(phone, '#notice', /This is no link of a request/);
  await paste(linkOf(made, 1000));
  await browser.says(phone, '#notice', /not of this moment/);
  await paste(linkOf(made, Math.floor((Date.now() - began) / 1000)));
  await phone.waitForSelector('#signing:not([hidden])');
  await typePin(phone, '730194');
  await browser.says(phone, '#notice', /^Signed\./);
  assert.equal(await statusOf(made.id), 'signed');
});
