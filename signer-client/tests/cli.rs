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
        "link",
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
        "codes",
        "ask",
        "audit",
        "audit watch",
        "audit proof",
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

/// A server for two calls of `signer codes`: the first vehicle at once, the second when asked again, the third never. Gives
/// the bodies that it got.
fn fleet_server() -> (String, std::thread::JoinHandle<Vec<Value>>) {
    use std::io::{BufRead as _, BufReader, Read as _, Write as _};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let served = std::thread::spawn(move || {
        let mut bodies = Vec::new();
        for stream in listener.incoming().take(2) {
            let mut stream = BufReader::new(stream.unwrap());
            let mut length = 0;
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).unwrap();
                let line = line.to_lowercase();
                if let Some(value) = line.strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                if line.trim().is_empty() {
                    break;
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            let body: Value = serde_json::from_slice(&body).unwrap();
            let again = !bodies.is_empty();
            let entry = |reference: &Value| match reference.as_str().unwrap() {
                "AA0003EX" => serde_json::json!({ "reference": reference, "problem": "no_document" }),
                "AA/0002" if !again => serde_json::json!({ "reference": reference, "problem": "overloaded" }),
                _ => {
                    serde_json::json!({ "reference": reference, "code": { "qr": "DQ1:ABC", "digits": "1234 5678" } })
                }
            };
            let codes: Vec<Value> = body["references"].as_array().unwrap().iter().map(entry).collect();
            let answer =
                serde_json::json!({ "step": 10, "valid_from": 1800, "valid_until": 1980, "codes": codes });
            let answer = answer.to_string();
            bodies.push(body);
            write!(
                stream.get_mut(),
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{answer}",
                answer.len()
            )
            .unwrap();
        }
        bodies
    });
    (address, served)
}

#[test]
fn cli_121_codes_of_a_fleet_are_pictures_and_who_has_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (list, out) = (folder.path().join("vehicles"), folder.path().join("codes"));
    std::fs::write(&list, "AA/0002\n\n  AA0003EX \nAA0001EX\n").unwrap();
    let (server, served) = fleet_server();
    let (list, out_text) = (list.to_str().unwrap(), out.to_str().unwrap());
    let output = signer(&[
        "--json", "codes", "--server", &server, "--token", "t", "--next", "--file", list, "--out", out_text,
        "AA0001EX",
    ]);
    assert_eq!(exit(&output), 1, "{output:?}");
    let bodies = served.join().unwrap();
    assert_eq!(bodies[0]["references"], serde_json::json!(["AA0001EX", "AA/0002", "AA0003EX"]));
    assert_eq!(
        (&bodies[0]["step"], &bodies[1]["references"]),
        (&"next".into(), &serde_json::json!(["AA/0002"]))
    );
    let value: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(value["codes"][2]["problem"], "no_document");
    for (place, name) in [(0, "AA0001EX.svg"), (1, "AA%2f0002.svg")] {
        let file = value["codes"][place]["file"].as_str().unwrap();
        assert_eq!(file, out.join(name).to_str().unwrap());
        assert!(std::fs::read_to_string(file).unwrap().starts_with("<svg "));
    }
    assert_eq!(exit(&signer(&["codes"])), 2);
}
