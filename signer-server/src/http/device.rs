//! The device API: one route per operation of [`signer_core::wire`].

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::header,
    response::{IntoResponse, Response},
    routing::post,
};
use signer_core::{
    codec,
    wire::{Operation, ProblemCode},
};
use tracing::Instrument as _;

use super::{auth::Cbor, problem::ApiProblem};
use crate::service::{Service, ServiceResult};

pub(super) fn routes() -> Router<Arc<Service>> {
    Operation::ALL.iter().fold(Router::new(), |router, operation| {
        let operation = *operation;
        let handler = async move |State(service): State<Arc<Service>>, Cbor(body, turn): Cbor| {
            // A task of its own: a phone that hangs up does not leave an evaluation half done.
            let work = async move {
                let done = run(&service, operation, &body).await;
                drop(turn);
                done
            };
            let done = tokio::spawn(work.instrument(tracing::Span::current())).await;
            done.unwrap_or_else(|_| Err(ProblemCode::Internal.into()))
        };
        router.route(&format!("/{}", operation.path()), post(handler))
    })
}

async fn run(service: &Service, operation: Operation, body: &Bytes) -> Result<Response, ApiProblem> {
    match operation {
        Operation::EnrolStart => reply(service.enrol_start(body)).await,
        Operation::EnrolKeys => reply(service.enrol_keys(body)).await,
        Operation::EnrolConfirm => reply(service.enrol_confirm(body)).await,
        Operation::Status => reply(service.status(body)).await,
        Operation::Requests => reply(service.pending(body)).await,
        Operation::Fetch => reply(service.fetch(body)).await,
        Operation::Approve => reply(service.approve(body)).await,
        Operation::Outcome => reply(service.outcome(body)).await,
        Operation::Decline => reply(service.decline(body)).await,
        Operation::RefreshChallenge => reply(service.refresh_challenge(body)).await,
        Operation::RefreshStart => reply(service.refresh_start(body)).await,
        Operation::RefreshKeys => reply(service.refresh_keys(body)).await,
        Operation::RefreshConfirm => reply(service.refresh_confirm(body)).await,
        Operation::Credentials => reply(service.issue(body)).await,
        Operation::CodeState => reply(service.code_state(body)).await,
        Operation::Certificate => reply(service.certificate(body)).await,
        // Their messages are defined, their service is not built yet.
        Operation::Display
        | Operation::EndDisplay
        | Operation::Checks
        | Operation::AnswerCheck
        | Operation::Listen => Err(ProblemCode::NoSuchPath.into()),
        Operation::History => reply(service.history(body)).await,
    }
}

async fn reply<T: minicbor::Encode<()>>(
    answer: impl Future<Output = ServiceResult<T>>,
) -> Result<Response, ApiProblem> {
    let answer = answer.await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], codec::encode(&answer)).into_response())
}
