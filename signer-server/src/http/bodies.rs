//! A bound on the memory that bodies take while they arrive. What has come counts, not what was announced: who announces much
//! and sends nothing takes nothing from others.

use std::{
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use hyper::body::{Frame, SizeHint};
use signer_core::wire::ProblemCode;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::problem::ApiProblem;
use crate::metrics::HttpMetrics;

/// What a frame takes beside its bytes.
const FRAME_BYTES: usize = 64;

/// Bytes that bodies may take.
#[derive(Debug, Clone)]
pub(super) struct Bodies {
    left: Arc<Semaphore>,
    metrics: HttpMetrics,
}

impl Bodies {
    pub(super) fn new(bytes_max: u32, metrics: HttpMetrics) -> Self {
        let most = usize::try_from(bytes_max).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self { left: Arc::new(Semaphore::new(most)), metrics }
    }
}

/// What one body has taken, until its call is answered.
#[derive(Debug, Default)]
struct Taken {
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    refused: AtomicBool,
}

/// Bounds the body of a call. One for which no memory is left is answered 503.
pub(super) async fn bound(State(bodies): State<Bodies>, request: Request, next: Next) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let taken = Arc::new(Taken::default());
    let counted =
        |inner| Body::new(Counted { inner, left: Arc::clone(&bodies.left), taken: Arc::clone(&taken) });
    let response = next.run(request.map(counted)).await;
    if !taken.refused.load(Ordering::Relaxed) {
        return response;
    }
    bodies.metrics.bodies_refused.inc();
    let mut response = ApiProblem::from(ProblemCode::Overloaded).into_response();
    // The rest of the body is not read.
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    response
}

/// A body that takes its bytes from what is left.
struct Counted {
    inner: Body,
    left: Arc<Semaphore>,
    taken: Arc<Taken>,
}

impl Counted {
    fn take(&self, bytes: usize) -> bool {
        let Ok(bytes) = u32::try_from(bytes) else { return false };
        let Ok(more) = Arc::clone(&self.left).try_acquire_many_owned(bytes) else { return false };
        let mut permit = self.taken.permit.lock().unwrap_or_else(PoisonError::into_inner);
        match permit.as_mut() {
            Some(permit) => permit.merge(more),
            None => *permit = Some(more),
        }
        true
    }
}

impl HttpBody for Counted {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let Poll::Ready(frame) = Pin::new(&mut self.inner).poll_frame(context) else { return Poll::Pending };
        let Some(Ok(frame)) = frame else { return Poll::Ready(frame) };
        let Some(data) = frame.data_ref() else { return Poll::Ready(Some(Ok(frame))) };
        if !self.take(data.len().saturating_add(FRAME_BYTES)) {
            self.taken.refused.store(true, Ordering::Relaxed);
            return Poll::Ready(Some(Err(axum::Error::new("no memory is left for bodies"))));
        }
        // A frame is a view of the connection's buffer and holds all of it: of single bytes each would hold kilobytes.
        Poll::Ready(Some(Ok(Frame::data(Bytes::copy_from_slice(data)))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
