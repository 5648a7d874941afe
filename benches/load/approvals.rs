//! Approvals alone.

use std::{
    thread,
    time::{Duration, Instant},
};

use signer_benches::{http::Request, phone::Phone};
use signer_core::wire::{PendingRequests, RequestsQuery};

use crate::{
    bank::Bank,
    drive::{Plan, sum},
    table::{Report, Rows, Usage},
    target::Target,
    worker::Worker,
};

/// Approvals alone, in rounds: what comes before is done while the clock stands.
pub(crate) fn approvals(
    plan: &Plan,
    target: &Target,
    banks: &[Bank],
    phones: Vec<Phone>,
) -> (Report, Vec<Phone>) {
    let mut parts = split(phones, plan.workers);
    let (mut rows, mut wall, mut usage) = (Rows::default(), Duration::ZERO, None::<(Usage, Usage)>);
    let mut warm = plan.warm_up.is_zero();
    while wall < plan.duration {
        let mut ready: Vec<Vec<Request>> = Vec::new();
        thread::scope(|scope| {
            let workers: Vec<_> =
                parts.iter_mut().map(|part| scope.spawn(|| prepare(target, banks, part))).collect();
            ready = workers.into_iter().map(|worker| worker.join().unwrap()).collect();
        });
        let before = target.usage();
        let start = Instant::now();
        let round = thread::scope(|scope| {
            let workers: Vec<_> = parts
                .iter_mut()
                .zip(&ready)
                .map(|(part, ready)| {
                    scope.spawn(move || {
                        let mut worker = Worker::new(target);
                        for (phone, approve) in part.iter_mut().zip(ready) {
                            let _counted = worker.approve(phone, approve);
                        }
                        worker.rows
                    })
                })
                .collect();
            sum(workers.into_iter().map(|worker| worker.join().unwrap()))
        });
        let time = start.elapsed();
        if warm {
            rows.add(round);
            wall += time;
            let spent = before.zip(target.usage());
            usage = match (usage, spent) {
                (Some(sum), Some(spent)) => Some(Usage::sum(sum, spent)),
                (None, spent) => spent,
                (sum, None) => sum,
            };
        }
        // The first round warms up.
        warm = true;
    }
    (Report::new(&["approve"], rows, wall, usage, None), parts.into_iter().flatten().collect())
}

/// One approve of each phone: a second one, made before the first is answered, would be late.
fn prepare(target: &Target, banks: &[Bank], phones: &mut [Phone]) -> Vec<Request> {
    let mut worker = Worker::new(target);
    let one = |(number, phone): (usize, &mut Phone)| {
        let made = worker.asked(&banks[number % banks.len()], phone).unwrap();
        let listed: PendingRequests = worker.exchange("list", phone, &RequestsQuery {}).unwrap();
        let object = listed.requests.into_iter().find(|object| object.request == made.id).unwrap();
        worker.ready(phone, object).unwrap()
    };
    phones.iter_mut().enumerate().map(one).collect()
}

fn split(phones: Vec<Phone>, parts: usize) -> Vec<Vec<Phone>> {
    let mut split: Vec<Vec<Phone>> = (0..parts.min(phones.len())).map(|_| Vec::new()).collect();
    let count = split.len();
    phones.into_iter().enumerate().for_each(|(number, phone)| split[number % count].push(phone));
    split
}
