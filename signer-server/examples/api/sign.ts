/**
 * Asks a person to sign a file and verifies the signature. Needs Node.js 20; no package but the compiler.
 *
 *     cargo sandbox --out sandbox.json
 *     npm ci && npx tsc && node build/sign.js sandbox.json sandbox-approves agreement.pdf
 */

import { X509Certificate, createHash, randomUUID, webcrypto } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';

interface Settings { server: string; client_id: string; client_secret: string }
interface Made { id: string; expires: number }
interface View {
  status: 'open' | 'signed' | 'declined' | 'cancelled' | 'expired' | 'key_ended' | 'wrong_code';
  result?: { certificate_chain?: string[]; signatures: { name: string; raw: string }[] };
}

/** The parsed JSON of an answer. An error's body says what is wrong (RFC 9457): it goes into the exception. */
async function call<T>(method: string, url: string, headers: Record<string, string>, body?: string | URLSearchParams): Promise<T> {
  const answer = await fetch(url, { method, headers, body });
  if (!answer.ok) throw new Error(`${method} ${url}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
}

const [settings, person, file] = process.argv.slice(2);
if (!settings || !person || !file) throw new Error('sign.js SETTINGS PERSON FILE');
const given = JSON.parse(await readFile(settings, 'utf8')) as Settings;
const document = await readFile(file);

// A sandbox client has a secret. In earnest: private_key_jwt, see spec/oauth.md.
const form = new URLSearchParams({ grant_type: 'client_credentials', client_id: given.client_id, client_secret: given.client_secret });
const token = await call<{ access_token: string }>('POST', `${given.server}/oauth2/token`, {}, form);
const headers = { authorization: `Bearer ${token.access_token}`, 'content-type': 'application/json' };

// Only the digest leaves this machine. With the key the call can be repeated: it is the same request for 24 hours.
const sha256 = createHash('sha256').update(document).digest('base64');
const ask = { person, text: 'Please sign the agreement.', documents: [{ name: basename(file), sha256 }] };
const url = `${given.server}/v1/requests`;
const made = await call<Made>('POST', url, { ...headers, 'idempotency-key': randomUUID() }, JSON.stringify(ask));

// Waits for the phone, two minutes at a time.
let view: View;
do view = await call<View>('GET', `${url}/${made.id}?timeout_ms=120000`, headers);
while (view.status === 'open');
const chain = view.result?.certificate_chain;
const signature = view.result?.signatures[0];
if (view.status !== 'signed' || !chain?.[0] || !signature) throw new Error(`not signed: ${view.status}`);

// WebCrypto takes r || s, and hashes the document itself. The key comes from the holder's certificate.
const certificate = new X509Certificate(Buffer.from(chain[0], 'base64'));
const spki = certificate.publicKey.export({ type: 'spki', format: 'der' });
const key = await webcrypto.subtle.importKey('spki', spki, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['verify']);
const algorithm = { name: 'ECDSA', hash: 'SHA-256' };
if (!(await webcrypto.subtle.verify(algorithm, key, Buffer.from(signature.raw, 'base64'), document))) {
  throw new Error('the signature does not verify');
}
console.log(`signed and verified: ${signature.name}`);
