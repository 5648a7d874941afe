//! This node among the others: the lock that says that its run goes on, and what nodes tell each other. Told after the
//! commit, on a connection of its own: inside a transaction it would make all commits wait for one another.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI32, Ordering},
    },
    time::Duration,
};

use signer_core::{
    ids::{CheckId, DeviceId, RequestId},
    wire::Event,
};
use tokio::{
    sync::{Mutex, Notify, mpsc},
    task::JoinHandle,
};
use tokio_postgres::{AsyncMessage, Client, Config};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::{LOCKS, OpenError, RESTORE_LOCK, server::Watched};
use crate::store::{Ended, News};

/// Most of what is told that waits; what does not fit is found by looking again.
const QUEUE_MAX: usize = 4096;
/// Most news in one message: PostgreSQL takes less than 8000 bytes, and each is shorter than 50.
const MESSAGE_MAX: usize = 150;
/// Pause before the next try to connect.
const PAUSE: Duration = Duration::from_secs(1);
const CHANNEL: &str = "signer_ended";

/// This node.
#[derive(Debug)]
pub(super) struct Node {
    run: i64,
    telling: mpsc::Sender<News>,
    told: Mutex<mpsc::Receiver<News>>,
    hears: Arc<AtomicBool>,
    leads: Arc<AtomicBool>,
    leaving: Arc<Notify>,
    task: std::sync::Mutex<Option<JoinHandle<()>>>,
}

impl Node {
    /// Takes the lock of `run` and keeps it, on a connection that is made anew whenever it breaks.
    pub(super) async fn join(
        config: Config,
        tls: MakeRustlsConnect,
        run: i64,
        watched: Arc<Watched>,
    ) -> Result<Self, OpenError> {
        let (telling, to_tell) = mpsc::channel(QUEUE_MAX);
        let (hearing, told) = mpsc::channel(QUEUE_MAX);
        let (hears, leads) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicBool::new(false)));
        let leaving = Arc::new(Notify::new());
        let mut line = Line {
            config,
            tls,
            run,
            watched,
            to_tell,
            hearing,
            hears: Arc::clone(&hears),
            leads: Arc::clone(&leads),
            leaving: Arc::clone(&leaving),
        };
        let first = line.connect().await?;
        let task = tokio::spawn(async move { line.stay(first).await });
        Ok(Self {
            run,
            telling,
            told: Mutex::new(told),
            hears,
            leads,
            leaving,
            task: std::sync::Mutex::new(Some(task)),
        })
    }

    pub(super) const fn run(&self) -> i64 {
        self.run
    }

    /// Whether the other nodes are heard.
    pub(super) fn hears(&self) -> bool {
        self.hears.load(Ordering::Acquire)
    }

    /// Whether this node leads.
    pub(super) fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    pub(super) fn tell(&self, news: News) {
        let _full_or_over = self.telling.try_send(news);
    }

    pub(super) async fn told(&self) -> News {
        let next = self.told.lock().await.recv().await;
        match next {
            Some(news) => news,
            None => std::future::pending().await,
        }
    }

    /// Gives the lock back: reservations of this run are dead from now on.
    pub(super) async fn leave(&self) {
        self.leaving.notify_one();
        let task = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ended_or_too_late = tokio::time::timeout(PAUSE * 5, task).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take() {
            task.abort();
        }
    }
}

/// The connection of a node.
struct Line {
    config: Config,
    tls: MakeRustlsConnect,
    run: i64,
    watched: Arc<Watched>,
    to_tell: mpsc::Receiver<News>,
    hearing: mpsc::Sender<News>,
    hears: Arc<AtomicBool>,
    leads: Arc<AtomicBool>,
    leaving: Arc<Notify>,
}

/// A connection that holds the lock and listens, and the task that reads from it.
struct Connected {
    client: Client,
    reader: JoinHandle<()>,
}

impl Line {
    fn leads(&self) -> bool {
        self.leads.load(Ordering::Acquire)
    }

    async fn connect(&self) -> Result<Connected, OpenError> {
        let (client, mut connection) = self.config.connect(self.tls.clone()).await?;
        let hearing = self.hearing.clone();
        // Of this connection's own words this node knows already.
        let own = Arc::new(AtomicI32::new(0));
        let known = Arc::clone(&own);
        let reader = tokio::spawn(async move {
            while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
                let AsyncMessage::Notification(message) = message else { continue };
                if message.process_id() != known.load(Ordering::Acquire) {
                    for news in message.payload().split(',').filter_map(read) {
                        let _full_or_over = hearing.try_send(news);
                    }
                }
            }
        });
        let process = client.query_one("SELECT pg_backend_pid()", &[]).await?.try_get(0)?;
        own.store(process, Ordering::Release);
        self.watched.look(&client).await?;
        let run = i32::try_from(self.run).map_err(|error| OpenError::Engine(error.to_string()))?;
        if let Err(error) = keep_restores_out(&client).await {
            // A server that died before it answered says nothing about restores.
            if matches!(error, OpenError::Restoring) {
                self.watched.stop(&error.to_string());
            }
            return Err(error);
        }
        // A broken connection's server process may still have it, for a moment.
        client.execute("SELECT pg_advisory_lock($1, $2)", &[&LOCKS, &run]).await?;
        client.batch_execute(&format!("LISTEN {CHANNEL}")).await?;
        Ok(Connected { client, reader })
    }

    async fn stay(&mut self, first: Connected) {
        let mut connected = Some(first);
        loop {
            if let Some(Connected { client, mut reader }) = connected.take() {
                self.hears.store(true, Ordering::Release);
                let left = self.speak(&client, &mut reader).await;
                self.hears.store(false, Ordering::Release);
                self.leads.store(false, Ordering::Release);
                drop(client);
                if left {
                    // Until the server has seen the end.
                    let _ended = reader.await;
                    return;
                }
                reader.abort();
            }
            tokio::select! {
                () = tokio::time::sleep(PAUSE) => {}
                () = self.leaving.notified() => return,
            }
            match self.connect().await {
                Ok(again) => connected = Some(again),
                Err(error) => tracing::warn!(%error, "other nodes are not heard"),
            }
        }
    }

    /// Tells what there is to tell until the node leaves (true) or the connection breaks.
    async fn speak(&mut self, client: &Client, reader: &mut JoinHandle<()>) -> bool {
        let mut batch = Vec::new();
        let mut candidate = tokio::time::interval(PAUSE);
        loop {
            batch.clear();
            tokio::select! {
                _ended = &mut *reader => return false,
                () = self.leaving.notified() => {
                    let _gone_anyway = client.batch_execute("SELECT pg_advisory_unlock_all()").await;
                    return true;
                }
                _ = candidate.tick(), if !self.leads() => {
                    let Ok(leads) = lead(client).await else { return false };
                    self.leads.store(leads, Ordering::Release);
                    continue;
                }
                count = self.to_tell.recv_many(&mut batch, MESSAGE_MAX) => if count == 0 { return true },
            }
            let message = batch.iter().map(write).collect::<Vec<_>>().join(",");
            if client.execute("SELECT pg_notify($1, $2)", &[&CHANNEL, &message]).await.is_err() {
                return false;
            }
        }
    }
}

/// Takes the lock that no restore is at work beside, for as long as the connection holds.
pub(super) async fn keep_restores_out(client: &Client) -> Result<(), OpenError> {
    let sql = "SELECT pg_try_advisory_lock_shared($1, $2)";
    if client.query_one(sql, &[&LOCKS, &RESTORE_LOCK]).await?.try_get(0)? {
        Ok(())
    } else {
        Err(OpenError::Restoring)
    }
}

/// Tries to be the node that leads: it is as long as its connection holds.
async fn lead(client: &Client) -> Result<bool, tokio_postgres::Error> {
    client.query_one("SELECT pg_try_advisory_lock($1, -1)", &[&LOCKS]).await?.try_get(0)
}

fn write(news: &News) -> String {
    match news {
        News::Ended(Ended::Request(id)) => format!("r{id}"),
        News::Ended(Ended::Check(id)) => format!("c{id}"),
        News::Phone(device, event) => format!("p{device}.{}", event.name()),
        News::Keys => "k".to_owned(),
    }
}

fn read(text: &str) -> Option<News> {
    let (kind, rest) = text.split_at_checked(1)?;
    match kind {
        "r" => Some(News::Ended(Ended::Request(rest.parse::<RequestId>().ok()?))),
        "c" => Some(News::Ended(Ended::Check(rest.parse::<CheckId>().ok()?))),
        "p" => {
            let (device, event) = rest.split_once('.')?;
            Some(News::Phone(device.parse::<DeviceId>().ok()?, Event::from_name(event)?))
        }
        "k" if rest.is_empty() => Some(News::Keys),
        _ => None,
    }
}
