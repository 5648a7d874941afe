"""Clients of others, unmodified, against a running server: pyHanko's CSC signer (one PDF, a batch of five, one interrupted, a
refusal) and LibPDF with oauth4webapi (authorization code, as both versions have it); then three checkers."""

import asyncio
import json
import logging
import subprocess
import sys
import tempfile
import urllib.request
from io import BytesIO
from pathlib import Path

import aiohttp
from pyhanko.keys import load_certs_from_pemder_data
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import PageObject, PdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, PdfSigner
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers import csc_signer
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko_certvalidator import ValidationContext

from authorisation import Authorisation
from deployment import Client, Deployment

DESCRIPTION = "Loan agreement 17"
REDIRECT = "http://127.0.0.1:1/back"


def pdf(text: str) -> BytesIO:
    """A page with a line of text."""
    writer = PdfFileWriter()
    font = generic.DictionaryObject({
        generic.pdf_name("/Type"): generic.pdf_name("/Font"),
        generic.pdf_name("/Subtype"): generic.pdf_name("/Type1"),
        generic.pdf_name("/BaseFont"): generic.pdf_name("/Helvetica"),
    })
    resources = generic.DictionaryObject({
        generic.pdf_name("/Font"): generic.DictionaryObject({generic.pdf_name("/F1"): writer.add_object(font)})
    })
    content = writer.add_object(generic.StreamObject(stream_data=f"BT /F1 24 Tf 72 700 Td ({text}) Tj ET".encode()))
    writer.insert_page(PageObject(contents=content, media_box=generic.ArrayObject(map(generic.NumberObject, (0, 0, 595, 842))), resources=resources))
    out = BytesIO()
    writer.write(out)
    return out


def credentials(url: str, token: str, person: str) -> list:
    request = urllib.request.Request(
        url + "/csc/v1/credentials/list",
        data=json.dumps({"userID": person}).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    return json.load(urllib.request.urlopen(request, timeout=10))["credentialIDs"]


async def sign(url: str, token: str, credential: str, documents: list) -> list:
    async with aiohttp.ClientSession() as session:
        info = csc_signer.CSCServiceSessionInfo(service_url=url, credential_id=credential, oauth_token=token)
        fetched = await csc_signer.fetch_certs_in_csc_credential(session, info)
        manager = Authorisation(session, info, fetched, DESCRIPTION)
        signer = csc_signer.CSCSigner(session, manager, batch_size=len(documents), est_raw_signature_size=72)
        meta = PdfSignatureMetadata(field_name="Signature1", subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256")
        signing = [
            PdfSigner(meta, signer=signer).async_sign_pdf(IncrementalPdfFileWriter(document), in_place=False)
            for document in documents
        ]
        return [signed.getvalue() for signed in await asyncio.gather(*signing)]


def run(*command: str, ok: bool = True) -> str:
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode == 0) == ok, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def by_pyhanko(signed: bytes, authority: bytes):
    reader = PdfFileReader(BytesIO(signed))
    context = ValidationContext(trust_roots=list(load_certs_from_pemder_data(authority)), allow_fetching=False)
    return validate_pdf_signature(reader.embedded_signatures[0], context)


def check(signed: bytes, authority: bytes, folder: Path, tampered: bool):
    status = by_pyhanko(signed, authority)
    assert status.bottom_line != tampered, status.pretty_print_details()
    assert status.intact != tampered and (tampered or status.trusted)

    file = folder / "signed.pdf"
    file.write_bytes(signed)
    told = run("pdfsig", "-nssdir", f"sql:{folder / 'nss'}", str(file))
    if tampered:
        assert "Digest Mismatch" in told, told
    else:
        assert "Signature is Valid." in told and "Certificate is Trusted." in told, told

    signature = PdfFileReader(BytesIO(signed)).embedded_signatures[0]
    start, first, second, rest = (int(n) for n in signature.byte_range)
    (folder / "covered").write_bytes(signed[start:start + first] + signed[second:second + rest])
    (folder / "signature.p7s").write_bytes(signature.signed_data and signature.pkcs7_content)
    run(
        "openssl", "cms", "-verify", "-binary", "-inform", "DER", "-in", str(folder / "signature.p7s"),
        "-content", str(folder / "covered"), "-CAfile", str(folder / "ca.pem"), "-out", "/dev/null", ok=not tampered,
    )


def interrupted(folder: Path, order: dict, deployment: Deployment) -> bytes:
    """Two processes of pyHanko; the first has ended before the phone is asked."""
    script = str(Path(__file__).with_name("interrupted.py"))
    (folder / "order.json").write_text(json.dumps({**order, "description": DESCRIPTION}))
    (folder / "plain.pdf").write_bytes(pdf("Annex 17").getvalue())
    run(sys.executable, script, "prepare", str(folder))
    deployment.answer()
    run(sys.executable, script, "finish", str(folder))
    return (folder / "signed.pdf").read_bytes()


def by_libpdf(folder: Path, way: str, client: Client, deployment: Deployment) -> tuple:
    """LibPDF in node: sign-in, then a token for the hash. The phone is asked for both."""
    plain, signed = folder / "plain.pdf", folder / "signed.pdf"
    plain.write_bytes(pdf("Loan 17").getvalue())
    signed.unlink(missing_ok=True)
    order = {
        "url": deployment.url, "client": client.id, "key": client.private_jwk(), "redirect": REDIRECT, "person": "olena",
        "way": way, "description": DESCRIPTION, "label": "Loan.pdf", "input": str(plain), "output": str(signed),
        "code": str(folder / "code"),
    }
    shown = deployment.answer(times=2)
    script = str(Path(__file__).with_name("libpdf.mjs"))
    done = subprocess.run(["node", script], input=json.dumps(order), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return signed.read_bytes(), shown


def main():
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        deployment = Deployment(Path(sys.argv[1]).resolve(), folder)
        try:
            story(deployment, folder)
        finally:
            deployment.stop()


def story(deployment: Deployment, folder: Path):
    deployment.enrol("olena")
    bank = deployment.client("Bank of Examples")
    token = bank.token()
    authority = deployment.authority()
    (folder / "ca.pem").write_bytes(authority)
    (folder / "nss").mkdir()
    nss = f"sql:{folder / 'nss'}"
    run("certutil", "-N", "-d", nss, "--empty-password")
    run("certutil", "-A", "-d", nss, "-n", "authority", "-t", "CT,C,C", "-i", str(folder / "ca.pem"))
    (credential,) = credentials(deployment.url, token, "olena")

    shown = deployment.answer()
    (signed,) = asyncio.run(sign(deployment.url, token, credential, [pdf("Loan 17")]))
    assert shown[0]["text"] == DESCRIPTION and shown[0]["relying_party"]["name"] == "Bank of Examples", shown
    check(signed, authority, folder, tampered=False)
    print("one PDF: signed by pyHanko over CSC; valid for pyHanko, pdfsig and openssl")

    at = signed.index(b"(Loan 17)")
    check(signed[:at] + b"(Loan 71)" + signed[at + 9:], authority, folder, tampered=True)
    print("tampered PDF: refused by all three")

    shown = deployment.answer()
    batch = asyncio.run(sign(deployment.url, token, credential, [pdf(f"Annex {n}") for n in range(5)]))
    assert len(shown) == 1 and len(shown[0]["documents"]) == 5, shown
    for signed in batch:
        check(signed, authority, folder, tampered=False)
    print("five PDFs: one approval, five valid signatures")

    order = {"url": deployment.url, "token": token, "credential": credential}
    check(interrupted(folder, order, deployment), authority, folder, tampered=False)
    print("interrupted: prepared by one process, signed and finished by another; valid")

    platform = deployment.client("Document Platform", "--redirect-uri", REDIRECT, "--csc-auth", "oauth2code")
    for way, name in [("v1", "1 of 1"), ("v2", "Loan.pdf")]:
        signed, shown = by_libpdf(folder, way, platform, deployment)
        sign_in, signing = shown
        assert "see your signing certificate" in sign_in["text"], shown
        assert signing["text"] == DESCRIPTION and signing["documents"][0]["name"] == name, shown
        check(signed, authority, folder, tampered=False)
        at = signed.index(b"(Loan 17)")
        check(signed[:at] + b"(Loan 71)" + signed[at + 9:], authority, folder, tampered=True)
        print(f"LibPDF by authorization code, {way}: valid for all three, refused by all when tampered")

    deployment.answer(decline=True)
    # Its trace of the refusal would look like a failure of this test.
    logging.getLogger("pyhanko").setLevel(logging.CRITICAL + 1)
    try:
        asyncio.run(sign(deployment.url, token, credential, [pdf("Not this one")]))
    except SigningError:
        print("declined on the phone: nothing signed")
    else:
        raise SystemExit("signed although the phone declined")


if __name__ == "__main__":
    main()
