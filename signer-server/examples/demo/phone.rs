//! The simulated phone: `signer-client` with storage and keystore in files.

use std::path::Path;

use signer_client::{
    Phone, PhoneOptions, Ports,
    desk::{FileStorage, SoftwareKey, SystemClock, system_rng},
    http::{NetworkHttp, NetworkOptions},
};
use signer_core::credential::StepRule;

use crate::Result;

pub(crate) fn open(folder: &Path, server: &str, step_rule: StepRule) -> Result<Phone> {
    std::fs::create_dir_all(folder)?;
    let (key, _made) = SoftwareKey::open(folder.join("hardware-key.json"), system_rng())?;
    let ports = Ports {
        http: Box::new(NetworkHttp::new(server, &NetworkOptions::default())?),
        key: Box::new(key),
        storage: Box::new(FileStorage::new(folder.join("state.cbor"))),
        clock: Box::new(SystemClock),
        rng: system_rng(),
    };
    Ok(Phone::open(ports, PhoneOptions { step_rule, ..PhoneOptions::default() })?)
}
