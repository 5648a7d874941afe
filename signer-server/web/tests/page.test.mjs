import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import test, { after, before, beforeEach } from 'node:test';

import * as issuer from '../verifier/test/support/issuer.mjs';
import { film, picture } from './support/camera.mjs';
import * as browser from './support/browser.mjs';
import { hourOf, liveStep, nowSeconds, quarterOf, signedAnswer, start } from './support/server.mjs';

const FULL = [2, 'Шевченко', 'Тарас Григорович', 34_400, 'ВХА123456', 23_526, 'A,B', null];
const TOKEN = 'test-token-0123456789abcdef';

let world;
let plain;
let index = 1_000;

before(async () => {
  world = await start();
  plain = await browser.launch();
});
after(async () => {
  await plain?.close();
  await world?.stop();
});
beforeEach(() => world.reset());

/** A code of a credential of its own, for now. The credential is older than any list, whatever hour begins meanwhile. */
async function code({ document, shift = 0, n = 0, challenge = null, at = (index += 1), signer, credential } = {}) {
  const now = nowSeconds();
  const made = credential ?? (await issuer.newCredential(world, hourOf(now) - 3_600, { document, index: at, signer: signer ?? world.keys.credentials }));
  return issuer.show(made, liveStep(now) + shift, { n, challenge });
}

/** A browser whose camera sees the codes, until the test ends. */
async function inFront(t, texts, options) {
  const file = path.join(tmpdir(), `signer-film-${process.pid}.y4m`);
  await film(file, texts, options);
  const camera = await browser.launch(file);
  t.after(async () => {
    await camera.close();
    rmSync(file, { force: true });
  });
  return camera;
}

/** Puts a token in by the settings, as a person does. */
async function setUp(page, { onlineOnly = false, ask = '' } = {}) {
  await page.click('[data-view="settings"]');
  await page.fill('#token', TOKEN);
  await page.selectOption('#ask', ask);
  if (onlineOnly) await page.check('#online-only');
  await page.click('#online button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('token').value === '');
  await page.click('[data-view="scan"]');
}

const words = (page) => browser.result(page).then(({ result, verdict }) => [result, verdict]);

test('WEB-050 a live code before the camera is checked online, once', async (t) => {
  const text = await code();
  world.answer = async (body) => signedAnswer(world, body, { claims: { age: { document_type: 'driving_licence', over: 18, portrait: null } }, document_type: 'driving_licence' });
  const camera = await inFront(t, ['', text], { seconds: 3 });
  // The camera is allowed once the token is there: nothing is read before.
  const page = await browser.open(t, camera, world.origin, { camera: false });
  await setUp(page);
  await page.context().grantPermissions(['camera']);
  await page.click('#camera-start');
  const shown = await browser.result(page);
  assert.deepEqual([shown.result, shown.verdict], ['green', 'Valid']);
  assert.match(shown.claims, /At least 18 years old/);
  assert.match(shown.when, /Checked online/);
  assert.deepEqual(world.asked.map((body) => body.code), [text]);
  await browser.shot(page, 'desktop-light-online-green');
});

test('WEB-051 after the first load a code is checked without network, also after a reload', async (t) => {
  // Others than the one that was read while there was a network.
  const texts = await Promise.all(Array.from({ length: 8 }, () => code({ document: FULL })));
  const camera = await inFront(t, texts, { seconds: 1.5 });
  const page = await browser.open(t, camera, world.origin);
  await browser.kept(page);
  await page.context().setOffline(true);
  await page.reload();
  await browser.ready(page);
  let shown = await browser.result(page);
  while ((await browser.lastReason(page)) === 'used') {
    await browser.next(page);
    shown = await browser.result(page);
  }
  assert.equal(await browser.lastReason(page), 'valid');
  assert.match(shown.claims, /Шевченко Тарас Григорович/);
  assert.match(shown.when, /Checked offline.*withdrawals known to/);
  assert.match(shown.notes, /copy of the code/);
});

test('WEB-052 expired, tampered, revoked, superseded, late and foreign codes before the camera give their own reasons', async (t) => {
  const now = nowSeconds();
  const credential = await issuer.newCredential(world, hourOf(now), { index: (index += 1) });
  const newer = await code({ credential, n: 3 });
  const older = await code({ credential, n: 2 });
  const revoked = (index += 1);
  const suspended = (index += 1);
  world.statuses = { [revoked]: 1, [suspended]: 2 };
  const good = await code();
  const expired = await issuer.newCredential(world, hourOf(now) - 27 * 3_600, { index: (index += 1) });
  const texts = [
    newer,
    older,
    `${good.slice(0, -9)}${good.at(-9) === 'A' ? 'B' : 'A'}${good.slice(-8)}`,
    await code({ at: revoked }),
    await code({ at: suspended }),
    await code({ credential: expired }),
    await code({ shift: -3 }),
    await code({ signer: await issuer.newKey() }),
    'https://example.org/not-ours',
  ];
  const camera = await inFront(t, texts, { seconds: 2 });
  const page = await browser.open(t, camera, world.origin);
  const expected = ['valid', 'superseded', 'revoked', 'suspended', 'expired', 'clock', 'unknown_issuer', 'not_ours'];
  const seen = new Set();
  const missing = () => expected.filter((reason) => !seen.has(reason)).concat(seen.has('unreadable') || seen.has('bad_signature') ? [] : ['tampered']);
  for (let checks = 0; checks < 40 && missing().length; checks += 1) {
    const shown = await browser.result(page);
    seen.add(await browser.lastReason(page));
    assert.equal(shown.claims === '', shown.result === 'red', JSON.stringify(shown));
    await browser.next(page);
  }
  assert.deepEqual(missing(), []);
});

test('WEB-053 a number asks the holder, shows the two digits, and waits for the answer', async (t) => {
  const page = await browser.open(t, plain, world.origin, { size: browser.PHONE });
  await setUp(page);
  let decide;
  const decided = new Promise((resolve) => (decide = resolve));
  world.asked = [];
  world.answer = async () => ({ status: 202, body: { check: 'ab'.repeat(16), match: '47', expires: nowSeconds() + 120 } });
  let polls = 0;
  world.poll = async () => {
    polls += 1;
    if (polls === 1) return { status: 202, body: { check: 'ab'.repeat(16), match: '47', expires: nowSeconds() + 119 } };
    await decided;
    return signedAnswer(world, world.asked[0], { claims: { minimal: { document_type: 'identity_card', initials: 'Ш.Т.Г.', ddmm: 903, over18: true } }, document_type: 'identity_card' });
  };
  await page.fill('#digits', '1234 5678');
  await page.press('#digits', 'Enter');
  await page.waitForSelector('#asked:not([hidden])');
  assert.equal(await page.innerText('#asked-match'), '47');
  assert.match(await page.textContent('#announce'), /4 7/);
  await browser.shot(page, 'phone-light-asked');
  decide();
  const shown = await browser.result(page);
  assert.deepEqual([shown.result, world.asked[0].code], ['green', '12345678']);
  assert.match(shown.claims, /Of age[\s\S]*Ш\.Т\.Г\.[\s\S]*09\.03/);
  await browser.next(page);

  world.answer = async (body) => signedAnswer(world, body, { result: 'red', reason: 'declined' });
  await page.fill('#digits', '1234567890123456');
  await page.click('#number button');
  assert.deepEqual(await words(page), ['red', 'Do not accept']);
  assert.equal(await browser.lastReason(page), 'declined');
  await browser.next(page);

  await page.fill('#digits', '1234 567');
  await page.click('#number button');
  assert.match(await page.innerText('#number-hint'), /8 or 16 digits/);
});

test('WEB-054 while the holder is asked the clerk may stop, and nothing is shown', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  world.answer = async () => ({ status: 202, body: { check: 'cd'.repeat(16), match: '08', expires: nowSeconds() + 120 } });
  world.poll = () => new Promise(() => {});
  await page.fill('#digits', '12345678');
  await page.press('#digits', 'Enter');
  await page.waitForSelector('#asked:not([hidden])');
  await page.click('#asked-stop');
  await page.waitForSelector('#scan:not([hidden])');
  assert.equal(await page.isVisible('dialog#result'), false);
});

test('WEB-055 online only never falls back; otherwise a lost network is said', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await browser.kept(page);
  await setUp(page, { onlineOnly: true });
  await page.context().setOffline(true);
  await browser.wedge(page, await code());
  assert.deepEqual(await words(page), ['red', 'Do not accept']);
  assert.equal(await browser.lastReason(page), 'online_required');
  await browser.next(page);
  await page.fill('#digits', '12345678');
  await page.press('#digits', 'Enter');
  assert.deepEqual(await words(page), ['grey', 'Not checked']);
  await browser.next(page);
  await page.click('[data-view="settings"]');
  await page.uncheck('#online-only');
  await page.click('#online button[type="submit"]');
  await page.click('[data-view="scan"]');
  await browser.wedge(page, await code());
  const shown = await browser.result(page);
  assert.match(shown.when, /Checked offline/);
  assert.equal(shown.result, 'green');
});

test('WEB-056 a server that refuses is no verdict on the document', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  const failing = async (status, sentence) => {
    world.answer = async () => ({ status, body: { code: 'x' } });
    await page.fill('#digits', '12345678');
    await page.press('#digits', 'Enter');
    const shown = await browser.result(page);
    assert.equal(shown.result, 'grey', String(status));
    assert.match(shown.sentence, sentence);
    await browser.next(page);
  };
  await failing(401, /token/);
  await failing(429, /Too many wrong numbers/);
  await failing(504, /cannot be reached/);
  await failing(503, /could not answer/);
  await failing(422, /does not take/);
  world.answer = async (body) => {
    const { body: answer } = await signedAnswer(world, body);
    return { status: 200, body: { ...answer, answer: undefined } };
  };
  await browser.wedge(page, await code());
  const unsigned = await browser.result(page);
  assert.deepEqual([unsigned.result, unsigned.claims], ['grey', '']);
  assert.match(unsigned.sentence, /signature of the server/);
  await browser.next(page);
  world.answer = async (body) => signedAnswer(world, { ...body, request_id: 'another-request' });
  await browser.wedge(page, await code());
  assert.equal((await browser.result(page)).result, 'grey');
});

test('WEB-057 a scanner that plays a keyboard is read, also over a Ukrainian keyboard', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await browser.wedge(page, await code());
  assert.equal((await browser.result(page)).result, 'green');
  // The next scan needs no click: it takes the place of the result.
  const text = await code({ shift: -3 });
  const cyrillic = Object.fromEntries(Array.from('ABCDEFGHIJKLMNOPQRSTUVWXYZ', (letter) => [letter, 'Ф']));
  await browser.wedge(page, text, { ...cyrillic, D: 'В', Q: 'Й', ':': 'Ж', '/': '.', '.': 'Ю', $: ';' });
  await page.waitForSelector('dialog[data-result="red"]');
  assert.equal(await browser.lastReason(page), 'clock');
  await browser.next(page);
  // Into the field for numbers, too; and with the keys of a real keyboard.
  await page.focus('#digits');
  await browser.wedge(page, await code());
  assert.equal((await browser.result(page)).result, 'green');
  await browser.next(page);
  await page.evaluate(() => document.activeElement.blur());
  await browser.strike(page, '1234567812345678');
  assert.equal((await browser.result(page)).result, 'grey');
});

test('WEB-058 a code in a picture is read; a picture without one says so', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await page.setInputFiles('#picture', { name: 'code.png', mimeType: 'image/png', buffer: await picture(await code()) });
  assert.equal((await browser.result(page)).result, 'green');
  await browser.next(page);
  await page.setInputFiles('#picture', { name: 'none.png', mimeType: 'image/png', buffer: Buffer.from('not a picture') });
  await browser.says(page, '#number-hint', /no code/);
});

test('WEB-059 the ages of the lists are shown, and old ones are marked', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  assert.match(await page.innerText('#ages'), /List of issuers: \d\d:\d\d/);
  assert.equal(await page.locator('.age.old').count(), 0);
  await page.finish();
  Object.assign(world, { issued: nowSeconds() - 8 * 86_400, listIssued: quarterOf(nowSeconds() - 2 * 86_400) });
  const later = await browser.open(t, plain, world.origin);
  assert.equal(await later.locator('.age.old').count(), 2);
  await browser.wedge(later, await code());
  assert.deepEqual([(await browser.result(later)).result, await browser.lastReason(later)], ['amber', 'trust_list_old']);
});

test('WEB-060 an older trust list or status list is not taken over, nor another root', async (t) => {
  world.number = 5;
  const revoked = (index += 1);
  world.statuses = { [revoked]: 1 };
  const page = await browser.open(t, plain, world.origin);
  Object.assign(world, { number: 4, listIssued: world.listIssued - 1_800, statuses: {}, issued: world.issued + 60 });
  await page.reload();
  await browser.ready(page);
  await browser.wedge(page, await code({ at: revoked }));
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'revoked');
  await browser.next(page);
  await page.click('[data-view="settings"]');
  await browser.says(page, '#trust', /number 5 of/);
  const other = await issuer.newWorld(nowSeconds());
  world.config = { root: Buffer.from(other.keys.root.point).toString('base64url') };
  await browser.refresh(page);
  assert.match(await page.innerText('#notice'), /another root key/);
  assert.equal(await page.isVisible('#root-replace'), true);
  assert.match(await page.innerText('#trust'), /number 5 of/);
});

test('WEB-061 the device keeps result, kind, time and a hash: no code and no claim', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  const text = await code({ document: FULL });
  await browser.wedge(page, text);
  assert.match((await browser.result(page)).claims, /Шевченко/);
  await browser.next(page);
  assert.doesNotMatch(await page.content(), /Шевченко/);
  const everything = await page.evaluate(async () => {
    const database = await new Promise((resolve) => {
      const open = indexedDB.open('signer-verify');
      open.onsuccess = () => resolve(open.result);
    });
    const all = [];
    for (const name of database.objectStoreNames) {
      const store = database.transaction(name).objectStore(name);
      const rows = await new Promise((resolve) => {
        const request = store.getAll();
        request.onsuccess = () => resolve(request.result);
      });
      const keys = await new Promise((resolve) => {
        const request = store.getAllKeys();
        request.onsuccess = () => resolve(request.result);
      });
      all.push(name, rows.filter((row) => !(row instanceof Uint8Array)), keys);
    }
    return JSON.stringify([all, { ...localStorage }, { ...sessionStorage }]);
  });
  for (const secret of [text, text.slice(4, 40), 'Шевченко', 'Тарас', 'ВХА123456', '1234 5678']) {
    assert.ok(!everything.includes(secret), secret);
  }
  assert.match(everything, /"reason":"valid"/);
  await page.click('[data-view="history"]');
  await browser.says(page, '#history-list', /Valid[\s\S]*Driving licence/);
  await page.click('#history-clear');
  await page.waitForSelector('#history-list .none');
});

test('WEB-062 what a document says is shown as text, whatever it says', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  const nasty = '<img src=x onerror=alert(1)>';
  await browser.wedge(page, await code({ document: [2, nasty, '<script>1</script>', 34_400, '"><b>', 23_526, '&lt;', null] }));
  assert.match((await browser.result(page)).claims, /<img src=x onerror=alert\(1\)> <script>1<\/script>/);
  assert.equal(await page.locator('#claims img, #claims script, #claims b').count(), 0);
});

test('WEB-063 the shop shows its own request, and only its answer is accepted', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await page.click('[data-view="settings"]');
  await page.waitForFunction(() => document.getElementById('business-key').value.length === 44);
  const point = Buffer.from(await page.inputValue('#business-key'), 'base64url');
  const credential = await issuer.businessCredential(world, hourOf(nowSeconds()), { point: new Uint8Array(point), name: 'Аптека №7', profiles: [0, 1] });
  const foreign = await issuer.newBusiness(world, hourOf(nowSeconds()));
  await page.fill('#business-credential', Buffer.from(foreign.bytes).toString('base64url'));
  await page.click('#business button[type="submit"]');
  await browser.says(page, '#announce', /not a credential/);
  await page.fill('#business-credential', Buffer.from(credential).toString('base64url'));
  await page.click('#business button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('business-credential').value === '');
  await page.click('[data-view="scan"]');
  await page.click('#request-toggle');
  const text = await browser.readCanvas(page, '#request-code');
  assert.match(text, /^DR1:/);
  assert.match(await page.innerText('#request'), /Аптека №7/);
  await browser.shot(page, 'desktop-light-request');
  const challenge = await issuer.challengeOf(text);
  await browser.wedge(page, await code());
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'not_for_this_request');
  await browser.next(page);
  await browser.wedge(page, await code({ challenge }));
  assert.equal((await browser.result(page)).result, 'green');
  await browser.next(page);
  // Answered: from now on nothing is good but an answer to the next request.
  const last = await browser.readCanvas(page, '#request-code').then(issuer.challengeOf);
  const less = { challenge: last, document: [2, 'Ш.Т.Г.', 903, true] };
  for (const shown of [{ challenge: null }, { challenge }, less]) {
    await browser.wedge(page, await code(shown));
    await browser.result(page);
    assert.equal(await browser.lastReason(page), 'not_for_this_request');
    await browser.next(page);
  }
  const drawn = await browser.until(async () => {
    const now = await browser.readCanvas(page, '#request-code');
    return now !== text && now;
  });
  const fresh = await issuer.challengeOf(drawn);
  await browser.wedge(page, await code({ challenge: fresh }));
  assert.equal((await browser.result(page)).result, 'green');
});

test('WEB-064 a link may offer a token, which is kept only when saved', async (t) => {
  const page = await browser.open(t, plain, `${world.origin}`);
  await page.goto(`${world.origin}/verify/#token=${TOKEN}`);
  await page.reload();
  await browser.ready(page);
  await page.goto('about:blank');
  await page.goto(`${world.origin}/verify/#token=${TOKEN}`);
  await browser.ready(page);
  assert.equal(await page.inputValue('#token'), TOKEN);
  assert.equal(new URL(page.url()).hash, '');
  assert.doesNotMatch(await page.innerText('#mode'), /Online/);
  await page.click('#online button[type="submit"]');
  await page.waitForFunction(() => document.getElementById('mode').textContent === 'Online');
});

test('WEB-065 a clock that is off is told; one before a signed time accepts nothing', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  const text = await code();
  await page.clock.setSystemTime(Date.now() + 100_000);
  await browser.refresh(page);
  assert.match(await page.innerText('#notice'), /clock of this device is (9\d|1[0-4]\d) s off/);
  await page.click('[data-view="scan"]');
  await page.clock.setSystemTime(Date.now() - 7_200_000);
  await browser.wedge(page, text);
  const shown = await browser.result(page);
  assert.deepEqual([shown.result, await browser.lastReason(page)], ['red', 'clock']);
  assert.match(shown.sentence, /clock of this verifier/);
});

test('WEB-066 a newer version of the page is taken as a whole or not at all', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await browser.kept(page);
  const served = (file) => fetch(`${world.origin}${file}`).then((response) => response.text());
  const manifest = JSON.parse(await served('/verify/files.json'));
  const words = (await served('/verify/i18n.js')).replace("scan_title: 'Point the camera at the code'", "scan_title: 'Of the newer version'");
  const update = async () => {
    await browser.refresh(page);
    await page.reload();
    await browser.ready(page);
    return page.innerText('#scan-title');
  };
  // One file on its way was changed: the digest in the list is another.
  world.files = { '/verify/i18n.js': words, '/verify/files.json': JSON.stringify({ ...manifest, version: 'newer' }) };
  assert.equal(await update(), 'Point the camera at the code');
  const files = { ...manifest.files, '/verify/i18n.js': createHash('sha256').update(words).digest('hex') };
  world.files['/verify/files.json'] = JSON.stringify({ version: 'newer', files });
  assert.equal(await update(), 'Of the newer version');
});

test('WEB-067 a code that the server has used up is not good again offline', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  world.answer = async (body) => signedAnswer(world, body);
  const text = await code();
  await browser.wedge(page, text);
  assert.equal((await browser.result(page)).result, 'green');
  await browser.next(page);
  await page.context().setOffline(true);
  await browser.wedge(page, text);
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'used');
});

test('WEB-068 a server that is there and busy is no missing network: nothing is accepted offline', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  for (const status of [500, 503, 429, 401, 400]) {
    world.answer = async () => ({ status, body: {} });
    await browser.wedge(page, await code());
    assert.equal((await browser.result(page)).result, 'grey', String(status));
    await browser.next(page);
  }
  let calls = 0;
  world.answer = async (body) => ((calls += 1), calls === 1 ? { status: 503, body: {} } : signedAnswer(world, body));
  world.asked = [];
  await browser.wedge(page, await code());
  assert.equal((await browser.result(page)).result, 'green');
  assert.equal(world.asked[0].request_id, world.asked[1].request_id);
});

test('WEB-069 nothing is used up for an answer that could not be believed', async (t) => {
  world.keys.answers = null;
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  world.asked = [];
  world.answer = async () => assert.fail('asked');
  await browser.wedge(page, await code());
  assert.equal((await browser.result(page)).result, 'grey');
  assert.deepEqual(world.asked, []);
});

test('WEB-075 what a removed key has signed goes with it, its dates too', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await setUp(page);
  world.answer = async (body) => signedAnswer(world, body, { iat: nowSeconds() + 7_200 });
  await browser.wedge(page, await code());
  await browser.result(page);
  await browser.next(page);
  await page.click('[data-view="settings"]');
  await page.click('#token-forget');
  await page.click('[data-view="scan"]');
  await browser.wedge(page, await code());
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'clock');
  await browser.next(page);
  world.number += 1;
  world.keys.answers = await issuer.newKey();
  await browser.refresh(page);
  assert.match(await page.innerText('#trust'), new RegExp(`number ${world.number} of`));
  await page.click('[data-view="scan"]');
  await browser.wedge(page, await code());
  await browser.result(page);
  assert.equal(await browser.lastReason(page), 'valid');
});

test('WEB-076 within its quarter of an hour a list takes nothing back, and the oldest list tells the age', async (t) => {
  const revoked = (index += 1);
  world.statuses = { [revoked]: 1 };
  const page = await browser.open(t, plain, world.origin);
  const again = async () => {
    await browser.refresh(page);
    await page.click('[data-view="scan"]');
  };
  const later = (index += 1);
  const reasonOf = async (at) => {
    await browser.wedge(page, await code({ at }));
    await browser.result(page);
    const reason = await browser.lastReason(page);
    await browser.next(page);
    return reason;
  };
  world.statuses = { [revoked]: 1, [later]: 1 };
  await again();
  assert.deepEqual([await reasonOf(revoked), await reasonOf(later)], ['revoked', 'revoked']);
  world.statuses = {};
  await again();
  assert.deepEqual([await reasonOf(revoked), await reasonOf(later)], ['revoked', 'revoked']);
  // A list that is named and never came counts as missing.
  world.lists = [1, 999];
  await again();
  await page.waitForSelector('.age.old');
});

test('WEB-077 what is half typed in the settings stays while lists are fetched and in another language', async (t) => {
  const page = await browser.open(t, plain, world.origin);
  await page.click('[data-view="settings"]');
  await page.fill('#token', 'half-a-tok');
  await page.check('#online-only');
  await browser.refresh(page);
  await page.click('#language');
  assert.deepEqual([await page.inputValue('#token'), await page.isChecked('#online-only')], ['half-a-tok', true]);
});
