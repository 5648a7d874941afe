//! Codes on display, checks, misses.

use std::collections::BTreeMap;

use signer_core::{
    ids::{CheckId, DeviceId, RelyingPartyId},
    time::UnixSeconds,
    wire::{AnswerCheck, CHECK_KEPT_SECONDS, CHECK_SECONDS, CHECKS_MAX, MatchNumber, Profile, Standing},
};
use signer_server::store::{
    AddedCredentials, AnswerResult, Burn, Burned, CheckRow, CheckState, CodeHash, CredentialRow,
    DisplayResult, DisplayTurn, MISS_SECONDS, MISSES_ALARM, MISSES_MAX, NewCheck, NewDisplay,
    QUESTION_SECONDS, Resolve, Resolved, Store, TellAsked, Told, VERIFIER_CHECKS_MAX,
};

use signer_core::trust::Life;

use crate::{
    credentials::{burn, credential},
    fixture::*,
};

/// The other verifier.
const SHOP: RelyingPartyId = RelyingPartyId::from_bytes([0x5B; 16]);
const UNTIL: u64 = 240;

/// The digits number `n`; the bar code beside them is `bar(n)`.
fn digits(n: u32) -> CodeHash {
    let mut hash = [0xD1; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    CodeHash(hash)
}

fn bar(n: u32) -> CodeHash {
    let mut hash = [0xBA; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    CodeHash(hash)
}

/// Credential `index` of device `n` in `step`, with the turns 0, 1, … under these codes.
fn shown(index: u32, n: u8, step: u64, codes: &[u32]) -> NewDisplay {
    let turns = (0..).zip(codes);
    NewDisplay {
        device: device(n),
        list: 1,
        index,
        step,
        profile: Profile::Minimal,
        turns: turns.map(|(n, code)| DisplayTurn { n, digits: digits(*code), bar: bar(*code) }).collect(),
        until: T0.plus(UNTIL),
        life: Life::Standard,
        now: T0,
    }
}

fn check_id(n: u32) -> CheckId {
    let mut id = [0xCC; 16];
    id[..4].copy_from_slice(&n.to_be_bytes());
    CheckId::from_bytes(id)
}

/// The bank's use of a code under its request `n`.
fn used(code: CodeHash, n: u32) -> Resolve {
    let mut request = [7; 32];
    request[..4].copy_from_slice(&n.to_be_bytes());
    Resolve {
        code,
        verifier: BANK,
        request,
        check: NewCheck {
            id: check_id(n),
            request_id: format!("request-{n}"),
            code_sha256: [4; 32],
            profile: None,
            match_number: MatchNumber::new(47).unwrap(),
            expires: T0.plus(CHECK_SECONDS),
        },
        answer: check_id(n).as_bytes().to_vec(),
        counted: true,
        told: TellAsked::new(|_, _| None),
        forget_seconds: 86_400,
        life: Life::Standard,
        now: T0,
    }
}

async fn asked(store: &dyn Store, resolve: Resolve) -> CheckRow {
    match store.resolve(resolve).await.unwrap() {
        Resolved::Asked { check, fresh: true } => *check,
        other => panic!("not asked: {other:?}"),
    }
}

async fn missed(store: &dyn Store, resolve: Resolve) {
    let now = resolve.now;
    assert_eq!(store.resolve(resolve).await.unwrap(), Resolved::Missed { at: now, alarm: false });
}

/// A store with the bank, a shop, and devices of which each has the credentials 10 n to 10 n + 4.
async fn stocked<E: Engine>(devices: u8) -> E {
    let engine: E = engine().await;
    let store = &*engine.store();
    add_party(store, SHOP).await;
    for n in 1..=devices {
        enrol(store, n).await;
        let rows: Vec<CredentialRow> = (0..5).map(|index| credential(u32::from(n) * 10 + index, n)).collect();
        assert_eq!(store.add_credentials(rows, None, T0).await.unwrap(), AddedCredentials::Added);
    }
    engine
}

async fn display(store: &dyn Store, new: NewDisplay) -> DisplayResult {
    store.display(new).await.unwrap()
}

const FIRST: DisplayResult = DisplayResult::Displayed(0);

pub(crate) async fn sto_060_a_code_that_is_live_already_moves_a_display_to_its_next_turn<E: Engine>() {
    let engine: E = stocked(3).await;
    let store = &*engine.store();
    assert_eq!(display(store, shown(10, 1, 100, &[1, 2])).await, FIRST);
    assert_eq!(display(store, shown(20, 2, 100, &[1, 2])).await, DisplayResult::Displayed(1));
    assert_eq!(display(store, shown(30, 3, 100, &[1, 2])).await, DisplayResult::NoTurn);
    // One of the two codes is enough to collide.
    let half =
        |digits, bar| NewDisplay { turns: vec![DisplayTurn { n: 0, digits, bar }], ..shown(30, 3, 100, &[]) };
    assert_eq!(display(store, half(digits(9), bar(2))).await, DisplayResult::NoTurn);
    assert_eq!(display(store, half(digits(2), bar(9))).await, DisplayResult::NoTurn);
    assert_eq!(display(store, half(digits(9), bar(9))).await, FIRST);
    // The same display again keeps its turn.
    assert_eq!(display(store, shown(20, 2, 100, &[1, 2])).await, DisplayResult::Displayed(1));
    assert_eq!(asked(store, used(digits(2), 1)).await.device, device(2));
    assert_eq!(asked(store, used(bar(1), 2)).await.device, device(1));
    // Codes that ended are free, whether or not they were swept.
    let later = NewDisplay { now: T0.plus(UNTIL), until: T0.plus(2 * UNTIL), ..shown(20, 2, 101, &[9]) };
    assert_eq!(display(store, later).await, FIRST);
}

pub(crate) async fn sto_060_of_60_displays_with_one_code_one_has_it<E: Engine>() {
    let engine: E = stocked(60).await;
    let store = engine.store();
    let tasks: Vec<_> = (1..=60_u8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                display(&*store, shown(u32::from(n) * 10, n, 100, &[5, 100 + u32::from(n)])).await
            })
        })
        .collect();
    let mut first = 0;
    for task in tasks {
        match task.await.unwrap() {
            FIRST => first += 1,
            DisplayResult::Displayed(1) => {}
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(first, 1);
}

pub(crate) async fn sto_061_a_device_shows_one_credential_and_the_step_before<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = &*engine.store();
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    assert_eq!(display(store, shown(10, 1, 101, &[2])).await, FIRST);
    assert_eq!(asked(store, used(digits(1), 1)).await.step, 100, "the step before, in its grace");
    // The same step anew: the codes before are gone.
    assert_eq!(display(store, shown(10, 1, 101, &[3])).await, FIRST);
    missed(store, used(bar(2), 2)).await;
    // Another credential: so are all others.
    assert_eq!(display(store, shown(11, 1, 101, &[4])).await, FIRST);
    missed(store, used(digits(3), 3)).await;
    assert_eq!(asked(store, used(bar(4), 4)).await.step, 101);
    assert_eq!(display(store, shown(12, 1, 101, &[5])).await, FIRST);
    store.end_display(device(1), 1, 13, T0).await.unwrap();
    store.end_display(DeviceId::from_bytes([9; 16]), 1, 12, T0).await.unwrap();
    store.end_display(device(1), 1, 12, T0).await.unwrap();
    missed(store, used(digits(5), 5)).await;
}

pub(crate) async fn sto_061_only_living_credentials_of_the_device_are_shown<E: Engine>() {
    let engine: E = stocked(2).await;
    let store = &*engine.store();
    for new in [
        shown(20, 1, 100, &[1]),
        shown(19, 1, 100, &[1]),
        NewDisplay { now: T0.plus(26 * 3600), ..shown(10, 1, 100, &[1]) },
    ] {
        assert_eq!(display(store, new).await, DisplayResult::NotFound);
    }
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    for standing in [Standing::Suspended, Standing::Good, Standing::Frozen, Standing::Revoked] {
        store.set_standing(device(1), standing, T0).await.unwrap();
        let good = standing == Standing::Good;
        let expected = if good { FIRST } else { DisplayResult::NotFound };
        assert_eq!(display(store, shown(10, 1, 100, &[1])).await, expected, "{standing:?}");
        if !good {
            let n = 10 + u32::try_from(standing as usize).unwrap();
            missed(store, used(digits(1), n)).await;
        }
    }
}

pub(crate) async fn sto_062_one_use_ends_all_codes_of_a_display<E: Engine>() {
    let engine: E = stocked(4).await;
    let store = &*engine.store();
    let qr = |index, step, n| Burn { verifier: SHOP, forget: T0.plus(100_000), ..burn(index, step, n) };
    // By the digits: the bar code and the QR are gone.
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    asked(store, used(digits(1), 1)).await;
    missed(store, used(bar(1), 2)).await;
    assert_eq!(store.burn(qr(10, 100, 0)).await.unwrap(), Burned::Used);
    assert_eq!(store.highest_burn(1, 10, 100).await.unwrap(), Some(0));
    // By the bar code: the digits and the QR.
    assert_eq!(display(store, shown(20, 2, 100, &[2])).await, FIRST);
    asked(store, used(bar(2), 3)).await;
    missed(store, used(digits(2), 4)).await;
    assert_eq!(store.burn(qr(20, 100, 0)).await.unwrap(), Burned::Used);
    // By the QR: both short codes, of the steps before too; those of later ones stay.
    for (step, code) in [(99, 3), (100, 4), (101, 5)] {
        assert_eq!(display(store, shown(30, 3, step, &[code])).await, FIRST);
    }
    assert_eq!(store.burn(qr(30, 100, 0)).await.unwrap(), Burned::Fresh);
    missed(store, used(digits(3), 5)).await;
    let other = |resolve: Resolve| Resolve { verifier: SHOP, ..resolve };
    missed(store, other(used(bar(4), 6))).await;
    assert_eq!(asked(store, used(digits(5), 7)).await.step, 101);
    // What is used up is not shown again, nor what is below it.
    assert_eq!(display(store, shown(10, 1, 100, &[11, 12])).await, DisplayResult::Displayed(1));
    assert_eq!(display(store, shown(10, 1, 99, &[13])).await, DisplayResult::NoTurn);
    assert_eq!(store.burn(qr(10, 99, 3)).await.unwrap(), Burned::Superseded);
}

pub(crate) async fn sto_062_of_90_uses_of_three_codes_one_is_the_first<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = engine.store();
    for n in 0..90_u8 {
        let mut id = [n; 16];
        id[0] = 0x90;
        let row = signer_server::store::RelyingPartyRow {
            report_kinds: Vec::new(),
            may_report_deceased: false,
            generates_for: None,
            limits: signer_server::store::OwnLimits::default(),
            id: RelyingPartyId::from_bytes(id),
            name: format!("shop {n}"),
            token_hash: [n; 32],
            may_ask: false,
            may_verify: true,
            revoked: false,
        };
        store.add_relying_party(row, T0).await.unwrap();
    }
    assert_eq!(display(&*store, shown(10, 1, 100, &[1])).await, FIRST);
    let tasks: Vec<_> = (0..90_u8)
        .map(|n| {
            let store = store.clone();
            tokio::spawn(async move {
                let mut id = [n; 16];
                id[0] = 0x90;
                let verifier = RelyingPartyId::from_bytes(id);
                let code = if n % 3 == 0 { digits(1) } else { bar(1) };
                if n % 3 == 2 {
                    let burn = Burn { verifier, ..burn(10, 100, 0) };
                    store.burn(burn).await.unwrap() == Burned::Fresh
                } else {
                    let resolve = Resolve { verifier, ..used(code, n.into()) };
                    matches!(store.resolve(resolve).await.unwrap(), Resolved::Asked { fresh: true, .. })
                }
            })
        })
        .collect();
    let mut firsts = 0;
    for task in tasks {
        firsts += u32::from(task.await.unwrap());
    }
    assert_eq!(firsts, 1);
}

pub(crate) async fn sto_063_a_short_code_ends_with_its_time<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = &*engine.store();
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    missed(store, Resolve { now: T0.plus(UNTIL), ..used(digits(1), 1) }).await;
    let last = T0.plus(UNTIL - 1);
    let mut good = used(digits(1), 2);
    good.check.expires = last.plus(CHECK_SECONDS);
    asked(store, Resolve { now: last, ..good }).await;
    // And with its credential.
    let end = T0.plus(26 * 3600);
    let late = NewDisplay { now: end.minus(10), until: end.plus(200), ..shown(11, 1, 520, &[2]) };
    assert_eq!(display(store, late).await, FIRST);
    missed(store, Resolve { now: end, ..used(digits(2), 3) }).await;
}

pub(crate) async fn sto_064_the_same_question_finds_its_check_again<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = &*engine.store();
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    let first = asked(store, used(digits(1), 1)).await;
    assert_eq!((first.profile, first.state, first.document_type), (Profile::Minimal, CheckState::Open, 7));
    assert_eq!((first.holder, first.good), (holder(1), true));
    // Sent again it would open another check under another id; it finds the first.
    let again = |verifier, request: u32, code| {
        let mut again = used(code, request);
        again.check.id = check_id(1_000 + request);
        Resolve { verifier, ..again }
    };
    let found = store.resolve(again(BANK, 1, digits(1))).await.unwrap();
    assert!(matches!(&found, Resolved::Asked { check, fresh: false } if check.id == first.id), "{found:?}");
    // A request id stands for one code; another request or verifier is another question.
    assert_eq!(store.resolve(again(BANK, 1, bar(1))).await.unwrap(), Resolved::OtherCode);
    missed(store, again(BANK, 2, digits(1))).await;
    missed(store, again(SHOP, 1, digits(1))).await;
    // Until the check is forgotten.
    let kept = T0.plus(CHECK_SECONDS + CHECK_KEPT_SECONDS);
    let late = Resolve { now: kept, ..again(BANK, 1, digits(1)) };
    assert!(matches!(store.resolve(late).await.unwrap(), Resolved::Asked { fresh: false, .. }));
    missed(store, Resolve { now: kept.plus(1), ..again(BANK, 1, digits(1)) }).await;
}

pub(crate) async fn sto_064_a_qr_opens_its_check_with_its_burn<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = &*engine.store();
    let check = NewCheck { profile: Some(Profile::Full), ..used(digits(1), 1).check };
    let burn = Burn { check: Some(check.clone()), answer: vec![8; 16], ..burn(10, 100, 0) };
    assert_eq!(store.burn(burn.clone()).await.unwrap(), Burned::Fresh);
    assert_eq!(store.burn(burn).await.unwrap(), Burned::Same(vec![8; 16]));
    let row = store.holder_check(check.id, T0).await.unwrap().unwrap();
    assert_eq!((row.device, row.profile, row.step, row.verifier), (device(1), Profile::Full, 100, BANK));
    assert_eq!(store.open_checks(device(1), T0).await.unwrap(), vec![row]);
}

pub(crate) async fn sto_065_misses_are_counted_and_spent<E: Engine>() {
    let mut engine: E = stocked(1).await;
    let store = engine.store();
    assert_eq!(display(&*store, shown(10, 1, 100, &[1])).await, FIRST);
    let at = |n: u32| T0.plus(n.into());
    for n in 0..MISSES_MAX {
        missed(&*store, Resolve { now: at(n), ..used(digits(90 + n), n) }).await;
        // Sent again it is the same miss.
        let again = Resolve { now: at(n + 60), ..used(digits(90 + n), n) };
        assert_eq!(store.resolve(again).await.unwrap(), Resolved::Missed { at: at(n), alarm: false });
    }
    // A right code is no exception, and a restart none either.
    drop(store);
    engine.reopen().await;
    let store = &*engine.store();
    let right = |now| Resolve { now, ..used(digits(1), 50) };
    let spent = Resolved::Spent(T0.plus(MISS_SECONDS));
    assert_eq!(store.resolve(right(at(61))).await.unwrap(), spent);
    // What cannot be guessed is neither counted nor refused.
    let bar_code = |n: u32| Resolve { counted: false, now: at(61), ..used(bar(70 + n), 70 + n) };
    missed(store, bar_code(0)).await;
    missed(store, bar_code(1)).await;
    // Another verifier's budget is its own.
    missed(store, Resolve { verifier: SHOP, now: at(61), ..used(digits(99), 1) }).await;
    // The first miss leaves the window: there is room for one.
    let later = T0.plus(MISS_SECONDS);
    assert_eq!(store.resolve(right(later.minus(1))).await.unwrap(), spent);
    missed(store, right(later)).await;
    let next = Resolve { now: later, ..used(digits(98), 51) };
    assert_eq!(store.resolve(next).await.unwrap(), Resolved::Spent(later.plus(1)));
}

pub(crate) async fn sto_065_many_misses_slow_everybody<E: Engine>() {
    let engine: E = stocked(0).await;
    let store = &*engine.store();
    let crowd = |n: u32| {
        let mut id = [0x77; 16];
        id[..4].copy_from_slice(&n.to_be_bytes());
        RelyingPartyId::from_bytes(id)
    };
    let per = MISSES_MAX - 1;
    let mut answers = BTreeMap::new();
    for n in 0..=MISSES_ALARM {
        let verifier = crowd(n / per);
        if n % per == 0 {
            let row = signer_server::store::RelyingPartyRow {
                report_kinds: Vec::new(),
                may_report_deceased: false,
                generates_for: None,
                limits: signer_server::store::OwnLimits::default(),
                id: verifier,
                name: "one of a crowd".into(),
                token_hash: [verifier.as_bytes()[3]; 32],
                may_ask: false,
                may_verify: true,
                revoked: false,
            };
            store.add_relying_party(row, T0).await.unwrap();
        }
        assert!(!store.miss_alarm(T0).await.unwrap(), "{n}");
        let answer = store.resolve(Resolve { verifier, ..used(digits(n), n) }).await.unwrap();
        *answers.entry(format!("{answer:?}")).or_insert(0) += 1;
    }
    let quiet = format!("{:?}", Resolved::Missed { at: T0, alarm: false });
    let began = format!("{:?}", Resolved::Missed { at: T0, alarm: true });
    assert_eq!(answers, BTreeMap::from([(quiet, MISSES_ALARM), (began, 1)]), "it is told once");
    assert!(store.miss_alarm(T0).await.unwrap());
    // Those with one miss already have none left, the others have one.
    let spent = store.resolve(Resolve { verifier: crowd(0), ..used(digits(1), 9_000) }).await.unwrap();
    assert_eq!(spent, Resolved::Spent(T0.plus(MISS_SECONDS)));
    missed(store, Resolve { verifier: SHOP, ..used(digits(1), 9_001) }).await;
    let spent = store.resolve(Resolve { verifier: SHOP, ..used(digits(2), 9_002) }).await.unwrap();
    assert_eq!(spent, Resolved::Spent(T0.plus(MISS_SECONDS)));
    assert!(!store.miss_alarm(T0.plus(MISS_SECONDS)).await.unwrap());
}

pub(crate) async fn sto_066_a_check_is_answered_once_by_its_device<E: Engine>() {
    let engine: E = stocked(2).await;
    let store = &*engine.store();
    let open = async |code: u32| {
        let index = 10 + code % 5;
        assert_eq!(display(store, shown(index, 1, 100 + u64::from(code), &[code])).await, FIRST);
        asked(store, used(digits(code), code)).await.id
    };
    let answer = async |id, n, allow, now| {
        let word = AnswerCheck { id, allow, shown: [0; 32] };
        store.answer_check(word, device(n), None, now).await.unwrap()
    };
    let state =
        async |id, now: UnixSeconds| store.holder_check(id, now).await.unwrap().map(|check| check.state);
    let end = T0.plus(CHECK_SECONDS);
    let (allowed, declined, silent) = (open(1).await, open(2).await, open(3).await);
    assert_eq!(answer(allowed, 2, true, T0).await, AnswerResult::NotFound, "another's");
    assert_eq!(answer(allowed, 1, true, T0).await, AnswerResult::Answered);
    assert_eq!(answer(allowed, 1, true, T0).await, AnswerResult::Answered, "again");
    assert_eq!(answer(allowed, 1, false, T0).await, AnswerResult::Closed);
    assert_eq!(answer(declined, 1, false, end.minus(1)).await, AnswerResult::Answered);
    assert_eq!(answer(declined, 1, true, end.minus(1)).await, AnswerResult::Closed);
    assert_eq!(answer(silent, 1, true, end).await, AnswerResult::Closed);
    assert_eq!(answer(check_id(99), 1, true, T0).await, AnswerResult::NotFound);
    assert_eq!(state(allowed, T0).await, Some(CheckState::Allowed(None)));
    assert_eq!(state(declined, T0).await, Some(CheckState::Declined(end.minus(1))));
    assert_eq!(state(silent, end.minus(1)).await, Some(CheckState::Open));
    assert_eq!(state(silent, end).await, Some(CheckState::Expired(None)));
    assert_eq!(store.open_checks(device(1), end.minus(1)).await.unwrap().len(), 1);
    assert_eq!(store.open_checks(device(1), end).await.unwrap(), vec![]);
    // What the verifier was told first stays.
    let told = Told { at: T0.plus(5), reached: false };
    assert_eq!(store.tell(allowed, told, None, T0.plus(5)).await.unwrap(), Some(told));
    let other = Told { at: T0.plus(6), reached: true };
    assert_eq!(store.tell(allowed, other, None, T0.plus(6)).await.unwrap(), Some(told));
    assert_eq!(state(allowed, T0.plus(6)).await, Some(CheckState::Allowed(Some(told))));
    assert_eq!(store.tell(declined, other, None, T0.plus(6)).await.unwrap(), None);
    assert_eq!(store.tell(silent, other, None, T0.plus(6)).await.unwrap(), None, "open");
    let ended = Told { at: end, reached: false };
    assert_eq!(store.tell(silent, ended, None, end).await.unwrap(), Some(ended));
    assert_eq!(state(silent, end).await, Some(CheckState::Expired(Some(ended))));
    // Once the phone is revoked nothing of an approval may be told.
    store.set_standing(device(1), Standing::Revoked, T0.plus(6)).await.unwrap();
    assert_eq!(store.tell(allowed, told, None, T0.plus(6)).await.unwrap(), None);
    // It is forgotten a minute after it was decided, or after its end.
    for (id, decided) in [(allowed, T0), (declined, end.minus(1)), (silent, end)] {
        let kept = decided.plus(CHECK_KEPT_SECONDS);
        assert!(state(id, kept).await.is_some());
        assert_eq!(state(id, kept.plus(1)).await, None);
    }
}

pub(crate) async fn sto_067_open_checks_are_bounded_for_holder_and_verifier<E: Engine>() {
    let devices = u8::try_from(VERIFIER_CHECKS_MAX as usize / CHECKS_MAX + 1).unwrap();
    let engine: E = stocked(devices).await;
    let store = &*engine.store();
    let use_one = async |n: u8, round: u32| {
        let code = u32::from(n) * 100 + round;
        let index = u32::from(n) * 10 + round % 5;
        assert_eq!(display(store, shown(index, n, 100 + u64::from(round), &[code])).await, FIRST);
        store.resolve(used(digits(code), code)).await.unwrap()
    };
    let rounds = u32::try_from(CHECKS_MAX).unwrap();
    for n in 1..devices {
        for round in 0..rounds {
            assert!(matches!(use_one(n, round).await, Resolved::Asked { fresh: true, .. }), "{n} {round}");
        }
    }
    // The holder's are full; nothing is used up, and a QR fares no better.
    let elsewhere = |resolve| Resolve { verifier: SHOP, ..resolve };
    assert_eq!(display(store, shown(10, 1, 200, &[90_000])).await, FIRST);
    let full = store.resolve(elsewhere(used(digits(90_000), 90_000))).await.unwrap();
    assert_eq!(full, Resolved::TooManyChecks);
    let check = Some(used(digits(0), 90_001).check);
    let qr = Burn { verifier: SHOP, check: check.clone(), ..burn(10, 200, 0) };
    assert_eq!(store.burn(qr.clone()).await.unwrap(), Burned::TooManyChecks);
    assert_eq!(store.highest_burn(1, 10, 200).await.unwrap(), None);
    // The verifier's are full; another verifier is not concerned.
    assert_eq!(use_one(devices, 0).await, Resolved::TooManyChecks);
    let code = u32::from(devices) * 100;
    asked(store, elsewhere(used(digits(code), code))).await;
    // An answer makes room.
    let first = store.open_checks(device(1), T0).await.unwrap()[0].id;
    let word = AnswerCheck { id: first, allow: false, shown: [0; 32] };
    store.answer_check(word, device(1), None, T0).await.unwrap();
    assert_eq!(store.burn(qr).await.unwrap(), Burned::Fresh);
}

pub(crate) async fn sto_068_displays_checks_and_misses_are_dropped<E: Engine>() {
    let engine: E = stocked(2).await;
    let store = &*engine.store();
    store.expire(T0, Life::Standard).await.unwrap();
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    assert_eq!(display(store, shown(20, 2, 100, &[2])).await, FIRST);
    let check = asked(store, used(digits(1), 1)).await.id;
    missed(store, used(digits(9), 2)).await;
    assert_eq!(store.expire(T0.plus(QUESTION_SECONDS - 1), Life::Standard).await.unwrap(), 0);
    assert_eq!(store.expire(T0.plus(UNTIL - 1), Life::Standard).await.unwrap(), 2, "what they were about");
    assert_eq!(store.expire(T0.plus(UNTIL), Life::Standard).await.unwrap(), 1, "the display");
    let check_ends = CHECK_SECONDS + CHECK_SECONDS + CHECK_KEPT_SECONDS;
    assert_eq!(store.expire(T0.plus(check_ends), Life::Standard).await.unwrap(), 1, "the check");
    assert_eq!(store.holder_check(check, T0).await.unwrap(), None);
    assert_eq!(store.expire(T0.plus(MISS_SECONDS), Life::Standard).await.unwrap(), 1, "the miss");
}

pub(crate) async fn sto_069_a_revoked_verifier_leaves_no_check<E: Engine>() {
    let engine: E = stocked(1).await;
    let store = &*engine.store();
    assert_eq!(display(store, shown(10, 1, 100, &[1])).await, FIRST);
    let check = asked(store, used(digits(1), 1)).await.id;
    assert!(store.revoke_relying_party(SHOP, T0).await.unwrap());
    assert!(store.holder_check(check, T0).await.unwrap().is_some());
    assert!(store.revoke_relying_party(BANK, T0).await.unwrap());
    assert_eq!(store.holder_check(check, T0).await.unwrap(), None);
    assert_eq!(store.open_checks(device(1), T0).await.unwrap(), vec![]);
}
