//! What the holder agreed to show, and the request of a business that asks for it.

use signer_core::{
    approval::NAME_BYTES_MAX,
    codec::Label,
    credential::{Challenge, DocumentType, StepRule, VerifiedRequest, verify_request},
    time::UnixSeconds,
    wire::Profile,
};

use crate::{
    error::{ClientError, StateError},
    phone::Phone,
};

/// A business's request, checked: who asks, for what. Only [`Phone::read_request`] makes one. Its name and claims are shown to
/// the holder, who then agrees by [`Showing::answer`] or not at all.
#[derive(Debug)]
pub struct BusinessRequest {
    request: VerifiedRequest,
    trust_list_old: bool,
}

impl BusinessRequest {
    /// The name an issuer on the trust list vouches for.
    #[must_use]
    pub fn name(&self) -> &str {
        self.request.business().name()
    }

    /// What is asked for.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.request.ask().profile
    }

    /// Of which kind of document; any if `None`.
    #[must_use]
    pub const fn document_type(&self) -> Option<DocumentType> {
        self.request.ask().document_type
    }

    /// Whether the phone's trust list is over a week old, so that the business may have been struck off since. The holder
    /// is to be told.
    #[must_use]
    pub const fn is_trust_list_old(&self) -> bool {
        self.trust_list_old
    }
}

/// What a show is of, with the holder's agreement to it. Age and minimal need none but the show itself. The full document needs a
/// word for this show: a value is used up by [`Phone::start_show`] and cannot be copied.
///
/// ```compile_fail,E0382
/// let agreed = signer_client::Showing::to_whoever_scans(signer_core::wire::Profile::Full);
/// let twice = (agreed, agreed);
/// ```
///
/// The third way to the full document, approving what a verifier asks while a code is open, needs no show of it: the
/// server answers that verifier alone ([`Phone::answer_check`]).
#[derive(Debug)]
pub struct Showing {
    profile: Profile,
    answers: Option<BusinessRequest>,
}

impl Showing {
    /// Age only.
    #[must_use]
    pub const fn age() -> Self {
        Self { profile: Profile::Age, answers: None }
    }

    /// Minimal.
    #[must_use]
    pub const fn minimal() -> Self {
        Self { profile: Profile::Minimal, answers: None }
    }

    /// Any profile, full too. To be called after the holder said "show to whoever scans", for each show.
    #[must_use]
    pub const fn to_whoever_scans(profile: Profile) -> Self {
        Self { profile, answers: None }
    }

    /// What a business asks for, and a code that is good for its request alone. To be called after the holder read who asks
    /// for what, and agreed.
    #[must_use]
    pub const fn answer(request: BusinessRequest) -> Self {
        Self { profile: request.profile(), answers: Some(request) }
    }

    /// What is shown.
    #[must_use]
    pub const fn profile(&self) -> Profile {
        self.profile
    }

    /// The business it answers.
    #[must_use]
    pub const fn request(&self) -> Option<&BusinessRequest> {
        self.answers.as_ref()
    }

    pub(super) fn challenge(&self) -> Option<Challenge> {
        self.answers.as_ref().map(|asked| asked.request.challenge())
    }

    /// Who reads it, as the phone notes it.
    pub(super) fn reader(&self) -> Option<Label<NAME_BYTES_MAX>> {
        self.answers.as_ref().and_then(|asked| Label::new(asked.name().into()))
    }

    pub(super) fn is_for(&self, kind: DocumentType) -> Result<(), ClientError> {
        match self.answers.as_ref().and_then(BusinessRequest::document_type) {
            Some(asked) if asked != kind => {
                Err(ClientError::Usage("the business asks for another kind of document"))
            }
            _ => Ok(()),
        }
    }

    /// A request is answered in its step and the next one; who comes later asks anew.
    pub(super) fn is_good(&self, rule: StepRule, now: UnixSeconds) -> Result<(), ClientError> {
        match &self.answers {
            Some(asked) if now >= rule.end(asked.request.ask().step.next()) => {
                Err(StateError::RequestOver.into())
            }
            _ => Ok(()),
        }
    }
}

impl Phone {
    /// Checks the text of a business's request by the trust list and the time that the phone has. Works offline. Nothing is
    /// agreed to by this.
    ///
    /// # Errors
    /// [`ClientError::Request`] if it is refused; [`StateError::NoTrustList`], [`StateError::NoSignedTime`] if the phone was
    /// not online yet.
    pub fn read_request(&self, text: &str) -> Result<BusinessRequest, ClientError> {
        let now = self.signed_now()?;
        let trust = self.trust_list()?.ok_or(StateError::NoTrustList)?;
        let request = verify_request(text, trust.list(), now, self.options.step_rule)?;
        Ok(BusinessRequest { request, trust_list_old: trust.list().is_old(now) })
    }
}
