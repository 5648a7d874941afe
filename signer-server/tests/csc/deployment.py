"""A server, a phone that is played, and an OAuth client, in a folder of their own."""

import json
import os
import socket
import subprocess
import threading
import time
import urllib.parse
import urllib.request
import uuid
from pathlib import Path

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PIN = "730194"


class Deployment:
    def __init__(self, server: Path, folder: Path):
        self.server, self.signer, self.folder = server, server.with_name("signer"), folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.url = f"http://{address}"
        self.config = folder / "config.toml"
        self.config.write_text(f'listen = "{address}"\ndata_dir = "{folder / "data"}"\n')
        self.log = (folder / "log").open("wb")
        self.process = subprocess.Popen(
            [self.server, "--config", self.config, "serve"], stdout=self.log, stderr=self.log
        )
        self._wait_until_ready()

    def _wait_until_ready(self):
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url + "/health/ready", timeout=2).read()
                return
            except OSError:
                time.sleep(0.1)
        raise SystemExit("the server does not start:\n" + (self.folder / "log").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.log.close()

    def operator(self, *arguments: str) -> dict:
        command = [self.server, "--config", self.config, "--json", *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def authority(self) -> bytes:
        return urllib.request.urlopen(self.url + "/ca/v1/ca.pem", timeout=10).read()

    # The phone.

    def phone(self, *arguments: str, stdin: str = "") -> subprocess.CompletedProcess:
        environment = {**os.environ, "SIGNER_STATE": str(self.folder / "phone"), "SIGNER_SERVER": self.url}
        command = [self.signer, "--json", *arguments]
        return subprocess.run(command, input=stdin, capture_output=True, text=True, env=environment)

    def enrol(self, person: str):
        code = self.operator("enrolment-code", person)["code"]
        done = self.phone("enrol", "--code", code, "--pin-stdin", stdin=PIN + "\n")
        assert done.returncode == 0, done.stderr

    def answer(self, decline: bool = False, times: int = 1) -> list:
        """In a thread of its own: waits for requests, approves or declines them. The list gets what was shown. Where a code is to
        be picked, it is the one in the file `code`, as the page shows it."""
        shown = []
        page = self.folder / "code"
        page.unlink(missing_ok=True)

        def play():
            for _ in range(300 * times):
                listed = json.loads(self.phone("requests").stdout)["requests"]
                codes = listed[0].get("verification_codes") if listed else None
                code = page.read_text() if codes and page.exists() else None
                if listed and (not codes or code in codes):
                    shown.append(listed[0])
                    act = ["decline"] if decline else ["approve", "--yes", "--pin-stdin"]
                    act += ["--code", code] if code else []
                    done = self.phone(*act, stdin=PIN + "\n")
                    assert done.returncode == 0, done.stderr
                    if len(shown) == times:
                        return
                time.sleep(0.1)

        threading.Thread(target=play, daemon=True).start()
        return shown

    # The bank.

    def client(self, name: str, *more: str) -> "Client":
        return Client(self, name, more)


class Client:
    """An OAuth client with a key of its own: `private_key_jwt`, by PyJWT."""

    def __init__(self, deployment: Deployment, name: str, more: tuple):
        self.url = deployment.url
        self.key = ec.generate_private_key(ec.SECP256R1())
        jwk = self._jwk(self.key.public_key())
        file = deployment.folder / f"{name}.json"
        file.write_text(json.dumps(jwk))
        made = deployment.operator("relying-party", "add", name, "--ask", "--oauth-key", str(file), *more)
        self.id = made["id"]

    @staticmethod
    def _jwk(key) -> dict:
        return json.loads(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).to_jwk(key))

    def private_jwk(self) -> dict:
        return self._jwk(self.key)

    def token(self) -> str:
        metadata = json.load(urllib.request.urlopen(self.url + "/.well-known/oauth-authorization-server", timeout=10))
        now = int(time.time())
        claims = {
            "iss": self.id, "sub": self.id, "aud": metadata["issuer"], "iat": now, "exp": now + 60, "jti": str(uuid.uuid4()),
        }
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        form = {
            "grant_type": "client_credentials",
            "scope": "service",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            "client_assertion": jwt.encode(claims, pem, algorithm="ES256"),
        }
        body = urllib.parse.urlencode(form).encode()
        answer = json.load(urllib.request.urlopen(metadata["token_endpoint"], data=body, timeout=10))
        assert answer["token_type"] == "Bearer", answer
        return answer["access_token"]
