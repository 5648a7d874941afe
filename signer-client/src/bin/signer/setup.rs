//! The phone's surroundings on this machine: a directory, a stand-in keystore, the network.

use std::{fs, path::PathBuf};

use p256::ecdsa::VerifyingKey;
use signer_client::{
    ClientError, Phone, PhoneOptions, Ports, RelyingParty, StateError,
    desk::{FileStorage, SoftwareKey, SystemClock, system_rng},
    http::{NetworkHttp, NetworkOptions},
    lists::read_point,
    ports::{Http as _, Storage as _},
    state::server_of,
};
use signer_core::credential::StepRule;

use crate::{
    Bank, Global,
    output::{Failure, warning},
};

/// An opened phone. While it lives no other command uses the same directory.
pub(crate) struct Desk {
    pub(crate) phone: Phone,
    _lock: fs::File,
}

/// Opens the phone of the state directory.
pub(crate) fn open(global: &Global) -> Result<Desk, Failure> {
    open_for(global, None, None)
}

/// The same with what is given at enrolment only.
pub(crate) fn open_for(
    global: &Global,
    server: Option<&str>,
    trust_root: Option<VerifyingKey>,
) -> Result<Desk, Failure> {
    let (directory, lock) = locked(global, "lock")?;
    lock.try_lock().map_err(|_| {
        Failure::new("busy", "another signer command uses this state", "Wait until it has ended.")
    })?;
    let storage = FileStorage::new(directory.join("state.cbor"));
    let stored = storage.load().map_err(ClientError::from)?;
    let given = server
        .map(|server| NetworkHttp::new(server, &network(global)?).map_err(Failure::from))
        .transpose()?;
    let stored = stored.map(|image| server_of(&image)).transpose()?;
    let http = match (given, stored) {
        (Some(given), Some(stored)) if given.server() != stored => {
            return Err(ClientError::State(StateError::OtherServer).into());
        }
        (Some(given), _) => given,
        (None, Some(stored)) => NetworkHttp::new(&stored, &network(global)?)?,
        (None, None) => return Err(ClientError::State(StateError::NotEnrolled).into()),
    };
    let (key, made) = SoftwareKey::open(directory.join("hardware-key.json"), system_rng())?;
    if made {
        warning("hardware-key.json stands in for a phone's hardware keystore.");
        warning(
            "A real phone keeps these keys where they cannot be copied. Whoever copies this directory can try PINs.",
        );
    }
    let ports = Ports {
        http: Box::new(http),
        key: Box::new(key),
        storage: Box::new(storage),
        clock: Box::new(SystemClock),
        rng: system_rng(),
    };
    let options = PhoneOptions { step_rule: step_rule(global)?, trust_root, ..PhoneOptions::default() };
    Ok(Desk { phone: Phone::open(ports, options)?, _lock: lock })
}

/// A root of trust, as it is published.
pub(crate) fn trust_root(text: &str) -> Result<VerifyingKey, Failure> {
    read_point(text).ok_or_else(|| {
        let next = "Give the 33 bytes of the root in base64url, as it is published.";
        Failure::usage("--trust-root is no key", next)
    })
}

/// A relying party of the server given.
pub(crate) fn relying_party(global: &Global, bank: &Bank) -> Result<RelyingParty, Failure> {
    let (Some(server), Some(token)) = (&bank.server, &bank.token) else {
        return Err(Failure::usage(
            "a relying party needs --server and --token",
            "Give them, or set SIGNER_SERVER and SIGNER_TOKEN.",
        ));
    };
    Ok(RelyingParty::new(Box::new(NetworkHttp::new(server, &network(global)?)?), token.trim()))
}

pub(crate) fn step_rule(global: &Global) -> Result<StepRule, Failure> {
    match global.demo_step {
        None => Ok(StepRule::STANDARD),
        Some(seconds) => StepRule::for_demo(seconds)
            .ok_or_else(|| Failure::usage("a step is 6 to 180 seconds", "Correct --demo-step.")),
    }
}

pub(crate) fn network(global: &Global) -> Result<NetworkOptions, Failure> {
    if global.insecure {
        warning(
            "--insecure: what is sent in the clear gives away the PIN to whoever has the phone's storage.",
        );
    }
    let read = |path: &PathBuf| {
        fs::read(path).map_err(|error| {
            Failure::usage(format!("cannot read {}: {error}", path.display()), "Correct --ca.")
        })
    };
    let root_certificates = global.ca.as_ref().map(read).transpose()?;
    Ok(NetworkOptions { root_certificates, insecure: global.insecure })
}

fn directory(global: &Global) -> Result<PathBuf, Failure> {
    if let Some(directory) = &global.state {
        return Ok(directory.clone());
    }
    let from = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    from("XDG_STATE_HOME")
        .or_else(|| Some(from("HOME")?.join(".local/state")))
        .map(|base| base.join("signer"))
        .ok_or_else(|| Failure::usage("there is no home directory", "Give --state DIR."))
}

/// The state directory, made if need be, and a file in it to lock.
pub(crate) fn locked(global: &Global, name: &str) -> Result<(PathBuf, fs::File), Failure> {
    let directory = directory(global)?;
    match prepare(&directory, name) {
        Ok(lock) => Ok((directory, lock)),
        Err(error) => Err(Failure::new(
            "storage",
            format!("cannot use {}: {error}", directory.display()),
            "Give another --state.",
        )),
    }
}

fn prepare(directory: &PathBuf, name: &str) -> std::io::Result<fs::File> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt as _;
        builder.mode(0o700);
    }
    builder.create(directory)?;
    fs::OpenOptions::new().create(true).write(true).truncate(false).open(directory.join(name))
}
