//! A bank's receiver of webhooks, for one delivery after another: `webhook URL ID KEYS.json`, the URL as it was registered, the
//! bank's id at the server and the answer of `GET /v1/webhook-keys`. Listens on 127.0.0.1:8080; TLS ends in front of it.

use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use signer_client::{WebhookError, desk::SystemClock, ports::Clock as _, verify_webhook};
use signer_core::ids::RelyingPartyId;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = env::args().skip(1).collect();
    let [url, id, keys] = arguments.as_slice() else { return Err("webhook URL ID KEYS.json".into()) };
    let own: RelyingPartyId = id.parse()?;
    let keys = serde_json::from_slice(&fs::read(keys)?)?;
    let mut seen = BTreeSet::new();
    for connection in TcpListener::bind("127.0.0.1:8080")?.incoming() {
        let mut connection = connection?;
        let Ok((method, headers, body)) = read(&connection) else { continue };
        let headers: Vec<_> = headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();

        let status = match verify_webhook(&method, url, own, &headers, &body, &keys, SystemClock.wall()) {
            // Keep the id and what is to be done in one transaction, before the answer.
            Ok(event) if seen.insert(event.id) => {
                println!("{} ended: {:?}", event.request, event.status);
                "204 No Content"
            }
            Ok(_) | Err(WebhookError::OtherEvent) => "204 No Content",
            Err(error) => {
                eprintln!("{error}");
                "401 Unauthorized"
            }
        };
        write!(connection, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")?;
    }
    Ok(())
}

type Message = (String, Vec<(String, String)>, Vec<u8>);

/// The message on a connection, if it is one.
fn read(connection: &TcpStream) -> Result<Message, Box<dyn Error>> {
    let mut reader = BufReader::new(connection.take(64 * 1024));
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let method = line.split(' ').next().unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
    }
    let length = headers.iter().find(|(name, _)| name == "content-length").ok_or("no length")?;
    let mut body = vec![0; length.1.parse::<u16>()?.into()];
    reader.read_exact(&mut body)?;
    Ok((method, headers, body))
}
