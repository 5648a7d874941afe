//! 10,000 signatures of several keys, each over the digest of a certificate that nobody has seen before, verified by three
//! ordinary verifiers: `p256`, aws-lc-rs, and the `openssl` command line, which checks them as certificates under one issuer:
//! one process for thousands.
#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::unwrap_used,
    reason = "a test may stop at what it does not expect"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
    thread,
};

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};
use base64::{Engine, engine::general_purpose::STANDARD};
use p256::ecdsa::{Signature as Plain, VerifyingKey, signature::hazmat::PrehashVerifier};
use rand::{Rng, SeedableRng, rngs::StdRng};
use signer_core::{
    domain::sha256,
    ids::{DeviceId, Epoch, KeyId},
    secret::{Secret, SecretBytes},
    suite::{
        Commitments, DevicePart, DeviceShare, GroupPublicKey, KeyContext, ServerShare, SigningContext, Suite,
        SuiteId,
    },
    time::UnixSeconds,
};

const KEYS: u8 = 4;
const SIGNATURES: usize = 10_000;

/// Both parties of one key.
struct Key {
    rng: StdRng,
    context: KeyContext,
    device: DeviceShare,
    seed: SecretBytes<32>,
    server: ServerShare,
    public: GroupPublicKey,
    nonce_key: SecretBytes<32>,
}

impl Key {
    fn new(number: u8) -> Self {
        let suite = SuiteId::Es256.get();
        let mut rng = StdRng::seed_from_u64(number.into());
        let context = KeyContext {
            suite: SuiteId::Es256,
            key: KeyId::from_bytes([number; 16]),
            epoch: Epoch(0),
            device: DeviceId::from_bytes([number; 16]),
        };
        let (device, hello) = suite.device_hello(&context, &mut rng).unwrap();
        let (server, answer) = suite.server_hello(&context, &hello, &mut rng).unwrap();
        let (device, keys) = device.keys(&answer, &mut rng).unwrap();
        let (server, public, opening) = server.finish(&keys).unwrap();
        let (device, _) = device.open(&opening).unwrap();
        let seed = SecretBytes::random(&mut rng);
        let (seeding, asked) = suite.server_seeding(server, &[1; 32], &mut rng).unwrap();
        let seeds = suite.device_seeding(&context, &seed, &[1; 32], &asked, &mut rng).unwrap();
        let server = seeding.finish(&seeds).unwrap();
        Self { rng, context, device, seed, server, public, nonce_key: Secret::new([number; 32]) }
    }

    fn sign(&mut self, suite: &dyn Suite, index: u32, digest: &[u8; 32]) -> Vec<u8> {
        let context = SigningContext {
            key: self.context,
            public_key: self.public,
            request_hash: [3; 32],
            fetched_at: UnixSeconds(1_700_000_000),
            index,
            digest,
        };
        let (nonce, device) = suite.device_commit(&Secret::new([9; 32]), &mut self.rng).unwrap();
        let server = suite.server_commit(&self.server, &self.nonce_key, &context, &device).unwrap();
        let commitments = Commitments { device: &device, server: &server };
        let part = DevicePart { share: &self.device, seed: &self.seed };
        let contribution = suite.contribute(part, nonce, &context, commitments).unwrap();
        let signature =
            suite.finish(&self.server, &self.nonce_key, &context, commitments, &contribution).unwrap();
        assert!(suite.verify(&self.public, digest, &signature));
        signature.as_slice().to_vec()
    }

    /// What is signed under a certificate of version 1: a random serial number makes the digest a random one.
    fn unsigned_certificate(&mut self, subject: &str) -> Vec<u8> {
        let mut serial = [0; 16];
        self.rng.fill_bytes(&mut serial);
        serial[0] = serial[0] & 0x3f | 0x40;
        let point = VerifyingKey::from_sec1_bytes(&self.public.0).unwrap().to_sec1_point(false);
        let key_type = der(0x30, &[&object(EC_PUBLIC_KEY), &object(P256)]);
        let key = der(0x30, &[&key_type, &der(3, &[&[0], point.as_bytes()])]);
        let life = [&b"200101000000Z"[..], b"491231235959Z"].map(|time| der(0x17, &[time]));
        let life = der(0x30, &[&life[0], &life[1]]);
        der(0x30, &[&der(2, &[&serial]), &algorithm(), &name("issuer"), &life, &name(subject), &key])
    }
}

const EC_PUBLIC_KEY: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
const ECDSA_WITH_SHA256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2];
const COMMON_NAME: &[u8] = &[0x55, 4, 3];

/// One DER value shorter than 64 KiB.
fn der(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let [high, low] = u16::try_from(content.len()).unwrap().to_be_bytes();
    let mut bytes = match content.len() {
        0..128 => vec![tag, low],
        128..256 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    bytes.extend(content);
    bytes
}

fn object(id: &[u8]) -> Vec<u8> {
    der(6, &[id])
}

fn algorithm() -> Vec<u8> {
    der(0x30, &[&object(ECDSA_WITH_SHA256)])
}

fn name(common: &str) -> Vec<u8> {
    let pair = der(0x30, &[&object(COMMON_NAME), &der(0x0c, &[common.as_bytes()])]);
    der(0x30, &[&der(0x31, &[&pair])])
}

fn write_certificate(path: &Path, to_be_signed: &[u8], signature: &[u8]) {
    let signature = Plain::from_slice(signature).unwrap().to_der();
    let signature = der(3, &[&[0], signature.as_bytes()]);
    let certificate = STANDARD.encode(der(0x30, &[to_be_signed, &algorithm(), &signature]));
    let lines: Vec<_> = certificate.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    let text = format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"));
    fs::write(path, text).unwrap();
}

fn openssl_verify(issuer: &Path, certificates: &[PathBuf]) -> Output {
    let mut command = Command::new("openssl");
    command.arg("verify").arg("-CAfile").arg(issuer).args(certificates);
    command.output().expect("the openssl command line is installed")
}

/// How many of `certificates` openssl finds to be signed by the issuer's key.
fn count_of_good(output: &Output) -> usize {
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| line.ends_with(": OK")).count()
}

/// `count` signatures of one key, all verified three times.
fn check(number: u8, count: usize) {
    let suite = SuiteId::Es256.get();
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("es256-{number}"));
    fs::create_dir_all(&folder).unwrap();
    let mut key = Key::new(number);
    let issuer = folder.join("issuer.pem");
    let to_be_signed = key.unsigned_certificate("issuer");
    let signature = key.sign(suite, 0, &sha256(&to_be_signed));
    write_certificate(&issuer, &to_be_signed, &signature);

    let by_p256 = VerifyingKey::from_sec1_bytes(&key.public.0).unwrap();
    let by_aws_lc = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, key.public.0);
    let mut certificates = Vec::with_capacity(count);
    for i in 1..count {
        let to_be_signed = key.unsigned_certificate("holder");
        let digest = sha256(&to_be_signed);
        let signature = key.sign(suite, u32::try_from(i % 32).unwrap(), &digest);
        by_p256.verify_prehash(&digest, &Plain::from_slice(&signature).unwrap()).unwrap();
        by_aws_lc.verify(&to_be_signed, &signature).unwrap();
        let path = folder.join(format!("{i}.pem"));
        write_certificate(&path, &to_be_signed, &signature);
        certificates.push(path);
    }
    // The issuer's own certificate is signed by the key it holds: a signature like the others.
    certificates.push(issuer.clone());
    let output = openssl_verify(&issuer, &certificates);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(count_of_good(&output), count);

    // The same command does tell a wrong signature: that of one certificate under another.
    let wrong = folder.join("wrong.pem");
    write_certificate(&wrong, &key.unsigned_certificate("holder"), &signature);
    let output = openssl_verify(&issuer, &[certificates[0].clone(), wrong, certificates[1].clone()]);
    assert!(!output.status.success());
    assert_eq!(count_of_good(&output), 2);
    fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn e25_100_ten_thousand_signatures_verify_with_p256_aws_lc_and_openssl() {
    thread::scope(|scope| {
        for half in 0..2 {
            scope.spawn(move || {
                for number in (0..KEYS).filter(|number| number % 2 == half) {
                    check(number, SIGNATURES / usize::from(KEYS));
                }
            });
        }
    });
}
