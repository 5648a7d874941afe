//! A phone whose holder knows the PIN and attacks the server's share: wrong contributions behind right gate MACs, one
//! after the other and many at once.
//!
//! On two server processes there is nothing to try: SQLite's store belongs to one process, and a second one on the same
//! file does not start (STO-009, tests/store_sqlite.rs).

use std::{
    sync::{
        Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use signer_client::{Approved, ClientError, RelyingParty};
use signer_core::{
    approval::ApprovalRecord,
    codec::{self, Blob, List},
    domain::{Domain, Macer},
    ids::{Epoch, RequestId},
    pin::{GateKey, Pin},
    suite::{GroupPublicKey, KeyContext, SuiteId},
    time::UnixSeconds,
    wire::{
        Approve, ApprovePayload, Confirmation, Confirmed, EnrolConfirm, EnrolKeyed, EnrolStart, Envelope,
        Evaluated, ProblemCode, RefreshConfirm, RefreshKeyed, RefreshKeys, RequestStatus, Standing,
    },
};

use crate::{
    harness::{PIN, TestApp},
    support::{
        http::{Answer, Client},
        phone::{Fault, TestPhone},
    },
};

const NEW: &str = "582907";
/// Where the sum v of an `es256` contribution ends, and its first correction begins.
const CORRECTIONS_AT: usize = 65 + 32 + 32 + 32;

fn context_fields(mac: Macer, context: &KeyContext) -> Macer {
    mac.number(1)
        .number(context.suite.number().into())
        .field(context.key.as_bytes())
        .number(context.epoch.0.into())
        .field(context.device.as_bytes())
}

/// The approve in `body` with contributions of the attacker's, under the gate MAC that belongs to them. Whoever knows the
/// PIN knows the gate key; here it comes from the server's store. Written from `spec/protocol.md`. It claims unheard tries
/// without end: of many at once, none shows by the successes of the others.
pub(crate) fn cheated(
    app: &TestApp,
    phone: &TestPhone,
    body: &[u8],
    change: impl Fn(usize, &mut [u8]),
) -> Vec<u8> {
    let approve: Approve = Envelope::decode(body).unwrap().peek().unwrap();
    let mut payload: ApprovePayload = codec::decode(approve.payload.as_slice(), 1 << 20).unwrap();
    let changed = payload.items.as_slice().iter().enumerate().map(|(place, item)| {
        let mut contribution = item.contribution.as_slice().to_vec();
        change(place, &mut contribution);
        let mut item = item.clone();
        item.contribution = Blob::new(contribution).unwrap();
        item
    });
    payload.items = List::new(changed.collect()).unwrap();
    payload.unheard = u32::MAX;
    payload.mac = [0; 32];
    let record = ApprovalRecord::decode(payload.record.as_slice()).unwrap();
    let context =
        KeyContext { suite: record.suite, key: record.key, epoch: payload.epoch, device: record.device };
    let gate_key = app.vault().share(context.device).gate_key;
    payload.mac = context_fields(Macer::new(gate_key.expose(), Domain::GateApprove), &context)
        .field(&record.public_key.0)
        .field(&record.request.hash())
        .field(&codec::encode(&payload))
        .tag();
    let payload = Blob::new(codec::encode(&payload)).unwrap();
    let message = Approve { payload, record_signature: approve.record_signature };
    phone.seal(app.clock.seconds(), &message)
}

/// A change of PIN up to its last message, which is the one that is not sent.
fn confirmation(phone: &mut TestPhone) -> RefreshConfirm {
    phone.wire.fail("refresh-confirm", Fault::LoseRequest);
    let lost = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap());
    assert!(matches!(lost, Err(ClientError::Transport(_))), "{lost:?}");
    Envelope::decode(&phone.wire.last("refresh-confirm").body).unwrap().peek().unwrap()
}

/// The confirmation after `change`, under the gate MAC that belongs to it.
fn cheated_confirmation(
    app: &TestApp,
    phone: &TestPhone,
    RefreshConfirm(mut confirmation): RefreshConfirm,
    change: impl Fn(&mut Vec<u8>, &mut Vec<u8>),
) -> Vec<u8> {
    let (mut seeds, mut contribution) =
        (confirmation.seeds.as_slice().to_vec(), confirmation.contribution.as_slice().to_vec());
    change(&mut seeds, &mut contribution);
    confirmation.seeds = Blob::new(seeds).unwrap();
    confirmation.contribution = Blob::new(contribution).unwrap();
    let key = phone.phone.enrolled().unwrap();
    let context = KeyContext { epoch: key.context.epoch.next(), ..key.context };
    let passed = phone.wire.last("refresh-keys");
    let keys: RefreshKeys = Envelope::decode(&passed.body).unwrap().peek().unwrap();
    assert_eq!(keys.ceremony, confirmation.ceremony);
    let keyed: RefreshKeyed = codec::decode(&passed.reply.unwrap(), 1 << 20).unwrap();
    let UnixSeconds(fetched_at) = keyed.fetched_at;
    let GroupPublicKey(public_key) = key.public_key;
    confirmation.mac = confirm_mac(&context, &public_key, fetched_at, &confirmation);
    phone.seal(app.clock.seconds(), &RefreshConfirm(confirmation))
}

fn confirm_mac(
    context: &KeyContext,
    public_key: &[u8],
    fetched_at: u64,
    confirmation: &Confirmation,
) -> [u8; 32] {
    let gate_key = GateKey::new(confirmation.gate_key.0.duplicate());
    context_fields(Macer::new(gate_key.expose(), Domain::GateConfirm), context)
        .field(public_key)
        .field(confirmation.ceremony.as_bytes())
        .number(fetched_at)
        .field(confirmation.seeds.as_slice())
        .field(confirmation.contribution.as_slice())
        .tag()
}

/// An enrolment with `code` up to its last message, whose contribution is wrong under the gate MAC that belongs to it.
fn wrong_enrolment(app: &TestApp, phone: &mut TestPhone, code: &str) -> Vec<u8> {
    phone.wire.fail("enrol-confirm", Fault::LoseRequest);
    let lost = phone.phone.enrol(app.suite, code, &Pin::new(PIN).unwrap());
    assert!(matches!(lost, Err(ClientError::Transport(_))), "{lost:?}");
    let start: EnrolStart = Envelope::decode(&phone.wire.last("enrol-start").body).unwrap().peek().unwrap();
    let UnixSeconds(fetched_at) =
        codec::decode::<EnrolKeyed>(&phone.wire.last("enrol-keys").reply.unwrap(), 1 << 20)
            .unwrap()
            .fetched_at;
    let EnrolConfirm(mut confirmation) =
        Envelope::decode(&phone.wire.last("enrol-confirm").body).unwrap().peek().unwrap();
    let device = phone.device_key().device_id();
    let context = KeyContext { suite: start.suite, key: start.key, epoch: Epoch(0), device };
    // The public key is where the phone stores its unproven key: the 33 bytes under which the honest MAC is right.
    let image = phone.storage.image().unwrap();
    let right = |key: &&[u8]| confirm_mac(&context, key, fetched_at, &confirmation) == confirmation.mac;
    let public_key = image.windows(33).find(right).unwrap().to_vec();
    let mut contribution = confirmation.contribution.as_slice().to_vec();
    wrong_scalar(&mut contribution);
    confirmation.contribution = Blob::new(contribution).unwrap();
    confirmation.mac = confirm_mac(&context, &public_key, fetched_at, &confirmation);
    phone.seal(app.clock.seconds(), &EnrolConfirm(confirmation))
}

/// Another value of the sum or scalar that ends before the corrections, still in range.
pub(crate) fn wrong_scalar(contribution: &mut [u8]) {
    let at = if contribution.len() == 32 { 31 } else { CORRECTIONS_AT - 1 };
    contribution[at] ^= 1;
}

fn flip_correction(bit: usize) -> impl Fn(&mut [u8]) {
    move |contribution| contribution[CORRECTIONS_AT + 32 * bit + 31] ^= 1
}

/// Nothing of the key is answered any more, whoever asks for what.
pub(crate) fn assert_ended(app: &TestApp, bank: &RelyingParty, phone: &mut TestPhone, honest: &[u8]) {
    let status = phone.phone.status().unwrap();
    assert_eq!(status.standing, Standing::Revoked);
    let wrapped: Vec<u8> = app
        .read_only()
        .query_row(
            "SELECT wrapped FROM signing_key WHERE device = ?1",
            [phone.device_key().device_id().as_bytes()],
            |row| row.get(0),
        )
        .unwrap();
    assert!(wrapped.is_empty(), "the share is erased");
    assert!(matches!(
        app.device("approve", honest).code(),
        ProblemCode::Revoked | ProblemCode::RequestClosed | ProblemCode::NotFound
    ));
    let id = app.ask(bank, "olena");
    let listed = phone.phone.requests().map(|all| all.len());
    assert!(matches!(listed, Ok(0) | Err(_)), "{listed:?}");
    assert_eq!(bank.wait(id, std::time::Duration::ZERO).unwrap().status, RequestStatus::Open);
    let change = phone.phone.change_pin(&Pin::entered(PIN).unwrap(), &Pin::new(NEW).unwrap());
    assert!(
        matches!(&change, Err(ClientError::Problem(problem)) if problem.code == ProblemCode::Revoked),
        "{change:?}"
    );
}

/// The server's share as it stands in the store, one bit after the other from the lowest.
fn bits_of_the_share(app: &TestApp, phone: &TestPhone) -> Vec<bool> {
    let share = app.vault().share(phone.device_key().device_id()).share;
    let bytes = share.0[..32].iter().rev();
    bytes.flat_map(|byte| (0..8).map(move |bit| byte >> bit & 1 == 1)).collect()
}

#[test]
fn app_120_a_guess_at_a_bit_of_the_share_signs_if_right_and_ends_the_key_if_wrong() {
    let app = TestApp::spawn();
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let bits = bits_of_the_share(&app, &phone);
    // Guesses that a bit is 0, where it is: each is answered by a good signature, as the specification says.
    for bit in (0..256).filter(|bit| !bits[*bit]).step_by(40) {
        let id = app.ask(&bank, "olena");
        let honest = phone.prepare(id, PIN);
        let guess = cheated(&app, &phone, &honest, |_, contribution| flip_correction(bit)(contribution));
        assert_ne!(guess, honest);
        let answer: Evaluated = app.device("approve", &guess).cbor();
        assert!(matches!(answer, Evaluated::Signed { .. }), "bit {bit}: {answer:?}");
    }
    // One where it is 1.
    let bit = bits.iter().position(|bit| *bit).unwrap();
    let (id, open) = (app.ask(&bank, "olena"), app.ask(&bank, "olena"));
    let honest = phone.prepare(open, PIN);
    let own = phone.prepare(id, PIN);
    let guess = cheated(&app, &phone, &own, |_, contribution| flip_correction(bit)(contribution));
    for _ in 0..3 {
        let answer: Evaluated = app.device("approve", &guess).cbor();
        assert!(matches!(answer, Evaluated::KeyEnded {}), "the same answer again: {answer:?}");
    }
    for id in [id, open] {
        assert_eq!(bank.wait(id, std::time::Duration::ZERO).unwrap().status, RequestStatus::KeyEnded);
    }
    assert_ended(&app, &bank, &mut phone, &honest);
}

#[test]
fn app_120_guesses_at_bits_survive_with_the_probability_of_the_guess() {
    let app = TestApp::spawn();
    let bank = app.bank();
    let (mut signed, mut keys) = (0, 0);
    // Of 16 keys none, or all, with probability 2^-15.
    for n in 0..16 {
        let mut phone = app.phone("olena");
        let id = app.ask(&bank, "olena");
        let honest = phone.prepare(id, PIN);
        let bit = (n * 67 + 5) % 256;
        let zero = !bits_of_the_share(&app, &phone)[bit];
        let guess = cheated(&app, &phone, &honest, |_, contribution| flip_correction(bit)(contribution));
        let survived = match app.device("approve", &guess).cbor() {
            Evaluated::Signed { .. } => true,
            Evaluated::KeyEnded {} => false,
            other => panic!("{other:?}"),
        };
        assert_eq!(survived, zero);
        (signed, keys) = (signed + u32::from(survived), keys + 1);
    }
    assert!(signed > 0 && signed < keys, "{signed} of {keys}");
}

#[test]
fn app_121_a_wrong_confirmation_of_a_refresh_ends_the_key() {
    for suite in SuiteId::ALL {
        let mut app = TestApp::spawn();
        app.suite = suite;
        let bank = app.bank();
        let mut phone = app.phone("olena");
        let id = app.ask(&bank, "olena");
        let honest = phone.prepare(id, PIN);
        let good = confirmation(&mut phone);
        let wrong = cheated_confirmation(&app, &phone, good, |_, contribution| wrong_scalar(contribution));
        assert_eq!(app.device("refresh-confirm", &wrong).code(), ProblemCode::Revoked, "{suite:?}");
        assert_eq!(app.device("refresh-confirm", &wrong).code(), ProblemCode::Revoked, "{suite:?}");
        assert_eq!(bank.wait(id, std::time::Duration::ZERO).unwrap().status, RequestStatus::KeyEnded);
        assert_ended(&app, &bank, &mut phone, &honest);
    }
}

#[test]
fn app_121_wrong_seeds_in_a_refresh_are_found_by_the_first_signature() {
    let app = TestApp::spawn();
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let id = app.ask(&bank, "olena");
    let honest = phone.prepare(id, PIN);
    let good = confirmation(&mut phone);
    // Both encrypted seeds of one transfer: whichever the server's bit chose is wrong.
    let wrong = cheated_confirmation(&app, &phone, good, |seeds, _| {
        seeds[33] ^= 1;
        seeds[65] ^= 1;
    });
    assert_eq!(app.device("refresh-confirm", &wrong).code(), ProblemCode::Revoked);
    assert_ended(&app, &bank, &mut phone, &honest);
}

#[test]
fn app_122_a_malformed_confirmation_ends_its_ceremony_and_tests_nothing() {
    let app = TestApp::spawn();
    let bank = app.bank();
    let mut phone = app.phone("olena");
    type Change = fn(&mut Vec<u8>, &mut Vec<u8>);
    let changes: [Change; 5] = [
        |seeds, _| seeds.truncate(seeds.len() - 1),
        |seeds, _| seeds[0] = 5,
        |seeds, _| seeds.clear(),
        |_, contribution| contribution.truncate(contribution.len() - 1),
        |_, contribution| contribution[CORRECTIONS_AT..][..32].fill(0xff),
    ];
    for change in changes {
        let good = confirmation(&mut phone);
        let before = app.dump_of_acts();
        let wrong = cheated_confirmation(&app, &phone, good, change);
        assert_eq!(app.device("refresh-confirm", &wrong).code(), ProblemCode::CeremonyFailed);
        assert_eq!(app.device("refresh-confirm", &wrong).code(), ProblemCode::CeremonyUnknown);
        assert_eq!(app.dump_of_acts(), before, "nothing was counted");
    }
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, PIN).unwrap(), Approved::Signed(_)));
    // The MAC that this file computes is the phone's.
    let good = confirmation(&mut phone);
    let same = cheated_confirmation(&app, &phone, good, |_, _| {});
    let confirmed: Confirmed = app.device("refresh-confirm", &same).cbor();
    assert!(!confirmed.signature.as_slice().is_empty());
    assert_eq!(phone.phone.status().unwrap().epoch.0, 1);
    let id = app.ask(&bank, "olena");
    assert!(matches!(phone.approve(id, NEW).unwrap(), Approved::Signed(_)));
}

#[test]
fn app_125_a_wrong_first_signature_uses_up_the_enrolment_code() {
    for suite in SuiteId::ALL {
        let mut app = TestApp::spawn();
        app.suite = suite;
        let (mut phone, mut second) = (app.blank_phone(), app.blank_phone());
        let code = app.enrolment_code("olena");
        // Of two enrolments with one code the second is ready to be confirmed when the first is wrong.
        let wrong = wrong_enrolment(&app, &mut phone, &code);
        second.wire.fail("enrol-confirm", Fault::LoseRequest);
        second.phone.enrol(suite, &code, &Pin::new(PIN).unwrap()).unwrap_err();
        let told = app.device("enrol-confirm", &wrong);
        assert_eq!(told.code(), ProblemCode::EnrolmentCode, "{suite:?}");
        assert_eq!(app.device("enrol-confirm", &wrong).code(), ProblemCode::CeremonyUnknown);
        let honest = second.wire.last("enrol-confirm").body;
        assert_eq!(app.device("enrol-confirm", &honest).code(), ProblemCode::CeremonyUnknown);
        app.restart();
        let again = app.blank_phone().phone.enrol(suite, &code, &Pin::new(PIN).unwrap());
        assert_eq!(crate::harness::code(again), ProblemCode::EnrolmentCode);
        let new = app.enrolment_code("olena");
        phone.phone.enrol(suite, &new, &Pin::new(PIN).unwrap()).unwrap();
    }
}

/// A message of the race.
struct Shot {
    operation: &'static str,
    body: Vec<u8>,
    cheats: bool,
}

/// What became of a message, and whether the key's end was known to somebody before it was sent for the last time.
struct Hit {
    answer: Answer,
    late: bool,
}

/// Fires everything at the same moment. Who is told `busy` sends the same again until there is another answer.
fn race(app: &TestApp, shots: &[Shot]) -> Vec<Hit> {
    let (barrier, over) = (Barrier::new(shots.len()), AtomicBool::new(false));
    thread::scope(|scope| {
        let threads: Vec<_> = shots
            .iter()
            .map(|shot| {
                let (barrier, over) = (&barrier, &over);
                scope.spawn(move || {
                    let client = Client::new(app.url());
                    assert_eq!(client.send("GET", "/health/live", &[], &[]).status, 200);
                    barrier.wait();
                    loop {
                        let late = over.load(Ordering::SeqCst);
                        let answer = client.cbor(&format!("/device/v1/{}", shot.operation), &shot.body);
                        if answer.status != 200 && answer.code() == ProblemCode::Busy {
                            continue;
                        }
                        if ended(&answer) {
                            over.store(true, Ordering::SeqCst);
                        }
                        return Hit { answer, late };
                    }
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Whether this answer tells that cheating was found: now, or before.
fn ended(answer: &Answer) -> bool {
    if answer.status != 200 {
        return answer.code() == ProblemCode::Revoked;
    }
    matches!(codec::decode(&answer.body, 1 << 20), Ok(Evaluated::KeyEnded {}))
}

fn signed(answer: &Answer) -> bool {
    answer.status == 200 && matches!(codec::decode(&answer.body, 1 << 20), Ok(Evaluated::Signed { .. }))
}

/// Seven honest approvals and what `cheats` makes of the last, all at once. After the first cheating outcome nothing is
/// signed, the outcome is not lost, and what was signed before is what the bank has.
fn cheats_among_honest(
    app: &TestApp,
    shoot: impl Fn(&TestApp, &mut TestPhone, RequestId) -> Vec<Shot>,
) -> usize {
    let bank = app.bank();
    let mut phone = app.phone("olena");
    let ids: Vec<_> = (0..8).map(|_| app.ask(&bank, "olena")).collect();
    let (last, honest) = ids.split_last().unwrap();
    let mut shots: Vec<_> = honest
        .iter()
        .map(|id| {
            let own = phone.prepare(*id, PIN);
            Shot { operation: "approve", body: cheated(app, &phone, &own, |_, _| ()), cheats: false }
        })
        .collect();
    let one_honest = shots[0].body.clone();
    shots.extend(shoot(app, &mut phone, *last));
    let hits = race(app, &shots);
    let mut found = 0;
    for (shot, hit) in shots.iter().zip(&hits) {
        assert!(!(hit.late && signed(&hit.answer)), "signed after the key's end was told");
        assert!(!(shot.cheats && signed(&hit.answer)), "a wrong contribution signed");
        if shot.cheats {
            let refused = matches!(hit.answer.status, 409 | 422);
            assert!(ended(&hit.answer) || refused, "{:?}", hit.answer);
            found += usize::from(ended(&hit.answer));
        }
    }
    assert!(found >= 1, "the cheating outcome was lost");
    let signed_answers = hits.iter().filter(|hit| signed(&hit.answer)).count();
    let mut signed_requests = 0;
    for id in &ids {
        match bank.wait(*id, std::time::Duration::ZERO).unwrap().status {
            RequestStatus::Signed => signed_requests += 1,
            status => assert_eq!(status, RequestStatus::KeyEnded),
        }
    }
    assert_eq!(signed_requests, signed_answers);
    if !signed(&hits[0].answer) {
        assert_ended(app, &bank, &mut phone, &one_honest);
    }
    signed_answers
}

#[test]
fn app_123_after_a_cheating_outcome_in_a_race_nothing_of_the_key_is_answered() {
    for suite in SuiteId::ALL {
        let mut app = TestApp::spawn();
        app.suite = suite;
        let mut signed = Vec::new();
        for cheats in [1, 3] {
            for _ in 0..4 {
                signed.push(cheats_among_honest(&app, |app, phone, id| {
                    let cheat = |_| {
                        let own = phone.prepare(id, PIN);
                        let body = cheated(app, phone, &own, |_, contribution| wrong_scalar(contribution));
                        Shot { operation: "approve", body, cheats: true }
                    };
                    (0..cheats).map(cheat).collect()
                }));
            }
        }
        println!("{suite:?}: signed before the end, of 7 in each race: {signed:?}");
    }
}

#[test]
fn app_124_a_wrong_confirmation_in_a_race_with_approvals_ends_the_key_or_is_never_evaluated() {
    let app = TestApp::spawn();
    for _ in 0..4 {
        // The confirmation's ceremony is used up if the key is busy, so an approve that cheats comes along: of the two
        // one is evaluated at last.
        cheats_among_honest(&app, |app, phone, id| {
            let own = phone.prepare(id, PIN);
            let approve = cheated(app, phone, &own, |_, contribution| wrong_scalar(contribution));
            let good = confirmation(phone);
            let confirm =
                cheated_confirmation(app, phone, good, |_, contribution| wrong_scalar(contribution));
            vec![
                Shot { operation: "approve", body: approve, cheats: true },
                Shot { operation: "refresh-confirm", body: confirm, cheats: true },
            ]
        });
    }
}
