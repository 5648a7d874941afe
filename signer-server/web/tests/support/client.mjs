/** An OAuth client: `private_key_jwt`, PKCE, and the query it sends a browser with. */

import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const encode = (value) => Buffer.from(value).toString('base64url');

/** Registers `name` with `operator`; it has browsers sent to `${origin}/back`. */
export async function register(origin, operator, name) {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const folder = mkdtempSync(path.join(tmpdir(), 'signer-client-'));
  const file = path.join(folder, 'key.json');
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  writeFileSync(file, JSON.stringify({ kty, crv, x, y }));
  const redirect = `${origin}/back`;
  const { id } = await operator('relying-party', 'add', name, '--ask', '--oauth-key', file, '--redirect-uri', redirect);
  rmSync(folder, { recursive: true });

  const proof = () => {
    const exp = Math.floor(Date.now() / 1000) + 60;
    const claims = { iss: id, sub: id, aud: origin, exp, jti: encode(randomBytes(16)) };
    const text = [{ alg: 'ES256' }, claims].map((part) => encode(JSON.stringify(part))).join('.');
    const signature = sign('sha256', Buffer.from(text), { key: privateKey, dsaEncoding: 'ieee-p1363' });
    return { client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer', client_assertion: `${text}.${encode(signature)}` };
  };
  const says = async (endpoint, form) => {
    const answer = await fetch(`${origin}/oauth2/${endpoint}`, { method: 'POST', body: new URLSearchParams({ ...form, ...proof() }) });
    return answer.json();
  };
  const token = async () => (await says('token', { grant_type: 'client_credentials' })).access_token;
  const csc = async (method, bearer, body) => {
    const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
    return (await fetch(`${origin}/csc/v1/${method}`, { method: 'POST', headers, body: JSON.stringify(body) })).json();
  };
  const verifier = encode(randomBytes(32));
  const challenge = encode(createHash('sha256').update(verifier).digest());
  /** Where the client sends a browser. */
  const page = (more) =>
    `/oauth2/authorize?${new URLSearchParams({ response_type: 'code', client_id: id, redirect_uri: redirect, state: 'x', code_challenge: challenge, code_challenge_method: 'S256', ...more })}`;
  /** What the token endpoint says to the code that a browser brought back to `url`. */
  const exchange = (url) =>
    says('token', { grant_type: 'authorization_code', code: new URL(url).searchParams.get('code'), redirect_uri: redirect, code_verifier: verifier });
  return { id, redirect, token, csc, page, exchange };
}
