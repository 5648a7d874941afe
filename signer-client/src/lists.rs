//! What a verifier without network keeps in a folder: the trust list under its root, and status lists, none ever older than it
//! had. Rules: `spec/trust.md`.

use std::{fmt, fs, path::PathBuf};

use base64::{
    Engine as _,
    prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD},
};
use p256::ecdsa::VerifyingKey;
use serde::{Deserialize, Serialize};
use signer_core::{
    credential::{Refusal, VerificationResult, Verified, VerifyOptions, verify_offline},
    status::{STATUS_LIST_MEDIA_TYPE, StatusList, StatusListError, StatusLists},
    time::UnixSeconds,
    trust::{Issuer, SignedTrustList, TrustList, TrustListError},
};

use crate::{desk::FileStorage, error::ClientError, ports::Storage as _};

/// Where a server gives its trust list.
pub(crate) const TRUST_LIST_PATH: &str = "/v1/trust-list";
/// Media type of a trust list.
pub(crate) const TRUST_LIST_MEDIA_TYPE: &str = "application/cose";
/// Most lists of one issuer: 64 a day, for more days than a credential can live.
const ISSUER_LISTS_MAX: usize = 4096;
/// Lists are thrown away when nothing they can withdraw lives any more: 72 hours, and a day.
const FORGET_SECONDS: u64 = 4 * 86_400;

/// Fetches the address given, with the media type expected: over HTTP, without following it elsewhere.
pub type Fetch<'a> = dyn Fn(&str, &str) -> Result<Vec<u8>, ClientError> + 'a;

/// The lists of one folder.
pub struct Lists {
    folder: PathBuf,
    pinned: VerifyingKey,
    trust: Option<SignedTrustList>,
    statuses: StatusLists,
}

/// Why lists are not taken or not there.
#[derive(Debug, thiserror::Error)]
pub enum ListsError {
    /// Nothing says whom to trust.
    #[error("no root of trust is known here")]
    NoRoot,
    /// None was fetched yet.
    #[error("there is no trust list here yet")]
    NoTrustList,
    /// The trust list is not believed.
    #[error(transparent)]
    TrustList(#[from] TrustListError),
    /// A status list is not believed.
    #[error(transparent)]
    StatusList(#[from] StatusListError),
    /// The folder cannot be used.
    #[error("the folder of lists cannot be used: {0}")]
    Folder(String),
    /// No answer, or a refusal.
    #[error(transparent)]
    Client(#[from] ClientError),
}

/// What was fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Synced {
    /// How many status lists are as their issuers have them now.
    pub lists: usize,
    /// Addresses that were not reached or whose list is not believed, each with the reason. What was kept of them stays.
    pub failed: Vec<(String, String)>,
}

/// `trust.json`: the list, and the root under which it was believed, which a later list may no longer be found under.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    pinned: String,
    root: String,
    list: String,
}

impl Lists {
    /// The lists kept in `folder`, which is made if need be. `root` is the key to trust; without one, the key that was given
    /// before. Another root than before starts anew.
    ///
    /// # Errors
    /// [`ListsError::NoRoot`] if none was ever given; [`ListsError::Folder`].
    pub fn open(folder: impl Into<PathBuf>, root: Option<VerifyingKey>) -> Result<Self, ListsError> {
        let folder = folder.into();
        fs::create_dir_all(&folder).map_err(folder_error)?;
        let kept = match FileStorage::new(folder.join(TRUST)).load().map_err(folder_error)? {
            Some(bytes) => Some(read_kept(&bytes).ok_or_else(|| folder_error("trust.json is damaged"))?),
            None => None,
        };
        let kept = kept.filter(|(pinned, _)| root.is_none_or(|root| root == *pinned));
        let pinned = root.or(kept.as_ref().map(|(pinned, _)| *pinned)).ok_or(ListsError::NoRoot)?;
        let mut lists =
            Self { folder, pinned, trust: kept.map(|(_, trust)| trust), statuses: StatusLists::default() };
        lists.load_statuses()?;
        Ok(lists)
    }

    /// What is not believed under the present trust list counts as not there.
    fn load_statuses(&mut self) -> Result<(), ListsError> {
        let Some(trust) = &self.trust else { return Ok(()) };
        for entry in fs::read_dir(&self.folder).map_err(folder_error)? {
            let path = entry.map_err(folder_error)?.path();
            if path.extension().is_some_and(|ending| ending == ENDING) {
                let bytes = fs::read(&path).map_err(folder_error)?;
                if let Ok(list) = StatusList::verify(&bytes, trust.list()) {
                    // Two files of one list: the newer counts.
                    let _ = self.statuses.add(list);
                }
            }
        }
        Ok(())
    }

    /// The trust list, if there is one.
    #[must_use]
    pub fn trust(&self) -> Option<&TrustList> {
        self.trust.as_ref().map(SignedTrustList::list)
    }

    /// The status lists.
    #[must_use]
    pub const fn statuses(&self) -> &StatusLists {
        &self.statuses
    }

    /// Takes a trust list in the place of an older one. `false` if it is the one kept.
    ///
    /// # Errors
    /// [`ListsError::TrustList`]: what was kept stays. [`ListsError::Folder`].
    pub fn take_trust_list(&mut self, bytes: &[u8]) -> Result<bool, ListsError> {
        let pinned = [self.pinned];
        let trust = match &self.trust {
            None => SignedTrustList::verify(bytes, &pinned)?,
            Some(trust) => {
                let mut newer = trust.clone();
                if !newer.update(bytes, &pinned)? {
                    return Ok(false);
                }
                newer
            }
        };
        let kept = Kept {
            pinned: point(&self.pinned),
            root: point(trust.root()),
            list: BASE64_STANDARD.encode(trust.as_bytes()),
        };
        let json = serde_json::to_vec(&kept).map_err(folder_error)?;
        FileStorage::new(self.folder.join(TRUST)).store(&json).map_err(folder_error)?;
        self.statuses.retain_trusted(trust.list());
        self.trust = Some(trust);
        Ok(true)
    }

    /// Takes a status list in the place of an older state of it.
    ///
    /// # Errors
    /// [`ListsError::NoTrustList`]; [`ListsError::StatusList`]: what was kept stays. [`ListsError::Folder`].
    pub fn take_status_list(&mut self, bytes: &[u8]) -> Result<(), ListsError> {
        let trust = self.trust.as_ref().ok_or(ListsError::NoTrustList)?;
        let list = StatusList::verify(bytes, trust.list())?;
        let name = format!("{}-{}.{ENDING}", list.issuer().0, list.number());
        self.statuses.add(list)?;
        FileStorage::new(self.folder.join(name)).store(bytes).map_err(folder_error)
    }

    /// Fetches the trust list from `server` and every status list of every issuer on it: all of them, so that no issuer learns
    /// whose document is looked at.
    ///
    /// # Errors
    /// [`ListsError`] if there is no new trust list; status lists that fail are named in [`Synced`].
    pub fn sync(&mut self, server: &str, fetch: &Fetch<'_>, now: UnixSeconds) -> Result<Synced, ListsError> {
        self.take_trust_list(&fetch_trust_list(server, fetch)?)?;
        let issuers = self.trust().ok_or(ListsError::NoTrustList)?.issuers().to_vec();
        let mut synced = Synced { lists: 0, failed: Vec::new() };
        for issuer in &issuers {
            let addresses = match addresses(issuer, fetch) {
                Ok(addresses) => addresses,
                Err(error) => {
                    synced.failed.push((issuer.status_uri.to_string(), error.to_string()));
                    continue;
                }
            };
            for address in addresses {
                let fetched = fetch(&address, STATUS_LIST_MEDIA_TYPE).map_err(ListsError::from);
                match fetched.and_then(|bytes| self.take_status_list(&bytes)) {
                    Ok(()) => synced.lists = synced.lists.saturating_add(1),
                    Err(error @ ListsError::Folder(_)) => return Err(error),
                    Err(error) => synced.failed.push((address, error.to_string())),
                }
            }
        }
        self.forget(now)?;
        Ok(synced)
    }

    /// Removes the files of lists that nothing living stands in.
    fn forget(&self, now: UnixSeconds) -> Result<(), ListsError> {
        for list in self.statuses.iter().filter(|list| list.issued().plus(FORGET_SECONDS) < now) {
            let name = format!("{}-{}.{ENDING}", list.issuer().0, list.number());
            match fs::remove_file(self.folder.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(folder_error(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Checks a code by these lists. What was accepted before is the caller's to remember.
    ///
    /// # Errors
    /// [`ListsError::NoTrustList`]
    pub fn verify(
        &self,
        code: &str,
        options: &VerifyOptions,
    ) -> Result<(VerificationResult, Result<Verified, Refusal>), ListsError> {
        let trust = self.trust().ok_or(ListsError::NoTrustList)?;
        Ok(verify_offline(code, trust, &self.statuses, options))
    }
}

impl fmt::Debug for Lists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.trust().map(TrustList::number);
        write!(f, "Lists(trust list {number:?}, {} status lists)", self.statuses.iter().count())
    }
}

const TRUST: &str = "trust.json";
const ENDING: &str = "cwt";

#[derive(Deserialize)]
struct Aggregation {
    status_lists: Vec<String>,
}

/// Fetches the trust list of a server, given by its origin. Nothing of it is believed yet.
///
/// # Errors
/// [`ClientError`]
pub fn fetch_trust_list(server: &str, fetch: &Fetch<'_>) -> Result<Vec<u8>, ClientError> {
    fetch(&format!("{}{TRUST_LIST_PATH}", server.trim_end_matches('/')), TRUST_LIST_MEDIA_TYPE)
}

/// Addresses of an issuer's lists, none of them anywhere else.
fn addresses(issuer: &Issuer, fetch: &Fetch<'_>) -> Result<Vec<String>, ClientError> {
    let misbehaved = |why| Err(ClientError::ServerMisbehaved(why));
    let json = fetch(issuer.status_uri.as_str(), "application/json")?;
    let Ok(Aggregation { status_lists }) = serde_json::from_slice(&json) else {
        return misbehaved("the list of status lists is not of the agreed form");
    };
    let own = |address: &String| {
        let number = address.strip_prefix(issuer.status_uri.as_str()).and_then(|rest| rest.strip_prefix('/'));
        number
            .and_then(|number| number.parse().ok())
            .is_some_and(|number| issuer.status_uri.of_list(number) == *address)
    };
    if status_lists.len() > ISSUER_LISTS_MAX || !status_lists.iter().all(own) {
        return misbehaved("it names status lists that are not under its own address, or too many");
    }
    Ok(status_lists)
}

/// The pinned root and the list, under the root that signed it.
fn read_kept(bytes: &[u8]) -> Option<(VerifyingKey, SignedTrustList)> {
    let kept: Kept = serde_json::from_slice(bytes).ok()?;
    let list = BASE64_STANDARD.decode(&kept.list).ok()?;
    let signed = SignedTrustList::verify(&list, &[read_point(&kept.root)?]).ok()?;
    Some((read_point(&kept.pinned)?, signed))
}

/// A public key as text: SEC1 compressed, base64url without padding.
#[must_use]
pub fn point(key: &VerifyingKey) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(key.to_sec1_point(true).as_bytes())
}

/// The key that [`point`] wrote.
#[must_use]
pub fn read_point(text: &str) -> Option<VerifyingKey> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(text.trim()).ok()?;
    let key = VerifyingKey::from_sec1_bytes(&bytes).ok()?;
    (point(&key) == text.trim()).then_some(key)
}

fn folder_error(error: impl fmt::Display) -> ListsError {
    ListsError::Folder(error.to_string())
}
