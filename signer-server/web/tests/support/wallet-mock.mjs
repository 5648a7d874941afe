/** The demo's phone for tests of the page alone: the same routes, and a story that the test sets. */

import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const WEB = fileURLToPath(new URL('../..', import.meta.url));
const TYPES = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
const CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/** What the phone says at first: two documents, nothing on the screen. */
export const resting = () => ({
  now: Math.floor(Date.now() / 1000),
  online: true,
  person: { family: 'Шевченко', given: 'Олена Григорівна' },
  shop: null,
  documents: [
    { type: 'identity_card', number: '009123456', expires: '2031-05-20', stock: { age: 8, minimal: 4, full: 4 } },
    { type: 'driving_licence', number: 'BXT123456', expires: '2046-08-01', stock: { age: 2, minimal: 0, full: 4 } },
  ],
  show: null,
  checks: [],
  requests: [],
  notice: null,
});

/** A code on the screen. @param {object} [changes] */
export const shown = (changes = {}) => ({
  document_type: 'identity_card', profile: 'age', whoever: false, request_of: null,
  qr: 'qr.svg?v=1', qr_side: 69, bar: '4071928355016642', bar_svg: 'bar.svg?v=1', bar_width: 143, number: '48210739',
  until: Math.floor(Date.now() / 1000) + 134, step_seconds: 180, turn: 0, online: true, linkable: false, used_at: null,
  ...changes,
});

/** A question of a shop. @param {object} [changes] */
export const asked = (changes = {}) => ({
  id: '0f'.repeat(16), verifier: 'Corner Shop', profile: 'age', document_type: 'identity_card', match: '47',
  expires: Math.floor(Date.now() / 1000) + 103, ...changes,
});

/** A request for a signature. @param {object} [changes] */
export const wanted = (changes = {}) => ({
  id: '7c'.repeat(16), who: 'Bank of Examples', text: 'Credit agreement 4711 over 5 000 €',
  documents: [{ name: 'agreement.pdf', sha256: '9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08' }],
  fields: [{ label: 'Amount', value: '5 000 €' }], codes: ['0417', '8830', '5521'], expires: Math.floor(Date.now() / 1000) + 540, ...changes,
});

/** Serves the page. `mock.state` is what the phone says, `mock.change()` tells the page, `mock.posts` is what it was told. */
export async function mock() {
  const streams = new Set();
  const self = {
    /** @type {any} */ state: resting(),
    /** @type {any[]} */ entries: [],
    /** @type {string | null} */ fault: null,
    /** @type {{ path: string, body: any }[]} */ posts: [],
    /** Answers a POST: changes the state, or returns the code of a problem, or a body. @type {(path: string, body: any) => any} */
    onPost: () => undefined,
    origin: '',
    change() {
      for (const stream of streams) stream.write('event: changed\ndata:\n\n');
    },
    close: () => new Promise((done) => {
      for (const stream of streams) stream.end();
      server.close(done);
      server.closeAllConnections();
    }),
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url ?? '/', 'http://x');
    const path = pathname.replace(/^\/wallet\//, '');
    const send = (/** @type {number} */ status, /** @type {string} */ type, /** @type {any} */ body) => {
      response.writeHead(status, { 'content-type': type, 'content-security-policy': CSP, 'cache-control': 'no-store' });
      response.end(body);
    };
    const json = (/** @type {any} */ body, status = 200) => send(status, 'application/json', JSON.stringify(body));
    if (request.method === 'POST') {
      let text = '';
      for await (const part of request) text += part;
      const body = JSON.parse(text);
      self.posts.push({ path, body });
      const answer = self.onPost(path, body);
      if (typeof answer === 'string') return json({ code: answer }, 409);
      if (answer) return json(answer);
      return send(204, 'text/plain', undefined);
    }
    if (path === 'state') return json({ ...self.state, now: Math.floor(Date.now() / 1000) });
    if (path === 'history') return json({ fault: self.fault, entries: self.entries });
    if (path === 'qr.svg') return send(200, TYPES.svg, pattern(61, 4));
    if (path === 'bar.svg') return send(200, TYPES.svg, stripes());
    if (path === 'events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.write(':\n\n');
      streams.add(response);
      return request.on('close', () => streams.delete(response));
    }
    const file = path ? pathname : '/wallet/index.html';
    const body = await readFile(WEB + file).catch(() => null);
    const type = TYPES[/** @type {keyof typeof TYPES} */ (file.split('.').pop())];
    if (!body || !type || file.includes('..')) return send(404, 'text/plain', 'not found');
    send(200, type, body);
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', () => done(undefined)));
  self.origin = `http://127.0.0.1:${/** @type {import('node:net').AddressInfo} */ (server.address()).port}`;
  return self;
}

/** Looks like a QR code, and is none. @param {number} size @param {number} quiet */
function pattern(size, quiet) {
  let path = '';
  let random = 7;
  const side = size + 2 * quiet;
  const dark = (/** @type {number} */ x, /** @type {number} */ y) => {
    for (const [left, top] of [[0, 0], [size - 7, 0], [0, size - 7]]) {
      const [dx, dy] = [x - left, y - top];
      if (dx < -1 || dy < -1 || dx > 7 || dy > 7) continue;
      const ring = Math.max(Math.abs(dx - 3), Math.abs(dy - 3));
      return ring === 3 || ring < 2;
    }
    random = (random * 1103515245 + 12345) % 2147483648;
    return random > 1073741824;
  };
  for (let y = 0; y < size; y += 1) for (let x = 0; x < size; x += 1) if (dark(x, y)) path += `M${x + quiet} ${y + quiet}h1v1h-1z`;
  return picture(side, side, path);
}

/** Looks like a bar code, and is none. */
function stripes() {
  let path = '';
  for (let x = 10; x < 133; x += 2 + ((x * 7) % 3)) path += `M${x} 10h${1 + ((x * 5) % 2)}v40h-${1 + ((x * 5) % 2)}z`;
  return picture(143, 60, path);
}

/** @param {number} width @param {number} height @param {string} path */
const picture = (width, height, path) =>
  `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" shape-rendering="crispEdges"><rect width="${width}" height="${height}" fill="#fff"/><path d="${path}"/></svg>`;
