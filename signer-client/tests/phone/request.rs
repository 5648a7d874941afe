//! A business asks first: the trust list on the phone, requests, and the codes that answer them.

use std::sync::Arc;

use p256::ecdsa::SigningKey;
use signer_client::{ClientError, NoShortCodes, Phone, PhoneOptions, ShowNote, Showing, StateError};
use signer_core::{
    codec::Label,
    credential::{
        Ask, BusinessClaims, BusinessCredential, BusinessId, Challenge, DocumentType, RequestRefusal,
        STEP_SECONDS, Step, VerifyOptions, verify,
    },
    time::UnixSeconds,
    trust::{Issuer, IssuerId, KeyUse, Life, StatusUri, TrustList, TrustListError, TrustedKey},
    wire::Profile,
};

use crate::{
    show::{CARD, issuers, stocked},
    support::{Mishap::*, START, World},
};

const BUSINESS_ISSUER: u8 = 5;
const ROOT: u8 = 1;

fn key(seed: u8) -> SigningKey {
    SigningKey::from_slice(&[seed; 32]).unwrap()
}

/// A list with one key for businesses, signed by `root`.
fn list(number: u64, root: u8, businesses: u8) -> Vec<u8> {
    list_of(number, root, businesses, Life::Standard)
}

fn list_of(number: u64, root: u8, businesses: u8, life: Life) -> Vec<u8> {
    let issuer = Issuer {
        id: IssuerId(1),
        name: Label::new("Registry of Businesses".into()).unwrap(),
        status_uri: StatusUri::new("https://issuer.test/lists").unwrap(),
    };
    let entry = TrustedKey {
        issuer: IssuerId(1),
        key_use: KeyUse::Businesses,
        key: *key(businesses).verifying_key(),
        document_types: Vec::new(),
        not_before: UnixSeconds(0),
        not_after: UnixSeconds(1 << 50),
    };
    let (issued, roots) = (UnixSeconds(START - 60), vec![*key(ROOT).verifying_key()]);
    let list = TrustList::new(number, issued, life, vec![issuer], vec![entry], roots).unwrap();
    list.prepare(key(root).verifying_key()).unwrap().sign(&key(root)).unwrap()
}

/// What a pharmacy shows, and the challenge it waits for.
fn request(now: u64, profile: Profile, kind: Option<DocumentType>) -> (String, Challenge) {
    let (issuer, business) = (key(BUSINESS_ISSUER), key(7));
    let claims = BusinessClaims::new(
        UnixSeconds(START - 3600),
        UnixSeconds(START + 86_400),
        *business.verifying_key(),
        Label::new("Pharmacy No. 5".into()).unwrap(),
        vec![Profile::Age, Profile::Full],
        BusinessId([3; 16]),
    )
    .unwrap();
    let bytes = claims.prepare(issuer.verifying_key()).sign(&issuer).unwrap();
    let ask = Ask { step: Step::at(UnixSeconds(now)), nonce: [9; 16], profile, document_type: kind };
    let request = BusinessCredential::from_bytes(&bytes).unwrap().request(&ask, &business).unwrap();
    (request.as_str().to_owned(), request.challenge())
}

/// A phone with stock and a trust list.
fn trusting(seed: u64) -> (Arc<World>, Phone) {
    let (world, mut phone) = stocked(seed);
    world.server().counter.trust_list = Some(list(4, ROOT, BUSINESS_ISSUER));
    phone.synchronise().unwrap();
    (world, phone)
}

fn now(world: &World) -> u64 {
    world.clock().truth.as_secs()
}

#[test]
fn cli_114_a_request_is_checked_offline_and_answered_for_it_alone() {
    let (world, mut phone) = trusting(114);
    world.plan("", 0, usize::MAX, LoseRequest);
    let (text, challenge) = request(now(&world), Profile::Full, None);
    let asked = phone.read_request(&text).unwrap();
    assert_eq!(
        (asked.name(), asked.profile(), asked.document_type()),
        ("Pharmacy No. 5", Profile::Full, None)
    );
    assert!(!asked.is_trust_list_old());
    assert_eq!(phone.stock(CARD).full, 4, "reading shows nothing");

    let mut session = phone.start_show(CARD, Showing::answer(asked)).unwrap();
    let screen = phone.display(&mut session).unwrap();
    assert_eq!((session.profile(), screen.short), (Profile::Full, Err(NoShortCodes::Answer)));
    let code = screen.code.presentation;
    let options = VerifyOptions::at(UnixSeconds(now(&world)));
    let for_them = VerifyOptions { expected_challenge: Some(challenge), ..options };
    assert!(verify(code.as_str(), &issuers(&world), &for_them).is_ok());
    assert!(verify(code.as_str(), &issuers(&world), &options).is_err(), "nobody else takes it");
    // The phone notes who asked.
    let shows = phone.shows().unwrap();
    assert!(matches!(&shows[..], [ShowNote { reader: Some(name), .. }] if name.as_str() == "Pharmacy No. 5"));

    // Good for the step of the request and the next one.
    world.pass(STEP_SECONDS);
    assert!(phone.code(&mut session).is_ok());
    world.pass(STEP_SECONDS);
    assert!(matches!(phone.code(&mut session), Err(ClientError::State(StateError::RequestOver))));
}

#[test]
fn cli_115_a_request_that_does_not_check_is_not_answered() {
    let (world, mut phone) = trusting(115);
    let refusal = |phone: &Phone, text: &str| match phone.read_request(text) {
        Err(ClientError::Request(refusal)) => refusal,
        other => panic!("{other:?}"),
    };
    let (text, _) = request(now(&world), Profile::Age, Some(DocumentType::DrivingLicence));
    assert_eq!(refusal(&phone, "DQ1:ABC"), RequestRefusal::NotOurs);
    assert_eq!(refusal(&phone, &text[..text.len() - 3]), RequestRefusal::Unreadable);
    let (not_allowed, _) = request(now(&world), Profile::Minimal, None);
    assert_eq!(refusal(&phone, &not_allowed), RequestRefusal::NotAllowed);
    let (early, _) = request(now(&world) + 1000, Profile::Age, None);
    assert!(matches!(refusal(&phone, &early), RequestRefusal::Clock(_)));
    // For another kind of document no show begins, and no credential is used up.
    let asked = phone.read_request(&text).unwrap();
    assert!(matches!(phone.start_show(CARD, Showing::answer(asked)), Err(ClientError::Usage(_))));
    assert_eq!(phone.stock(CARD).age, 8);
    // The issuer's key is struck off.
    world.server().counter.trust_list = Some(list(5, ROOT, BUSINESS_ISSUER + 1));
    assert!(phone.refresh_trust_list().unwrap());
    assert_eq!(refusal(&phone, &text), RequestRefusal::UnknownIssuer);
    // Over a week old, the list says so.
    world.server().counter.trust_list = Some(list(6, ROOT, BUSINESS_ISSUER));
    assert!(phone.refresh_trust_list().unwrap());
    world.pass(8 * 86_400);
    let (expired, _) = request(now(&world), Profile::Age, None);
    assert_eq!(refusal(&phone, &expired), RequestRefusal::Expired);
}

#[test]
fn cli_116_an_older_trust_list_or_a_strangers_is_refused_and_the_believed_one_stays() {
    let (world, mut phone) = trusting(116);
    let number = |phone: &Phone| phone.trust_list().unwrap().unwrap().list().number();
    assert_eq!(number(&phone), 4);
    assert!(!phone.refresh_trust_list().unwrap(), "the same again is no news");
    for (served, refused) in [
        (list(3, ROOT, BUSINESS_ISSUER), TrustListError::Older { seen: 4, got: 3 }),
        (list(4, ROOT, BUSINESS_ISSUER + 1), TrustListError::Conflict),
        (list(5, ROOT + 1, BUSINESS_ISSUER), TrustListError::UnknownRoot),
    ] {
        world.server().counter.trust_list = Some(served);
        let error = phone.refresh_trust_list().unwrap_err();
        assert!(matches!(error, ClientError::TrustList(error) if error == refused), "{error:?}");
        // The time is taken all the same, also after a restart.
        phone.synchronise().unwrap();
        phone = world.phone();
        assert_eq!(number(&phone), 4);
    }
    world.server().counter.trust_list = None;
    assert!(!phone.refresh_trust_list().unwrap());
}

#[test]
fn cli_119_a_root_that_was_given_is_remembered_and_no_other_is_believed_first() {
    let (world, mut phone) = stocked(119);
    world.server().counter.trust_list = Some(list(4, ROOT, BUSINESS_ISSUER));
    let root =
        |seed: u8| PhoneOptions { trust_root: Some(*key(seed).verifying_key()), ..PhoneOptions::default() };
    drop(phone);
    phone = world.phone_with(root(ROOT + 1));
    let refused = phone.refresh_trust_list().unwrap_err();
    assert!(matches!(refused, ClientError::TrustList(TrustListError::UnknownRoot)));
    // Opened again without the root, or with the server's, the phone still knows what it was given.
    for options in [PhoneOptions::default(), root(ROOT)] {
        drop(phone);
        phone = world.phone_with(options);
        phone.synchronise().unwrap();
        assert!(phone.trust_list().unwrap().is_none());
    }
}

#[test]
fn cli_117_without_a_trust_list_no_request_is_read() {
    let (world, mut phone) = stocked(117);
    let (text, _) = request(now(&world), Profile::Age, None);
    assert!(matches!(phone.read_request(&text), Err(ClientError::State(StateError::NoTrustList))));
    // A list by a stranger is no first list either: it has to be signed by a root that it names.
    world.server().counter.trust_list = Some(list(9, ROOT + 1, BUSINESS_ISSUER));
    let error = phone.refresh_trust_list().unwrap_err();
    assert!(matches!(error, ClientError::TrustList(TrustListError::UnknownRoot)));
    assert!(phone.trust_list().unwrap().is_none());
}

#[test]
fn cli_046_in_an_emergency_credentials_are_shown_for_72_hours() {
    let (world, mut phone) = stocked(46);
    world.server().counter.trust_list = Some(list_of(4, ROOT, BUSINESS_ISSUER, Life::Emergency));
    phone.synchronise().unwrap();
    world.plan("", 0, usize::MAX, LoseRequest);
    world.pass(70 * 3600);
    let mut phone = world.phone();
    assert_eq!(phone.stock(CARD).age, 8);
    let mut session = phone.start_show(CARD, Showing::age()).unwrap();
    let code = phone.code(&mut session).unwrap();
    let options = VerifyOptions::at(UnixSeconds(now(&world)));
    assert!(verify(code.presentation.as_str(), &issuers(&world), &options).is_err());
    let emergency = VerifyOptions { life: Life::Emergency, ..options };
    assert!(verify(code.presentation.as_str(), &issuers(&world), &emergency).is_ok());
    world.pass(2 * 3600);
    assert!(matches!(phone.code(&mut session), Err(ClientError::State(StateError::CredentialExpired))));
    assert_eq!(phone.stock(CARD).age, 0);
}
