//! The phone's half of split-key signatures and three-minute codes.
//!
//! The library does no IO of its own: HTTP, the hardware keystore, storage, clocks and randomness come in as [`ports`], each a
//! small trait. It is blocking. In reading order:
//!
//! 1. [`Phone::open`] takes the [`Ports`] and the stored state, without touching the network.
//! 2. [`Phone::enrol`] makes a key with the server; [`Phone::change_pin`] renews its shares.
//! 3. [`Phone::requests`], [`Phone::fetch`], [`Phone::approve`]: sign. [`Phone::resume`] after a lost answer.
//! 4. [`Phone::top_up`], [`Phone::renew_withdrawn`], [`Phone::start_show`], [`Phone::display`], [`Phone::poll`]: show a document; [`draw`] makes it a picture,
//!    [`spoken()`] words. [`Phone::listen`], [`Phone::checks`], [`Phone::answer_check`]: a verifier asks for more.
//!    [`Phone::read_request`]: a business asks first.
//! 5. [`Phone::history`]: who asked what of the holder; [`Phone::lost_code`] and [`report_lost`].
//! 6. [`Phone::certificate`]: who holds the key, as others are told.
//! 7. [`RelyingParty`] and [`verify_result`]: the other side of the counter; [`lists`]: what it keeps to check codes without
//!    network; [`formats`]: signatures as others read them; [`verify_webhook`]: that a request ended; [`verify_audit_proof`]: that the
//!    server has it in its log.
//!
//! [`desk`] has the ports of a desktop machine, [`http`] the network.
//!
//! What is kept between two runs is described in [`state`]; what can go wrong, and what to do then, in [`error`].

mod answer;
mod approval;
mod audit;
mod certificate;
pub mod desk;
pub mod draw;
mod enrol;
pub mod error;
mod fleet;
pub mod formats;
mod history;
pub mod http;
mod link;
pub mod lists;
mod phone;
mod pin;
pub mod ports;
mod relying_party;
mod show;
mod sign;
mod spoken;
pub mod state;
mod trust;
mod webhook;

pub use self::{
    answer::{ANSWER_AGE_MAX_SECONDS, AnswerError, Question, verify_answer},
    approval::{ExpectedApproval, verify_approval},
    audit::{AuditError, verify_audit_consistency, verify_audit_proof},
    certificate::HolderCertificate,
    error::{ClientError, Fault, StateError},
    history::{History, HistoryLine, SHOWS_MAX, ShowNote},
    link::DeviceLink,
    phone::{Enrolled, Phone, PhoneOptions},
    ports::Ports,
    relying_party::{
        EnrolledBy, RelyingParty, ResultError, VerifiedResult, file_digest, public, report_lost,
        signature_file, verify_result,
    },
    show::{
        BusinessRequest, Code, EventStream, LISTEN_FOR, NoShortCodes, Screen, ShortCodes, ShowSession,
        Showing, Stock, TOP_UP_AT, TOP_UP_WITHIN_SECONDS, full_stock,
    },
    sign::{Approved, Outcome, SignedRequest, Waiting},
    spoken::{Announcer, Language, spoken},
    webhook::{WEBHOOK_AGE_MAX_SECONDS, WebhookError, WebhookEvent, verify_webhook},
};
