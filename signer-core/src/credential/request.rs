//! A business's request: who asks, for which profile, in which step. Two envelopes like a code: an issuer's key for
//! businesses has signed the name and the key of the business, which has signed what it asks.
//!
//! The phone checks it without network and signs its [`Challenge`] into the show, so that the answer is for nobody else.

use alloc::{string::String, vec::Vec};
use core::fmt;

use minicbor::{
    Decode, Decoder, Encode, Encoder,
    decode::Error as DecodeError,
    encode::{Error as EncodeError, Write},
};
use p256::ecdsa::{SigningKey, VerifyingKey};

use super::{
    REQUEST_PREFIX, TEXT_MAX, TOKEN_BYTES_MAX, base45,
    cose::{self, Sign1, SignatureError, UnsignedEnvelope},
    document::DocumentType,
    hex::{BusinessId, Challenge},
    refusal::ClockFault,
    step::{Step, StepRule},
    verify::Verified,
};
use crate::{
    codec::{self, CodecError, Label},
    domain::sha256,
    time::UnixSeconds,
    trust::{IssuerId, KeyUse, TrustList},
    wire::Profile,
};

/// `external_aad` of the issuer's envelope.
const BUSINESS_AAD: &[u8] = b"DQ1/business";

/// `external_aad` of the business's envelope: it binds the bytes of the issuer's, kid included.
fn request_aad(business_element: &[u8]) -> Vec<u8> {
    [&b"DQ1/request"[..], &sha256(business_element)].concat()
}

/// What an issuer says of a business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessClaims {
    issued: UnixSeconds,
    expires: UnixSeconds,
    key: VerifyingKey,
    name: Label<96>,
    profiles: Vec<Profile>,
    id: BusinessId,
}

/// Why a business credential is not made or not read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BusinessError {
    /// It would end before it begins, or may ask for nothing.
    #[error("a business credential ends after it begins and allows at least one profile")]
    Empty,
    /// Not the canonical bytes of one.
    #[error(transparent)]
    Codec(#[from] CodecError),
    /// The signature that came back is not the key's over these bytes.
    #[error(transparent)]
    Signature(#[from] SignatureError),
}

impl BusinessClaims {
    /// What an issuer says of the business `id`: its name, its key, and what it may ask for.
    ///
    /// # Errors
    /// [`BusinessError::Empty`].
    pub fn new(
        issued: UnixSeconds,
        expires: UnixSeconds,
        key: VerifyingKey,
        name: Label<96>,
        mut profiles: Vec<Profile>,
        id: BusinessId,
    ) -> Result<Self, BusinessError> {
        profiles.sort_unstable();
        profiles.dedup();
        if issued >= expires || profiles.is_empty() {
            return Err(BusinessError::Empty);
        }
        Ok(Self { issued, expires, key, name, profiles, id })
    }

    /// Its name, for the holder's screen and history.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_str()
    }

    /// What it may ask for.
    #[must_use]
    pub fn profiles(&self) -> &[Profile] {
        &self.profiles
    }

    /// The same for every credential of the business.
    #[must_use]
    pub const fn id(&self) -> BusinessId {
        self.id
    }

    /// The key that signs its requests.
    #[must_use]
    pub const fn key(&self) -> &VerifyingKey {
        &self.key
    }

    /// When it was issued.
    #[must_use]
    pub const fn issued(&self) -> UnixSeconds {
        self.issued
    }

    /// When it ends.
    #[must_use]
    pub const fn expires(&self) -> UnixSeconds {
        self.expires
    }

    /// The bytes for an issuer's key for businesses to sign; what comes out is read by [`BusinessCredential::from_bytes`].
    #[must_use]
    pub fn prepare(&self, issuer: &VerifyingKey) -> UnsignedEnvelope {
        UnsignedEnvelope::named(issuer, BUSINESS_AAD, codec::encode(self))
    }
}

/// What a business asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ask {
    /// The step in which it asks.
    pub step: Step,
    /// Random, new for each request.
    pub nonce: [u8; 16],
    /// The profile asked for.
    pub profile: Profile,
    /// The kind of document; any if `None`.
    pub document_type: Option<DocumentType>,
}

/// A business credential as the business keeps it: well-formed, its issuer's signature not looked at (the phone does).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusinessCredential {
    bytes: Vec<u8>,
    claims: BusinessClaims,
}

impl BusinessCredential {
    /// Reads a credential as it came from the issuer.
    ///
    /// # Errors
    /// [`BusinessError::Codec`] if the bytes are not the one encoding of a business credential.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BusinessError> {
        Ok(Self { bytes: bytes.to_vec(), claims: cose::unchecked_claims(bytes, TOKEN_BYTES_MAX)? })
    }

    /// Its bytes: the issuer's envelope.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// What it says.
    #[must_use]
    pub const fn claims(&self) -> &BusinessClaims {
        &self.claims
    }

    /// The bytes for the business's key to sign, wherever it is.
    #[must_use]
    pub fn prepare(&self, ask: &Ask) -> UnsignedRequest {
        let aad = request_aad(&self.bytes);
        let envelope = UnsignedEnvelope::unnamed(&self.claims.key, &aad, codec::encode(ask));
        UnsignedRequest { business: self.bytes.clone(), envelope }
    }

    /// Signs with a key in memory.
    ///
    /// # Errors
    /// [`SignatureError::Wrong`] if `key` is not the one of this credential.
    pub fn request(&self, ask: &Ask, key: &SigningKey) -> Result<Request, SignatureError> {
        let UnsignedRequest { business, envelope } = self.prepare(ask);
        Ok(Request::of(&business, &envelope.sign(key)?))
    }
}

/// A request that waits for the business's signature.
#[derive(Debug)]
pub struct UnsignedRequest {
    business: Vec<u8>,
    envelope: UnsignedEnvelope,
}

impl UnsignedRequest {
    /// The exact bytes to sign: ECDSA with SHA-256 over them.
    #[must_use]
    pub fn to_sign(&self) -> &[u8] {
        self.envelope.to_sign()
    }

    /// The request, with a signature (r ‖ s) made elsewhere, which is checked and brought to low-s.
    ///
    /// # Errors
    /// [`SignatureError`] if it is not the business's.
    pub fn complete(self, signature: &[u8; 64]) -> Result<Request, SignatureError> {
        Ok(Request::of(&self.business, &self.envelope.complete(signature)?))
    }
}

/// A finished request: the text for its QR, and the challenge that the answer must carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    text: String,
    challenge: Challenge,
}

impl Request {
    fn of(business: &[u8], request: &[u8]) -> Self {
        let token = [&[ARRAY_OF_2], business, request].concat();
        Self { text: [REQUEST_PREFIX, &base45::encode(&token)].concat(), challenge: Challenge::of(&token) }
    }

    /// The text of the QR.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What the business expects in the answer.
    #[must_use]
    pub const fn challenge(&self) -> Challenge {
        self.challenge
    }
}

const ARRAY_OF_2: u8 = 0x82;

/// Why the phone does not answer a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RequestRefusal {
    /// It begins like a request and is not the one form of any.
    #[error("the request is damaged")]
    Unreadable,
    /// Another kind of code.
    #[error("this is not a business's request")]
    NotOurs,
    /// No issuer on the trust list vouches for the business.
    #[error("no listed issuer vouches for this business")]
    UnknownIssuer,
    /// The issuer's or the business's signature is wrong.
    #[error("the request was not made by the business it names")]
    BadSignature,
    /// The request is of another time, or this phone's clock is wrong.
    #[error("the request is of another time, or a clock is wrong")]
    Clock(ClockFault),
    /// The credential of the business has ended.
    #[error("the credential of this business has ended")]
    Expired,
    /// The business may not ask for this profile.
    #[error("this business may not ask for so much")]
    NotAllowed,
}

impl RequestRefusal {
    /// Stable code, as in the vectors.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotOurs => "not_ours",
            Self::UnknownIssuer => "unknown_issuer",
            Self::BadSignature => "bad_signature",
            Self::Clock(_) => "clock",
            Self::Expired => "expired",
            Self::NotAllowed => "not_allowed",
        }
    }
}

/// A request whose signatures, time and right were checked. Only [`verify_request`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRequest {
    issuer: IssuerId,
    business: BusinessClaims,
    ask: Ask,
    challenge: Challenge,
}

impl VerifiedRequest {
    /// Who vouches for the business.
    #[must_use]
    pub const fn issuer(&self) -> IssuerId {
        self.issuer
    }

    /// Who asks.
    #[must_use]
    pub const fn business(&self) -> &BusinessClaims {
        &self.business
    }

    /// What is asked.
    #[must_use]
    pub const fn ask(&self) -> &Ask {
        &self.ask
    }

    /// What the answer carries: [`Show::challenge`](super::Show::challenge).
    #[must_use]
    pub const fn challenge(&self) -> Challenge {
        self.challenge
    }

    /// Whether a code is what was asked for: the challenge, exactly the profile, the kind of document, in the step of the
    /// request or one beside it, for the two clocks may be at different sides of a boundary.
    #[must_use]
    pub fn is_answered_by(&self, code: &Verified) -> bool {
        let document = code.document();
        code.challenge() == Some(self.challenge)
            && document.profile() == self.ask.profile
            && self.ask.document_type.is_none_or(|asked| asked == document.document_type())
            && self.ask.step.0.abs_diff(code.step().0) <= 1
    }
}

/// Checks the text of a request on the phone, by its anchored clock `now`.
///
/// # Errors
/// The first [`RequestRefusal`] in this order: form, issuer, signatures, phone's clock, life, step, right.
pub fn verify_request(
    text: &str,
    trust: &TrustList,
    now: UnixSeconds,
    rule: StepRule,
) -> Result<VerifiedRequest, RequestRefusal> {
    verify_at(text, trust, now, rule, |step| rule.check(step, now))
}

/// Checks the text of a request that a code is said to answer: as [`verify_request`], but for its step, which
/// [`VerifiedRequest::is_answered_by`] compares with the code's.
///
/// # Errors
/// As [`verify_request`].
pub fn verify_answered_request(
    text: &str,
    trust: &TrustList,
    now: UnixSeconds,
    rule: StepRule,
) -> Result<VerifiedRequest, RequestRefusal> {
    verify_at(text, trust, now, rule, |_| Ok(()))
}

fn verify_at(
    text: &str,
    trust: &TrustList,
    now: UnixSeconds,
    rule: StepRule,
    check_step: impl FnOnce(Step) -> Result<(), ClockFault>,
) -> Result<VerifiedRequest, RequestRefusal> {
    let unreadable = |_| RequestRefusal::Unreadable;
    let code = text.strip_prefix(REQUEST_PREFIX).ok_or(RequestRefusal::NotOurs)?;
    if text.len() > TEXT_MAX {
        return Err(RequestRefusal::Unreadable);
    }
    let bytes = base45::decode(code).ok_or(RequestRefusal::Unreadable)?;
    let token: Token = codec::decode(&bytes, TOKEN_BYTES_MAX).map_err(unreadable)?;
    let business: BusinessClaims =
        codec::decode(&token.business.payload, TOKEN_BYTES_MAX).map_err(unreadable)?;
    let ask: Ask = codec::decode(&token.request.payload, TOKEN_BYTES_MAX).map_err(unreadable)?;

    let issuer = check_issuer(&token.business, &business, trust)?;
    let aad = request_aad(&codec::encode(&token.business));
    let signed = cose::sig_structure(&aad, &token.request.payload);
    if !cose::verifies(&business.key, &signed, &token.request.signature) {
        return Err(RequestRefusal::BadSignature);
    }
    let floor = business.issued.max(trust.issued());
    if now.plus(rule.grace()) < floor {
        return Err(RequestRefusal::Clock(ClockFault::VerifierBehind { seconds: now.distance(floor) }));
    }
    if now >= business.expires {
        return Err(RequestRefusal::Expired);
    }
    check_step(ask.step).map_err(RequestRefusal::Clock)?;
    if !business.profiles.contains(&ask.profile) {
        return Err(RequestRefusal::NotAllowed);
    }
    Ok(VerifiedRequest { issuer, business, ask, challenge: Challenge::of(&bytes) })
}

/// All keys for businesses under the hint are tried.
fn check_issuer(
    envelope: &Sign1,
    claims: &BusinessClaims,
    trust: &TrustList,
) -> Result<IssuerId, RequestRefusal> {
    let kid = envelope.kid.ok_or(RequestRefusal::Unreadable)?;
    let signed = cose::sig_structure(BUSINESS_AAD, &envelope.payload);
    let mut refusal = RequestRefusal::UnknownIssuer;
    for key in trust.matching(KeyUse::Businesses, kid) {
        if !cose::verifies(&key.key, &signed, &envelope.signature) {
            refusal = RequestRefusal::BadSignature;
        } else if key.signs_at(claims.issued) {
            return Ok(key.issuer);
        } else {
            return Err(RequestRefusal::UnknownIssuer);
        }
    }
    Err(refusal)
}

/// Both envelopes of a request, decoded, nothing of them checked.
struct Token {
    business: Sign1,
    request: Sign1,
}

impl Encode<()> for Token {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(2)?.encode_with(&self.business, ctx)?.encode_with(&self.request, ctx)?.ok()
    }
}

impl<'b> Decode<'b, ()> for Token {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.array()? != Some(2) {
            return Err(DecodeError::message("a request is two envelopes"));
        }
        let (business, request) = (Sign1::decode(d, ctx)?, Sign1::decode(d, ctx)?);
        if business.kid.is_none() || request.kid.is_some() {
            return Err(DecodeError::message("the issuer has a kid, the business has none"));
        }
        Ok(Self { business, request })
    }
}

impl Encode<()> for BusinessClaims {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.map(6)?.u8(4)?.u64(self.expires.0)?;
        e.u8(6)?.u64(self.issued.0)?;
        e.i8(-1)?.bytes(self.key.to_sec1_point(true).as_bytes())?;
        e.i8(-5)?.encode_with(&self.name, ctx)?;
        e.i8(-6)?.encode_with(&self.profiles, ctx)?;
        e.i8(-7)?.encode_with(self.id, ctx)?.ok()
    }
}

impl<'b> Decode<'b, ()> for BusinessClaims {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.map()? != Some(6) {
            return Err(DecodeError::message("not the claims of a business"));
        }
        claim(d, 4)?;
        let expires = UnixSeconds(d.u64()?);
        claim(d, 6)?;
        let issued = UnixSeconds(d.u64()?);
        claim(d, -1)?;
        let key = Some(d.bytes()?).filter(|bytes| bytes.len() == 33);
        let key = key.and_then(|bytes| VerifyingKey::from_sec1_bytes(bytes).ok());
        let key = key.ok_or_else(|| DecodeError::message("not a compressed point of P-256"))?;
        claim(d, -5)?;
        let name = Label::decode(d, ctx)?;
        claim(d, -6)?;
        let profiles = Vec::decode(d, ctx)?;
        claim(d, -7)?;
        let id = BusinessId::decode(d, ctx)?;
        Self::new(issued, expires, key, name, profiles, id)
            .map_err(|_| DecodeError::message("no life or no profile"))
    }
}

fn claim(d: &mut Decoder<'_>, expected: i8) -> Result<(), DecodeError> {
    if d.i8()? == expected { Ok(()) } else { Err(DecodeError::message("unknown or misplaced claim")) }
}

impl Encode<()> for Ask {
    fn encode<W: Write>(&self, e: &mut Encoder<W>, ctx: &mut ()) -> Result<(), EncodeError<W::Error>> {
        e.array(4)?.u64(self.step.0)?.bytes(&self.nonce)?.encode_with(self.profile, ctx)?;
        e.u8(self.document_type.map_or(0, DocumentType::number))?.ok()
    }
}

impl<'b> Decode<'b, ()> for Ask {
    fn decode(d: &mut Decoder<'b>, ctx: &mut ()) -> Result<Self, DecodeError> {
        if d.array()? != Some(4) {
            return Err(DecodeError::message("a request has four fields"));
        }
        let step = Step(d.u64()?);
        let nonce = d.bytes()?.try_into().map_err(|_| DecodeError::message("a nonce is 16 bytes"))?;
        let profile = Profile::decode(d, ctx)?;
        let document_type = match d.u8()? {
            0 => None,
            number => Some(
                DocumentType::from_number(number)
                    .ok_or_else(|| DecodeError::message("unknown kind of document"))?,
            ),
        };
        Ok(Self { step, nonce, profile, document_type })
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}
