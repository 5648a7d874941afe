//! Writes the corpus seeds: `cargo run --release --example seeds` in this directory.

use std::{fs, path::Path};

use signer_fuzz::{qr, session, trust, wire, wrapped};

fn main() -> std::io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../signer-core/tests/golden/wire.txt");
    let mut wire = Vec::new();
    for line in fs::read_to_string(golden)?.lines() {
        let (name, hex) = line.split_once(' ').unwrap_or_default();
        let name = name.split('.').next().unwrap_or_default();
        if let Some(number) = wire::MESSAGES.iter().position(|(message, _)| *message == name) {
            let bytes =
                (0..hex.len() / 2).filter_map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).ok());
            wire.push(std::iter::once(u8::try_from(number).unwrap_or_default()).chain(bytes).collect());
        }
    }
    let codes = qr::known();
    let text = codes.iter().map(|code| [&[0], code.as_bytes()].concat());
    let bytes = codes.iter().map(|code| [&[1], &qr::bytes_of(code)[..]].concat());
    write(&corpus.join("wire"), wire)?;
    write(&corpus.join("qr"), text.chain(bytes).collect())?;
    let [list, status, request] = trust::honest();
    let payloads = [(3, trust::payload_of(list)), (4, trust::payload_of(status))];
    let whole = [(0, list.clone()), (1, status.clone()), (2, request.clone())];
    let trust =
        whole.into_iter().chain(payloads).map(|(kind, bytes): (u8, _)| [&[kind], &bytes[..]].concat());
    write(&corpus.join("trust"), trust.collect())?;
    write(&corpus.join("wrapped"), vec![wrapped::truth().to_vec()])?;
    write(&corpus.join("session"), session::seeds())
}

fn write(folder: &Path, seeds: Vec<Vec<u8>>) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    for (i, seed) in seeds.iter().enumerate() {
        fs::write(folder.join(format!("seed-{i:03}")), seed)?;
    }
    println!("{}: {} seeds", folder.display(), seeds.len());
    Ok(())
}
