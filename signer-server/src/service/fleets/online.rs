//! The use of a code of an organisation's document. Nobody is asked, and nobody has a history of it.

use signer_core::{
    credential::{Refusal as CodeRefusal, Verified},
    time::UnixSeconds,
};

use super::document_location;
use crate::{
    service::{
        Service, ServiceError, ServiceResult,
        answer::Question,
        credentials::place_row,
        verify::{CodeAsked, Noted, Verifying, burn_of},
    },
    store::{Burned, FleetCredentialRow, OrganisationDocument},
    traces::{self, Part},
};

impl Service {
    /// Uses a code up, as one of a phone: the register first, then the burn. The digits are not compared: the server itself
    /// signed them, and keeps nothing by which to make them again.
    pub(in crate::service) async fn use_up_fleet(
        &self,
        question: &Question<'_>,
        asked: CodeAsked,
        verified: &Verified,
        now: UnixSeconds,
    ) -> ServiceResult<Verifying> {
        let row = self.store.fleet_credential(verified.status()).await?;
        let Some(row) = row.filter(|_| verified.custody()) else {
            return self.refused(question, CodeRefusal::Revoked, now);
        };
        // Whoever forged a credential for this place has another key.
        if verified.day_key().to_sec1_point(true).as_bytes() != row.day_key {
            return self.refused(question, CodeRefusal::BadSignature, now);
        }
        let mut burn = burn_of(question, verified, asked, now);
        let mut burned = self.store.look(burn.clone()).await?;
        let mut noted = Noted::Answered(now, true);
        if burned.is_none() {
            let Some(reached) = self.is_there(question, &row).await? else {
                // Remembered, so that the next answer does not depend on whether the register is reached.
                self.store.withdraw_document(row.document, now).await?;
                return self.refused(question, CodeRefusal::Revoked, now);
            };
            noted = Noted::Answered(now, reached);
            burn.answer = noted.encode();
            burned = Some(self.store.burn(burn).await?).filter(|burned| *burned != Burned::Fresh);
        }
        let Some(before) = burned else { return self.answer_noted(question, noted, verified, true).await };
        match self.after_burn(question, verified, before).await? {
            Ok(told) => Ok(told),
            Err(refusal) => self.refused(question, refusal, now),
        }
    }

    /// Whether the register has the document and was reached; `None` if it has it no longer.
    async fn is_there(
        &self,
        question: &Question<'_>,
        row: &FleetCredentialRow,
    ) -> ServiceResult<Option<bool>> {
        let location = place_row(row.status);
        let text = self.unwrap_secret(&document_location(&location), &row.wrapped_document).await?;
        let document = std::str::from_utf8(&text).ok().and_then(|text| text.parse().ok());
        let document: OrganisationDocument = document.ok_or(ServiceError::Bug("stored document"))?;
        let Some(register) = &self.register else { return Ok(Some(false)) };
        let _place = self.register_calls.take(question.verifier)?;
        match traces::span(Part::Register, "vehicle", register.vehicle(&document)).await {
            Ok(found) => Ok(found.map(|_| true)),
            Err(error) => {
                tracing::warn!(%error, "register");
                Ok(Some(false))
            }
        }
    }
}
