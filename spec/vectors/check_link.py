#!/usr/bin/env python3
"""Checks device-link.json against spec/protocol.md, with nothing but Python's library: a back end may make its links so."""

import base64
import hashlib
import hmac
import json
import pathlib

VECTORS = json.loads((pathlib.Path(__file__).parent / "device-link.json").read_text())
LABEL = b"signer/v1/device-link"


def unpadded(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def decoded(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def link(server, token, secret, elapsed):
    fields = (token, elapsed.to_bytes(8, "big"))
    message = bytes([len(LABEL)]) + LABEL + b"".join(len(field).to_bytes(8, "big") + field for field in fields)
    mac = hmac.new(secret, message, hashlib.sha256).digest()
    return f"{server}/link?v=1&t={elapsed}&s={unpadded(token)}&a={unpadded(mac)}"


if __name__ == "__main__":
    token, secret = decoded(VECTORS["token"]), decoded(VECTORS["secret"])
    for vector in VECTORS["links"]:
        assert link(VECTORS["server"], token, secret, vector["elapsed"]) == vector["link"], vector
    print(f"{len(VECTORS['links'])} links")
