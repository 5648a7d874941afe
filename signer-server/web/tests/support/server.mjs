/**
 * A server for the page: its files come from the real signer-server, with its headers; what is under /v1 and /status comes
 * from an issuer in this process, so that every answer a server can give is a line in a test.
 */

import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { createServer, request as httpRequest } from 'node:http';
import { createServer as createProbe } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';

import { toBase64url } from '../../verifier/src/bytes.js';
import * as issuer from '../../verifier/test/support/issuer.mjs';

export const BINARY = process.env.SIGNER_SERVER ?? new URL('../../../../target/debug/signer-server', import.meta.url).pathname;
const START_MS = 30_000;

export const nowSeconds = () => Math.floor(Date.now() / 1000);
export const hourOf = (now) => now - (now % 3600);
export const quarterOf = (now) => now - (now % 900);
/** The step whose codes are accepted now and for a minute at least: the coming one in the last half minute of a step. */
export const liveStep = (now) => Math.floor((now + 29) / 180);

/** Waits for the next step where this one is nearly over: what is shown then does not change by itself before it is used. */
export async function steady() {
  const left = 180 - ((Date.now() / 1000) % 180);
  if (left < 45) await new Promise((resolve) => setTimeout(resolve, left * 1000));
}

async function freePort() {
  const probe = createProbe().listen(0, '127.0.0.1');
  await new Promise((resolve) => probe.once('listening', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

/** The real server on a folder of its own; `settings` are environment variables, given back with its own as `env`. */
export async function startReal(settings = {}) {
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-web-'));
  const port = await freePort();
  const env = { SIGNER_SERVER__LISTEN: `127.0.0.1:${port}`, SIGNER_SERVER__DATA_DIR: path.join(folder, 'data'), SIGNER_SERVER__LOG: 'error', ...settings };
  const child = spawn(BINARY, ['serve'], { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'inherit'] });
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const ready = () =>
    fetch(`http://127.0.0.1:${port}/health/ready`, { signal: AbortSignal.timeout(START_MS) }).then((response) => response.ok, () => false);
  for (const end = Date.now() + START_MS; !(await ready()); ) {
    if (child.exitCode !== null) throw new Error(`${BINARY} ended with ${child.exitCode}`);
    if (Date.now() > end) {
      child.kill('SIGKILL');
      throw new Error(`${BINARY} is not ready after ${START_MS} ms`);
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const stop = async () => {
    child.kill();
    await exited;
    rmSync(folder, { recursive: true, force: true });
  };
  return { port, env, stop };
}

/**
 * `world.answer(body, token)` says what POST /v1/verifications answers: { status, body }; `world.poll(check)` likewise.
 * `world.reset()` takes back what a test has changed.
 */
export async function start() {
  const real = await startReal();
  const made = await issuer.newWorld(nowSeconds());
  /** What a test may change, as it is before each. */
  const fresh = () => ({
    keys: { ...made.keys },
    number: 1,
    issued: nowSeconds() - 300,
    statuses: {},
    lists: [1],
    listIssued: quarterOf(nowSeconds()),
    asked: [],
    answer: null,
    poll: null,
    config: {},
    /** Files in place of the server's, by path. */
    files: {},
  });
  const world = { ...made, ...fresh(), reset: () => Object.assign(world, fresh()) };
  const server = createServer((incoming, outgoing) => {
    respond(incoming, outgoing, world, real.port).catch((error) => {
      console.error(error);
      outgoing.statusCode = 500;
      outgoing.end();
    });
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => server.once('listening', resolve));
  world.origin = `http://127.0.0.1:${server.address().port}`;
  world.statusUri = 'https://signer.example/status/v1/lists';
  world.stop = async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await real.stop();
  };
  return world;
}

async function respond(incoming, outgoing, world, port) {
  const url = new URL(incoming.url, world.origin);
  const json = (body, status = 200) => {
    outgoing.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' });
    outgoing.end(JSON.stringify(body));
  };
  if (url.pathname === '/verify/config.json') {
    const root = toBase64url(world.keys.root.point);
    return json({ server: 'https://signer.example', root, languages: ['en', 'uk'], step_seconds: 180, ...world.config });
  }
  const changed = world.files[url.pathname];
  if (changed) {
    outgoing.writeHead(200, { 'content-type': url.pathname.endsWith('.json') ? 'application/json' : 'text/javascript', 'cache-control': 'no-cache' });
    return outgoing.end(changed);
  }
  if (/^\/(verify|verifier|vendor)(\/|$)/.test(url.pathname)) return forward(incoming, outgoing, port);
  if (url.pathname === '/v1/trust-list') {
    return outgoing.end(Buffer.from(await issuer.trustListOf(world, world.issued, { number: world.number, statusUri: world.statusUri })));
  }
  if (url.pathname === '/status/v1/lists') return json({ status_lists: world.lists.map((number) => `${world.statusUri}/${number}`) });
  const list = /^\/status\/v1\/lists\/(\d+)$/.exec(url.pathname);
  if (list && list[1] !== '999') {
    const number = Number(list[1]);
    return outgoing.end(Buffer.from(await issuer.statusListOf(world, world.listIssued, { number, statuses: world.statuses, uri: `${world.statusUri}/${number}` })));
  }
  if (url.pathname.startsWith('/v1/verifications')) {
    const chunks = [];
    for await (const chunk of incoming) chunks.push(chunk);
    const token = incoming.headers.authorization?.replace('Bearer ', '') ?? null;
    if (incoming.method === 'POST') {
      const body = JSON.parse(Buffer.concat(chunks).toString());
      world.asked.push(body);
      const { status, body: answer } = await world.answer(body, token);
      return json(answer, status);
    }
    const { status, body: answer } = await world.poll(url.pathname.split('/').at(-1));
    return json(answer, status);
  }
  return json({ code: 'no_such_path' }, 404);
}

function forward(incoming, outgoing, port) {
  const options = { host: '127.0.0.1', port, path: incoming.url, method: incoming.method, headers: { ...incoming.headers, host: `127.0.0.1:${port}`, ...(FROM_DISK && { 'accept-encoding': 'identity' }) } };
  const inner = httpRequest(options, (answer) => {
    const changed = FROM_DISK && answer.statusCode !== 304 ? fromDisk(incoming.url) : null;
    if (changed) {
      answer.resume();
      // A file that the server does not know yet.
      const type = answer.statusCode === 404 ? 'text/javascript' : answer.headers['content-type'];
      outgoing.writeHead(200, { ...answer.headers, etag: '"disk"', 'content-length': changed.length, 'content-type': type });
      return outgoing.end(changed);
    }
    outgoing.writeHead(answer.statusCode, answer.headers);
    return answer.pipe(outgoing);
  });
  inner.on('error', () => outgoing.destroy());
  incoming.pipe(inner);
}

/** With WEB_FROM_DISK=1 a change of a file is tried without building the server again; headers stay the server's. */
const FROM_DISK = process.env.WEB_FROM_DISK === '1';
const WEB = new URL('../../', import.meta.url).pathname;

function fromDisk(url) {
  if (url === '/verify/files.json') {
    const served = readdirSync(WEB, { recursive: true }).map((name) => `/${name}`);
    const ours = served.filter((name) => /^\/(verify|verifier\/src|vendor)\/.*\.[a-z]+$/.test(name) && name !== '/verify/sw.js');
    const files = Object.fromEntries(ours.map((name) => [name, sha256(readFileSync(WEB + name))]));
    return Buffer.from(JSON.stringify({ version: sha256(JSON.stringify(files)).slice(0, 16), files }));
  }
  return readFileSync(WEB + (url.endsWith('/') ? `${url}index.html` : url));
}

const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex');

/** A signed answer as the server gives it. */
export async function signedAnswer(world, body, { result = 'green', reason = 'valid', claims = null, ...rest } = {}) {
  const payload = { iat: nowSeconds(), verifier: '0a'.repeat(16), request_id: body.request_id, result, reason, offline: false, ...rest };
  const { answer, disclosure, codeSalt } = await issuer.answerOf(world, payload, claims, { code: body.code });
  return { status: 200, body: { result, reason, notes: result === 'red' ? [] : ['photo not checked'], answer, code_salt: codeSalt, ...(disclosure ? { disclosure } : {}) } };
}
