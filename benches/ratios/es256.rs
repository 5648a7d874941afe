//! ES256: computations, bytes and state of one key, beside ordinary verification and beside the crate `dkls23`.

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use p256::{
    ProjectivePoint, Scalar,
    elliptic_curve::{
        Group as _,
        ops::{Invert, Reduce},
    },
};
use rand::{SeedableRng as _, rngs::StdRng};
use signer_benches::{
    alternate::{compare, median, thread_cpu},
    dkls::Pair,
    enrolment::{Enrolled, enrol},
    parties::Parties,
    single::Ecdsa,
};
use signer_core::{
    codec,
    secret::SecretBytes,
    suite::SuiteId,
    wrap::{Kek, Location, wrap},
};

use super::figures::{Goal, ROUNDS, Report, micros};

/// Rounds of what takes milliseconds.
const SLOW_ROUNDS: usize = 15;

pub(crate) fn measure(report: &mut Report) {
    let parties = Parties::new(SuiteId::Es256);
    let single = Ecdsa::new(&parties);
    server(report, &parties, &single);
    device(report, &parties, &single);
    keys(report, &single);
    state(report, &parties);
    dkls(report, &parties);
}

fn server(report: &mut Report, parties: &Parties, single: &Ecdsa) {
    let compared = compare(ROUNDS, || single.verify_aws(), || parties.server());
    let part = |subject: &mut dyn FnMut()| compare(ROUNDS / 5, || single.verify_aws(), subject).ratio;
    let measured = format!(
        "{} (in verifies: fetch with R2 and proof {:.2}, check {:.2}, gate {:.2}, finish {:.2})",
        micros(compared, "verify", "server"),
        part(&mut || drop(parties.server_fetch())),
        part(&mut || assert!(parties.server_check())),
        part(&mut || assert!(parties.server_gate())),
        part(&mut || drop(parties.server_finish())),
    );
    report.add("es256_server_per_aws_verify", compared.ratio, Goal::AtMost(3.0), measured);

    // What the finish is made of, by direct calls of the libraries; the rest of it is the VOLE.
    let key = [7; 32];
    let scalar = Scalar::reduce(&p256::FieldBytes::from(key));
    let point = PrivateKey::from_private_key(&ECDH_P256, &key).unwrap().compute_public_key().unwrap();
    let import = part(&mut || drop(PrivateKey::from_private_key(&ECDH_P256, &key).unwrap()));
    let multiply = part(&mut || {
        let key = PrivateKey::from_private_key(&ECDH_P256, &key).unwrap();
        agree(&key, UnparsedPublicKey::new(&ECDH_P256, &point), (), |_| Ok(())).unwrap();
    });
    let verify = part(&mut || single.verify_aws_unparsed());
    let plain = part(&mut || {
        let _ = std::hint::black_box(
            ProjectivePoint::mul_by_generator(&std::hint::black_box(scalar)).to_affine(),
        );
    });
    let inverse = part(&mut || {
        let _ = std::hint::black_box(Invert::invert(std::hint::black_box(&scalar)));
    });
    report.inform(format!(
        "es256_parts_in_verifies key_import {import:.2} base_multiple_by_p256 {plain:.2} import_and_multiply {multiply:.2} verify_unparsed {verify:.2} \
         inverse {inverse:.2}"
    ));
}

fn device(report: &mut Report, parties: &Parties, single: &Ecdsa) {
    let compared = compare(ROUNDS, || single.verify_p256(), || parties.device());
    let commit = compare(ROUNDS / 5, || single.verify_p256(), || parties.device_commit()).subject;
    let accept = compare(ROUNDS / 5, || single.verify_p256(), || parties.device_accept());
    let measured = format!("{} (commit {commit:.0})", micros(compared, "verify", "device"));
    report.add("es256_device_per_p256_verify", compared.ratio, Goal::AtMost(3.0), measured);
    let with = compared.ratio + accept.ratio;
    report.inform(format!("es256_device_with_final_verification_per_p256_verify {with:.3}"));
}

fn keys(report: &mut Report, single: &Ecdsa) {
    let runs: Vec<Enrolled> = (0..).take(SLOW_ROUNDS).map(|number| enrol(SuiteId::Es256, number)).collect();
    let of = |value: fn(&Enrolled) -> f64| median(runs.iter().map(value).collect());
    let server = of(|run| run.server_cost.cpu.as_secs_f64() * 1e3);
    let device = of(|run| run.device_cost.cpu.as_secs_f64() * 1e3);
    let verify = compare(ROUNDS / 5, || single.verify_p256(), || single.verify_aws());
    let measured =
        format!("{:.0} verifies by aws-lc-rs, {:.1} us each", server * 1e3 / verify.subject, verify.subject);
    report.add("es256_server_keygen_ms", server, Goal::AtMost(80.0), measured);
    let by_verify = device * 1e3 / verify.baseline;
    report.inform(format!("es256_device_keygen_ms {device:.1} ({by_verify:.0} verifies by p256)"));
    let (up, down) = runs.first().map_or((0, 0), |run| (run.device_cost.sent, run.server_cost.sent));
    report.inform(format!("es256_keygen_bytes up {up} down {down} both {}", up + down));
    let masked = runs.first().map_or(0, |run| codec::encode(&run.device).len());
    report.inform(format!("es256_device_state_bytes {masked}"));
}

fn state(report: &mut Report, parties: &Parties) {
    let state = parties.server_state();
    let kek = Kek::new(SecretBytes::new([1; 32]));
    let location = Location { table: "key", row: &[1; 16], column: "secrets", epoch: 0 };
    let wrapped = wrap(&kek, &location, &state, &mut StdRng::seed_from_u64(1)).unwrap();
    report.inform(format!("es256_server_state_bytes {} wrapped {}", state.len(), wrapped.as_bytes().len()));
    let (up, down) = parties.bytes();
    report.inform(format!("es256_signature_bytes up {up} down {down} both {}", up + down));
}

fn dkls(report: &mut Report, parties: &Parties) {
    let made: Vec<_> = (0..5).map(|_| Pair::generate()).collect();
    let keygen = median(made.iter().map(|(_, cost)| cost.cpu.as_secs_f64() * 1e3).collect());
    let (pair, cost) = made.into_iter().next().unwrap();
    report.inform(format!("dkls23_keygen_ms {keygen:.0}"));
    report.inform(format!("dkls23_keygen_bytes both {}", cost.bytes));
    report.inform(format!("dkls23_state_bytes {}", pair.state()));
    // Their party's phases are timed one by one, between the other party's.
    let rounds: Vec<(f64, f64)> = (0..SLOW_ROUNDS)
        .map(|_| {
            let theirs = pair.sign().cpu.as_secs_f64() * 1e6;
            let start = thread_cpu();
            (0..20).for_each(|_| drop(parties.server()));
            (theirs, (thread_cpu() - start).as_secs_f64() * 1e6 / 20.0)
        })
        .collect();
    let ratio = median(rounds.iter().map(|(theirs, ours)| theirs / ours).collect());
    let theirs = median(rounds.iter().map(|round| round.0).collect());
    let ours = median(rounds.iter().map(|round| round.1).collect());
    let measured = format!("theirs {theirs:.0} us, ours {ours:.0} us");
    report.add("dkls23_server_per_es256_server", ratio, Goal::AtLeast(30.0), measured);
    report.inform(format!("dkls23_signature_bytes both {}", pair.sign().bytes));
}
