//! The device API: one route per operation of [`signer_core::wire`].

use std::{convert::Infallible, future::Future, sync::Arc, time::Duration};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::header,
    response::{
        IntoResponse, Response,
        sse::{self, KeepAlive, Sse},
    },
    routing::post,
};
use signer_core::{codec, wire::Operation};

use super::{auth::Cbor, problem::ApiProblem};
use crate::{
    service::{Listening, Service, ServiceResult},
    traces::{self, Part},
};

/// How often a stream of events says that it is still there.
const COMMENT_EVERY: Duration = Duration::from_secs(15);

pub(super) fn routes() -> Router<Arc<Service>> {
    Operation::ALL.iter().fold(Router::new(), |router, operation| {
        let operation = *operation;
        let handler = async move |State(service): State<Arc<Service>>, Cbor(body, _turn): Cbor| {
            traces::span(Part::Service, operation.path(), run(&service, operation, &body)).await
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
        Operation::Display => reply(service.display(body)).await,
        Operation::EndDisplay => reply(service.end_display(body)).await,
        Operation::Checks => reply(service.checks(body)).await,
        Operation::AnswerCheck => reply(service.answer_check(body)).await,
        Operation::Listen => Ok(stream(service.listen(body).await?)),
        Operation::History => reply(service.history(body)).await,
        Operation::Withdrawn => reply(service.withdrawn_credentials(body)).await,
        Operation::ChooseCode => reply(service.choose_code(body)).await,
        Operation::OpenLink => reply(service.open_link(body)).await,
    }
}

/// Events by name. An event without data is none (HTML Living Standard §9.2.6), so the name stands there too.
fn stream(listening: Listening) -> Response {
    let events = futures_util::stream::unfold(listening, async |mut listening| {
        let name = listening.next().await?.name();
        Some((Ok::<_, Infallible>(sse::Event::default().event(name).data(name)), listening))
    });
    Sse::new(events).keep_alive(KeepAlive::new().interval(COMMENT_EVERY)).into_response()
}

async fn reply<T: minicbor::Encode<()>>(
    answer: impl Future<Output = ServiceResult<T>>,
) -> Result<Response, ApiProblem> {
    let answer = answer.await?;
    Ok(([(header::CONTENT_TYPE, "application/cbor")], codec::encode(&answer)).into_response())
}
