//! `signer verify-signature` over the containers.

use std::process::{Command, Output};

use serde_json::Value;
use signer_client::formats::Format;

use crate::support::{DOCUMENT, FORMATS, Pki, authority};

pub(crate) fn signer(pki: &Pki, arguments: &str) -> (i32, Value) {
    let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_signer"))
        .env_clear()
        .current_dir(pki.folder())
        .args(["--json", "--state", "phone"])
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    let value = serde_json::from_slice(&stdout).unwrap_or_default();
    assert!(status.code() == Some(2) || value != Value::Null, "{}", String::from_utf8_lossy(&stderr));
    (status.code().unwrap(), value)
}

/// A valid signature of each format, as files.
fn signed() -> Pki {
    let pki = Pki::new();
    for format in FORMATS {
        pki.write(&format!("document.{}", format.extension()), pki.signed(format));
    }
    pki
}

#[test]
fn fmt_060_verify_signature_takes_every_format_and_says_what_it_did_not_check() {
    let pki = signed();
    for format in FORMATS {
        let file = format!("document.{}", format.extension());
        let certificate =
            if matches!(format, Format::Der | Format::Jws) { "--certificate holder.pem" } else { "" };
        let (exit, value) = signer(&pki, &format!("verify-signature {certificate} {file} document"));
        assert_eq!((exit, &value["valid"], &value["trusted"]), (0, &true.into(), &false.into()), "{value}");
        assert_eq!(value["not_checked"].as_array().unwrap().len(), 4);
        assert!(value.get("subject").is_none(), "a name nobody vouches for: {value}");
        let (exit, value) =
            signer(&pki, &format!("verify-signature --signing-ca ca.pem {certificate} {file} document"));
        assert_eq!((exit, &value["trusted"]), (0, &true.into()), "{value}");
        assert_eq!(value["subject"], "CN=Olena holder,C=UA");
        assert_eq!(value["not_checked"].as_array().unwrap().len(), 2);
    }
    // Without the certificate there is no answer.
    let (exit, value) = signer(&pki, "verify-signature document.jws document");
    assert_eq!((exit, &value["error"]), (2, &"usage".into()));
}

#[test]
fn fmt_061_verify_signature_refuses_other_documents_authorities_and_revoked_certificates() {
    let pki = signed();
    pki.write("other", &DOCUMENT[1..]);
    authority(pki.folder(), "stranger", "/CN=Stranger");
    pki.write("ca.cnf", "[ca]\ndefault_ca=x\n[x]\ndatabase=index.txt\ncrlnumber=number\ndefault_md=sha256\ndefault_crl_days=2\n");
    pki.write("index.txt", "");
    pki.write("number", "01\n");
    let ca = "ca -config ca.cnf -cert ca.pem -keyfile ca.key";
    assert!(pki.openssl(&format!("{ca} -gencrl -out empty.crl")).status.success());
    assert!(pki.openssl(&format!("{ca} -revoke holder.pem")).status.success());
    assert!(pki.openssl(&format!("{ca} -gencrl -out full.crl")).status.success());
    for (arguments, exit, error) in [
        ("--signing-ca ca.pem --crl empty.crl document.p7s document", 0, None),
        ("--signing-ca ca.pem --crl full.crl document.p7s document", 1, Some("revoked")),
        ("--signing-ca stranger.pem document.cose document", 1, Some("not_trusted")),
        ("--signing-ca ca.pem --crl ca.pem document.cose document", 1, Some("crl")),
        ("document.p7s other", 1, Some("not_valid")),
        ("document.cose other", 1, Some("not_valid")),
        ("--certificate holder.pem document.jws other", 1, Some("not_valid")),
        ("--certificate stranger.pem document.der document", 1, Some("not_valid")),
        ("--certificate stranger.pem document.p7s document", 1, Some("not_valid")),
        ("document.p7s document other", 2, Some("usage")),
        ("document.p7s nowhere", 2, Some("usage")),
        ("--crl full.crl document.p7s document", 2, None),
        ("document document", 2, Some("usage")),
    ] {
        let (code, value) = signer(&pki, &format!("verify-signature {arguments}"));
        assert_eq!((code, value["error"].as_str()), (exit, error), "{arguments}: {value}");
    }
}
