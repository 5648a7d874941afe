//! The command line: `serve`, `migrate`, and the operator's acts against a running server.

mod audit;
mod backup;
mod doctor;
mod issuer;
mod kek;
mod limits;
mod oauth;
mod requests;
mod restore;
mod webhooks;

use std::{
    fs,
    io::Write as _,
    net::SocketAddr,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::{ArgGroup, Args, Parser, Subcommand};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use signer_core::{
    certificate::{certificates_from_pem, to_pem},
    credential::DocumentType,
    ids::RelyingPartyId,
    wire::{
        CertificateRequestView, CreateEnrolmentCode, CreateRelyingParty, CreatedEnrolmentCode,
        CreatedRelyingParty, ImportCertificate, Problem, RelyingPartyView,
    },
};

use crate::{
    app::{self, ADMIN_TOKEN_FILE, App, StartError},
    config::Config,
    process,
    store::sqlite::READERS,
    telemetry,
};

/// The server's half of split-key signatures, and the issuer and verifier of three-minute codes.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Try it:\n  signer-server serve\n  signer-server enrolment-code olena      (in another terminal)\n  signer-server relying-party add 'Bank of Examples' --ask"
)]
pub struct Cli {
    /// Configuration file (TOML); every key has a default, see spec/config.toml. Environment: SIGNER_SERVER__LISTEN and so on.
    #[arg(long, global = true, value_name = "FILE", env = "SIGNER_CONFIG")]
    config: Option<PathBuf>,
    /// Print JSON instead of text for people.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server until Ctrl-C.
    Serve(ServeArgs),
    /// Print the OpenAPI document of the API, as it is committed in spec/openapi.json.
    Openapi,
    /// Bring the store's schema up to date, without serving.
    Migrate,
    /// Look at this deployment and say what to mend. Fails if something is bad; a warning is not for real keys.
    #[command(
        after_help = "Examples:\n  signer-server --config /etc/signer/config.toml doctor\n  signer-server --json doctor | jq '.findings[] | select(.level != \"good\")'"
    )]
    Doctor,
    /// Copy the store into a file, while the server runs or not; check such a copy.
    Backup(backup::BackupArgs),
    /// Go on with a backup, or with a store that is behind its witness. What it cannot know, it then refuses.
    Restore(restore::RestoreArgs),
    /// Make an enrolment code for a person. The code is shown this once.
    EnrolmentCode {
        /// Your reference for the person: 1 to 64 visible ASCII characters. Relying parties address them by it.
        person: String,
        /// Life of the code, seconds.
        #[arg(long, default_value_t = 86_400)]
        expires_in: u64,
    },
    /// Register, list or revoke relying parties.
    #[command(subcommand)]
    RelyingParty(RelyingPartyCommand),
    /// Show the newest signing requests and how they ended; never what was in them, or who was asked.
    Requests(requests::RequestsArgs),
    /// The audit log: show, export and check what the server did.
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// Suspend, resume or revoke an installation with its certificates.
    #[command(subcommand)]
    Device(DeviceCommand),
    /// The built-in certification authority.
    #[command(subcommand)]
    Ca(CaCommand),
    /// Certificates from an authority elsewhere: export the request, import the certificate.
    #[command(subcommand)]
    Certificate(CertificateCommand),
    /// Print this server's public keys, as input for `signer trust sign`; or rotate them.
    Keys {
        #[command(subcommand)]
        command: Option<issuer::KeysCommand>,
    },
    /// The key-encryption key: its generations, rotation, retirement.
    #[command(subcommand)]
    Kek(kek::KekCommand),
    /// The trust list given out.
    #[command(subcommand)]
    TrustList(issuer::TrustListCommand),
    /// Sign a credential for a business that asks by QR.
    BusinessCredential(issuer::BusinessArgs),
}

#[derive(Debug, Args)]
struct ServeArgs {
    /// Address to listen on, in place of the configured one.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<SocketAddr>,
    /// Allow plain HTTP on other than loopback addresses: only behind something that ends TLS.
    #[arg(long)]
    insecure: bool,
}

#[derive(Debug, Subcommand)]
enum RelyingPartyCommand {
    /// Register one. Its bearer token is shown this once.
    #[command(
        after_help = "Example:\n  signer-server relying-party add 'Bank of Examples' --ask --oauth-key bank.json\n\nWith a key it is an OAuth client too: it gets access tokens at /oauth2/token by private_key_jwt (ES256)."
    )]
    Add {
        /// The name holders are shown.
        name: String,
        /// It may ask for signatures.
        #[arg(long)]
        ask: bool,
        /// It may verify codes online.
        #[arg(long)]
        verify: bool,
        /// It is a register, and may report what happens to these kinds of document: identity_card, driving_licence,
        /// vehicle_registration.
        #[arg(long, value_name = "KINDS", value_delimiter = ',')]
        report: Vec<String>,
        /// It may report deaths: each ends all documents of a person, and suspends their phone.
        #[arg(long)]
        report_deceased: bool,
        /// It may have codes made for the documents of this organisation, by the register's name for it.
        #[arg(long, value_name = "ORGANISATION")]
        generate: Option<String>,
        #[command(flatten)]
        proof: Option<ProofArgs>,
        #[command(flatten)]
        pages: PagesArgs,
    },
    /// Make one an OAuth client, or change its key or secret, which ends its access tokens.
    #[command(group(ArgGroup::new("proof").args(["oauth_key", "oauth_secret"]).required(true)))]
    OauthClient {
        /// Its id, which is the client_id.
        id: String,
        #[command(flatten)]
        proof: ProofArgs,
        #[command(flatten)]
        pages: PagesArgs,
    },
    /// Show or set the addresses where one is told that its requests ended.
    Webhooks {
        /// Its id.
        id: RelyingPartyId,
        /// The addresses from now on, at most 4: https URLs.
        #[arg(value_name = "URL")]
        urls: Vec<String>,
        /// None from now on.
        #[arg(long, conflicts_with = "urls")]
        none: bool,
    },
    /// Give one limits of its own, in place of those it had. They hold at once.
    #[command(
        after_help = "Example:\n  signer-server relying-party limit 'Bank of Examples' --calls-per-second 5000\n\nWithout options those of the configuration hold again."
    )]
    Limit(limits::LimitArgs),
    /// List all, with what they may do, what their requests take, and limits of their own.
    List,
    /// End one's token.
    Revoke {
        /// Its id.
        id: String,
    },
}

/// How an OAuth client proves itself.
#[derive(Debug, Args)]
#[group(multiple = false)]
struct ProofArgs {
    /// Its public key, a JWK (EC, P-256): it signs its assertions with ES256.
    #[arg(long, value_name = "JWK.json")]
    oauth_key: Option<PathBuf>,
    /// A secret, shown this once. Only where the configuration says sandbox = true.
    #[arg(long)]
    oauth_secret: bool,
}

/// Where an OAuth client has browsers sent, and what it is told of credentials.
#[derive(Debug, Args)]
struct PagesArgs {
    /// Where browsers may be sent back to from the authorisation page: https, or http to this machine. Repeat it for several;
    /// they take the place of those before, and without it those stay.
    #[arg(long, value_name = "URI", requires = "ProofArgs")]
    redirect_uri: Vec<String>,
    /// How the CSC API tells the client that credentials are authorised: some clients know one way only [at first: implicit]
    #[arg(long, value_enum, value_name = "WAY", requires = "ProofArgs")]
    csc_auth: Option<oauth::Way>,
}

#[derive(Debug, Subcommand)]
enum DeviceCommand {
    /// End an installation and its key, for good: a phone that was lost, or of which a copy was seen.
    Revoke {
        /// Its id, as in the logs and in `signer status`.
        id: String,
        /// What the revocation list says: unspecified, key_compromise, affiliation_changed, superseded,
        /// cessation_of_operation or privilege_withdrawn.
        #[arg(long, default_value = "unspecified")]
        reason: String,
    },
    /// Refuse its signatures and put its certificates on hold, until resumed.
    Suspend {
        /// Its id.
        id: String,
    },
    /// Take a suspension back.
    Resume {
        /// Its id.
        id: String,
    },
}

#[derive(Debug, Subcommand)]
enum CaCommand {
    /// Print the authority's certificate, PEM.
    Show,
}

#[derive(Debug, Subcommand)]
enum CertificateCommand {
    /// Print the certification request an installation signed at enrolment, PEM.
    Csr {
        /// Id of the installation.
        id: String,
    },
    /// Take a certificate of an authority elsewhere into use. It must be for exactly this key; ECDSA P-256 chains only.
    Import {
        /// Id of the installation.
        id: String,
        /// The certificate, PEM.
        certificate: PathBuf,
        /// The certificates of its authorities, PEM, the one that issued it first.
        #[arg(long, value_name = "FILE")]
        chain: PathBuf,
    },
}

/// Runs a command; the exit code is 0 on success, 1 on failure.
#[must_use]
pub fn run(cli: Cli) -> ExitCode {
    match try_run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(text) => {
            eprintln!("signer-server: {text}");
            ExitCode::FAILURE
        }
    }
}

fn try_run(cli: Cli) -> Result<(), String> {
    let mut config = Config::load(cli.config.as_deref()).map_err(|error| error.to_string())?;
    match cli.command {
        Command::Serve(args) => {
            config.listen = args.listen.unwrap_or(config.listen);
            config.insecure |= args.insecure;
            serve(config)
        }
        Command::Openapi => {
            print!("{}", *crate::http::DOCUMENT);
            Ok(())
        }
        Command::Migrate => {
            let (from, to) = in_runtime(app::migrate(&config))?;
            let text = format!("The store's schema was at version {from} and is at {to}.");
            print(cli.json, &json!({ "from": from, "to": to }), &text);
            Ok(())
        }
        Command::Doctor => doctor::run(&config, cli.json),
        Command::Backup(args) => backup::run(&config, cli.json, &args),
        Command::Restore(args) => restore::run(&config, cli.json, &args),
        Command::EnrolmentCode { person, expires_in } => {
            let admin = AdminClient::new(&config)?;
            let asked = CreateEnrolmentCode { person, expires_in: Some(expires_in) };
            let made: CreatedEnrolmentCode = admin.post("/admin/v1/enrolment-codes", &asked)?;
            let text = format!(
                "Enrolment code: {}\nGood for {expires_in} seconds, for one phone. It is not shown again.\nOn the phone: signer enrol --server {}",
                made.code,
                config.ca.public_url.clone().unwrap_or_else(|| config.own_url(config.listen))
            );
            print(cli.json, &made, &text);
            Ok(())
        }
        Command::RelyingParty(command) => relying_party(&AdminClient::new(&config)?, cli.json, command),
        Command::Requests(args) => requests::show(&AdminClient::new(&config)?, cli.json, &args),
        Command::Audit(command) => audit::run(&config, cli.json, command),
        Command::Device(command) => device(&AdminClient::new(&config)?, cli.json, command),
        Command::Ca(CaCommand::Show) => {
            print!("{}", AdminClient::new(&config)?.text("GET", "/ca/v1/ca.pem", None)?);
            Ok(())
        }
        Command::Certificate(command) => certificate(&AdminClient::new(&config)?, cli.json, command),
        Command::Keys { command } => issuer::keys(&AdminClient::new(&config)?, cli.json, command),
        Command::Kek(command) => kek::kek(&AdminClient::new(&config)?, cli.json, command),
        Command::TrustList(command) => issuer::trust_list(&AdminClient::new(&config)?, cli.json, command),
        Command::BusinessCredential(args) => {
            issuer::business_credential(&AdminClient::new(&config)?, cli.json, args)
        }
    }
}

fn device(admin: &AdminClient, json: bool, command: DeviceCommand) -> Result<(), String> {
    let (id, act, done, text) = match command {
        DeviceCommand::Revoke { id, reason } => {
            let act = format!("revoke?reason={reason}");
            (id, act, "revoked", "Revoked. Its holder needs a new enrolment code.")
        }
        DeviceCommand::Suspend { id } => (id, "suspend".into(), "suspended", "Suspended, until resumed."),
        DeviceCommand::Resume { id } => (id, "resume".into(), "resumed", "Resumed."),
    };
    admin.send::<Value>("POST", &format!("/admin/v1/devices/{id}/{act}"), None)?;
    print(json, &json!({ done: id }), text);
    Ok(())
}

fn certificate(admin: &AdminClient, json: bool, command: CertificateCommand) -> Result<(), String> {
    match command {
        CertificateCommand::Csr { id } => {
            let path = format!("/admin/v1/devices/{id}/certificate-request");
            let view: CertificateRequestView = admin.send("GET", &path, None)?;
            let der = STANDARD.decode(&view.request).map_err(|error| error.to_string())?;
            let pem = to_pem("CERTIFICATE REQUEST", &der).map_err(|error| error.to_string())?;
            print(json, &view, pem.trim_end());
        }
        CertificateCommand::Import { id, certificate, chain } => {
            let mut ders = certificates(&certificate)?;
            ders.extend(certificates(&chain)?);
            let asked = ImportCertificate { chain: ders.iter().map(|der| STANDARD.encode(der)).collect() };
            let body = serde_json::to_vec(&asked).map_err(|error| error.to_string())?;
            admin.send::<Value>("PUT", &format!("/admin/v1/devices/{id}/certificate"), Some(body))?;
            print(json, &json!({ "imported": id }), "Imported; it is the one in use from now on.");
        }
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<Vec<u8>>, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    certificates_from_pem(&text).map_err(|error| format!("{}: {error}", path.display()))
}

fn serve(config: Config) -> Result<(), String> {
    telemetry::init(&config)?;
    process::forbid_core_dumps();
    process::raise_open_files();
    in_runtime(async {
        let app = App::start(config).await?;
        let address = app.address()?;
        tracing::info!(%address, "serving");
        process::hold_hang_up();
        process::tell_ready();
        let stop = async {
            app::stop_signal().await;
            process::tell_stopping();
        };
        app.run(stop).await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// With threads for rows that are read where they are asked for, beside one for each core: such a read keeps its thread.
fn in_runtime<T>(work: impl Future<Output = Result<T, StartError>>) -> Result<T, String> {
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(cores + READERS).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(work).map_err(|error| error.to_string())
}

fn relying_party(admin: &AdminClient, json: bool, command: RelyingPartyCommand) -> Result<(), String> {
    match command {
        RelyingPartyCommand::Add { name, ask, verify, report, report_deceased, generate, proof, pages } => {
            if !ask && !verify && report.is_empty() && !report_deceased && generate.is_none() {
                return Err(
                    "say what it may do: --ask, --verify, --report KINDS, --report-deceased, --generate ORGANISATION"
                        .into(),
                );
            }
            if proof.is_some() && !ask {
                return Err("an OAuth client asks for signatures: --ask".into());
            }
            // Read first: a file that is no key registers nobody.
            let proof = proof.map(|proof| oauth::read(&proof, pages)).transpose()?;
            let report = report.iter().map(|name| kind(name)).collect::<Result<_, _>>()?;
            let asked = CreateRelyingParty {
                name,
                may_ask: ask,
                may_verify: verify,
                report,
                report_deceased,
                generates_for: generate,
            };
            let made: CreatedRelyingParty = admin.post("/admin/v1/relying-parties", &asked)?;
            let text = format!(
                "Relying party {}\nBearer token: {}\nThe token is not shown again; hand it over in SIGNER_TOKEN.",
                made.id, made.token
            );
            let client = proof.map(|proof| oauth::put(admin, &made.id.to_string(), &proof)).transpose()?;
            match client {
                None => print(json, &made, &text),
                Some(client) => {
                    let value = json!({
                        "id": made.id,
                        "token": made.token,
                        "client_id": client.client_id,
                        "client_secret": client.client_secret,
                        "redirect_uris": client.redirect_uris,
                        "csc_auth": client.csc_auth,
                    });
                    print(json, &value, &format!("{text}\n{}", oauth::told(&client)));
                }
            }
        }
        RelyingPartyCommand::OauthClient { id, proof, pages } => {
            let client = oauth::put(admin, &id, &oauth::read(&proof, pages)?)?;
            print(json, &client, &oauth::told(&client));
        }
        RelyingPartyCommand::Webhooks { id, urls, none } => {
            webhooks::webhooks(admin, json, id, urls, none)?;
        }
        RelyingPartyCommand::Limit(args) => limits::limit(admin, json, &args)?,
        RelyingPartyCommand::List => {
            let all: Vec<RelyingPartyView> = admin.send("GET", "/admin/v1/relying-parties", None)?;
            let line = |party: &RelyingPartyView| {
                let mut may: Vec<&str> = Vec::new();
                may.extend(party.may_ask.then_some("ask"));
                may.extend(party.may_verify.then_some("verify"));
                may.extend((!party.report.is_empty()).then_some("report"));
                may.extend(party.report_deceased.then_some("report-deceased"));
                may.extend(party.generates_for.as_ref().map(|_| "generate"));
                may.extend(party.revoked.then_some("REVOKED"));
                let kept = limits::bytes(party.kept_bytes);
                let own = limits::own(&party.limits);
                format!("{}  {:<14} {kept:>10}  {}{own}", party.id, may.join(","), party.name)
            };
            let text = if all.is_empty() {
                "None yet.".into()
            } else {
                all.iter().map(line).collect::<Vec<_>>().join("\n")
            };
            print(json, &all, &text);
        }
        RelyingPartyCommand::Revoke { id } => {
            admin.send::<Value>("DELETE", &format!("/admin/v1/relying-parties/{id}"), None)?;
            print(json, &json!({ "revoked": id }), &format!("Revoked {id}."));
        }
    }
    Ok(())
}

/// The kind of document of this name, as it stands in events.
fn kind(name: &str) -> Result<DocumentType, String> {
    serde_json::from_value(json!(name)).map_err(|_| {
        format!("{name} is no kind of document: identity_card, driving_licence, vehicle_registration")
    })
}

fn print(json: bool, value: &impl Serialize, text: &str) {
    let json = if json { serde_json::to_string_pretty(value).ok() } else { None };
    // Who reads no further (`| head`) has what they wanted.
    let _closed = writeln!(std::io::stdout(), "{}", json.as_deref().unwrap_or(text));
}

/// Calls the admin API of the server that uses the same data folder.
struct AdminClient {
    base: String,
    token: String,
}

impl AdminClient {
    fn new(config: &Config) -> Result<Self, String> {
        let token = read_token(&config.data_dir)?;
        let address = config.admin_listen().unwrap_or(config.listen);
        Ok(Self { base: format!("http://{address}"), token })
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &impl Serialize) -> Result<T, String> {
        let body = serde_json::to_vec(body).map_err(|error| error.to_string())?;
        self.send("POST", path, Some(body))
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &str,
        path: &str,
        body: Option<Vec<u8>>,
    ) -> Result<T, String> {
        let text = self.text(method, path, body)?;
        let text = if text.is_empty() { "null" } else { &text };
        serde_json::from_str(text).map_err(|error| format!("the server's answer is not understood: {error}"))
    }

    fn text(&self, method: &str, path: &str, body: Option<Vec<u8>>) -> Result<String, String> {
        self.text_of(method, path, "application/json", body.unwrap_or_default())
    }

    fn text_of(&self, method: &str, path: &str, media_type: &str, body: Vec<u8>) -> Result<String, String> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(30)))
            .http_status_as_error(false)
            // The admin token must not travel through a proxy.
            .proxy(None)
            .build()
            .into();
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("authorization", format!("Bearer {}", self.token))
            .header("content-type", media_type);
        let request = request.body(body).map_err(|error| error.to_string())?;
        let mut response = agent.run(request).map_err(|error| {
            format!("cannot reach the server at {}: {error}. Is `signer-server serve` running with the same configuration?", self.base)
        })?;
        let text = response.body_mut().read_to_string().map_err(|error| error.to_string())?;
        if !response.status().is_success() {
            let problem: Option<Problem> = serde_json::from_str(&text).ok();
            return Err(problem.map_or_else(
                || format!("the server answered {}", response.status()),
                |problem| format!("{} {}", problem.title, problem.detail.unwrap_or_default()),
            ));
        }
        Ok(text)
    }
}

fn read_token(data_dir: &Path) -> Result<String, String> {
    let path = data_dir.join(ADMIN_TOKEN_FILE);
    fs::read_to_string(&path).map(|token| token.trim().to_owned()).map_err(|error| {
        format!("{}: {error}. Start `signer-server serve` first, with the same data folder.", path.display())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn understood(line: &str) -> bool {
        Cli::try_parse_from(line.split(' ')).is_ok()
    }

    #[test]
    fn oau_019_a_relying_party_needs_no_oauth_and_a_client_one_proof() {
        assert!(understood("signer-server relying-party add Shop --verify"));
        assert!(understood("signer-server relying-party add Bank --ask --oauth-key bank.json"));
        assert!(understood("signer-server relying-party add Bank --ask --oauth-secret"));
        assert!(understood("signer-server relying-party oauth-client 00 --oauth-secret"));
        assert!(!understood("signer-server relying-party oauth-client 00"));
        for command in ["add Bank --ask", "oauth-client 00"] {
            let both = format!("signer-server relying-party {command} --oauth-key bank.json --oauth-secret");
            assert!(!understood(&both), "{both}");
        }
    }
}
