//! Device links: a phone that scans one takes its request.

use std::{collections::HashMap, sync::PoisonError};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use rand::Rng as _;
use signer_core::{
    ids::{DeviceId, RequestId},
    secret::SecretBytes,
    time::UnixSeconds,
    wire::{
        CreatedRequest, Event, LINK_AHEAD_SECONDS_MAX, LINK_OLD_SECONDS_MAX, LinkOpened, OpenLink,
        ProblemCode, link_mac,
    },
    wrap::Location,
};

use super::{Refusal, Service, ServiceError, ServiceResult, good_standing, sign::decode_object};
use crate::store::{NewLink, OpenLinkResult, RequestLink, RequestRow};

/// Wrong links of one phone within [`MISSES_SECONDS`]; a holder who scans has none.
const MISSES_MAX: u32 = 20;
const MISSES_SECONDS: u64 = 60;

/// Wrong links of phones: how many, and since when.
pub(super) type LinkMisses = HashMap<DeviceId, (u32, UnixSeconds)>;

impl Service {
    /// A link for a new request.
    pub(super) async fn new_link(&self, request: RequestId) -> ServiceResult<NewLink> {
        let mut token = [0; 32];
        self.rng().fill_bytes(&mut token);
        let secret = SecretBytes::<32>::random(&mut *self.rng());
        let wrapped_secret = self.wrap_secret(&location(&request), secret.expose()).await?;
        Ok(NewLink { token, wrapped_secret })
    }

    /// What the maker of a link is told: all that makes its links.
    pub(super) async fn tell_link(&self, made: &mut CreatedRequest, link: &NewLink) -> ServiceResult<()> {
        let secret = self.link_secret(&made.id, link).await?;
        made.link_url = Some(self.public_url().into());
        made.link_token = Some(URL_SAFE_NO_PAD.encode(link.token));
        made.link_secret = Some(URL_SAFE_NO_PAD.encode(secret.expose()));
        Ok(())
    }

    async fn link_secret(&self, request: &RequestId, link: &NewLink) -> ServiceResult<SecretBytes<32>> {
        let secret = self.unwrap_secret(&location(request), &link.wrapped_secret).await?;
        SecretBytes::from_slice(&secret).ok_or(ServiceError::Bug("the secret of a link"))
    }

    /// Takes a scanned link. The first phone gets the request, and is told so again whenever it asks.
    ///
    /// # Errors
    /// `link_unknown` for an unknown link and a wrong MAC alike; with a right MAC `link_used`, `link_stale`, `request_closed` or
    /// `too_many`.
    pub async fn open_link(&self, bytes: &[u8]) -> ServiceResult<LinkOpened> {
        let (asked, caller) = self.open::<OpenLink>(bytes).await?;
        good_standing(&caller.installation)?;
        let device = caller.installation.device;
        self.may_miss(device, caller.now)?;
        let row = self.store.request_by_link(asked.token, caller.now).await?;
        let Some((row, link)) = self.with_right_mac(row, &asked).await? else {
            self.note_miss(device, caller.now);
            return Err(Refusal::new(ProblemCode::LinkUnknown).into());
        };
        // Asked again because the answer was lost, a link may be old by then.
        if link.opened_by.is_none() {
            in_time(&asked, decode_object(&row)?.created, caller.now)?;
        }
        let refusal = match self.store.open_link(row.id, device, self.now()).await? {
            OpenLinkResult::Opened => {
                if link.opened_by.is_none() {
                    tracing::info!(request = %row.id, "a link was opened");
                    self.tell_holder(&caller.installation.holder, Event::Requests).await;
                }
                return Ok(LinkOpened { request: row.id });
            }
            OpenLinkResult::Used => Refusal::new(ProblemCode::LinkUsed),
            OpenLinkResult::AlreadyEnded => Refusal::new(ProblemCode::RequestClosed),
            OpenLinkResult::TooMany => Refusal::because(
                ProblemCode::TooMany,
                "decide the other requests of this relying party first",
            ),
            OpenLinkResult::NotFound => Refusal::new(ProblemCode::LinkUnknown),
        };
        Err(refusal.into())
    }

    /// The request of a link, if its MAC is right. For an unknown link a MAC is checked too, under a key that nobody has.
    async fn with_right_mac(
        &self,
        row: Option<RequestRow>,
        asked: &OpenLink,
    ) -> ServiceResult<Option<(RequestRow, RequestLink)>> {
        let found = row.and_then(|row| row.link.clone().map(|link| (row, link)));
        let secret = match &found {
            Some((row, link)) => self.link_secret(&row.id, &link.made).await?,
            None => SecretBytes::random(&mut *self.rng()),
        };
        let right = link_mac(&secret, &asked.token, asked.elapsed).verify(&asked.mac);
        Ok(found.filter(|_| right))
    }

    fn may_miss(&self, device: DeviceId, now: UnixSeconds) -> Result<(), Refusal> {
        let misses = self.link_misses.lock().unwrap_or_else(PoisonError::into_inner);
        match misses.get(&device) {
            Some((count, since)) if *count >= MISSES_MAX && *since > now.minus(MISSES_SECONDS) => {
                Err(Refusal::because(ProblemCode::TooMany, "too many links that are none"))
            }
            _ => Ok(()),
        }
    }

    fn note_miss(&self, device: DeviceId, now: UnixSeconds) {
        let mut misses = self.link_misses.lock().unwrap_or_else(PoisonError::into_inner);
        let (count, since) = misses.entry(device).or_insert((0, now));
        if *since <= now.minus(MISSES_SECONDS) {
            (*count, *since) = (0, now);
        }
        *count = count.saturating_add(1);
    }

    pub(super) fn forget_link_misses(&self, now: UnixSeconds) {
        let mut misses = self.link_misses.lock().unwrap_or_else(PoisonError::into_inner);
        misses.retain(|_, (_, since)| *since > now.minus(MISSES_SECONDS));
    }
}

/// Whether a link is of this moment, by the server's clock.
fn in_time(asked: &OpenLink, created: UnixSeconds, now: UnixSeconds) -> Result<(), Refusal> {
    let elapsed = now.0.saturating_sub(created.0);
    if asked.elapsed > elapsed.saturating_add(LINK_AHEAD_SECONDS_MAX) {
        return Err(Refusal::because(ProblemCode::LinkStale, "the link is ahead of the server's clock"));
    }
    if elapsed > asked.elapsed.saturating_add(LINK_OLD_SECONDS_MAX) {
        let text = format!("the link is more than {LINK_OLD_SECONDS_MAX} s old");
        return Err(Refusal::because(ProblemCode::LinkStale, text));
    }
    Ok(())
}

const fn location(request: &RequestId) -> Location<'_> {
    Location { table: "request_link", row: request.as_bytes(), column: "wrapped_secret", epoch: 0 }
}
