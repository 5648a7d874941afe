"""Asks a person to sign a file and verifies the signature. Needs Python 3.11 and the package `cryptography`.

    cargo sandbox --out sandbox.json
    python sign.py sandbox.json sandbox-approves agreement.pdf
"""

import base64
import hashlib
import json
import sys
import urllib.parse
import urllib.request
import uuid

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.hashes import SHA256


def call(method, url, headers=None, body=None):
    """The parsed JSON of an answer. An error's body says what is wrong (RFC 9457): it goes into the exception."""
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=130) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        raise SystemExit(f"{method} {url}: {error.code} {error.read().decode()}") from error


def main(settings, person, file):
    with open(settings, encoding="utf-8") as opened:
        given = json.load(opened)
    with open(file, "rb") as opened:
        digest = hashlib.sha256(opened.read()).digest()

    # A sandbox client has a secret. In earnest: private_key_jwt, see spec/oauth.md.
    form = {"grant_type": "client_credentials", "client_id": given["client_id"], "client_secret": given["client_secret"]}
    token = call("POST", given["server"] + "/oauth2/token", body=urllib.parse.urlencode(form).encode())
    headers = {"authorization": "Bearer " + token["access_token"], "content-type": "application/json"}

    # Only the digest leaves this machine. With the key the call can be repeated: it is the same request for 24 hours.
    ask = {
        "person": person,
        "text": "Please sign the agreement.",
        "documents": [{"name": file.rsplit("/", 1)[-1], "sha256": base64.b64encode(digest).decode()}],
    }
    url = given["server"] + "/v1/requests"
    made = call("POST", url, headers | {"idempotency-key": str(uuid.uuid4())}, json.dumps(ask).encode())

    # Waits for the phone, two minutes at a time.
    while (view := call("GET", f"{url}/{made['id']}?timeout_ms=120000", headers))["status"] == "open":
        pass
    if view["status"] != "signed":
        raise SystemExit(f"not signed: {view['status']}")

    # Any library that verifies ECDSA will do.
    result = view["result"]
    key = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), base64.b64decode(result["public_key"]))
    try:
        key.verify(base64.b64decode(result["signatures"][0]["der"]), digest, ec.ECDSA(utils.Prehashed(SHA256())))
    except InvalidSignature:
        raise SystemExit("the signature does not verify") from None
    print(f"signed and verified: {result['signatures'][0]['name']}")


if __name__ == "__main__":
    main(*sys.argv[1:])
