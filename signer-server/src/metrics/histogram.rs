//! A histogram that costs two atomic additions, and that can be read: the operator's page shows quantiles of it.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, TypedMetric},
};

/// Upper bounds of durations, seconds: from a read in memory to the longest call.
const SECONDS: [f64; 15] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Upper bounds of numbers of things done at once.
const COUNTS: [f64; 10] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];

/// Observations by size.
#[derive(Clone)]
pub struct Histogram {
    bounds: &'static [f64],
    counted: Arc<Counted>,
}

#[derive(Default)]
struct Counted {
    /// One for each bound, and one for what is above all.
    buckets: Box<[AtomicU64]>,
    /// Bits of an f64.
    sum: AtomicU64,
}

impl Histogram {
    /// Of durations.
    #[must_use]
    pub fn seconds() -> Self {
        Self::new(&SECONDS)
    }

    /// Of numbers of things.
    #[must_use]
    pub fn counts() -> Self {
        Self::new(&COUNTS)
    }

    fn new(bounds: &'static [f64]) -> Self {
        let buckets = (0..=bounds.len()).map(|_| AtomicU64::new(0)).collect();
        Self { bounds, counted: Arc::new(Counted { buckets, sum: AtomicU64::new(0) }) }
    }

    /// Counts one observation.
    pub fn observe(&self, value: f64) {
        let place = self.bounds.partition_point(|bound| *bound < value);
        if let Some(bucket) = self.counted.buckets.get(place) {
            bucket.fetch_add(1, Ordering::Relaxed);
        }
        let add = |sum: u64| Some((f64::from_bits(sum) + value).to_bits());
        let _always = self.counted.sum.fetch_update(Ordering::Relaxed, Ordering::Relaxed, add);
    }

    /// Counts one duration.
    pub fn observe_time(&self, time: Duration) {
        self.observe(time.as_secs_f64());
    }

    /// How many observations were at most each bound and above the one before; the last bound is infinite.
    #[must_use]
    pub fn buckets(&self) -> Vec<(f64, u64)> {
        let bounds = self.bounds.iter().copied().chain([f64::INFINITY]);
        bounds.zip(self.counted.buckets.iter().map(|bucket| bucket.load(Ordering::Relaxed))).collect()
    }

    fn sum(&self) -> f64 {
        f64::from_bits(self.counted.sum.load(Ordering::Relaxed))
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Histogram(..)")
    }
}

impl TypedMetric for Histogram {
    const TYPE: MetricType = MetricType::Histogram;
}

impl EncodeMetric for Histogram {
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> fmt::Result {
        let buckets = self.buckets();
        // Of the same reading as the buckets: they add up.
        let count = buckets.iter().map(|(_, count)| count).sum();
        encoder.encode_histogram::<NoLabelSet>(self.sum(), count, &buckets, None)
    }

    fn metric_type(&self) -> MetricType {
        Self::TYPE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_observation_is_counted_once_at_the_first_bound_that_is_not_below_it() {
        let histogram = Histogram::counts();
        for value in [1.0, 1.5, 2.0, 512.0, 513.0] {
            histogram.observe(value);
        }
        let found: Vec<_> = histogram.buckets().into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(found, [(1.0, 1), (2.0, 2), (512.0, 1), (f64::INFINITY, 1)]);
        assert!((histogram.sum() - 1029.5).abs() < f64::EPSILON);
    }
}
