//! A document register to try the server against: made-up people and vehicles in SQLite, the API of `spec/registers.md`, and
//! events.
//!
//! ```sh
//! cargo run --example register -- serve                       # prints the lines for the server's configuration
//! SIGNER_TOKEN=… cargo run --example register -- withdraw olena driving_licence
//! SIGNER_TOKEN=… cargo run --example register -- change taras identity_card --family Коваленко
//! SIGNER_TOKEN=… cargo run --example register -- deceased sofia
//! SIGNER_TOKEN=… cargo run --example register -- withdraw 40000001/AA0001EX vehicle_registration
//! ```
//!
//! The token is that of `signer-server relying-party add 'Register of Examples' --report identity_card,driving_licence --report-deceased`.

mod api;
mod events;
mod fleet;
mod people;
mod portrait;
mod records;

use std::{
    error::Error,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use clap::{Parser, Subcommand};
use signer_server::ports::{Random as _, SystemRandom};

use crate::{
    events::{Event, Receiver},
    records::{Change, Records},
};

/// A register of made-up people.
#[derive(Parser)]
struct Arguments {
    /// Folder of its database and of the token it is asked with.
    #[arg(long, default_value = "register-data")]
    data: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Answer questions until Ctrl-C.
    Serve {
        /// Address to listen on.
        #[arg(long, default_value = "127.0.0.1:7500")]
        listen: SocketAddr,
    },
    /// List the people and organisations with their documents.
    People,
    /// Withdraw a document and report it.
    Withdraw {
        /// Reference of the person, or ORGANISATION/REFERENCE of a vehicle.
        person: String,
        /// `identity_card`, `driving_licence` or `vehicle_registration`.
        document_type: String,
        #[command(flatten)]
        to: To,
    },
    /// Change a document and report it.
    Change {
        /// Reference of the person, or ORGANISATION/REFERENCE of a vehicle.
        person: String,
        /// `identity_card`, `driving_licence` or `vehicle_registration`.
        document_type: String,
        /// New family name; of a vehicle its new model.
        #[arg(long)]
        family: Option<String>,
        /// New rights.
        #[arg(long)]
        rights: Option<String>,
        #[command(flatten)]
        to: To,
    },
    /// Withdraw everything of a person who has died, and report it.
    Deceased {
        /// Reference of the person.
        person: String,
        #[command(flatten)]
        to: To,
    },
}

/// Where events go.
#[derive(clap::Args)]
struct To {
    /// The server's address.
    #[arg(long, default_value = "http://127.0.0.1:7400")]
    server: String,
    /// Bearer token of a relying party that may report.
    #[arg(long, env = "SIGNER_TOKEN", hide_env_values = true)]
    token: String,
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments = Arguments::parse();
    fs::create_dir_all(&arguments.data)?;
    let records = Records::open(&arguments.data.join("register.db"))?;
    match arguments.command {
        Command::Serve { listen } => serve(records, &arguments.data, listen),
        Command::People => {
            for line in records.list()? {
                println!("{line}");
            }
            Ok(())
        }
        Command::Withdraw { person, document_type, to } => {
            report(&records, &to, &person, &document_type, &Change::Withdrawn)
        }
        Command::Change { person, document_type, family, rights, to } => {
            report(&records, &to, &person, &document_type, &Change::Changed { family, rights })
        }
        Command::Deceased { person, to } => report(&records, &to, &person, "", &Change::Deceased),
    }
}

fn serve(records: Records, data: &Path, listen: SocketAddr) -> Result<(), Box<dyn Error>> {
    let token_file = data.join("token");
    if !token_file.exists() {
        let mut bytes = [0; 32];
        SystemRandom.rng().fill_bytes(&mut bytes);
        fs::write(&token_file, bytes.map(|byte| format!("{byte:02x}")).concat())?;
    }
    let token = fs::read_to_string(&token_file)?.trim().to_owned();
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(listen).await?;
        let token_file = fs::canonicalize(&token_file)?;
        println!("[register]\nurl = \"http://{}\"\ntoken_file = {token_file:?}", listener.local_addr()?);
        Ok(axum::serve(listener, api::router(records, token)).await?)
    })
}

/// The change and its event are written down together; then everything that is not yet reported goes out, in order.
fn report(
    records: &Records,
    to: &To,
    person: &str,
    document_type: &str,
    change: &Change,
) -> Result<(), Box<dyn Error>> {
    records.apply(person, document_type, change)?;
    let receiver = Receiver { server: to.server.clone(), token: to.token.clone() };
    for row in records.unreported()? {
        let event = Event::of(&row);
        println!("{} {} {}: {}", event.sequence, event.kind, row.person, receiver.send(&event)?);
        records.reported(row.number)?;
    }
    Ok(())
}
