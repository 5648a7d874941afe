//! What the server asks of the operating system for itself.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sd_notify::NotifyState;

/// No memory of the process in a core file: shares and PIN-masked values pass through it.
pub(crate) fn forbid_core_dumps() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, none) {
        tracing::warn!(%error, "a crash may write memory to a core file");
    }
}

/// As many open files as the process may have: each connection is one.
pub(crate) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, ..limit };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the number of open files stays as it is");
    }
}

/// Tells systemd, if it started the process and wants to know (sd_notify(3)), that it serves.
pub(crate) fn tell_ready() {
    tell(NotifyState::Ready);
}

/// Tells systemd that it no longer does.
pub(crate) fn tell_stopping() {
    tell(NotifyState::Stopping);
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "systemd was not told");
    }
}

/// A hang-up signal, which reads TLS files anew where there are any, ends no process that has none.
pub(crate) fn hold_hang_up() {
    #[cfg(unix)]
    if let Err(error) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()) {
        tracing::warn!(%error, "a hang-up signal would end the server");
    }
}
