#!/usr/bin/env python3
"""Checks frost-secp256k1-sha256-signing.json against spec/protocol.md, with nothing but Python's library.

Written from the text of the specification, not from the code: a second implementation of every hash, MAC, mask, offset,
server nonce and signature check of suite 1. Not for use with secrets: it takes no care of time.
"""

import hashlib
import hmac
import json
import pathlib

VECTORS = json.loads((pathlib.Path(__file__).parent / "frost-secp256k1-sha256-signing.json").read_text())
P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
CONTEXT = b"FROST-secp256k1-SHA256-v1"


def number(value):
    return value.to_bytes(8, "big")


def label(name):
    return b"signer/v1/" + name.encode()


def preimage(name, *fields):
    framed = b"".join(number(len(field)) + field for field in fields)
    return bytes([len(label(name))]) + label(name) + framed


def h(name, *fields):
    return hashlib.sha256(preimage(name, *fields)).digest()


def m(key, name, *fields):
    return hmac.new(key, preimage(name, *fields), hashlib.sha256).digest()


def x(key, name, length, *fields):
    prk = hmac.new(label(name), key, hashlib.sha256).digest()
    out, block, counter = b"", b"", 0
    while len(out) < length:
        counter += 1
        block = hmac.new(prk, block + h(name, *fields) + bytes([counter]), hashlib.sha256).digest()
        out += block
    return out[:length]


def scalar(data):
    return int.from_bytes(data, "big")


def cbor(data, at=0):
    """One value of the subset in spec/wire.md, and where it ends."""
    kind, short = data[at] >> 5, data[at] & 31
    at += 1
    if short < 24:
        value = short
    else:
        width = 1 << (short - 24)
        value, at = scalar(data[at : at + width]), at + width
    if kind == 0:
        return value, at
    if kind in (2, 3):
        return data[at : at + value], at + value
    assert kind == 4, "not in these vectors"
    items = []
    for _ in range(value):
        item, at = cbor(data, at)
        items.append(item)
    return items, at


def decode(text):
    data = bytes.fromhex(text)
    value, end = cbor(data)
    assert end == len(data)
    return value


def add(a, b):
    if a is None or b is None:
        return b if a is None else a
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    if a == b:
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    out = (slope * slope - a[0] - b[0]) % P
    return out, (slope * (a[0] - out) - a[1]) % P


def mul(factor, point):
    out = None
    while factor:
        if factor & 1:
            out = add(out, point)
        point, factor = add(point, point), factor >> 1
    return out


def compressed(point):
    return bytes([2 + (point[1] & 1)]) + point[0].to_bytes(32, "big")


def point(data):
    assert len(data) == 33 and data[0] in (2, 3)
    first = scalar(data[1:])
    second = pow(first**3 + 7, (P + 1) // 4, P)
    assert (second * second - first**3 - 7) % P == 0
    return first, second if second & 1 == data[0] & 1 else P - second


def hash_to_scalar(tag, message):
    """RFC 9591 6.5, RFC 9380 5.2 and 5.3.1: 48 bytes, reduced."""
    tag = CONTEXT + tag
    tag += bytes([len(tag)])
    first = hashlib.sha256(bytes(64) + message + b"\x00\x30\x00" + tag).digest()
    one = hashlib.sha256(first + b"\x01" + tag).digest()
    mixed = bytes(a ^ b for a, b in zip(first, one))
    return scalar((one + hashlib.sha256(mixed + b"\x02" + tag).digest())[:48]) % N


def is_signed(public_key, digest, signature):
    challenge = hash_to_scalar(b"chal", signature[:33] + public_key + digest)
    right = add(point(signature[:33]), mul(challenge, point(public_key)))
    return mul(scalar(signature[33:]), G) == right


class Epoch:
    """One generation of shares, opened with the PIN, with its ceremony checked."""

    def __init__(self, name, epoch, before):
        vector = VECTORS[name]
        self.device, self.key = bytes.fromhex(VECTORS["device"]), bytes.fromhex(vector["key"])
        self.public_key = bytes.fromhex(vector["group_public_key"])
        self.nonce_key = bytes.fromhex(vector["nonce_key"])
        self.suite_context = (number(1), self.key, number(epoch), self.device)
        self.context = (number(1), *self.suite_context)
        messages = {message: decode(text) for message, text in vector["messages"]}
        keys, keyed, confirm = (
            ("EnrolKeys", "EnrolKeyed", "EnrolConfirm")
            if epoch == 0
            else ("RefreshKeys", "RefreshKeyed", "RefreshConfirm")
        )
        ceremony, fetched_at = messages[keys][0], messages[keyed][1]

        device_key = bytes.fromhex(VECTORS["device_key"])
        assert h("device-id", device_key)[:16] == self.device
        statement = "enrolment-statement" if epoch == 0 else "refresh-statement"
        holder_keys = (h("holder-keys", *messages["EnrolStart"][5]),) if epoch == 0 else ()
        digest = h(statement, *self.context, self.public_key, device_key, ceremony, *holder_keys)
        assert is_signed(self.public_key, digest, bytes.fromhex(vector["first_signature"]))

        _, _, share, seed, salt, (kib, passes), checksum = decode(vector["masked_key"])
        stored = (self.public_key, share, seed, salt, number(kib), number(passes))
        assert h("masked-checksum", *self.suite_context, *stored)[:8] == checksum
        bound = hashlib.sha256(VECTORS["pin"].encode()).digest()
        fields = (bytes([1]), self.key, epoch.to_bytes(4, "big"), self.device)
        self.share = (scalar(share) - scalar(x(bound, "share-mask", 64, *fields))) % N
        opened = bytes(a ^ b for a, b in zip(seed, x(bound, "seed-mask", 32, *fields)))
        secrets = (self.public_key, self.share.to_bytes(32, "big"), opened)
        self.gate_key = h("gate-key", *self.suite_context, *secrets)
        assert self.gate_key.hex() == vector["gate_key"]

        server, device_image, server_image, public_key = decode(vector["server_share"])
        self.server_share = scalar(server)
        assert public_key == self.public_key
        assert compressed(mul(self.share, G)) == device_image
        assert compressed(mul(self.server_share, G)) == server_image
        assert compressed(mul((2 * self.share - self.server_share) % N, G)) == self.public_key

        _, _, seeds, contribution, mac = messages[confirm]
        confirmed = (self.public_key, ceremony, number(fetched_at), seeds, contribution)
        assert m(self.gate_key, "gate-confirm", *self.context, *confirmed) == mac
        if before:
            self.check_refresh(before, messages, ceremony, epoch)

    def check_refresh(self, before, messages, ceremony, epoch):
        _, issued_at, challenge = messages["RefreshChallenged"]
        derived = m(before.nonce_key, "proof-challenge", *before.context, number(issued_at))
        assert derived == challenge
        _, _, issued_at, challenge, token, unheard, unique, mac = cbor(messages["RefreshStart"][0])[0]
        proof = (number(issued_at), challenge, token, number(unheard), unique)
        assert m(before.gate_key, "gate-proof", *before.context, *proof) == mac
        device_part, server_part = messages["RefreshKeys"][1], messages["RefreshKeyed"][0]
        commitment = messages["RefreshStarted"][1][1]
        assert h("refresh-commitment", *self.context, ceremony, server_part) == commitment
        fields = (self.key, epoch.to_bytes(4, "big"), ceremony)
        offset = scalar(x(server_part + device_part, "refresh-offset", 64, *fields)) % N
        assert (before.share + offset) % N == self.share
        assert (before.server_share + 2 * offset) % N == self.server_share

    def check_signature(self, vector):
        request_hash = h("request-object", bytes.fromhex(vector["request_object"]))
        assert request_hash.hex() == vector["request_hash"]
        assert h("approval-record", bytes.fromhex(vector["record"])).hex() == vector["record_to_sign"]
        payload = bytes.fromhex(vector["payload"])
        assert h("payload", b"approve", self.device, payload).hex() == vector["payload_hash"]
        fields = (*self.context, self.public_key, request_hash, payload[:-32] + bytes(32))
        assert m(self.gate_key, "gate-approve", *fields) == payload[-32:]
        fetched_at, receipt = cbor(payload)[0][2:4]
        pairs = [bytes.fromhex(item[side]) for item in vector["items"] for side in ("device_commitment", "server_commitment")]
        fields = (*self.context, self.public_key, request_hash, number(fetched_at), *pairs)
        assert m(self.nonce_key, "fetch-receipt", *fields) == receipt
        for index, item in enumerate(vector["items"]):
            digest = bytes.fromhex(item["digest"])
            assert is_signed(self.public_key, digest, bytes.fromhex(item["signature"]))
            fields = (self.public_key, request_hash, number(fetched_at), number(index), digest)
            device = bytes.fromhex(item["device_commitment"])
            seed = m(self.nonce_key, "server-nonce", *self.context, *fields, device)
            hedge = self.server_share.to_bytes(32, "big")
            nonces = [
                hash_to_scalar(b"nonce", m(seed, "nonce-stream", number(block)) + hedge) for block in (0, 1)
            ]
            commitment = b"".join(compressed(mul(nonce, G)) for nonce in nonces)
            assert commitment.hex() == item["server_commitment"]


first = Epoch("enrolment", 0, None)
first.check_signature(VECTORS["signature"])
Epoch("refresh", 1, first).check_signature(VECTORS["signature_after_refresh"])
print("frost-secp256k1-sha256-signing.json agrees with the specification")
