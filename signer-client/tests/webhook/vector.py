"""Makes vector.json: a delivery signed by a program of others, http-message-signatures 3.0.0 with cryptography. The test reads
the stored one: signatures of this library are random, so another run makes other bytes."""

import base64
import datetime
import hashlib
import json
import types
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms

URL = "https://bank.example:8443/hooks/signer?tenant=7"
EVENT = {
    "specversion": "1.0",
    "id": "7c9e6679f4a94d1f8b3f0c2d1e5a6b70",
    "source": "https://signer.example",
    "type": "signer.request.ended.v1",
    "subject": "7c9e6679f4a94d1f8b3f0c2d1e5a6b70",
    "relyingparty": "3f2b8c1e9d7a4460a5e1c0b2d4f68a97",
    "time": "2026-11-22T12:00:00Z",
    "sequence": "00000000000000000017",
    "sequencetype": "Integer",
    "datacontenttype": "application/json",
    "data": {"status": "signed"},
}
CREATED = 1795348805


def text(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


class Keys(HTTPSignatureKeyResolver):
    def __init__(self, key):
        self.key = key

    def resolve_private_key(self, key_id):
        return self.key


key = ec.generate_private_key(ec.SECP256R1())
point = key.public_key().public_numbers()
x, y = (text(value.to_bytes(32, "big")) for value in (point.x, point.y))
thumbprint = text(hashlib.sha256(f'{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}'.encode()).digest())
body = json.dumps(EVENT, separators=(",", ":"))
digest = base64.b64encode(hashlib.sha256(body.encode()).digest()).decode()
headers = {"content-type": "application/cloudevents+json", "content-digest": f"sha-256=:{digest}:"}
message = types.SimpleNamespace(method="POST", url=URL, headers=headers)
HTTPMessageSigner(signature_algorithm=algorithms.ECDSA_P256_SHA256, key_resolver=Keys(key)).sign(
    message,
    key_id=thumbprint,
    created=datetime.datetime.fromtimestamp(CREATED, datetime.timezone.utc),
    label="signer",
    tag="signer-webhook-v1",
    use_existing_digest=True,
    covered_component_ids=("@method", "@target-uri", "content-digest", "content-type"),
)
vector = {
    "url": URL,
    "relying_party": EVENT["relyingparty"],
    "headers": dict(message.headers),
    "body": body,
    "keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y, "alg": "ES256", "use": "sig", "kid": thumbprint}],
    "created": CREATED,
}
Path(__file__).with_name("vector.json").write_text(json.dumps(vector, indent=2) + "\n")
