//! Everything there is before the first question: server, a relying party, and the phones, enrolled.

use std::{collections::BTreeMap, fmt, net::SocketAddr, path::Path, sync::Arc};

use serde::Serialize;
use signer_core::wire::{CreateEnrolmentCode, CreateRelyingParty, PutOauthClient};
use signer_server::{
    app::App,
    config::{Config, LimitsConfig},
    service::Service,
    store::Store,
};
use tokio::{runtime::Handle, task::spawn_blocking};

use crate::{
    Result,
    people::Habit,
    phone::{Command, Played, Screen},
};

/// What a developer needs to know.
#[derive(Debug, Serialize)]
pub(crate) struct Told {
    /// Address of the server.
    pub(crate) server: String,
    /// Address of the endpoint that plays the phones.
    pub(crate) phones: String,
    #[serde(flatten)]
    pub(crate) client: Client,
}

/// The relying party, which is an OAuth client too.
#[derive(Debug, Serialize)]
pub(crate) struct Client {
    /// Its id and `client_id`.
    client_id: String,
    /// Its OAuth secret.
    client_secret: String,
    /// Its bearer token without an end.
    token: String,
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Server          {}", self.server)?;
        writeln!(f, "Phones          {}/phones", self.phones)?;
        writeln!(f, "client_id       {}", self.client.client_id)?;
        writeln!(f, "client_secret   {}", self.client.client_secret)?;
        writeln!(f, "Bearer token    {}", self.client.token)?;
        writeln!(f)?;
        for habit in Habit::ALL {
            writeln!(f, "{:<22} {}", habit.person(), habit.describe())?;
        }
        write!(f, "\nCtrl-C ends it, and everything in it.")
    }
}

pub(crate) async fn server(folder: &Path, listen: SocketAddr) -> Result<App> {
    let config = Config {
        listen,
        data_dir: folder.join("server"),
        witness_dir: Some(folder.join("witness")),
        sandbox: true,
        limits: LimitsConfig::wide(),
        log: "error".into(),
        ..Config::default()
    };
    Ok(App::start(config).await?)
}

pub(crate) async fn client(service: &Service) -> Result<Client> {
    let asked = CreateRelyingParty {
        name: "Sandbox client".into(),
        may_ask: true,
        may_verify: true,
        ..CreateRelyingParty::default()
    };
    let made = service.create_relying_party(asked).await?;
    let client = service
        .put_oauth_client(made.id, PutOauthClient { key: None, redirect_uris: None, csc_auth: None })
        .await?;
    let client_secret = client.client_secret.ok_or("a sandbox makes secrets")?;
    Ok(Client { client_id: made.id.to_string(), client_secret, token: made.token })
}

/// The phones by person, each on a thread of its own.
pub(crate) type Phones = BTreeMap<&'static str, std::sync::mpsc::Sender<Command>>;

pub(crate) async fn phones(service: &Service, store: &Arc<dyn Store>, server: &str) -> Result<Phones> {
    let warden =
        CreateRelyingParty { name: "Sandbox set-up".into(), may_ask: true, ..CreateRelyingParty::default() };
    let warden = service.create_relying_party(warden).await?;
    let mut phones = Phones::new();
    for habit in Habit::ALL {
        let asked = CreateEnrolmentCode { person: habit.person().into(), expires_in: None };
        let code = service.create_enrolment_code(asked).await?.code;
        let (server, token) = (server.to_owned(), warden.token.clone());
        let screen = Screen { store: Arc::clone(store), runtime: Handle::current() };
        let ready = spawn_blocking(move || {
            let mut played =
                Played::enrol(habit, &server, &code, screen).map_err(|error| error.to_string())?;
            if habit == Habit::Locked {
                played.lock(&server, &token).map_err(|error| error.to_string())?;
            }
            Ok::<_, String>(played)
        });
        let played = ready.await??;
        phones.insert(habit.person(), played.play());
    }
    service.revoke_relying_party(warden.id).await?;
    Ok(phones)
}
