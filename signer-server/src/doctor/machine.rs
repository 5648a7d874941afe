//! The machine: what the process is allowed, and where its memory can end up.

use std::fs;

use rustix::process::{Resource, geteuid, getrlimit};

use super::Finding;
use crate::config::Config;

/// Files that the server has open beside connections.
const OTHER_FILES: u64 = 256;

pub(super) fn examine(config: &Config) -> Vec<Finding> {
    vec![user(), open_files(config), swap()]
}

fn user() -> Finding {
    if geteuid().is_root() {
        let fix = "run the server, and this, as a user of its own: .dist/signer-server.service does";
        return Finding::warning("user", "this is root", fix);
    }
    Finding::good("user", "not root")
}

/// The server raises its own limit as far as it may.
fn open_files(config: &Config) -> Finding {
    let wanted = u64::try_from(config.connections_max).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    match getrlimit(Resource::Nofile).maximum {
        Some(allowed) if allowed < wanted => Finding::bad(
            "files",
            format!("a process may have {allowed} files open, connections_max needs {wanted}"),
            format!("LimitNOFILE={wanted} in the systemd unit, or a smaller connections_max"),
        ),
        _ => Finding::good("files", format!("a process may have {wanted} files open")),
    }
}

/// Keys are wiped in memory, not on a swap device.
fn swap() -> Finding {
    let devices = fs::read_to_string("/proc/swaps").unwrap_or_default();
    // The first line is a heading; compressed memory is no disk.
    let disks: Vec<_> = devices
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .filter(|device| !device.starts_with("/dev/zram"))
        .collect();
    if disks.is_empty() {
        return Finding::good("swap", "none that is on a disk");
    }
    let found = format!("memory can be written to {}", disks.join(", "));
    Finding::warning(
        "swap",
        found,
        "swapoff, or MemorySwapMax=0 in the systemd unit, or encrypt it with a key of each boot",
    )
}
