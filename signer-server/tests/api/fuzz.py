"""Schemathesis, unmodified, over the OpenAPI document of a running server: as each kind of caller, and as nobody.

Arguments: the server's program, and how many seconds in all. Every answer must be in the document: its status, its media type, its
headers, its body; none may be a server error. SEED draws other cases.
"""

import base64
import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

CHECKS = [
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
]
# Who calls, and which part of the API: what refuses everybody else is fuzzed behind its door.
OPERATOR, CSC = "^/admin/", "^/csc/"
SHARES = {"nobody": 1, "relying party": 3, "client": 2, "operator": 2}


class Server:
    def __init__(self, program: Path, folder: Path):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = f"127.0.0.1:{free.getsockname()[1]}"
        self.program, self.url, self.config = program, f"http://{address}", folder / "config.toml"
        register = Path(__file__).resolve().parents[3] / "spec" / "register.json"
        lines = [f'listen = "{address}"', f'data_dir = "{folder / "data"}"', f'register_file = "{register}"', "sandbox = true"]
        self.config.write_text("\n".join(lines) + "\n")
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen([program, "--config", self.config, "serve"], stdout=log, stderr=log)
        for _ in range(300):
            try:
                urllib.request.urlopen(self.url + "/health/ready", timeout=2).read()
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise SystemExit("the server does not start:\n" + self.log.read_text())
        self.admin = (folder / "data" / "admin-token").read_text().strip()

    def operator(self, *arguments: str) -> dict:
        command = [self.program, "--config", self.config, "--json", *arguments]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    def access_token(self, client: str, secret: str) -> str:
        basic = base64.b64encode(f"{client}:{secret}".encode()).decode()
        request = urllib.request.Request(
            self.url + "/oauth2/token",
            data=b"grant_type=client_credentials&scope=service",
            headers={"authorization": f"Basic {basic}"},
        )
        return json.load(urllib.request.urlopen(request, timeout=10))["access_token"]


def run(server: Server, caller: str, seconds: int, options: list[str]) -> tuple[bool, int]:
    """Whether all was as documented, and how many cases there were."""
    with tempfile.TemporaryDirectory() as folder:
        # Long polls that are answered soon; waiting is tested elsewhere.
        (Path(folder) / "schemathesis.toml").write_text("[parameters]\ntimeout_ms = 20\n")
        command = [
            Path(sys.executable).with_name("st"), "run", server.url + "/openapi.json",
            "--phases", "examples,coverage,fuzzing", "--checks", ",".join(CHECKS),
            "--seed", os.environ.get("SEED", "1"), "--generation-database", "none", "--max-time", str(seconds),
            "--request-timeout", "30", "--continue-on-failure", "--warnings", "off", "--no-color",
            # A signed list is not JSON, which is what is made up here.
            "--exclude-operation-id", "put_trust_list", *options,
        ]
        done = subprocess.run(command, capture_output=True, text=True, cwd=folder)
    generated = re.search(r"(\d+) generated", done.stdout)
    count = int(generated[1]) if generated else 0
    if done.returncode != 0:
        print(done.stdout[-20_000:], done.stderr[-2_000:])
    print(f"{caller}: {count} cases in {seconds} s, {'as documented' if done.returncode == 0 else 'FAILED'}", flush=True)
    return done.returncode == 0 and count > 0, count


def main():
    program, seconds = Path(sys.argv[1]).resolve(), int(sys.argv[2])
    with tempfile.TemporaryDirectory() as folder:
        server = Server(program, Path(folder))
        try:
            party = server.operator("relying-party", "add", "Fuzzer", "--ask", "--verify", "--report",
                                    "identity_card,driving_licence", "--report-deceased", "--generate", "example-fleet")
            client = server.operator("relying-party", "add", "Client", "--ask", "--oauth-secret")
            server.operator("enrolment-code", "olena")
            token = server.access_token(client.get("client_id") or client["id"], client["client_secret"])
            callers = {
                "nobody": [],
                "relying party": ["-H", f"Authorization: Bearer {party['token']}", "--exclude-path-regex", f"{OPERATOR}|{CSC}"],
                "client": ["-H", f"Authorization: Bearer {token}", "--include-path-regex", f"{CSC}|^/v1/requests"],
                "operator": ["-H", f"Authorization: Bearer {server.admin}", "--include-path-regex", OPERATOR],
            }
            part = seconds / sum(SHARES.values())
            ended = [run(server, name, int(SHARES[name] * part), callers[name]) for name in callers]
            log = server.log.read_text()
        finally:
            server.process.terminate()
            server.process.wait(30)
    passed = all(good for good, _ in ended) and "panicked" not in log
    print(f"{sum(count for _, count in ended)} cases")
    raise SystemExit(0 if passed else 1)


main()
