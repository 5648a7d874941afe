/**
 * LibPDF signs a PDF, oauth4webapi gets the tokens; both from npm, unmodified. A browser is played by `fetch`, the phone by who
 * called this. What is to be done comes as JSON on standard input:
 * { url, client, key (JWK), redirect, person, way: 'v1' | 'v2', description, label, input, output, code }. The file `code` gets what
 * the page shows for the phone.
 *
 * In between stand the calls a platform makes: the sign-in once, then an authorization for the hash of what LibPDF has to sign.
 * `v1` sends it in the address and brings the token as SAD; `v2` pushes it as authorization details and brings the token alone.
 */

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';

import { PDF } from '@libpdf/core';
import * as oauth from 'oauth4webapi';

const order = JSON.parse(readFileSync(0, 'utf8'));
/** This machine only: the server speaks plain HTTP there. */
const plain = { [oauth.allowInsecureRequests]: true };
const client = { client_id: order.client };
const key = await crypto.subtle.importKey('jwk', order.key, { name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']);
const proof = oauth.PrivateKeyJwt(key);
const issuer = new URL(order.url);
const server = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2', ...plain }));

/** A browser that goes where it is sent, keeps the cookie and does what the page's script does. Gives where it comes back to. */
async function browse(url) {
  const first = await fetch(url, { redirect: 'manual' });
  const visit = new URL(first.headers.get('location'), order.url).searchParams.get('visit');
  const headers = { cookie: first.headers.get('set-cookie').split(';')[0], 'content-type': 'application/json' };
  const ask = (act, init) => fetch(`${order.url}/oauth2/visits/${visit}${act}`, { headers, redirect: 'manual', ...init });
  assert.equal((await ask('/start', { method: 'POST', body: '{}' })).status, 204);
  const { verification_code: code } = await (await ask('')).json();
  assert.match(code, /^\d{4}$/);
  writeFileSync(order.code, code);
  while ((await (await ask('?timeout_ms=20000')).json()).state !== 'decided');
  const back = (await ask('/return')).headers.get('location');
  assert.ok(back.startsWith(`${order.redirect}?`), back);
  return new URL(back);
}

/** An access token for what `parameters` ask for; `push` says whether they go by the address. */
async function token(parameters, push = false) {
  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: order.client,
    redirect_uri: order.redirect,
    code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state,
    ...parameters,
  });
  let url = new URL(server.authorization_endpoint);
  url.search = query;
  if (push) {
    const pushed = await oauth.pushedAuthorizationRequest(server, client, proof, query, plain);
    const { request_uri } = await oauth.processPushedAuthorizationResponse(server, client, pushed);
    url.search = new URLSearchParams({ client_id: order.client, request_uri });
  }
  // State and issuer are compared here.
  const callback = oauth.validateAuthResponse(server, client, await browse(url), state);
  const answer = await oauth.authorizationCodeGrantRequest(server, client, proof, callback, order.redirect, verifier, plain);
  // Version 1 of the CSC API has a type of its own.
  const recognizedTokenTypes = { sad: () => {} };
  return oauth.processAuthorizationCodeResponse(server, client, answer, { recognizedTokenTypes });
}

async function csc(method, bearer, body) {
  const headers = { authorization: `Bearer ${bearer}`, 'content-type': 'application/json' };
  const answer = await fetch(`${order.url}/csc/${order.way}/${method}`, { method: 'POST', headers, body: JSON.stringify(body) });
  const said = await answer.json();
  assert.equal(answer.status, 200, JSON.stringify(said));
  return said;
}

const service = await token({ scope: 'service', login_hint: order.person });
const { credentialIDs } = await csc('credentials/list', service.access_token, {});
assert.equal(credentialIDs.length, 1);
const [credentialID] = credentialIDs;
const info = await csc('credentials/info', service.access_token, { credentialID, certificates: 'chain', certInfo: true, authInfo: true });
assert.equal(info.authMode ?? info.auth.mode, 'oauth2code');
assert.deepEqual([info.cert.status, info.key.len], ['valid', 256]);

async function signed(digest) {
  if (order.way === 'v1') {
    const parameters = { scope: 'credential', credentialID, numSignatures: '1', hash: digest.toString('base64url'), description: order.description };
    const sad = await token(parameters);
    assert.equal(sad.token_type, 'sad');
    const body = { credentialID, SAD: sad.access_token, hash: [digest.toString('base64')], hashAlgo: '2.16.840.1.101.3.4.2.1', signAlgo: '1.2.840.10045.4.3.2' };
    return csc('signatures/signHash', service.access_token, body);
  }
  const type = 'https://cloudsignatureconsortium.org/2025/credential';
  const detail = {
    type,
    credentialID,
    numSignatures: 1,
    documentDigests: [{ hash: digest.toString('base64'), label: order.label, hashType: 'DTBSR' }],
    hashAlgorithmOID: '2.16.840.1.101.3.4.2.1',
  };
  const granted = await token({ scope: 'credential', authorization_details: JSON.stringify([detail]), description: order.description }, true);
  assert.deepEqual(granted.authorization_details[0].documentDigests, [{ hash: digest.toString('base64'), label: order.label }]);
  const body = { credentialID, SAD: null, hashes: [encodeURIComponent(digest.toString('base64'))], hashAlgorithmOID: '2.16.840.1.101.3.4.2.1', signAlgo: '1.2.840.10045.4.3.2', operationMode: 'S', validity_period: -1, response_uri: null };
  return csc('signatures/signHash', granted.access_token, body);
}

const [certificate, ...certificateChain] = info.cert.certificates.map((der) => new Uint8Array(Buffer.from(der, 'base64')));
const signer = {
  certificate,
  certificateChain,
  keyType: 'EC',
  signatureAlgorithm: 'ECDSA',
  async sign(data) {
    const digest = createHash('sha256').update(data).digest();
    const { signatures } = await signed(digest);
    return new Uint8Array(Buffer.from(signatures[0], 'base64'));
  },
};
const pdf = await PDF.load(new Uint8Array(readFileSync(order.input)));
const { bytes } = await pdf.sign({ signer, subFilter: 'ETSI.CAdES.detached', digestAlgorithm: 'SHA-256' });
writeFileSync(order.output, bytes);
