"""Signs PDFs of many makes with the example sign_pdf, and has others validate them: pyHanko, pdfsig, qpdf, openssl cms.

Run by .ci/pdf; SIGN_PDF names the example."""

import io
import logging
import os
import random
import subprocess
import tempfile
from decimal import Decimal
from pathlib import Path

import pikepdf
from pyhanko.keys import load_cert_from_pemder
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign import fields, signers
from pyhanko.sign.validation import validate_pdf_signature
from pyhanko.sign.validation.status import SignatureCoverageLevel
from pyhanko_certvalidator import ValidationContext
from reportlab.pdfgen import canvas

# pyHanko writes the trace of everything it refuses.
logging.disable()
SIGN_PDF = os.environ["SIGN_PDF"]
FOLDER = Path(tempfile.mkdtemp())


def run(*arguments, good=True):
    done = subprocess.run([str(argument) for argument in arguments], cwd=FOLDER, capture_output=True)
    text = (done.stdout + done.stderr).decode(errors="replace")
    if good:
        assert done.returncode == 0, f"{arguments}: {text}"
    return done.returncode, text


# --- keys and certificates, by openssl

def issue(name, subject, issuer, extension):
    run("openssl", "genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", f"{name}.key")
    run("openssl", "pkcs8", "-topk8", "-nocrypt", "-in", f"{name}.key", "-outform", "DER", "-out", f"{name}.der")
    run("openssl", "req", "-new", "-key", f"{name}.key", "-subj", subject, "-utf8", "-out", f"{name}.csr")
    (FOLDER / "extensions").write_text(extension)
    by = ["-CA", f"{issuer}.pem", "-CAkey", f"{issuer}.key"] if issuer else ["-signkey", f"{name}.key"]
    run("openssl", "x509", "-req", "-in", f"{name}.csr", *by, "-days", "30", "-extfile", "extensions",
        "-out", f"{name}.pem")


CA = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n"
HOLDER = "keyUsage=critical,nonRepudiation\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n"
issue("ca", "/C=UA/O=Test/CN=Authority", None, CA)
issue("between", "/C=UA/O=Test/CN=Authority in between", "ca", CA)
issue("olena", "/C=UA/CN=Олена Шевченко", "ca", HOLDER)
issue("taras", "/C=UA/CN=Taras", "between", HOLDER)
(FOLDER / "olena.chain").write_text((FOLDER / "olena.pem").read_text() + (FOLDER / "ca.pem").read_text())
(FOLDER / "taras.chain").write_text("".join((FOLDER / f"{name}.pem").read_text() for name in ["taras", "between", "ca"]))
ROOT = load_cert_from_pemder(FOLDER / "ca.pem")
PYHANKO = signers.SimpleSigner.load(FOLDER / "taras.key", FOLDER / "taras.pem", ca_chain_files=[FOLDER / "between.pem"])


# --- PDFs, by others

def plain():
    page = io.BytesIO()
    drawing = canvas.Canvas(page, pageCompression=1)
    for number in (1, 2):
        drawing.drawString(100, 700, f"Agreement 4711, page {number}")
        drawing.showPage()
    drawing.save()
    return page.getvalue()


def with_form():
    page = io.BytesIO()
    drawing = canvas.Canvas(page)
    drawing.drawString(100, 700, "Agreement with a field")
    drawing.acroForm.textfield(name="Signature1", x=100, y=650, width=200, height=20)
    drawing.save()
    return page.getvalue()


def rewritten(change=lambda pdf: None, **options):
    pdf = pikepdf.open(io.BytesIO(plain()))
    change(pdf)
    out = io.BytesIO()
    pdf.save(out, **options)
    return out.getvalue()


def annotations_apart(pdf):
    pdf.pages[0].Annots = pdf.make_indirect(pikepdf.Array([]))


def long_numbers(pdf):
    pdf.pages[0].MediaBox = pikepdf.Array([0, 0, Decimal("595.27559055118"), Decimal("841.88976377952")])


def form_inline(pdf):
    pdf.Root.AcroForm = pikepdf.Dictionary(Fields=pikepdf.Array([]), SigFlags=1)


def form_apart(pdf):
    form = pikepdf.Dictionary(Fields=pdf.make_indirect(pikepdf.Array([])))
    pdf.Root.AcroForm = pdf.make_indirect(form)


def by_pyhanko(pdf, name, certify=False, changes=fields.MDPPerm.FILL_FORMS):
    writer = IncrementalPdfFileWriter(io.BytesIO(pdf))
    meta = signers.PdfSignatureMetadata(
        field_name=name, subfilter=fields.SigSeedSubFilter.PADES, md_algorithm="sha256",
        certify=certify, docmdp_permissions=changes)
    return signers.sign_pdf(writer, meta, signer=PYHANKO).getvalue()


PLAIN = plain()
OBJECTS = pikepdf.ObjectStreamMode.generate
INPUTS = {
    "table": PLAIN,
    "streams": rewritten(object_stream_mode=OBJECTS),
    "streams, no newline at the end": rewritten(object_stream_mode=OBJECTS).rstrip(),
    "linearized": rewritten(linearize=True),
    "linearized with streams": rewritten(linearize=True, object_stream_mode=OBJECTS),
    "form with a field of that name": with_form(),
    "annotations as an object": rewritten(annotations_apart),
    "annotations in an object stream": rewritten(annotations_apart, object_stream_mode=OBJECTS),
    "form in the catalog": rewritten(form_inline),
    "form in the catalog in an object stream": rewritten(form_inline, object_stream_mode=OBJECTS),
    "form as an object": rewritten(form_apart),
    "signed by pyHanko": by_pyhanko(PLAIN, "Signature1"),
    "signed by pyHanko, streams": by_pyhanko(rewritten(object_stream_mode=OBJECTS), "Other"),
    "signed by pyHanko, form in the catalog": by_pyhanko(rewritten(form_inline), "Other"),
    "numbers of many digits": rewritten(long_numbers),
    "signed by pyHanko, numbers of many digits": by_pyhanko(rewritten(long_numbers), "Other"),
    "certified, forms may be filled": by_pyhanko(PLAIN, "Author", certify=True),
}


def encrypted(user):
    return rewritten(encryption=pikepdf.Encryption(owner="owner", user=user))


REFUSED = {
    "encrypted, with a password": (encrypted("secret"), "Encrypted"),
    "encrypted, without": (encrypted(""), "Encrypted"),
    "certified, no changes": (by_pyhanko(PLAIN, "Author", certify=True, changes=fields.MDPPerm.NO_CHANGES), "Certified"),
    "empty": (b"", "NotPdf"),
    "text": (b"Agreement", "NotPdf"),
    "header only": (b"%PDF-1.7\n", "Damaged"),
    "cut off": (PLAIN[: len(PLAIN) // 2], "Damaged"),
    "wrong startxref": (PLAIN.replace(b"startxref\n", b"startxref\n7"), "Damaged"),
}


# --- signing and validating

def sign(pdf, who="olena"):
    (FOLDER / "in.pdf").write_bytes(pdf)
    run(SIGN_PDF, f"{who}.der", f"{who}.chain", "in.pdf", "out.pdf")
    signed = (FOLDER / "out.pdf").read_bytes()
    assert signed.startswith(pdf), "the file's own bytes changed"
    return signed


def statuses(pdf):
    context = lambda: ValidationContext(trust_roots=[ROOT], allow_fetching=False)
    return [validate_pdf_signature(signature, context()) for signature in PdfFileReader(io.BytesIO(pdf)).embedded_signatures]


def accepted(pdf):
    """Whether pyHanko takes every signature, and the newest covers the file."""
    try:
        found = statuses(pdf)
    except Exception:
        return False
    return bool(found) and all(status.bottom_line for status in found) and \
        found[-1].coverage == SignatureCoverageLevel.ENTIRE_FILE


def last_signature(pdf):
    signature = PdfFileReader(io.BytesIO(pdf)).embedded_signatures[-1]
    numbers = [int(number) for number in signature.byte_range]
    return signature, numbers


def check_shape(pdf):
    """PAdES baseline B-B, ETSI EN 319 142-1 table 1."""
    signature, (zero, start, end, after) = last_signature(pdf)
    assert zero == 0 and end + after == len(pdf)
    assert pdf[start:start + 1] == b"<" and pdf[end - 1:end] == b">"
    assert signature.sig_object["/SubFilter"] == "/ETSI.CAdES.detached"
    assert signature.sig_object["/Type"] == "/Sig" and "/Cert" not in signature.sig_object
    assert "/M" in signature.sig_object and signature.self_reported_timestamp is not None
    attributes = {attribute["type"].native for attribute in signature.signer_info["signed_attrs"]}
    assert attributes == {"content_type", "message_digest", "signing_certificate_v2"}, attributes
    assert signature.signer_info["unsigned_attrs"].native is None


def check_openssl(pdf):
    signature, (_, start, end, _) = last_signature(pdf)
    (FOLDER / "cms").write_bytes(signature.pkcs7_content)
    (FOLDER / "content").write_bytes(pdf[:start] + pdf[end:])
    run("openssl", "cms", "-verify", "-cades", "-binary", "-inform", "DER", "-in", "cms", "-content", "content",
        "-CAfile", "ca.pem", "-purpose", "any", "-out", "/dev/null")


def check_tools(pdf, count):
    (FOLDER / "out.pdf").write_bytes(pdf)
    run("qpdf", "--check", "out.pdf")
    _, text = run("pdfsig", "out.pdf", good=False)
    assert text.count("Signature Validation: Signature is Valid.") == count, text
    assert text.count("Signature Type: ETSI.CAdES.detached") == count, text
    assert text.split("Signature #")[-1].count("Total document signed") == 1, text


def check(pdf, count):
    found = statuses(pdf)
    assert len(found) == count, (len(found), count)
    for status in found:
        assert status.bottom_line, status.pretty_print_details()
    assert found[-1].coverage == SignatureCoverageLevel.ENTIRE_FILE, found[-1].coverage
    check_shape(pdf)
    check_openssl(pdf)
    check_tools(pdf, count)


def check_tampering(pdf):
    signature, (_, start, end, _) = last_signature(pdf)
    rng = random.Random(4711)
    signed = [rng.randrange(start) for _ in range(30)] + [rng.randrange(end, len(pdf)) for _ in range(10)]
    # In the room: other programs overlook changes in what CMS leaves unsigned, such as certificates they do not need.
    signer = signature.signed_data["signer_infos"][0]
    places = []
    for part in (signer["signed_attrs"].contents, signer["signature"].contents):
        place = pdf.index(part.hex().upper().encode(), start)
        places += [place + rng.randrange(2 * len(part)) for _ in range(10)]
    for at in signed + places:
        changed = bytearray(pdf)
        changed[at] = ord("7") if changed[at] != ord("7") else ord("3")
        assert not accepted(bytes(changed)), f"byte {at} can be changed"
    assert not accepted(pdf + b"\n%%EOF\n"), "bytes can be added"


def main():
    assert accepted(by_pyhanko(PLAIN, "Signature1")), "the check itself"
    for name, pdf in INPUTS.items():
        before = len(PdfFileReader(io.BytesIO(pdf)).embedded_signatures)
        once = sign(pdf)
        check(once, before + 1)
        twice = sign(once, "taras")
        check(twice, before + 2)
        # Another program goes on.
        assert accepted(by_pyhanko(twice, "Last")), name
        print(f"signed twice and validated: {name}")
    check_tampering(sign(PLAIN))
    check_tampering(sign(sign(INPUTS["streams"]), "taras"))
    print("100 changed bytes and added ones refused")
    for name, (pdf, reason) in REFUSED.items():
        (FOLDER / "in.pdf").write_bytes(pdf)
        (FOLDER / "out.pdf").unlink(missing_ok=True)
        code, text = run(SIGN_PDF, "olena.der", "olena.chain", "in.pdf", "out.pdf", good=False)
        assert code == 1 and not (FOLDER / "out.pdf").exists() and reason in text, (name, text)
        print(f"refused: {name}")


main()
