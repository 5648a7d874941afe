/** The real thing: signer-server with its register of made-up people, and `signer` as a phone. */

import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';

import { BINARY, startReal, steady } from './server.mjs';

const run = promisify(execFile);
const PHONE = process.env.SIGNER ?? path.join(path.dirname(BINARY), 'signer');
const REGISTER = new URL('../../../../spec/register.json', import.meta.url).pathname;
const PIN = '730194';

/** Runs a program with what it reads from standard input; gives what it prints. */
async function tell(file, args, env, input = '') {
  const running = run(file, args, { env: { ...process.env, ...env } });
  // Who asks for nothing may be gone before it is told.
  running.child.stdin.on('error', () => {});
  running.child.stdin.end(input);
  return (await running).stdout;
}

/** A server with one enrolled phone that holds a driving licence, and a shop's token. */
export async function startWithPhone() {
  const real = await startReal({ SIGNER_SERVER__REGISTER_FILE: REGISTER });
  // A server left behind would keep the tests from ending.
  return withPhone(real).catch(async (error) => {
    await real.stop();
    throw error;
  });
}

async function withPhone(real) {
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-phone-'));
  const origin = `http://127.0.0.1:${real.port}`;
  const operator = (...args) => tell(BINARY, ['--json', ...args], real.env).then(JSON.parse);
  const phone = (...args) => tell(PHONE, ['--json', '--state', path.join(folder, 'phone'), ...args], {}, `${PIN}\n${PIN}\n`);
  const { code } = await operator('enrolment-code', 'olena');
  await phone('enrol', '--server', origin, '--code', code, '--pin-stdin');
  const { id: shop, token } = await operator('relying-party', 'add', 'Corner Shop', '--verify');
  /** What the phone shows now: { code, digits, bar, … }. */
  const show = async (...args) => {
    await steady();
    return JSON.parse(await phone('show', '--once', ...args));
  };
  /** Answers the one check that waits, once it is there. */
  const answer = async (word) => {
    for (let tries = 0; tries < 300; tries += 1) {
      const { checks } = JSON.parse(await phone('checks'));
      if (checks.length === 1) {
        await phone('answer', word, checks[0].check);
        return checks[0];
      }
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
    throw new Error('no check waits for the holder');
  };
  const stop = async () => {
    await real.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { origin, operator, phone, show, answer, shop, token, stop };
}
