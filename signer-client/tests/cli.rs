//! The program `signer`, run as a person or a script runs it.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::{Command, Output};

use serde_json::Value;

fn signer(arguments: &[&str]) -> Output {
    let state = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_signer"));
    command.args(arguments).env_clear().env("SIGNER_STATE", state.path().join("phone"));
    command.output().unwrap()
}

fn exit(output: &Output) -> i32 {
    output.status.code().unwrap()
}

#[test]
fn cli_080_every_help_ends_well_and_has_an_example() {
    let commands = [
        "",
        "enrol",
        "status",
        "requests",
        "approve",
        "decline",
        "pin",
        "pin change",
        "credentials",
        "show",
        "checks",
        "answer",
        "certificate",
        "history",
        "report-lost",
        "forget",
        "verify",
        "ask",
        "verify-signature",
    ];
    for command in commands {
        let arguments: Vec<_> = command.split_whitespace().chain(["--help"]).collect();
        let output = signer(&arguments);
        let text = String::from_utf8(output.stdout.clone()).unwrap();
        assert_eq!(exit(&output), 0, "{command}");
        let (_, examples) = text.split_once("\nExample").unwrap();
        assert!(examples.contains(format!("signer {command}").trim_end()), "{text}");
    }
    // None is forgotten above.
    let text = String::from_utf8(signer(&["--help"]).stdout).unwrap();
    let listed = text.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.map_while(|line| line.strip_prefix("  ")).filter_map(|line| line.split(' ').next());
    let listed: Vec<_> = listed.filter(|name| !name.is_empty() && *name != "help").collect();
    assert!(listed.len() >= 12);
    assert!(listed.iter().all(|name| commands.contains(name)), "{listed:?}");
}

#[test]
fn cli_081_a_bad_code_is_red_with_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let keys = directory.path().join("issuer-keys.json");
    std::fs::write(&keys, serde_json::to_vec(&signer_core::credential::IssuerKeys::new(Vec::new())).unwrap())
        .unwrap();
    let output = signer(&["--json", "verify", "--issuer-keys", keys.to_str().unwrap(), "DQ1:NOT A CODE"]);
    assert_eq!(exit(&output), 1, "{output:?}");
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["result"], "red");
    assert!(value["sentence"].is_string() && value["next_step"].is_string());
    // Without keys there is no answer at all, which is another thing than red.
    let output = signer(&["--json", "verify", "--issuer-keys", "/nowhere", "DQ1:NOT A CODE"]);
    assert_eq!(exit(&output), 2);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"], "usage");
}

#[test]
fn cli_082_wrong_use_ends_with_exit_code_2() {
    for arguments in [
        &[][..],
        &["sing"],
        &["show", "--profile", "everything"],
        &["verify"],
        &["approve", "--unknown"],
        &["ask", "contract.pdf"],
    ] {
        assert_eq!(exit(&signer(arguments)), 2, "{arguments:?}");
    }
    // What is refused for another reason is 1.
    let output = signer(&["--json", "show", "--offline"]);
    assert_eq!(exit(&output), 1);
    assert_eq!(serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"], "state");
}

#[test]
fn cli_085_a_lost_phone_is_reported_without_one_and_a_slip_of_the_pen_is_found_before_it_is_sent() {
    // Nothing listens there: what gets so far fails by the network.
    let report = |code: &str| {
        let server = ["report-lost", "--server", "http://127.0.0.1:9", "--code", code];
        let output = signer(&[&["--json"][..], &server].concat());
        let error =
            serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].as_str().unwrap().to_owned();
        (exit(&output), error)
    };
    assert_eq!(report("0123-4567-89AB-CDEF-GHJK-ANCY"), (1, "transport".into()));
    assert_eq!(report("0123 4567 89ab cdef ghjk ancy"), (1, "transport".into()));
    for wrong in ["0123-4567-89AB-CDEF-GHJK-ANCZ", "0123-4567-89AB-CDEF-GHKJ-ANCY", "0123-4567", ""] {
        assert_eq!(report(wrong), (2, "usage".into()), "{wrong}");
    }
    let output = signer(&["--json", "history"]);
    assert_eq!(
        (exit(&output), serde_json::from_slice::<Value>(&output.stdout).unwrap()["error"].clone()),
        (1, "state".into())
    );
}

#[test]
fn cli_083_a_pin_is_no_argument() {
    for arguments in [
        &["approve", "--pin", "739146"][..],
        &["approve", "--pin=739146"],
        &["approve", "739146"],
        &["approve", "--pin-stdin=739146"],
        &["pin", "change", "739146", "582093"],
        &["enrol", "--server", "https://signer.example", "--pin", "739146"],
    ] {
        assert_eq!(exit(&signer(arguments)), 2, "{arguments:?}");
    }
}

#[test]
fn cli_084_offline_the_same_code_is_accepted_once_and_the_clock_has_a_floor() {
    use p256::ecdsa::{Signature, SigningKey, signature::Signer as _};
    use signer_client::{desk::SystemClock, ports::Clock as _};
    use signer_core::{credential::*, time::UnixSeconds};

    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (issuer, day_key) =
        (SigningKey::from_slice(&[7; 32]).unwrap(), SigningKey::from_slice(&[8; 32]).unwrap());
    let issuers = IssuerKeys::new(vec![IssuerKey {
        issuer: signer_core::trust::IssuerId(1),
        key: *issuer.verifying_key(),
        document_types: vec![DocumentType::IdentityCard],
        not_before: UnixSeconds(0),
        not_after: UnixSeconds(u64::MAX / 2),
    }]);
    std::fs::write(path("keys.json"), serde_json::to_vec(&issuers).unwrap()).unwrap();
    let now = SystemClock.wall();
    let code = |index, turn: Turn| {
        let age = Age { document_type: DocumentType::IdentityCard, over: 18, portrait: None };
        let status = StatusIndex { list: 1, index };
        let claims = DayClaims::new(now, *day_key.verifying_key(), status, Document::Age(age), false);
        let credential = claims.sign(&issuer).unwrap();
        let step = StepRule::STANDARD.step_at(now);
        let digits = digits(&signer_core::secret::SecretBytes::new([9; 32]), status, step, turn);
        let unsigned = credential
            .prepare(&Show { step, turn, digits, challenge: None }, now, StepRule::STANDARD)
            .unwrap();
        let signature: Signature = day_key.sign(unsigned.to_sign());
        unsigned.complete(&signature.normalize_s().to_bytes().into()).unwrap().as_str().to_owned()
    };
    let scan = |state: &str, code: &str| {
        let arguments =
            ["--json", "--state", &path(state), "verify", "--issuer-keys", &path("keys.json"), code];
        let output = signer(&arguments);
        (exit(&output), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let first = code(1, Turn::FIRST);
    assert_eq!(scan("one", &first).0, 3);
    let (again, value) = scan("one", &first);
    assert_eq!((again, &value["result"], &value["reason"]), (1, &"red".into(), &"used".into()), "{value}");
    // Another turn, another credential, another shop.
    assert_eq!(scan("one", &code(1, Turn::FIRST.next().unwrap())).0, 3);
    assert_eq!(scan("one", &code(2, Turn::FIRST)).0, 3);
    assert_eq!(scan("two", &first).0, 3);
    // Nothing of the holder is kept; the newest signed time is.
    let memory = std::fs::read_to_string(path("two/verifier.json")).unwrap();
    let mut memory: Value = serde_json::from_str(&memory).unwrap();
    assert_eq!(memory["clock_floor"], now.hour().0);
    // A clock before a signed time is wrong, and nothing is accepted by it.
    memory["clock_floor"] = (now.0 + 7200).into();
    std::fs::write(path("two/verifier.json"), memory.to_string()).unwrap();
    let (ahead, value) = scan("two", &code(3, Turn::FIRST));
    assert_eq!((ahead, &value["reason"]), (1, &"clock".into()), "{value}");
    // A memory that cannot be read is no answer.
    std::fs::write(path("two/verifier.json"), "{").unwrap();
    assert_eq!(scan("two", &code(4, Turn::FIRST)).0, 2);
}
