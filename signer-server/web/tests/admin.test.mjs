/** The operator's page before the real server. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import test, { after, before } from 'node:test';

import { TEXTS } from '../admin/texts.js';
import { violations } from './support/axe.mjs';
import * as browser from './support/browser.mjs';
import { startReal } from './support/server.mjs';

let chromium;
let server;
let origin;
let token;

before(async () => {
  server = await startReal({ SIGNER_SERVER__SANDBOX: 'true' });
  origin = `http://127.0.0.1:${server.port}`;
  token = readFileSync(path.join(server.env.SIGNER_SERVER__DATA_DIR, 'admin-token'), 'utf8').trim();
  chromium = await browser.launch();
});
after(async () => {
  await chromium?.close();
  await server?.stop();
});

const open = (t, options = {}) => browser.open(t, chromium, origin, { at: '/admin/', camera: false, ...options });

async function enter(page) {
  await page.fill('#token', token);
  await page.click('#enter-form button');
  await page.waitForSelector('#parties:not([hidden])');
}

/** Registers one and gives what is handed over. */
async function register(page, name) {
  await page.fill('#name', name);
  await page.click('#add-form button');
  await page.waitForSelector('#shown[open]');
  const [id, bearer] = await page.$$eval('#shown-values code', (values) => values.map((value) => value.textContent));
  await page.click('#shown button');
  await page.waitForSelector(`#party-rows >> text=${name}`);
  return { id, bearer };
}

const ask = (bearer, person = 'nobody') =>
  fetch(`${origin}/v1/requests`, {
    method: 'POST',
    headers: { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' },
    body: JSON.stringify({ person, text: 'A secret text', documents: [{ name: 'a.pdf', sha256: Buffer.alloc(32, 7).toString('base64') }] }),
  });

test('WEB-130 an operator registers a relying party, gives it a key, sees its requests and ends it', async (t) => {
  const page = await open(t);
  await enter(page);
  const { id, bearer } = await register(page, 'Bank of Pages');
  assert.equal(await page.textContent('#shown-values'), '');
  const made = await ask(bearer);
  assert.equal(made.status, 201);
  await page.selectOption('#filter', id);
  await page.click('#filter-form button');
  await page.waitForSelector('.status[data-status="open"]');
  const row = await page.innerText('#request-rows tr');
  assert.ok(row.includes('Bank of Pages') && row.includes((await made.json()).id));
  assert.ok(!(await page.content()).includes('A secret text') && !(await page.content()).includes('nobody'));
  // A secret, for this is a sandbox; it gets an access token.
  await page.click('button[aria-label="OAuth key of Bank of Pages"]');
  await page.click('#key-form button.primary');
  await page.waitForSelector('#shown[open]');
  const secret = await page.innerText('#shown-values dd:last-child');
  const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: id, client_secret: secret });
  assert.equal((await fetch(`${origin}/oauth2/token`, { method: 'POST', body: form })).status, 200);
  await page.click('#shown button');
  await page.click('button[aria-label="End Bank of Pages?"]');
  await page.click('#end-form button.careful');
  await page.waitForSelector('#party-rows .ended');
  assert.equal((await ask(bearer)).status, 401);
});

test('WEB-131 a wrong token shows nothing, and a reload forgets the right one', async (t) => {
  const page = await open(t);
  await page.fill('#token', 'wrong');
  await page.click('#enter-form button');
  await browser.says(page, '#notice', /This is not the operator/);
  assert.ok(await page.isHidden('#parties'));
  page.problems.length = 0;
  await enter(page);
  await page.reload();
  await page.waitForSelector('#enter:not([hidden])');
  assert.ok(await page.isHidden('#parties'));
  const stored = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.ok(!stored.includes(token));
});

for (const [language, theme] of [['en', 'light'], ['uk', 'dark']]) {
  test(`WEB-132 axe finds nothing on the operator's page (${language}, ${theme})`, async (t) => {
    for (const [size, name] of [[browser.PHONE, 'phone'], [browser.DESKTOP, 'desktop']]) {
      const page = await open(t, { language, theme, size });
      assert.equal(await page.getAttribute('html', 'lang'), language);
      assert.deepEqual(await violations(page), []);
      await enter(page);
      await register(page, `Bank ${language} ${name}`);
      await page.waitForSelector('#audit-rows [data-act="party_added"]');
      assert.deepEqual(await violations(page), []);
      await browser.shot(page, `admin-${name}-${theme}-${language}`);
      await page.click('#party-rows .acts button');
      await page.waitForSelector('dialog[open]');
      assert.deepEqual(await violations(page), []);
      await page.finish();
    }
  });
}

test('WEB-134 an operator reads the audit log, finds all about an id, goes further back, and copies the key', async (t) => {
  const page = await open(t);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await enter(page);
  const { bearer } = await register(page, 'Bank of the Log');
  await page.waitForSelector('#audit-rows [data-act="party_added"]');
  assert.match(await page.innerText('#audit-rows tr'), /relying party added\s+Bank of the Log/);
  const { id } = await (await ask(bearer)).json();
  await page.click('#audit-form button');
  await page.waitForSelector('#audit-rows [data-act="request_made"]');
  await page.click(`#audit-rows button[value="${id}"]`);
  await page.waitForFunction(() => document.querySelectorAll('#audit-rows tr').length === 1);
  assert.equal(await page.inputValue('#about'), id);
  assert.match(await page.innerText('#audit-rows'), /request made\s+Bank of the Log/);

  await page.fill('#about', 'ff'.repeat(16));
  await page.press('#about', 'Enter');
  await browser.says(page, '#audit-rows', /The log has nothing about it/);
  await page.fill('#about', 'olena');
  await page.press('#about', 'Enter');
  await browser.says(page, '#notice', /^Refused/);

  // More than one answer holds.
  for (let made = 0; made < 60; made += 1) assert.equal((await ask(bearer, `nobody-${made}`)).status, 201);
  await page.fill('#about', '');
  await page.press('#about', 'Enter');
  await page.waitForSelector('#older:not([hidden])');
  const indexes = () => page.$$eval('#audit-rows tr', (rows) => rows.map((row) => Number(row.firstElementChild.innerText)));
  const newest = (await indexes())[0];
  assert.equal((await indexes()).length, 50);
  await page.click('#older');
  await page.waitForSelector('#older', { state: 'hidden' });
  assert.deepEqual(await indexes(), Array.from({ length: newest + 1 }, (_, place) => newest - place));
  assert.equal(await page.$$eval('#audit-rows [data-act="started"]', (rows) => rows.length), 1);

  await page.$eval('#audit-form', (form) => form.scrollIntoView());
  await browser.shot(page, 'admin-audit');
  const key = await page.inputValue('#audit-key');
  assert.match(key, /^[^+]+\/audit\+[0-9a-f]{8}\+/);
  await page.click('#audit-key-form button');
  await browser.says(page, '#notice', /^Copied/);
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), key);
  await page.click('#leave');
  assert.ok(!(await page.content()).includes(id));
  assert.equal(await page.inputValue('#audit-key'), '');
});

test('WEB-133 both languages of the operator’s page have every text', () => {
  assert.deepEqual(Object.keys(TEXTS.uk), Object.keys(TEXTS.en));
  for (const [key, text] of Object.entries(TEXTS.uk)) {
    assert.deepEqual(text.match(/\{\w+\}/g)?.sort(), TEXTS.en[key].match(/\{\w+\}/g)?.sort(), key);
  }
});

test('WEB-135 an operator sees what the node does now, and which node it is', async (t) => {
  const page = await open(t);
  await enter(page);
  await page.waitForSelector('#live-figures .tile');
  assert.match(await page.innerText('#live-node'), new RegExp(`127\\.0\\.0\\.1:${server.port}`));
  assert.equal(await page.innerText('#live-state'), 'It takes calls.');
  // Another snapshot brings rates; the page's own calls are calls.
  await page.waitForFunction(() => Number.parseFloat(document.querySelector('[data-figure="calls"] .value')?.textContent ?? '') > 0);
  const entries = async () => Number((await page.innerText('[data-figure="audit_entries"] .value')).replace(/\D/g, ''));
  const before = await entries();
  await register(page, 'Bank of Figures');
  await page.waitForFunction((before) => Number(document.querySelector('[data-figure="audit_entries"] .value')?.textContent?.replace(/\D/g, '')) > before, before);
  assert.ok((await page.$$('.chart polyline[points*=" "]')).length > 10);
  await page.$eval('#live', (live) => live.scrollIntoView());
  await browser.shot(page, 'admin-figures');
  assert.equal((await fetch(`${origin}/admin/v1/figures`)).status, 401);
  await page.click('#leave');
  assert.ok(await page.isHidden('#live'));
  assert.equal(await page.textContent('#live-figures'), '');
});
