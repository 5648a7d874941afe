"""Interrupted signing by pyHanko: `prepare FOLDER` ends with a PDF that waits and what must be signed; another process, `finish
FOLDER`, has it signed over the CSC API and puts the signature in. `order.json` in the folder says url, token and credential."""

import asyncio
import json
import sys
from io import BytesIO
from pathlib import Path

import aiohttp
from asn1crypto import cms
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import PdfSignatureMetadata, PdfSigner
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes
from pyhanko.sign.signers.csc_signer import CSCServiceSessionInfo, CSCSigner, fetch_certs_in_csc_credential
from pyhanko.sign.signers.pdf_byterange import PreparedByteRangeDigest
from pyhanko.sign.signers.pdf_signer import PdfTBSDocument

from authorisation import Authorisation


async def prepare(signer: CSCSigner, folder: Path):
    meta = PdfSignatureMetadata(field_name="Signature1", subfilter=SigSeedSubFilter.PADES, md_algorithm="sha256")
    writer = IncrementalPdfFileWriter(BytesIO((folder / "plain.pdf").read_bytes()))
    digest, _, output = await PdfSigner(meta, signer=signer).async_digest_doc_for_signing(writer)
    attributes = await signer.signed_attrs(
        digest.document_digest, "sha256", attr_settings=PdfCMSSignedAttributes(), use_pades=True
    )
    (folder / "waiting.pdf").write_bytes(output.getvalue())
    (folder / "attributes").write_bytes(attributes.dump())
    state = [digest.document_digest.hex(), digest.reserved_region_start, digest.reserved_region_end]
    (folder / "state.json").write_text(json.dumps(state))


async def finish(signer: CSCSigner, folder: Path):
    digest, start, end = json.loads((folder / "state.json").read_text())
    attributes = cms.CMSAttributes.load((folder / "attributes").read_bytes())
    signature = await signer.async_sign_prescribed_attributes("sha256", signed_attrs=attributes)
    output = BytesIO((folder / "waiting.pdf").read_bytes())
    await PdfTBSDocument.async_finish_signing(output, PreparedByteRangeDigest(bytes.fromhex(digest), start, end), signature)
    (folder / "signed.pdf").write_bytes(output.getvalue())


async def main(act, folder: Path):
    order = json.loads((folder / "order.json").read_text())
    async with aiohttp.ClientSession() as session:
        info = CSCServiceSessionInfo(
            service_url=order["url"], credential_id=order["credential"], oauth_token=order["token"]
        )
        fetched = await fetch_certs_in_csc_credential(session, info)
        manager = Authorisation(session, info, fetched, order["description"])
        await act(CSCSigner(session, manager, est_raw_signature_size=72), folder)


if __name__ == "__main__":
    asyncio.run(main({"prepare": prepare, "finish": finish}[sys.argv[1]], Path(sys.argv[2])))
