//! A round of key generation answers once.
use rand_core::CryptoRng;
use signer_core::suite::{DeviceKeygen, KeygenMessage};

fn answer(round: Box<dyn DeviceKeygen>, hello: &KeygenMessage, rng: &mut dyn CryptoRng) {
    let _ = round.keys(hello, rng);
    let _ = round.keys(hello, rng);
}

fn main() {}
