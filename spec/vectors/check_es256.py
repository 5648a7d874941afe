#!/usr/bin/env python3
"""Checks es256.json against spec/es256.md, with nothing but Python's library.

Written from the formulas of the specification, not from the code: a second implementation of every hash, proof, transfer,
pad and number of suite 2, from the seeds of the streams to the signature. Not for use with secrets: it takes no care of time.
"""

import hashlib
import hmac
import json
import pathlib

VECTORS = json.loads((pathlib.Path(__file__).parent / "es256.json").read_text())
P = 2**256 - 2**224 + 2**192 + 2**96 - 1
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
A = P - 3
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
G = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
BITS = 256


# Hashes: spec/protocol.md, the same for both suites.


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


def whole(data):
    return int.from_bytes(data, "big")


def octets(value):
    return value.to_bytes(32, "big")


def drawn(key, name, *fields):
    return whole(x(key, name, 64, *fields)) % N


# The curve: Jacobian coordinates, a = -3.


def double(p):
    if p is None:
        return None
    x1, y1, z1 = p
    delta, gamma = z1 * z1 % P, y1 * y1 % P
    beta, alpha = x1 * gamma % P, 3 * (x1 - delta) * (x1 + delta) % P
    x3 = (alpha * alpha - 8 * beta) % P
    z3 = ((y1 + z1) ** 2 - gamma - delta) % P
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % P, z3


def join(p, q):
    if p is None or q is None:
        return q if p is None else p
    (x1, y1, z1), (x2, y2, z2) = p, q
    s1, s2 = z1 * z1 % P, z2 * z2 % P
    u1, u2, v1, v2 = x1 * s2 % P, x2 * s1 % P, y1 * z2 * s2 % P, y2 * z1 * s1 % P
    if u1 == u2:
        return double(p) if v1 == v2 else None
    d, r = (u2 - u1) % P, (v2 - v1) % P
    dd = d * d % P
    ddd, v = d * dd % P, u1 * dd % P
    x3 = (r * r - ddd - 2 * v) % P
    return x3, (r * (v - x3) - v1 * ddd) % P, z1 * z2 * d % P


def affine(p):
    if p is None:
        return None
    inverse = pow(p[2], -1, P)
    square = inverse * inverse % P
    return p[0] * square % P, p[1] * square * inverse % P


def lifted(point):
    return None if point is None else (*point, 1)


def add(p, q):
    return affine(join(lifted(p), lifted(q)))


def mul(factor, point):
    out, step = None, lifted(point)
    while factor:
        if factor & 1:
            out = join(out, step)
        step, factor = double(step), factor >> 1
    return affine(out)


def negative(point):
    return point[0], P - point[1]


def compressed(point):
    return bytes([2 + (point[1] & 1)]) + octets(point[0])


def uncompressed(point):
    return b"\x04" + octets(point[0]) + octets(point[1])


def curve(value):
    return (value**3 + A * value + B) % P


def root(value):
    found = pow(value, (P + 1) // 4, P)
    return found if found * found % P == value % P else None


def point(data):
    if len(data) == 65:
        assert data[0] == 4
        out = whole(data[1:33]), whole(data[33:])
        assert out[1] * out[1] % P == curve(out[0])
        return out
    assert len(data) == 33 and data[0] in (2, 3)
    first = whole(data[1:])
    second = root(curve(first))
    return first, second if second & 1 == data[0] & 1 else P - second


# RFC 9380: P256_XMD:SHA-256_SSWU_RO_.


def expand_message(message, tag, length):
    """5.3.1, expand_message_xmd with SHA-256."""
    tag += bytes([len(tag)])
    first = hashlib.sha256(bytes(64) + message + length.to_bytes(2, "big") + b"\0" + tag).digest()
    block, out = bytes(32), b""
    for i in range(1, -(-length // 32) + 1):
        mixed = bytes(a ^ b for a, b in zip(first, block))
        block = hashlib.sha256(mixed + bytes([i]) + tag).digest()
        out += block
    return out[:length]


def mapped(u):
    """6.6.2, simplified SWU with Z = -10, by its definition."""
    z = P - 10
    bottom = (z * z * u**4 + z * u * u) % P
    if bottom == 0:
        first = B * pow(z * A, -1, P) % P
    else:
        first = -B * pow(A, -1, P) * (1 + pow(bottom, -1, P)) % P
    second = z * u * u * first % P
    at = first if root(curve(first)) is not None else second
    y = root(curve(at))
    return at, y if y & 1 == u & 1 else P - y


def hash_to_curve(message, tag):
    uniform = expand_message(message, tag, 96)
    return add(mapped(whole(uniform[:48]) % P), mapped(whole(uniform[48:]) % P))


# RFC 9380 J.1.1, so that a mistake shared with the code does not pass.
TAG = b"QUUX-V01-CS02-with-P256_XMD:SHA-256_SSWU_RO_"
assert hash_to_curve(b"", TAG) == (
    0x2C15230B26DBC6FC9A37051158C95B79656E17A1A920B11394CA91C44247D3E4,
    0x8A7A74985CC5C776CDFE4B1F19884970453912E9D31528C060BE9AB5C43E8415,
)


# AES-256 (FIPS 197), encryption only.


def times(a, b):
    out = 0
    while b:
        out ^= a if b & 1 else 0
        a = (a << 1) ^ (0x11B if a & 0x80 else 0)
        b >>= 1
    return out


def substitute(byte):
    inverse = next((i for i in range(256) if times(byte, i) == 1), 0)
    out = 0x63
    for shift in range(5):
        out ^= (inverse << shift | inverse >> (8 - shift)) & 0xFF
    return out


SBOX = [substitute(byte) for byte in range(256)]
TWICE = [times(byte, 2) for byte in range(256)]


def aes_round_keys(key):
    words, constant = [key[i : i + 4] for i in range(0, 32, 4)], 1
    for i in range(8, 60):
        word = words[-1]
        if i % 8 == 0:
            word = bytes(SBOX[byte] for byte in word[1:] + word[:1])
            word, constant = bytes([word[0] ^ constant]) + word[1:], times(constant, 2)
        elif i % 8 == 4:
            word = bytes(SBOX[byte] for byte in word)
        words.append(bytes(a ^ b for a, b in zip(words[-8], word)))
    return [b"".join(words[i : i + 4]) for i in range(0, 60, 4)]


def aes(keys, block):
    state = [a ^ b for a, b in zip(block, keys[0])]
    for i, key in enumerate(keys[1:]):
        state = [SBOX[state[(5 * j) % 16]] for j in range(16)]
        if i < 13:
            mixed = []
            for column in (state[j : j + 4] for j in range(0, 16, 4)):
                all_four = column[0] ^ column[1] ^ column[2] ^ column[3]
                for j in range(4):
                    mixed.append(column[j] ^ all_four ^ TWICE[column[j] ^ column[(j + 1) % 4]])
            state = mixed
        state = [a ^ b for a, b in zip(state, key)]
    return bytes(state)


# FIPS 197 C.3.
assert aes(aes_round_keys(bytes(range(32))), bytes(17 * i for i in range(16))).hex() == (
    "8ea2b7ca516745bfeafc49904b496089"
)


class Stream:
    """The randomness of the vectors."""

    def __init__(self, seed):
        self.seed, self.next, self.rest = seed, 0, b""

    def take(self, length):
        while len(self.rest) < length:
            block = b"signer test stream" + number(self.seed) + number(self.next)
            self.rest, self.next = self.rest + hashlib.sha256(block).digest(), self.next + 1
        out, self.rest = self.rest[:length], self.rest[length:]
        return out

    def scalar(self, name, *fields):
        return drawn(self.take(32), name, *fields)


class Section:
    """Part of the vectors; every value must be asked for, and must be the one computed."""

    def __init__(self, values):
        self.values = values

    def same(self, name, computed):
        if isinstance(computed, bytes):
            computed = computed.hex()
        assert self.values.pop(name) == computed, name

    def same_scalar(self, name, computed):
        self.same(name, octets(computed))

    def end(self):
        assert not self.values, f"not checked: {list(self.values)}"


# Key generation.

KEY, DEVICE = bytes.fromhex(VECTORS["key"]), bytes.fromhex(VECTORS["device"])
EPOCH = VECTORS["epoch"]
CONTEXT = (number(1), number(2), KEY, number(EPOCH), DEVICE)


def challenge(statement, public, t):
    return drawn(h("es256-challenge", statement, public, uncompressed(t)), "es256-challenge")


def prove(secret, public, statement, nonce):
    c = challenge(statement, public, mul(nonce, G))
    return octets(c) + octets((nonce + c * secret) % N)


def holds(public, statement, proof):
    c, z = whole(proof[:32]), whole(proof[32:])
    assert c < N and z < N
    t = add(mul(z, G), negative(mul(c, point(public))))
    return challenge(statement, public, t) == c


def key_generation(device, server):
    section = Section(VECTORS["key_generation"])
    device_nonce, server_nonce, salt = device.take(32), server.take(32), server.take(32)
    section.same("device_nonce", device_nonce)
    section.same("server_nonce", server_nonce)
    section.same("salt", salt)
    session = h("es256-keygen", *CONTEXT, device_nonce, server_nonce)
    section.same("session", session)

    x_s, statement = server.scalar("es256-share", session), h("es256-key-proof", session, number(2), b"")
    t, public_s = server.scalar("es256-proof-nonce", octets(x_s), statement), compressed(mul(x_s, G))
    proof_s = prove(x_s, public_s, statement, t)
    assert holds(public_s, statement, proof_s)
    section.same_scalar("server_share", x_s)
    section.same("server_public", public_s)
    section.same("server_statement", statement)
    section.same_scalar("server_proof_nonce", t)
    section.same("server_proof", proof_s)
    commitment = h("es256-key-commitment", session, public_s, proof_s, salt)
    section.same("commitment", commitment)

    x_d, statement = device.scalar("es256-share", session), h("es256-key-proof", session, number(1), commitment)
    t, public_d = device.scalar("es256-proof-nonce", octets(x_d), statement), compressed(mul(x_d, G))
    proof_d = prove(x_d, public_d, statement, t)
    assert holds(public_d, statement, proof_d)
    section.same_scalar("device_share", x_d)
    section.same("device_public", public_d)
    section.same("device_statement", statement)
    section.same_scalar("device_proof_nonce", t)
    section.same("device_proof", proof_d)

    public_key = add(point(public_d), point(public_s))
    assert public_key == mul((x_d + x_s) % N, G)
    section.same("group_public_key", compressed(public_key))
    messages = [device_nonce, server_nonce + commitment, public_d + proof_d, public_s + proof_s + salt]
    section.same("messages", [message.hex() for message in messages])
    section.end()
    return x_d, x_s, public_key


# Oblivious transfer.


def seed_pairs(master):
    keys = aes_round_keys(x(master, "es256-seeds", 32, KEY, EPOCH.to_bytes(4, "big"), DEVICE))
    stream = b"".join(aes(keys, i.to_bytes(16, "big")) for i in range(4 * BITS))
    return [(stream[64 * j : 64 * j + 32], stream[64 * j + 32 : 64 * j + 64]) for j in range(BITS)]


def xor(one, other):
    return bytes(a ^ b for a, b in zip(one, other))


def oblivious_transfer(device, server, x_s, public_key):
    section = Section(VECTORS["oblivious_transfer"])
    session, master = bytes.fromhex(section.values.pop("session")), device.take(32)
    section.same("master_seed", master)
    pairs = seed_pairs(master)
    fields = (octets(x_s), session)
    exponents = [server.scalar("es256-ot-exponent", *fields) for _ in range(BITS)]
    others = [server.scalar("es256-ot-exponent", *fields) for _ in range(BITS)]
    shown = {transfer["transfer"]: transfer for transfer in section.values.pop("transfers")}
    tag = label("es256-ot-point-P256_XMD:SHA-256_SSWU_RO_")
    question, answer, chosen = b"", b"", b""
    for j in range(BITS):
        choice = x_s >> j & 1
        a, b = exponents[j], device.scalar("es256-ot-exponent", *pairs[j], session)
        points, hashed = [None, None], [None, None]
        points[1 - choice] = compressed(mul(others[j], G))
        hashed[choice] = hash_to_curve(session + bytes([j, choice]) + points[1 - choice], tag)
        points[choice] = compressed(add(mul(a, G), negative(hashed[choice])))
        hashed[1 - choice] = hash_to_curve(session + bytes([j, 1 - choice]) + points[choice], tag)
        question += points[0] + points[1]
        own = compressed(mul(b, G))
        answer += own
        messages = []
        for i in (0, 1):
            shared = octets(mul(b, add(point(points[i]), hashed[i]))[0])
            pad = h("es256-ot-pad", session, number(j), number(i), points[0], points[1], own, shared)
            encrypted = xor(pairs[j][i], pad)
            answer += encrypted
            messages.append(
                {
                    "point": points[i].hex(),
                    "hashed": compressed(hashed[i]).hex(),
                    "x": shared.hex(),
                    "pad": pad.hex(),
                    "encrypted": encrypted.hex(),
                    "seed": pairs[j][i].hex(),
                }
            )
            if i == choice:
                # The server's way to the same x: its exponent and B.
                assert mul(a, point(own))[0] == whole(shared)
        chosen += pairs[j][choice]
        if j in shown:
            assert shown[j] == {
                "transfer": j,
                "choice": choice,
                "server_exponent": octets(a).hex(),
                "device_exponent": octets(b).hex(),
                "device_point": own.hex(),
                "messages": messages,
            }, j
    assert set(shown) == {0, 1, 255}
    section.same("question_sha256", hashlib.sha256(question).digest())
    section.same("answer_sha256", hashlib.sha256(answer).digest())
    material = octets(x_s) + uncompressed(public_key) + chosen
    section.same("server_material_sha256", hashlib.sha256(material).digest())
    section.end()
    return pairs


# One signature.


def pad(seed, tweak):
    counter = 0
    while True:
        value = whole(hashlib.sha256(seed + tweak + counter.to_bytes(4, "big")).digest())
        if value < N:
            return value
        counter += 1


def signing(x_d, x_s, public_key, pairs):
    section = Section(VECTORS["signing"])
    take = section.values.pop
    request_hash, digest = bytes.fromhex(take("request_hash")), bytes.fromhex(take("digest"))
    fetched_at, index = take("fetched_at"), take("index")
    hedge, nonce_key = bytes.fromhex(take("hedge")), bytes.fromhex(take("nonce_key"))

    random = Stream(VECTORS["signing_stream_seed"]).take(32)
    k1 = drawn(hedge, "es256-device-nonce", random, b"nonce")
    blinds = x(hedge, "es256-device-nonce", 64, random, b"blinds")
    salt, pad_nonce = blinds[:32], blinds[32:]
    r1 = uncompressed(mul(k1, G))
    com = h("es256-nonce-commitment", r1, salt)
    section.same_scalar("k1", k1)
    section.same("r1", r1)
    section.same("salt", salt)
    section.same("pad_nonce", pad_nonce)
    section.same("device_commitment", com)

    fixed = (*CONTEXT, compressed(public_key), request_hash, number(fetched_at), number(index), digest, com)
    seed = m(nonce_key, "server-nonce", *fixed)
    k2 = drawn(seed, "es256-server-nonce", octets(x_s))
    r2 = uncompressed(mul(k2, G))
    sid = h("es256-transcript", *fixed, r2)
    t = drawn(seed, "es256-proof-nonce", sid)
    proof = prove(k2, r2, sid, t)
    assert holds(r2, sid, proof)
    section.same("nonce_seed", seed)
    section.same_scalar("k2", k2)
    section.same("r2", r2)
    section.same("session", sid)
    section.same_scalar("proof_nonce", t)
    section.same("proof", proof)
    section.same("server_commitment", r2 + proof)

    e = drawn(h("es256-shift", sid, r1), "es256-shift")
    r = mul(k1, add(point(r2), mul(e, G)))[0] % N
    a = pow(k1, -1, N)
    tweak = h("es256-tweak", sid, pad_nonce)[:16]
    section.same_scalar("e", e)
    section.same_scalar("r", r)
    section.same_scalar("a", a)
    section.same("tweak", tweak)
    pads = [(pad(zero, tweak), pad(one, tweak)) for zero, one in pairs]
    corrections = [(zero - one - a) % N for zero, one in pads]
    for shown in section.values.pop("correlations"):
        j = shown["j"]
        assert shown["pads"] == [octets(one).hex() for one in pads[j]]
        assert shown["correction"] == octets(corrections[j]).hex()
    alpha = sum((zero << j) for j, (zero, _) in enumerate(pads)) % N
    z = whole(digest) % N
    v = (a * (z + r * x_d) + r * alpha) % N
    section.same_scalar("alpha", alpha)
    section.same_scalar("v", v)
    contribution = r1 + salt + pad_nonce + octets(v) + b"".join(octets(one) for one in corrections)
    section.same("contribution_sha256", hashlib.sha256(contribution).digest())

    # The server: its own pads alone.
    bits = [x_s >> j & 1 for j in range(BITS)]
    own = [pad(pair[bit], tweak) for pair, bit in zip(pairs, bits)]
    beta = -sum((own[j] + bits[j] * corrections[j]) << j for j in range(BITS)) % N
    assert (alpha + beta) % N == a * x_s % N
    k = (k2 + e) % N
    assert mul(k, point(r1))[0] % N == r
    s = pow(k, -1, N) * (v + r * beta) % N
    section.same_scalar("beta", beta)
    section.same_scalar("s_before_normalisation", s)
    s = min(s, N - s)
    section.same("signature", octets(r) + octets(s))
    section.end()

    # An ordinary ECDSA signature: by the verifier's equation, and by the signer's with key and nonce in one hand.
    w = pow(s, -1, N)
    assert add(mul(z * w % N, G), mul(r * w % N, public_key))[0] % N == r
    plain = pow(k1 * k, -1, N) * (z + r * (x_d + x_s)) % N
    assert min(plain, N - plain) == s


assert VECTORS["suite"] == "es256"
device_stream, server_stream = Stream(VECTORS["device_stream_seed"]), Stream(VECTORS["server_stream_seed"])
device_share, server_share, group_key = key_generation(device_stream, server_stream)
seeds = oblivious_transfer(device_stream, server_stream, server_share, group_key)
signing(device_share, server_share, group_key, seeds)
print("es256.json agrees with the specification")
