//! What the operating system says of this process, under the names that Prometheus' own clients use. From `/proc`: elsewhere
//! the values stay 0.

use std::{fs, sync::atomic::AtomicU64};

use prometheus_client::{
    metrics::{counter::Counter, gauge::Gauge},
    registry::Registry,
};
use signer_core::time::UnixSeconds;

/// Length of a tick in `/proc/self/stat`, seconds: 100 in each second, whatever the kernel's own clock (proc(5)).
const TICK: f64 = 0.01;

/// This process.
#[derive(Debug, Default)]
pub(super) struct Process {
    cpu: Counter<f64, AtomicU64>,
    memory: Gauge,
    threads: Gauge,
    files: Gauge,
    files_max: Gauge,
    started: Gauge,
}

impl Process {
    pub(super) fn since(started: UnixSeconds) -> Self {
        let process = Self::default();
        process.started.set(i64::try_from(started.0).unwrap_or(i64::MAX));
        process
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("process_cpu_seconds", "CPU time used", self.cpu.clone());
        registry.register("process_resident_memory_bytes", "Memory in use", self.memory.clone());
        registry.register("process_threads", "Threads", self.threads.clone());
        registry.register("process_open_fds", "Open file descriptors", self.files.clone());
        registry.register("process_max_fds", "Most open file descriptors", self.files_max.clone());
        registry.register(
            "process_start_time_seconds",
            "When the process started, Unix time",
            self.started.clone(),
        );
    }

    /// When the process started, Unix seconds.
    pub(super) fn started(&self) -> i64 {
        self.started.get()
    }

    /// Memory in use, bytes.
    pub(super) fn memory(&self) -> i64 {
        self.memory.get()
    }

    /// Reads anew. What cannot be read stays as it was.
    pub(super) fn refresh(&self) {
        if let Some(seconds) = read("stat").as_deref().and_then(cpu_seconds) {
            self.cpu.inner().store(seconds.to_bits(), std::sync::atomic::Ordering::Relaxed);
        }
        let status = read("status").unwrap_or_default();
        if let Some(kilobytes) = number_after(&status, "VmRSS:") {
            self.memory.set(kilobytes.saturating_mul(1024));
        }
        if let Some(threads) = number_after(&status, "Threads:") {
            self.threads.set(threads);
        }
        if let Some(most) = number_after(&read("limits").unwrap_or_default(), "Max open files") {
            self.files_max.set(most);
        }
        if let Ok(entries) = fs::read_dir("/proc/self/fd") {
            self.files.set(i64::try_from(entries.count()).unwrap_or(i64::MAX));
        }
    }
}

/// The name of this machine, if it has one.
pub(super) fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    if name.trim().is_empty() { "node".to_owned() } else { name.trim().to_owned() }
}

fn read(file: &str) -> Option<String> {
    fs::read_to_string(format!("/proc/self/{file}")).ok()
}

/// The first number in the line that begins so.
fn number_after(text: &str, name: &str) -> Option<i64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// User and system time of `/proc/self/stat`: the fields 14 and 15, where 2 is a name in parentheses that may hold anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let (user, system): (u32, u32) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some((f64::from(user) + f64::from(system)) * TICK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_of_the_process_may_hold_anything() {
        let stat = "1 (a) 9 (b) S 2 3 4 5 6 7 8 9 10 11 150 50 0 0 20 0";
        assert!((cpu_seconds(stat).unwrap() - 2.0).abs() < 1e-9);
        assert_eq!(cpu_seconds("1 (short) S"), None);
    }

    #[test]
    fn this_process_is_found() {
        let process = Process::since(UnixSeconds(7));
        process.refresh();
        assert!(process.memory.get() > 1 << 20 && process.files.get() > 0 && process.threads.get() > 0);
    }
}
