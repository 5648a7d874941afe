//! What the service counts: acts by how they ended. Never who did them.

use prometheus_client::{metrics::counter::Counter, registry::Registry};

use super::{Counts, Histogram};

/// Counters of the service.
#[derive(Debug)]
pub struct ServiceMetrics {
    /// PINs and contributions that were evaluated, by verdict.
    pub evaluations: Counts,
    /// Signatures given out, one for each document.
    pub signatures: Counter,
    /// Attempts that were not evaluated, by why.
    pub attempts_refused: Counts,
    /// Locks after wrong PINs.
    pub locks: Counter,
    /// Keys that ended, by why.
    pub keys_ended: Counts,
    /// Day credentials issued.
    pub credentials: Counter,
    /// Displays of short codes begun.
    pub displays: Counter,
    /// Codes that verifiers asked about, by colour and reason.
    pub codes: Counts<2>,
    /// Installations made.
    pub enrolments: Counter,
    /// Deliveries of webhooks tried, by outcome.
    pub deliveries: Counts,
    /// Checkpoints of the audit log that could not be signed.
    pub checkpoint_failures: Counter,
    /// Calls refused so that memory and time stay bounded, by which bound.
    pub shed: Counts,
}

impl Default for ServiceMetrics {
    fn default() -> Self {
        let metrics = Self {
            evaluations: Counts::new(["verdict"]),
            signatures: Counter::default(),
            attempts_refused: Counts::new(["why"]),
            locks: Counter::default(),
            keys_ended: Counts::new(["why"]),
            credentials: Counter::default(),
            displays: Counter::default(),
            codes: Counts::new(["colour", "reason"]),
            enrolments: Counter::default(),
            deliveries: Counts::new(["outcome"]),
            checkpoint_failures: Counter::default(),
            shed: Counts::new(["bound"]),
        };
        // What is alerted on is there from the start: a rate needs a zero before the first one.
        for verdict in ["signed", "wrong_pin", "cheating", "server_fault", "pin_proven", "refreshed"] {
            metrics.evaluations.start([verdict]);
        }
        metrics.attempts_refused.start(["locked"]);
        for why in ["wrong_pins", "cheating"] {
            metrics.keys_ended.start([why]);
        }
        for outcome in ["delivered", "failed"] {
            metrics.deliveries.start([outcome]);
        }
        metrics.codes.start(["green", "valid"]);
        metrics.shed.start(["turns"]);
        metrics
    }
}

impl ServiceMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let mut counts = |name: &str, help: &str, counts: &Counts| {
            registry.register(name, help, counts.family());
        };
        counts("evaluations", "PINs and contributions evaluated", &self.evaluations);
        counts("attempts_refused", "Attempts not evaluated", &self.attempts_refused);
        counts("keys_ended", "Keys that ended for good", &self.keys_ended);
        counts("webhook_deliveries", "Deliveries of webhooks tried", &self.deliveries);
        counts("shed", "Calls refused to stay within a bound", &self.shed);
        registry.register("codes_verified", "Codes that verifiers asked about", self.codes.family());
        let mut counter = |name: &str, help: &str, counter: &Counter| {
            registry.register(name, help, counter.clone());
        };
        counter("signatures", "Signatures given out", &self.signatures);
        counter("locks", "Locks after wrong PINs", &self.locks);
        counter("credentials_issued", "Day credentials issued", &self.credentials);
        counter("displays", "Displays of short codes begun", &self.displays);
        counter("enrolments", "Installations made", &self.enrolments);
        counter("audit_checkpoint_failures", "Checkpoints not signed", &self.checkpoint_failures);
    }
}

/// What a register of documents is asked, and how long it takes.
#[derive(Debug)]
pub struct RegisterMetrics {
    /// Questions by outcome.
    pub questions: Counts,
    /// From a question to its answer or its end.
    pub seconds: Histogram,
}

impl Default for RegisterMetrics {
    fn default() -> Self {
        let questions = Counts::new(["outcome"]);
        for outcome in ["answered", "nonsense", "down", "no_turn", "left_alone"] {
            questions.start([outcome]);
        }
        Self { questions, seconds: Histogram::seconds() }
    }
}

impl RegisterMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("register_questions", "Questions to the register", self.questions.family());
        registry.register("register_seconds", "Time of a question to the register", self.seconds.clone());
    }
}
