//! The shop: lists for checks without network, a token for checks with it.

use std::{cell::RefCell, collections::HashMap, path::Path};

use p256::ecdsa::VerifyingKey;
use signer_client::{
    ClientError, RelyingParty,
    desk::SystemClock,
    http::{NetworkOptions, fetch},
    lists::{Lists, point},
    ports::Clock as _,
};
use signer_core::{
    credential::{StepRule, VerificationResult, VerifyOptions},
    trust::TrustList,
    wire::CreatedRelyingParty,
};

use crate::{Result, output::Output, server::Server, story::network};

pub(crate) struct Shop {
    pub(crate) api: RelyingParty,
    pub(crate) token: String,
    server: String,
    root: VerifyingKey,
    lists: Lists,
    /// The lists as they were fetched, by their addresses.
    fetched: HashMap<String, Vec<u8>>,
}

impl Shop {
    /// The operator gives it a token and the root to trust.
    pub(crate) fn open(server: &Server, folder: &Path) -> Result<Self> {
        let shop: CreatedRelyingParty =
            server.operator(&["relying-party", "add", "Corner Shop", "--verify"])?;
        let keys: TrustList = server.operator(&["keys"])?;
        let root = *keys.roots().first().ok_or("the server has no root")?;
        Ok(Self {
            api: RelyingParty::new(network(server)?, shop.token.clone()),
            token: shop.token,
            server: server.url(),
            root,
            lists: Lists::open(folder, Some(root))?,
            fetched: HashMap::new(),
        })
    }

    /// Fetches the trust list and all status lists, as `signer verify --sync` does.
    pub(crate) fn sync(&mut self, output: &Output) -> Result<()> {
        let fetched = RefCell::new(HashMap::new());
        let keep = |address: &str, media_type: &str| -> std::result::Result<Vec<u8>, ClientError> {
            let bytes = fetch(address, media_type, &NetworkOptions::default())?;
            fetched.borrow_mut().insert(address.to_owned(), bytes.clone());
            Ok(bytes)
        };
        let synced = self.lists.sync(&self.server, &keep, SystemClock.wall())?;
        if let Some((address, why)) = synced.failed.first() {
            return Err(format!("{address}: {why}").into());
        }
        self.fetched = fetched.into_inner();
        println!("Shop: the trust list and {} status lists, for when there is no network.", synced.lists);
        output.file("trust-root", format!("{}\n", point(&self.root)).as_bytes())?;
        let trust_list = self.fetched.get(&format!("{}/v1/trust-list", self.server));
        output.file("trust-list.cose", trust_list.ok_or("no trust list came")?)
    }

    /// Checks a code by the lists. Leaves the one status list that decides, for who wants to do the same.
    pub(crate) fn offline(&self, code: &str, rule: StepRule, output: &Output) -> Result<VerificationResult> {
        let options = VerifyOptions { rule, ..VerifyOptions::at(SystemClock.wall()) };
        let (result, verified) = self.lists.verify(code, &options)?;
        if let Ok(verified) = verified {
            let issuer = self.lists.trust().and_then(|trust| trust.issuer(verified.issuer()));
            let address = issuer.map(|issuer| issuer.status_uri.of_list(verified.status().list));
            let list = address.and_then(|address| self.fetched.get(&address));
            output.file("status-list.cwt", list.ok_or("the status list did not come")?)?;
        }
        Ok(result)
    }
}
