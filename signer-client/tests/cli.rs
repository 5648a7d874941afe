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
        "request",
        "trust",
        "trust root-key",
        "trust sign",
        "trust show",
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
