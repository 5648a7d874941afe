//! The holder's choice among the verification codes of a request.

use signer_core::{
    history::{Act, Asked},
    wire::{ChooseCode, CodeChosen, ProblemCode},
};

use super::{Refusal, Service, ServiceError, ServiceResult, good_standing, sign::decode_object};
use crate::store::{CodeChoiceResult, RequestState};

impl Service {
    /// Takes the holder's choice. A wrong one ends the request; no PIN attempt is counted.
    ///
    /// # Errors
    /// `not_found` for others' requests too, `invalid_value` for what is none of its codes, `request_closed` if it ended
    /// before.
    pub async fn choose_code(&self, bytes: &[u8]) -> ServiceResult<CodeChosen> {
        let (choice, caller) = self.open::<ChooseCode>(bytes).await?;
        let installation = &caller.installation;
        good_standing(installation)?;
        let request = self.request_of(installation, choice.request).await?;
        let open = request.state == RequestState::Open;
        let told = match request.codes {
            // Sealed before the write; the store writes it only if this choice ends the request.
            Some(codes) if open && codes.drawn.right != choice.code => {
                let asked =
                    Asked::of(&decode_object(&request)?).ok_or(ServiceError::Bug("a request of nothing"))?;
                self.note(installation, Act::WrongCode { asked })?
            }
            _ => None,
        };
        let (id, device) = (choice.request, installation.device);
        let refusal = match self.store.choose_code(id, device, choice.code, told, self.now()).await? {
            CodeChoiceResult::Right => return Ok(CodeChosen::Right {}),
            CodeChoiceResult::Wrong => {
                if open {
                    tracing::info!(request = %id, "a wrong verification code was chosen");
                    self.count_refusal(&request);
                    self.tell_end(id).await;
                }
                return Ok(CodeChosen::Wrong {});
            }
            CodeChoiceResult::NoSuchCode => {
                Refusal::because(ProblemCode::InvalidValue, "code is none of the request's codes")
            }
            CodeChoiceResult::NotFound => Refusal::new(ProblemCode::NotFound),
            CodeChoiceResult::AlreadyEnded => Refusal::new(ProblemCode::RequestClosed),
        };
        Err(refusal.into())
    }
}
