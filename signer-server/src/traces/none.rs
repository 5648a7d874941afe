//! Without the feature `otel`: the same calls, which do nothing and cost nothing.

use std::future::Future;

use axum::http::HeaderMap;
use tokio::time::Instant;

use super::Part;
use crate::{
    config::TracesConfig,
    metrics::{Counts, Route},
};

/// No traces.
#[derive(Debug, Clone)]
pub(crate) struct Traces;

/// Nothing to export.
#[derive(Debug)]
pub(crate) struct Export;

/// A call that is not traced.
#[derive(Debug)]
pub(crate) struct CallSpan;

impl Traces {
    pub(crate) fn start(_config: &TracesConfig, _counts: &Counts) -> Result<(Self, Export), String> {
        Ok((Self, Export))
    }

    pub(crate) const fn call(&self, _route: &Route, _headers: &HeaderMap) -> CallSpan {
        CallSpan
    }
}

impl Export {
    pub(crate) async fn finish(self, _end: Instant) {}
}

impl CallSpan {
    pub(crate) fn within<F: Future>(&self, work: F) -> F {
        work
    }

    pub(crate) const fn end(self, _status: u16, _outcome: &'static str) {}
}

pub(crate) fn span<F: Future>(_part: Part, _name: &'static str, work: F) -> F {
    work
}

pub(crate) fn carry<F: Future>(work: F) -> F {
    work
}
