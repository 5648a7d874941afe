//! A whole server in this process, with its store on disk.

use std::{fmt, net::SocketAddr, sync::Arc};

use signer_core::wire::CreateRelyingParty;
use signer_server::{
    app::App,
    config::{Config, LimitsConfig},
    service::Service,
    store::{RelyingPartyRow, Store},
};
use tempfile::TempDir;
use tokio::{runtime::Runtime, task::JoinSet};

/// A running server.
pub(crate) struct Server {
    pub(crate) runtime: Runtime,
    pub(crate) address: SocketAddr,
    pub(crate) service: Arc<Service>,
    pub(crate) store: Arc<dyn Store>,
    _folder: TempDir,
}

impl Server {
    /// Starts one on an empty folder, with a register in a file if there is one.
    pub(crate) fn start(register: Option<&str>) -> Self {
        let runtime = Runtime::new().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let register_file = register.map(|register| {
            let path = folder.path().join("register.json");
            std::fs::write(&path, register).unwrap();
            path
        });
        let config = Config {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            data_dir: folder.path().join("data"),
            register_file,
            limits: LimitsConfig::wide(),
            ..Config::default()
        };
        let app = runtime.block_on(App::start(config)).unwrap();
        let (address, service, store) = (app.address().unwrap(), app.service(), app.store());
        runtime.spawn(app.run(std::future::pending()));
        Self { runtime, address, service, store, _folder: folder }
    }

    /// Registers a relying party; its row and its bearer token.
    pub(crate) fn register(&self, asked: CreateRelyingParty) -> (RelyingPartyRow, String) {
        self.runtime.block_on(async {
            let created = self.service.create_relying_party(asked).await.unwrap();
            (self.service.relying_party(&created.token).await.unwrap(), created.token)
        })
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Server({})", self.address)
    }
}

/// Runs numbered tasks at once; their results in the order of the numbers.
pub(crate) async fn together<T: Send + 'static>(
    tasks: impl Iterator<Item = impl Future<Output = (usize, T)> + Send + 'static>,
) -> Vec<T> {
    let mut results = tasks.collect::<JoinSet<_>>().join_all().await;
    results.sort_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}
