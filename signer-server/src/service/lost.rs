//! A phone reported lost by whoever has its lost code.

use signer_core::{
    history::Act,
    lost_code::LostCode,
    wire::{Event, ProblemCode, ReportLost},
};

use super::{Refusal, Service, ServiceResult};
use crate::store::RevocationReason;

impl Service {
    /// Ends the installation of a lost code: revoked for a compromised key, its open requests closed, its codes refused. A
    /// code that is nobody's, or of an installation that has ended, gets the same answer.
    ///
    /// # Errors
    /// `invalid_value` if the text is not a lost code: its check letters tell.
    pub async fn report_lost(&self, asked: &ReportLost) -> ServiceResult<()> {
        let code = LostCode::parse(&asked.code);
        let code = code.map_err(|error| Refusal::because(ProblemCode::InvalidValue, error.to_string()))?;
        let Some(device) = self.store.by_lost_code(code.hash()).await? else {
            tracing::info!("a lost code that is nobody's");
            return Ok(());
        };
        let told = self.note_for(device, Act::ReportedLost {}).await?;
        self.store.revoke(device, RevocationReason::KeyCompromise, told, self.now()).await?;
        tracing::warn!(%device, "reported lost");
        self.end_checks(device).await;
        self.tell(device, Event::History);
        Ok(())
    }
}
