//! The trust list given out: signed elsewhere by the root that the operator configured, or, for trying out, by a root in the data
//! folder, and then renewed every day.

use std::sync::{Arc, PoisonError, RwLock};

use p256::ecdsa::{SigningKey, VerifyingKey};
use signer_core::{
    codec::Label,
    time::UnixSeconds,
    trust::{
        Issuer, IssuerId, KeyUse, Life, SignedTrustList, StatusUri, TrustList, TrustListError, TrustedKey,
    },
    wire::{ProblemCode, PutTrustList},
};

use super::{KeyPurpose, Refusal, Service, ServiceError, ServiceResult};
use crate::store::{News, Store, TrustListRow};

/// How far ahead of this server's clock a list may be dated, seconds: its date becomes the floor of verifiers' clocks.
const AHEAD_SECONDS: u64 = 300;
/// How long a key is listed before it signs, days: longer than any list that a verifier should still work with.
const AHEAD_DAYS: u64 = 30;
/// How long the key of webhooks is given out before it signs, seconds.
const WEBHOOK_AHEAD_SECONDS: u64 = 86_400;
/// When a list of the self-made root is renewed, seconds.
const RENEW_SECONDS: u64 = 86_400;

/// This server as an issuer.
#[derive(Debug, Clone)]
pub struct IssuerSettings {
    /// Its number in trust lists.
    pub id: IssuerId,
    /// Its name.
    pub name: Label<96>,
    /// Where its status lists are.
    pub status_uri: StatusUri,
}

/// Whose signature makes a trust list.
pub enum TrustRoot {
    /// A key that is kept offline.
    Pinned(VerifyingKey),
    /// A key in the data folder.
    Own(Box<SigningKey>),
}

impl std::fmt::Debug for TrustRoot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Pinned(_) => "Pinned",
            Self::Own(_) => "Own",
        })
    }
}

impl TrustRoot {
    fn public(&self) -> &VerifyingKey {
        match self {
            Self::Pinned(key) => key,
            Self::Own(key) => key.verifying_key(),
        }
    }
}

/// The list given out, and under which root.
pub(super) struct Trust {
    root: TrustRoot,
    list: RwLock<Option<Arc<SignedTrustList>>>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

impl Trust {
    /// Takes up the stored list, unless another root is pinned now.
    pub(super) async fn load(root: TrustRoot, store: &dyn Store) -> ServiceResult<Self> {
        let list = match store.trust_list().await? {
            Some(row) if row.pinned == point(root.public()) => Some(verified(&row)?),
            Some(row) => {
                tracing::warn!(
                    number = row.number,
                    "the stored trust list is under another root and not given out"
                );
                None
            }
            None => None,
        };
        if list.is_none() && matches!(root, TrustRoot::Pinned(_)) {
            tracing::warn!(
                "no trust list is given out yet: `signer-server trust-list put` one that your root signed"
            );
        }
        Ok(Self { root, list: RwLock::new(list), changing: tokio::sync::Mutex::default() })
    }

    /// The pinned root, compressed.
    pub(super) fn root_point(&self) -> [u8; 33] {
        point(self.root.public())
    }

    /// Gives a list out, unless a later one is.
    fn give_out(&self, list: Arc<SignedTrustList>) {
        let mut given = self.list.write().unwrap_or_else(PoisonError::into_inner);
        if given.as_ref().is_none_or(|given| given.list().number() <= list.list().number()) {
            *given = Some(list);
        }
    }

    fn current(&self) -> Option<Arc<SignedTrustList>> {
        self.list.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Service {
    /// The trust list given out.
    ///
    /// # Errors
    /// `not_found` as long as the operator has put none.
    pub fn trust_list(&self) -> ServiceResult<Arc<SignedTrustList>> {
        self.trust
            .current()
            .ok_or_else(|| Refusal::because(ProblemCode::NotFound, "no trust list has been put yet").into())
    }

    /// This server's number in trust lists.
    pub(super) const fn issuer_id(&self) -> IssuerId {
        self.issuer.id
    }

    /// Takes up the keys and the trust list that another node has put into the store.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub(super) async fn take_up_keys(&self) -> ServiceResult<()> {
        let _changing = self.trust.changing.lock().await;
        if self.keys.reload(&*self.store, &self.wrapping).await? {
            self.status_lists.forget();
        }
        self.take_up_list().await
    }

    async fn take_up_list(&self) -> ServiceResult<()> {
        if let Some(row) = self.store.trust_list().await?
            && row.pinned == self.trust.root_point()
        {
            self.trust.give_out(verified(&row)?);
        }
        Ok(())
    }

    /// Takes a list that the root has signed elsewhere.
    ///
    /// # Errors
    /// `invalid_value`, saying why the list is not believed or not newer.
    pub async fn put_trust_list(&self, bytes: &[u8]) -> ServiceResult<PutTrustList> {
        let invalid = |text: String| Refusal::because(ProblemCode::InvalidValue, text);
        let TrustRoot::Pinned(pinned) = &self.trust.root else {
            let text =
                "this server signs its own list, for trying out: set trust_root to the key of your root";
            return Err(invalid(text.into()).into());
        };
        let _changing = self.trust.changing.lock().await;
        self.take_up_list().await?;
        let refused = |error: TrustListError| invalid(error.to_string());
        let list = match self.trust.current() {
            Some(current) => {
                let mut list = SignedTrustList::clone(&current);
                list.update(bytes, &[*pinned]).map_err(refused)?;
                list
            }
            None => SignedTrustList::verify(bytes, &[*pinned]).map_err(refused)?,
        };
        let now = self.now();
        if list.list().issued() > now.plus(AHEAD_SECONDS) {
            return Err(invalid(
                "the list is dated in the future: verifiers would call their clocks wrong".into(),
            )
            .into());
        }
        let put = PutTrustList { number: list.list().number(), notes: self.notes(list.list(), now) };
        self.take(list, now).await?;
        tracing::info!(number = put.number, notes = ?put.notes, "trust list put");
        Ok(put)
    }

    /// Signs a new list of this server's own, if its root lies in the data folder and the list is a day old or says less than
    /// it should.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn renew_trust_list(&self) -> ServiceResult<()> {
        let TrustRoot::Own(root) = &self.trust.root else { return Ok(()) };
        let _changing = self.trust.changing.lock().await;
        let now = self.now();
        let number = match self.trust.current() {
            Some(current) => {
                let current = current.list();
                let same = self.own_list(current.number(), current.issued(), now)? == *current;
                if same && now < current.issued().plus(RENEW_SECONDS) {
                    return Ok(());
                }
                // By the clock, so that a store that was put back does not give out a number again.
                current.number().saturating_add(1).max(now.0)
            }
            None => now.0,
        };
        let signed = self.own_list(number, now, now)?.prepare(root.verifying_key());
        let signed = signed.ok().and_then(|unsigned| unsigned.sign(root).ok());
        let signed = signed.ok_or(ServiceError::Bug("the own trust list is not signed"))?;
        let list = SignedTrustList::verify(&signed, &[*root.verifying_key()]).map_err(|_| damaged())?;
        self.take(list, now).await
    }

    /// This server's part of the next trust list, as input for its root: its keys with those that wait.
    ///
    /// # Errors
    /// [`ServiceError::Bug`].
    pub fn next_trust_list(&self) -> ServiceResult<TrustList> {
        let number = self.trust.current().map_or(1, |list| list.list().number().saturating_add(1));
        self.own_list(number, self.now(), self.now())
    }

    /// Makes the key that is to follow the one in use, if none waits.
    ///
    /// # Errors
    /// [`ServiceError`].
    pub async fn make_next_key(&self, purpose: KeyPurpose) -> ServiceResult<()> {
        self.keys.make_next(&*self.store, &self.wrapping, &*self.random, purpose, self.now()).await?;
        self.store.tell_nodes(News::Keys);
        tracing::info!(purpose = purpose.name(), "the next key waits");
        self.renew_trust_list().await
    }

    /// Puts the key that waits to use, once the trust list has named it for 30 days: verifiers that fetched a list within that
    /// time know it. That of webhooks is given out with the others, for a day. `force` does so at once, for a key that must be replaced now.
    ///
    /// # Errors
    /// `invalid_value` if none waits, the trust list given out does not name it, or, without `force`, not for 30 days yet.
    pub async fn activate_next_key(&self, purpose: KeyPurpose, force: bool) -> ServiceResult<()> {
        let invalid = |text: &str| Refusal::because(ProblemCode::InvalidValue, text);
        let next = self.keys.next(purpose).ok_or_else(|| invalid("no key waits: make the next one first"))?;
        let (known, text) = if purpose == KeyPurpose::Webhook {
            let text = "this key has not been given out for a day: receivers that asked for the keys before would refuse what it signs; wait until the time named, or force it if the key in use is compromised";
            (Some(next.made.plus(WEBHOOK_AHEAD_SECONDS)), text)
        } else {
            let listed = self.trust.current().is_some_and(|list| self.names(list.list(), purpose, &next.key));
            if !listed {
                return Err(invalid("the trust list given out does not name this key yet").into());
            }
            let text = "the trust list has not named this key for 30 days: verifiers with an older list would call what it signs unknown; wait until the time named, or force it if the key in use is compromised";
            (next.listed.map(|since| since.plus(AHEAD_DAYS * 86_400)), text)
        };
        let is_known = known.is_some_and(|known| self.now() >= known);
        if !force && !is_known {
            return Err(Refusal { time: known, ..invalid(text) }.into());
        }
        if !is_known {
            tracing::warn!(purpose = purpose.name(), "a key is put to use before every verifier can know it");
        }
        if !self.keys.activate(&*self.store, &self.wrapping, purpose, self.now()).await? {
            return Err(invalid("no key waits: make the next one first").into());
        }
        self.status_lists.forget();
        self.store.tell_nodes(News::Keys);
        tracing::info!(purpose = purpose.name(), "the next key is in use");
        self.renew_trust_list().await
    }

    /// Whether a list names a key of this server, from now on at the latest, for all that it lets the key in use sign.
    fn names(&self, list: &TrustList, purpose: KeyPurpose, wanted: &VerifyingKey) -> bool {
        let Some(key_use) = purpose.key_use() else { return false };
        let now = self.now();
        let of = |wanted: &VerifyingKey| {
            list.keys_for(key_use)
                .find(|key| key.key == *wanted && key.issuer == self.issuer.id && key.signs_at(now))
        };
        let Some(next) = of(wanted) else { return false };
        let in_use = self.keys.in_use(purpose).ok();
        let needed = in_use
            .as_ref()
            .and_then(|key| of(key.verifying_key()))
            .map_or(&[][..], |key| &key.document_types);
        needed.iter().all(|kind| next.document_types.contains(kind))
    }

    /// How long credentials are accepted, by the list given out.
    pub(super) fn credential_life(&self) -> Life {
        self.trust.current().map_or(Life::Standard, |list| list.list().life())
    }

    async fn take(&self, list: SignedTrustList, now: UnixSeconds) -> ServiceResult<()> {
        let row = TrustListRow {
            number: list.list().number(),
            root: point(list.root()),
            pinned: point(self.trust.root.public()),
            bytes: list.as_bytes().to_vec(),
        };
        let new = self.store.put_trust_list(row, now).await?;
        for purpose in KeyPurpose::ALL {
            if let Some(next) = self.keys.next(purpose) {
                let listed = self.names(list.list(), purpose, &next.key);
                self.keys.note_listed(&*self.store, &self.wrapping, purpose, listed, now).await?;
            }
        }
        if !new {
            // The same list is there already, or another node was faster with a later one.
            return self.take_up_list().await;
        }
        self.trust.give_out(Arc::new(list));
        self.store.tell_nodes(News::Keys);
        Ok(())
    }

    fn own_list(&self, number: u64, issued: UnixSeconds, now: UnixSeconds) -> ServiceResult<TrustList> {
        let issuer = Issuer {
            id: self.issuer.id,
            name: self.issuer.name.clone(),
            status_uri: self.issuer.status_uri.clone(),
        };
        let (keys, roots) = (self.keys.listed(now), vec![*self.trust.root.public()]);
        let list = TrustList::new(number, issued, Life::Standard, vec![issuer], keys, roots);
        list.map_err(|_| ServiceError::Bug("the own trust list breaks its rules"))
    }

    /// What an operator should know of a list that is taken all the same.
    fn notes(&self, list: &TrustList, now: UnixSeconds) -> Vec<String> {
        let mut notes = Vec::new();
        match list.issuers().iter().find(|issuer| issuer.id == self.issuer.id) {
            None => notes.push(format!("issuer {} (this server) is not in it", self.issuer.id.0)),
            Some(issuer) if issuer.status_uri != self.issuer.status_uri => {
                notes.push("its status_uri is not where this server gives out its status lists".into());
            }
            Some(_) => {}
        }
        let is_listed = |key_use: KeyUse, wanted: &VerifyingKey| {
            let fits =
                |key: &TrustedKey| key.issuer == self.issuer.id && key.key == *wanted && key.not_after > now;
            list.keys_for(key_use).any(fits)
        };
        for purpose in KeyPurpose::ALL {
            let Some(key_use) = purpose.key_use() else { continue };
            let there = self.keys.in_use(purpose).is_ok_and(|key| is_listed(key_use, key.verifying_key()));
            if !there {
                notes.push(format!(
                    "the {} key in use is not in it: nobody will believe what it signs",
                    purpose.name()
                ));
            }
        }
        if !is_listed(KeyUse::Answers, self.keys.answer.verifying_key()) {
            notes.push("the answer key is not in it".into());
        }
        notes
    }
}

fn verified(row: &TrustListRow) -> ServiceResult<Arc<SignedTrustList>> {
    let signer = VerifyingKey::from_sec1_bytes(&row.root).map_err(|_| damaged())?;
    Ok(Arc::new(SignedTrustList::verify(&row.bytes, &[signer]).map_err(|_| damaged())?))
}

fn point(key: &VerifyingKey) -> [u8; 33] {
    let mut out = [0; 33];
    out.copy_from_slice(key.to_sec1_point(true).as_bytes());
    out
}

const fn damaged() -> ServiceError {
    ServiceError::Bug("stored trust list")
}
