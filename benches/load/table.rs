//! What was measured, as a table or as JSON.

use std::{collections::BTreeMap, fmt, time::Duration};

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    cpu: Duration,
    resident: u64,
}

impl Usage {
    /// Of these processes together; `None` if there are none, or one is gone.
    pub(crate) fn of(pids: &[u32]) -> Option<Self> {
        let all = pids.iter().map(|pid| Self::of_one(*pid)).collect::<Option<Vec<_>>>()?;
        all.into_iter()
            .reduce(|sum, one| Self { cpu: sum.cpu + one.cpu, resident: sum.resident + one.resident })
    }

    /// By `proc(5)`.
    fn of_one(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the name, which may hold anything: state is field 3, utime 14, stime 15, rss 24.
        let fields: Vec<&str> = stat.rsplit_once(") ")?.1.split(' ').collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let ticks = field(14)? + field(15)?;
        let cpu = Duration::from_secs(ticks) / u32::try_from(rustix::param::clock_ticks_per_second()).ok()?;
        let resident = field(24)? * u64::try_from(rustix::param::page_size()).ok()?;
        Some(Self { cpu, resident })
    }

    /// Two spans as one: CPU time is added up, memory is the last one's.
    pub(crate) fn sum((before, after): (Self, Self), next: (Self, Self)) -> (Self, Self) {
        let cpu = after.cpu + next.1.cpu.saturating_sub(next.0.cpu);
        (before, Self { cpu, ..next.1 })
    }
}

/// Times and errors of one operation.
#[derive(Debug, Default)]
pub(crate) struct Row {
    times: Vec<Duration>,
    errors: BTreeMap<String, u64>,
}

/// Rows by operation.
#[derive(Debug, Default)]
pub(crate) struct Rows(BTreeMap<&'static str, Row>);

impl Rows {
    pub(crate) fn took(&mut self, operation: &'static str, time: Duration) {
        self.0.entry(operation).or_default().times.push(time);
    }

    pub(crate) fn failed(&mut self, operation: &'static str, code: &str) {
        *self.0.entry(operation).or_default().errors.entry(code.to_owned()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: Self) {
        for (operation, row) in other.0 {
            let sum = self.0.entry(operation).or_default();
            sum.times.extend(row.times);
            row.errors.into_iter().for_each(|(code, count)| *sum.errors.entry(code).or_default() += count);
        }
    }
}

/// What a run came to.
#[derive(Debug)]
pub(crate) struct Report {
    /// The operations that are the point of the run: CPU time is divided by their number.
    whole: Vec<&'static str>,
    rows: Rows,
    wall: Duration,
    usage: Option<(Usage, Usage)>,
    /// Sessions and checks begun later than they were due.
    late: Option<u64>,
}

impl Report {
    pub(crate) fn new(
        whole: &[&'static str],
        mut rows: Rows,
        wall: Duration,
        usage: Option<(Usage, Usage)>,
        late: Option<u64>,
    ) -> Self {
        rows.0.values_mut().for_each(|row| row.times.sort_unstable());
        Self { whole: whole.to_vec(), rows, wall, usage, late }
    }

    fn each(&self, row: &Row) -> f64 {
        number(row.times.len()) / self.wall.as_secs_f64()
    }

    /// CPU milliseconds of the server for each, and its memory in MiB at the end.
    fn server(&self) -> Option<(f64, f64)> {
        let (before, after) = self.usage?;
        let done: usize =
            self.whole.iter().filter_map(|name| self.rows.0.get(name)).map(|row| row.times.len()).sum();
        let cpu = after.cpu.saturating_sub(before.cpu).as_secs_f64() * 1e3 / number(done.max(1));
        Some((cpu, number(usize::try_from(after.resident >> 10).unwrap_or(usize::MAX)) / 1024.0))
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        let row = |row: &Row| {
            let [p50, p90, p99, max] = centiles(&row.times);
            serde_json::json!({
                "count": row.times.len(), "per_second": self.each(row), "errors": row.errors,
                "p50_ms": p50, "p90_ms": p90, "p99_ms": p99, "max_ms": max,
            })
        };
        let operations: serde_json::Map<_, _> =
            self.rows.0.iter().map(|(name, found)| ((*name).to_owned(), row(found))).collect();
        let (cpu, memory) = self.server().unzip();
        serde_json::json!({
            "seconds": self.wall.as_secs_f64(), "operations": operations, "of": self.whole.join(" or "),
            "server_cpu_ms_each": cpu, "server_memory_mib": memory, "late": self.late,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = ["p50 ms", "p90 ms", "p99 ms", "max ms"];
        writeln!(f, "{:<10} {:>9} {:>9} {a:>9} {b:>9} {c:>9} {d:>9}  errors", "operation", "count", "per s")?;
        for (name, row) in &self.rows.0 {
            let [p50, p90, p99, max] = centiles(&row.times);
            let errors: Vec<String> =
                row.errors.iter().map(|(code, count)| format!("{code} {count}")).collect();
            writeln!(
                f,
                "{name:<10} {:>9} {:>9.1} {p50:>9.2} {p90:>9.2} {p99:>9.2} {max:>9.2}  {}",
                row.times.len(),
                self.each(row),
                errors.join(", ")
            )?;
        }
        if let Some((cpu, memory)) = self.server() {
            let whole = self.whole.join(" or ");
            writeln!(f, "server: {cpu:.3} ms of CPU for each {whole}, {memory:.0} MiB")?;
        }
        self.late.map_or(Ok(()), |late| writeln!(f, "begun late: {late}"))
    }
}

fn centiles(sorted: &[Duration]) -> [f64; 4] {
    let at = |percent: usize| {
        let last = sorted.len().saturating_sub(1);
        sorted.get(last * percent / 100).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    };
    [at(50), at(90), at(99), at(100)]
}

#[expect(clippy::cast_precision_loss, reason = "far fewer than 2^52")]
const fn number(count: usize) -> f64 {
    count as f64
}
