//! `signer certificate`.

use serde_json::json;
use signer_client::ClientError;
use signer_core::certificate::to_pem;

use crate::{
    Certificate, Global,
    holder::replace,
    output::{Failure, Output, hex, moment},
    setup::{Desk, open},
};

pub(crate) fn print(global: &Global, output: &Output, args: &Certificate) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let certificate = phone.certificate()?;
    let pem = |ders: &[Vec<u8>], label: &str| -> Result<String, Failure> {
        let each = ders.iter().map(|der| to_pem(label, der));
        each.collect::<Result<_, _>>().map_err(|_| ClientError::Usage("a certificate is too long").into())
    };
    let (own, authorities) = certificate.chain.split_at(1.min(certificate.chain.len()));
    let request = std::slice::from_ref(&certificate.request);
    let files = [
        (&args.pem, pem(own, "CERTIFICATE")?),
        (&args.ca_out, pem(authorities, "CERTIFICATE")?),
        (&args.csr, pem(request, "CERTIFICATE REQUEST")?),
    ];
    for (path, text) in &files {
        if let Some(path) = path {
            replace(path, text.as_bytes())?;
        }
    }
    let checked = &certificate.checked;
    let [(_, own), (_, authorities), (_, request)] = &files;
    let value = json!({
        "serial": hex(&checked.serial), "not_before": checked.not_before, "not_after": checked.not_after,
        "certificate": own, "authorities": authorities, "request": request,
    });
    let text = format!(
        "Serial     {}\nValid from {}\nUntil      {}\n{}",
        hex(&checked.serial),
        moment(checked.not_before),
        moment(checked.not_after),
        own.trim_end(),
    );
    output.print(&value, &text);
    Ok(())
}
