//! Every message by number.

use signer_core::{
    approval::{ApprovalRecord, RequestObject},
    ceremony::Unproven,
    codec,
    history::Entry,
    pin::MaskedKey,
    wire::*,
};

/// Decodes, and encodes again what came out.
pub type Again = fn(&[u8]) -> Option<Vec<u8>>;

macro_rules! messages {
    ($($name:ident)*) => {
        /// Name of each message, and how to read and write it.
        pub const MESSAGES: &[(&str, Again)] = &[$((stringify!($name), |bytes| {
            codec::decode::<$name>(bytes, ENVELOPE_BYTES_MAX).ok().map(|value| codec::encode(&value))
        })),*];
    };
}

// The order is that of the corpus: add at the end.
messages! {
    Envelope EnrolStart EnrolStarted EnrolKeys EnrolKeyed EnrolConfirm Confirmed StatusQuery DeviceStatus RequestsQuery
    PendingRequests Fetch Fetched ApprovePayload Approve Evaluated OutcomeQuery RequestOutcome Decline Declined
    RefreshChallenge RefreshChallenged RefreshPayload RefreshStart RefreshStarted RefreshKeys RefreshKeyed
    RefreshConfirm IssueCredentials IssuedCredentials CodeStateQuery CodeState WithdrawnCredentials RequestObject ApprovalRecord
    MaskedKey Unproven CertificateQuery CertificateReply HistoryQuery HistoryPage Entry Display Displayed EndDisplay
    DisplayEnded ChecksQuery PendingChecks AnswerCheck CheckAnswered Listen Event ChooseCode CodeChosen OpenLink
    LinkOpened
}
