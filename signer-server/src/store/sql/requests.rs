//! Signing requests.

use async_trait::async_trait;
use signer_core::{
    history::SealedEntry,
    ids::{DeviceId, RelyingPartyId, RequestId},
    time::UnixSeconds,
    wire::{RequestStatus, VerificationCode},
};

use super::{
    Engine, codes,
    columns::{REVOKED, corrupt, get_time, holder, split, time},
    csc,
    db::{Db, Row, all, execute, execute_one, first, params},
    history, links, relying_parties, visits,
};
use crate::store::{
    AddResult, CloseResult, ClosedBy, CodeChoiceResult, Holder, NewRequest, OPEN_REQUESTS_MAX,
    OpenLinkResult, Purpose, RequestRow, RequestState, Requests, StoreResult,
};

/// Numbers of the states in `request.state`.
pub(super) const OPEN: u8 = 0;
pub(super) const SIGNED: u8 = 1;
const DECLINED: u8 = 2;
pub(super) const CANCELLED: u8 = 3;
const EXPIRED: u8 = 4;
pub(super) const KEY_ENDED: u8 = 5;
/// No state of a request: it is declined then.
const WRONG_CODE: u8 = 6;

/// Numbers of the purposes in `request.purpose`.
const SESSION: u8 = 0;
const CSC: u8 = 1;
const SIGN_IN: u8 = 2;

/// How a request ended, as events of webhooks say it: by its state, or by the number beyond for a wrong verification code.
pub(super) const fn ended(state: u8) -> Option<RequestStatus> {
    match state {
        SIGNED => Some(RequestStatus::Signed),
        DECLINED => Some(RequestStatus::Declined),
        CANCELLED => Some(RequestStatus::Cancelled),
        EXPIRED => Some(RequestStatus::Expired),
        KEY_ENDED => Some(RequestStatus::KeyEnded),
        WRONG_CODE => Some(RequestStatus::WrongCode),
        _ => None,
    }
}

const COLUMNS: &str = "SELECT id, relying_party, holder, object, expires, state, signatures, record,
    record_signature, signed_by, ended, codes, right_place, chosen_place, token, wrapped_secret, opened_by, purpose
    FROM request LEFT JOIN request_code ON request_code.request = request.id
    LEFT JOIN request_link ON request_link.request = request.id";

#[async_trait]
impl<E: Engine> Requests for E {
    async fn add_request(&self, request: NewRequest) -> StoreResult<AddResult> {
        self.write(request.created, move |db| add(db, &request)).await
    }

    async fn added_before(&self, request: NewRequest) -> StoreResult<Option<RequestId>> {
        self.read(move |db| match added_before(db, &request)? {
            Some(AddResult::Same(id)) => Ok(Some(id)),
            _ => Ok(None),
        })
        .await
    }

    async fn request(&self, id: RequestId, now: UnixSeconds) -> StoreResult<Option<RequestRow>> {
        self.read_row(move |db| load(db, id, now)).await
    }

    async fn pending(&self, device: DeviceId, now: UnixSeconds, limit: u32) -> StoreResult<Vec<RequestRow>> {
        self.read(move |db| open_for(db, device, now, limit)).await
    }

    async fn newest_requests(
        &self,
        relying_party: Option<RelyingPartyId>,
        now: UnixSeconds,
        limit: u32,
    ) -> StoreResult<Vec<RequestRow>> {
        self.read(move |db| newest(db, relying_party, now, limit)).await
    }

    async fn close_request(
        &self,
        id: RequestId,
        by: ClosedBy,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<CloseResult> {
        self.write(now, move |db| close(db, id, by, told.as_ref(), now)).await
    }

    async fn choose_code(
        &self,
        id: RequestId,
        device: DeviceId,
        code: VerificationCode,
        told: Option<SealedEntry>,
        now: UnixSeconds,
    ) -> StoreResult<CodeChoiceResult> {
        self.write(now, move |db| choose(db, id, device, code, told.as_ref(), now)).await
    }

    async fn request_by_link(&self, token: [u8; 32], now: UnixSeconds) -> StoreResult<Option<RequestRow>> {
        let sql = format!("{COLUMNS} WHERE token = ?1");
        self.read(move |db| first(db, &sql, [token], |row| read(row, now))).await
    }

    async fn open_link(
        &self,
        id: RequestId,
        device: DeviceId,
        now: UnixSeconds,
    ) -> StoreResult<OpenLinkResult> {
        self.write(now, move |db| open_link(db, id, device, now)).await
    }

    async fn holder_of_pairwise(
        &self,
        relying_party: RelyingPartyId,
        person: [u8; 16],
    ) -> StoreResult<Option<Holder>> {
        self.read(move |db| links::holder_of(db, relying_party, &person)).await
    }

    async fn add_pairwise(
        &self,
        relying_party: RelyingPartyId,
        person: [u8; 16],
        holder: Holder,
        now: UnixSeconds,
    ) -> StoreResult<()> {
        self.write(now, move |db| links::add_pairwise(db, relying_party, &person, &holder)).await
    }
}

fn add(db: &Db<'_>, request: &NewRequest) -> StoreResult<AddResult> {
    if let Some(before) = added_before(db, request)? {
        return Ok(before);
    }
    if let Some(refused) = refused(db, request)? {
        return Ok(refused);
    }
    execute_one(
        db,
        "INSERT INTO request (id, relying_party, holder, object, created, expires, idempotency_key, idempotency_body,
         state, purpose) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
        params![
            request.id.as_bytes(),
            request.relying_party.as_bytes(),
            request.holder.as_str(),
            request.object,
            time(request.created),
            time(request.expires),
            request.idempotency.map(|(key, _)| key),
            request.idempotency.map(|(_, body)| body),
            OPEN,
            number(request.purpose())
        ],
    )?;
    if let Some(drawn) = &request.codes {
        codes::add(db, request.id, drawn)?;
    }
    if let Some(link) = &request.link {
        links::add(db, request.id, link)?;
    }
    if let Some(authorisation) = &request.authorisation {
        csc::add(db, request, authorisation)?;
    }
    if let Some(visit) = request.visit {
        visits::start(db, visit, request.id)?;
    }
    Ok(AddResult::Added)
}

/// What was added before in the place of this one, or that nothing can be any more.
fn added_before(db: &Db<'_>, request: &NewRequest) -> StoreResult<Option<AddResult>> {
    let (party, now) = (request.relying_party, request.created);
    if let Some((key, body)) = &request.idempotency {
        let sql =
            "SELECT id, idempotency_body FROM request WHERE relying_party = ?1 AND idempotency_key = ?2";
        let before = first(db, sql, (party.as_bytes(), key), |row| {
            Ok((RequestId::from_bytes(row.get(0)?), row.get::<[u8; 32]>(1)?))
        })?;
        return Ok(before.map(
            |(id, before)| {
                if before == *body { AddResult::Same(id) } else { AddResult::Mismatch }
            },
        ));
    }
    if let Some(visit) = request.visit {
        return visits::started(db, visit, party, now);
    }
    match request.authorisation.as_ref().and_then(|authorisation| authorisation.asked_by) {
        Some(call) => Ok(csc::asked_before(db, &call, now)?.map(AddResult::Same)),
        None => Ok(None),
    }
}

/// Why a new request is not added.
fn refused(db: &Db<'_>, request: &NewRequest) -> StoreResult<Option<AddResult>> {
    let (party, now) = (request.relying_party, request.created);
    if request.purpose() != Purpose::SignIn
        && let Some(max) = relying_parties::is_full(db, party, request.kept_bytes_max)?
    {
        return Ok(Some(AddResult::Full(max)));
    }
    // A link is nobody's until it is opened: then it is counted.
    if request.link.is_none() && has_enough(db, party, request.holder.as_str(), now)? {
        return Ok(Some(AddResult::TooMany));
    }
    if request.purpose() != Purpose::SignIn {
        return Ok(None);
    }
    let sql =
        "SELECT expires FROM request WHERE relying_party = ?1 AND holder = ?2 AND state = 0 AND expires > ?3
        AND purpose = ?4 ORDER BY expires DESC LIMIT 1";
    let params = (party.as_bytes(), request.holder.as_str(), time(now), SIGN_IN);
    first(db, sql, params, |row| Ok(AddResult::SigningIn(get_time(row, 0)?)))
}

const fn number(purpose: Purpose) -> u8 {
    match purpose {
        Purpose::Session => SESSION,
        Purpose::Csc => CSC,
        Purpose::SignIn => SIGN_IN,
    }
}

fn purpose(number: u8) -> StoreResult<Purpose> {
    match number {
        SESSION => Ok(Purpose::Session),
        CSC => Ok(Purpose::Csc),
        SIGN_IN => Ok(Purpose::SignIn),
        _ => Err(corrupt("the purpose of a request")),
    }
}

/// Whether a relying party has as many requests open for a person as it may.
fn has_enough(db: &Db<'_>, party: RelyingPartyId, holder: &str, now: UnixSeconds) -> StoreResult<bool> {
    let open = "SELECT count(*) FROM request WHERE relying_party = ?1 AND holder = ?2 AND state = 0 AND expires > ?3";
    let count = first(db, open, (party.as_bytes(), holder, time(now)), |row| row.get::<u32>(0))?;
    Ok(count >= Some(OPEN_REQUESTS_MAX))
}

fn open_link(db: &Db<'_>, id: RequestId, device: DeviceId, now: UnixSeconds) -> StoreResult<OpenLinkResult> {
    let Some(request) = load(db, id, now)? else { return Ok(OpenLinkResult::NotFound) };
    let Some(link) = &request.link else { return Ok(OpenLinkResult::NotFound) };
    match link.opened_by {
        Some(before) if before == device => return Ok(OpenLinkResult::Opened),
        Some(_) => return Ok(OpenLinkResult::Used),
        None => {}
    }
    if request.state != RequestState::Open {
        return Ok(OpenLinkResult::AlreadyEnded);
    }
    let sql = "SELECT holder FROM installation WHERE device = ?1 AND standing <> ?2";
    let holder = first(db, sql, (device.as_bytes(), REVOKED), |row| row.get::<String>(0))?;
    let Some(holder) = holder else { return Ok(OpenLinkResult::NotFound) };
    if has_enough(db, request.relying_party, &holder, now)? {
        return Ok(OpenLinkResult::TooMany);
    }
    execute_one(db, "UPDATE request SET holder = ?2 WHERE id = ?1 AND state = 0", (id.as_bytes(), holder))?;
    links::opened(db, id, device)?;
    Ok(OpenLinkResult::Opened)
}

pub(super) fn load(db: &Db<'_>, id: RequestId, now: UnixSeconds) -> StoreResult<Option<RequestRow>> {
    let sql = format!("{COLUMNS} WHERE id = ?1");
    first(db, &sql, [id.as_bytes()], |row| read(row, now))
}

fn open_for(db: &Db<'_>, device: DeviceId, now: UnixSeconds, limit: u32) -> StoreResult<Vec<RequestRow>> {
    let sql = format!(
        "{COLUMNS} WHERE state = 0 AND expires > ?2 AND holder =
         (SELECT holder FROM installation WHERE device = ?1 AND standing <> {REVOKED})
         ORDER BY created, id LIMIT ?3"
    );
    all(db, &sql, (device.as_bytes(), time(now), limit), |row| read(row, now))
}

fn newest(
    db: &Db<'_>,
    party: Option<RelyingPartyId>,
    now: UnixSeconds,
    limit: u32,
) -> StoreResult<Vec<RequestRow>> {
    let sql = |of: &str, limit: &str| format!("{COLUMNS} {of} ORDER BY created DESC, id LIMIT {limit}");
    match party {
        None => all(db, &sql("", "?1"), [limit], |row| read(row, now)),
        Some(party) => {
            let of = "WHERE relying_party = ?1";
            all(db, &sql(of, "?2"), (party.as_bytes(), limit), |row| read(row, now))
        }
    }
}

/// Cancels what a revoked relying party has open.
pub(super) fn cancel_all_of(db: &Db<'_>, party: RelyingPartyId, now: UnixSeconds) -> StoreResult<()> {
    let sql = "UPDATE request SET state = ?2, ended = ?3 WHERE relying_party = ?1 AND state = 0";
    execute(db, sql, (party.as_bytes(), CANCELLED, time(now)))?;
    Ok(())
}

fn close(
    db: &Db<'_>,
    id: RequestId,
    by: ClosedBy,
    told: Option<&SealedEntry>,
    now: UnixSeconds,
) -> StoreResult<CloseResult> {
    let Some(request) = load(db, id, now)? else { return Ok(CloseResult::NotFound) };
    let (allowed, number, state) = match by {
        ClosedBy::RelyingParty(party) => (party == request.relying_party, CANCELLED, RequestState::Cancelled),
        ClosedBy::Device(device) => {
            (holds(db, device, request.holder.as_str())?, DECLINED, RequestState::Declined)
        }
    };
    if !allowed {
        return Ok(CloseResult::NotFound);
    }
    match request.state {
        RequestState::Open => {
            let sql = "UPDATE request SET state = ?2, ended = ?3 WHERE id = ?1 AND state = 0";
            execute_one(db, sql, (id.as_bytes(), number, time(now)))?;
            if let ClosedBy::Device(device) = by {
                history::append(db, device, told, now)?;
            }
            Ok(CloseResult::Closed)
        }
        before if before == state => Ok(CloseResult::Closed),
        _ => Ok(CloseResult::AlreadyEnded),
    }
}

fn choose(
    db: &Db<'_>,
    id: RequestId,
    device: DeviceId,
    code: VerificationCode,
    told: Option<&SealedEntry>,
    now: UnixSeconds,
) -> StoreResult<CodeChoiceResult> {
    let Some(request) = load(db, id, now)? else { return Ok(CodeChoiceResult::NotFound) };
    if !holds(db, device, request.holder.as_str())? {
        return Ok(CodeChoiceResult::NotFound);
    }
    let Some(codes) = request.codes else { return Ok(CodeChoiceResult::NoSuchCode) };
    if codes.chosen.is_some() {
        return Ok(if codes.is_right() { CodeChoiceResult::Right } else { CodeChoiceResult::Wrong });
    }
    if request.state != RequestState::Open {
        return Ok(CodeChoiceResult::AlreadyEnded);
    }
    if !codes::choose(db, id, &codes.drawn, code)? {
        return Ok(CodeChoiceResult::NoSuchCode);
    }
    if code == codes.drawn.right {
        return Ok(CodeChoiceResult::Right);
    }
    let sql = "UPDATE request SET state = ?2, ended = ?3 WHERE id = ?1 AND state = 0";
    execute_one(db, sql, (id.as_bytes(), DECLINED, time(now)))?;
    history::append(db, device, told, now)?;
    Ok(CodeChoiceResult::Wrong)
}

fn holds(db: &Db<'_>, device: DeviceId, holder: &str) -> StoreResult<bool> {
    let sql = "SELECT 1 FROM installation WHERE device = ?1 AND holder = ?2 AND standing <> ?3";
    Ok(first(db, sql, (device.as_bytes(), holder, REVOKED), |_| Ok(()))?.is_some())
}

/// Ends the open requests of a holder because the key did.
pub(super) fn end_all_of(db: &Db<'_>, holder: &str, now: UnixSeconds) -> StoreResult<()> {
    // What has run out already did not end by this.
    let sql = "UPDATE request SET state = ?2, ended = ?3 WHERE holder = ?1 AND state = 0 AND expires > ?3";
    execute(db, sql, (holder, KEY_ENDED, time(now))).map(|_| ())
}

/// Ends every open request as expired; how many those were.
pub(super) fn expire_all(db: &Db<'_>, now: UnixSeconds) -> StoreResult<u64> {
    let sql = "UPDATE request SET state = ?1, ended = ?2 WHERE state = 0";
    Ok(u64::try_from(execute(db, sql, (EXPIRED, time(now)))?).unwrap_or(u64::MAX))
}

fn read(row: &Row<'_>, now: UnixSeconds) -> StoreResult<RequestRow> {
    let expires = get_time(row, 4)?;
    let (codes, link) = (codes::read(row, 11)?, links::read(row, 14)?);
    let state = match row.get(5)? {
        OPEN if now < expires => RequestState::Open,
        OPEN | EXPIRED => RequestState::Expired,
        SIGNED => RequestState::Signed {
            signatures: split(row.bytes(6)?)?,
            record: row.get(7)?,
            record_signature: row.get(8)?,
            device: DeviceId::from_bytes(row.get(9)?),
            at: get_time(row, 10)?,
        },
        DECLINED if codes.is_some_and(|codes| codes.chosen.is_some() && !codes.is_right()) => {
            RequestState::WrongCode
        }
        DECLINED => RequestState::Declined,
        CANCELLED => RequestState::Cancelled,
        KEY_ENDED => RequestState::KeyEnded,
        _ => return Err(corrupt("the state of a request")),
    };
    Ok(RequestRow {
        id: RequestId::from_bytes(row.get(0)?),
        relying_party: RelyingPartyId::from_bytes(row.get(1)?),
        holder: holder(row.text(2)?)?,
        object: row.get(3)?,
        expires,
        state,
        purpose: purpose(row.get(17)?)?,
        codes,
        link,
    })
}
