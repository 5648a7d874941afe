//! Schemas of bodies that are not types of `signer_core::wire`: forms, and what the standards of OAuth and CSC say.

#![expect(dead_code, reason = "these types describe; handlers read and write the members themselves")]

use utoipa::openapi::{ObjectBuilder, RefOr, Schema, Type};

/// A body that is not text.
pub(in crate::http) struct Bytes;

impl utoipa::PartialSchema for Bytes {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new().schema_type(Type::String).description(Some("Bytes.")).into()
    }
}

impl utoipa::ToSchema for Bytes {}

/// How a client proves itself: by an assertion, or in a sandbox by its secret (here or as HTTP Basic).
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct TokenForm {
    /// `client_credentials` or `authorization_code`.
    grant_type: String,
    /// `service`, for `client_credentials`.
    scope: Option<String>,
    /// For `authorization_code`: what the browser brought.
    code: Option<String>,
    /// For `authorization_code`: where it brought it.
    redirect_uri: Option<String>,
    /// For `authorization_code`: what the challenge is the SHA-256 of (RFC 7636).
    #[schema(pattern = "^[A-Za-z0-9._~-]{43,128}$")]
    code_verifier: Option<String>,
    #[schema(inline)]
    client_assertion_type: Option<AssertionType>,
    /// A JWT (RFC 7523): ES256; `iss` and `sub` are the client's id, `aud` is the issuer or the token endpoint, `exp` at most
    /// 60 s ahead, `jti` good once.
    client_assertion: Option<String>,
    /// The relying party's id.
    client_id: Option<String>,
    client_secret: Option<String>,
}

#[derive(utoipa::ToSchema)]
enum AssertionType {
    #[schema(rename = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")]
    JwtBearer,
}

/// The token to end, and the proof of its client.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct RevocationForm {
    /// An access token of this client. One that is unknown is no error.
    token: String,
    #[schema(inline)]
    client_assertion_type: Option<AssertionType>,
    /// As at the token endpoint.
    client_assertion: Option<String>,
    /// The relying party's id.
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// The parameters of an authorization request, and the proof of its client. Those of scope `credential` are the CSC API's.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct PushForm {
    /// `code`.
    response_type: String,
    /// The relying party's id.
    client_id: String,
    /// One that the client is registered with.
    redirect_uri: String,
    /// SHA-256 of the verifier in base64url.
    #[schema(pattern = "^[A-Za-z0-9_-]{43}$")]
    code_challenge: String,
    /// `S256`.
    code_challenge_method: String,
    /// The client's own; comes back.
    #[schema(max_length = 1024)]
    state: Option<String>,
    /// `service` or `credential`.
    scope: Option<String>,
    /// Scope `service`: the person.
    login_hint: Option<String>,
    /// Scope `credential`: its name.
    #[schema(rename = "credentialID")]
    credential_id: Option<String>,
    /// How many hashes there are.
    #[schema(rename = "numSignatures")]
    num_signatures: Option<String>,
    /// SHA-256 hashes in base64url, with commas between; version 1.
    hash: Option<String>,
    /// The same; version 2.
    hashes: Option<String>,
    /// SHA-256's object identifier.
    #[schema(rename = "hashAlgorithmOID")]
    hash_algorithm_oid: Option<String>,
    /// What the holder is shown.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// In place of credential and hashes: a JSON array of one object (RFC 9396).
    authorization_details: Option<String>,
    #[schema(inline)]
    client_assertion_type: Option<AssertionType>,
    /// As at the token endpoint.
    client_assertion: Option<String>,
    client_secret: Option<String>,
}

/// The name of pushed parameters.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct PushReply {
    /// Good once.
    request_uri: String,
    /// Its life, seconds.
    expires_in: u64,
}

/// A fresh access token.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct TokenReply {
    access_token: String,
    /// `Bearer`, or `SAD` as version 1 of the CSC API has it for scope `credential`.
    token_type: String,
    /// Its life, seconds.
    expires_in: u64,
    /// `service` or `credential`.
    scope: String,
    /// Scope `credential`: its name.
    #[schema(rename = "credentialID")]
    credential_id: Option<String>,
    /// What was granted of authorization details (RFC 9396).
    #[schema(value_type = Option<Vec<Object>>)]
    authorization_details: Option<Vec<serde_json::Value>>,
}

/// Authorization server metadata (RFC 8414).
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct OauthMetadata {
    issuer: String,
    token_endpoint: String,
    token_endpoint_auth_methods_supported: Vec<String>,
    token_endpoint_auth_signing_alg_values_supported: Vec<String>,
    revocation_endpoint: String,
    revocation_endpoint_auth_methods_supported: Vec<String>,
    revocation_endpoint_auth_signing_alg_values_supported: Vec<String>,
    authorization_endpoint: String,
    pushed_authorization_request_endpoint: String,
    /// The issuer comes back with the browser (RFC 9207).
    authorization_response_iss_parameter_supported: bool,
    authorization_details_types_supported: Vec<String>,
    code_challenge_methods_supported: Vec<String>,
    grant_types_supported: Vec<String>,
    response_types_supported: Vec<String>,
    response_modes_supported: Vec<String>,
    scopes_supported: Vec<String>,
}

/// Addresses of the status lists.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct StatusLists {
    status_lists: Vec<String>,
}

/// Why the server should get no calls, or needs a restart.
#[derive(utoipa::ToSchema)]
#[schema(examples(json!({ "status": "not_ready", "reasons": ["draining"] })))]
pub(in crate::http) struct Health {
    /// `not_live` or `not_ready`.
    status: String,
    /// `draining`: it is about to stop; `store_stopped`: only a restart helps; `store`: it cannot be read or written now; `audit`:
    /// no checkpoint of the audit log could be signed; `clock`: it is behind what was written down.
    reasons: Vec<String>,
}

/// The process answers.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct Live {
    /// `live`.
    status: String,
}

/// The store reads and writes.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct Ready {
    /// `ready`.
    status: String,
    /// Whether short codes are guessed so often that every verifier is slowed.
    miss_alarm: bool,
}

/// An event in structured mode (CloudEvents 1.0).
#[derive(utoipa::ToSchema)]
#[schema(examples(json!({
    "specversion": "1.0", "id": "17", "source": "/registers/identity", "type": "signer.document.withdrawn.v1",
    "subject": "olena", "sequence": "00000000000000000017", "data": { "document_type": "identity_card" },
})))]
pub(in crate::http) struct RegisterEvent {
    #[schema(pattern = "^1\\.0$")]
    specversion: String,
    /// Unique within the source.
    #[schema(pattern = "^[!-~]{1,200}$")]
    id: String,
    /// Who produced it: a URI reference.
    #[schema(pattern = "^[!-~]{1,200}$")]
    source: String,
    /// What happened.
    #[schema(rename = "type")]
    kind: EventKind,
    /// The person, by the reference the operator enrolled them under; or `ORGANISATION/REFERENCE`.
    #[schema(pattern = "^[!-~]{1,64}$")]
    subject: String,
    /// Its place among the source's events about this person and document.
    #[schema(pattern = "^0[0-9]{19}$")]
    sequence: String,
    /// `Integer`.
    sequencetype: Option<String>,
    /// When it happened, RFC 3339.
    time: Option<String>,
    /// `application/json`.
    datacontenttype: Option<String>,
    data: Option<EventDocument>,
}

#[derive(utoipa::ToSchema)]
enum EventKind {
    #[schema(rename = "signer.document.changed.v1")]
    Changed,
    #[schema(rename = "signer.document.withdrawn.v1")]
    Withdrawn,
    #[schema(rename = "signer.holder.deceased.v1")]
    Deceased,
}

/// The document that an event is about. In binary mode it is the whole body.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct EventDocument {
    document_type: signer_core::credential::DocumentType,
}

/// Nothing that counts: members are not looked at.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscInfoRequest {
    lang: Option<String>,
}

/// What this service is and can do.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscInfo {
    /// `1.0.4.0` or `2.0.0.2`.
    specs: String,
    name: String,
    logo: String,
    region: String,
    lang: String,
    description: String,
    auth_type: Vec<String>,
    /// The operations of this version.
    methods: Vec<String>,
    /// `DTBSR`: hashes are of the data to be signed, as the client has formatted it.
    supported_hash_types: Vec<String>,
    /// Version 1.
    oauth2: Option<String>,
    /// Version 2.
    oauth2_issuer: Option<String>,
    /// Version 2.
    asynchronous_operation_mode: Option<bool>,
    /// Version 2.
    sign_algorithms: Option<CscAlgorithms>,
}

/// Signature algorithms by object identifier.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscAlgorithms {
    algos: Vec<String>,
}

/// Which credentials are asked for, and how much of them.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscListRequest {
    /// The person; left out with the token of a person who signed in.
    #[schema(rename = "userID")]
    user_id: Option<String>,
    #[schema(inline)]
    certificates: Option<CscCertificates>,
    cert_info: Option<bool>,
    auth_info: Option<bool>,
    /// Only those that can sign now.
    only_valid: Option<bool>,
    /// Version 2: with what `credentials/info` says of each.
    credential_info: Option<bool>,
}

#[derive(utoipa::ToSchema)]
#[schema(rename_all = "lowercase")]
enum CscCertificates {
    None,
    Single,
    Chain,
}

/// Credentials by name. No list has a second page.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscList {
    #[schema(rename = "credentialIDs")]
    credential_ids: Vec<String>,
    #[schema(rename = "credentialInfos")]
    credential_infos: Option<Vec<CscCredentialInfo>>,
}

/// Which credential is asked for.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscInfoOf {
    #[schema(rename = "credentialID")]
    credential_id: String,
    #[schema(inline)]
    certificates: Option<CscCertificates>,
    cert_info: Option<bool>,
    auth_info: Option<bool>,
}

/// A credential: one key of one phone.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscCredentialInfo {
    /// In a list of version 2.
    #[schema(rename = "credentialID")]
    credential_id: Option<String>,
    description: String,
    key: CscKey,
    cert: CscCert,
    /// `2`: activation data are bound to the hashes.
    #[schema(rename = "SCAL")]
    scal: String,
    /// Most hashes of one authorisation.
    multisign: u32,
    lang: String,
    /// Version 1: `implicit` or `oauth2code`.
    auth_mode: Option<String>,
    /// Version 2: the phone decides.
    auth: Option<CscAuthInfo>,
}

/// A key.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscKey {
    /// `enabled` or `disabled`.
    status: String,
    /// Signature algorithms by object identifier.
    algo: Vec<String>,
    /// Bits.
    len: u32,
    /// The curve by object identifier.
    curve: String,
}

/// A certificate.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscCert {
    /// `valid`, `expired`, `suspended` or `revoked`.
    status: String,
    /// DER in standard base64, the holder's own first.
    certificates: Option<Vec<String>>,
    #[schema(rename = "issuerDN")]
    issuer_dn: Option<String>,
    serial_number: Option<String>,
    #[schema(rename = "subjectDN")]
    subject_dn: Option<String>,
    /// `YYYYMMDDHHMMSSZ`.
    valid_from: Option<String>,
    valid_to: Option<String>,
}

/// How a credential is authorised.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscAuthInfo {
    /// `explicit` or `oauth2code`.
    mode: String,
    expression: Option<String>,
    objects: Option<Vec<CscAuthObject>>,
}

/// One object of it.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscAuthObject {
    #[schema(rename = "type")]
    kind: String,
    id: String,
    label: String,
}

/// What is to be signed.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "credentialID": "4fWMcnQHcEXSlqOqJW5Xqw", "numSignatures": 1,
    "hashes": ["LLZ0FYmTOmr9aWkOy0kxKyw0y7qOd9y3nbwdgI2EbAM="], "hashAlgorithmOID": "2.16.840.1.101.3.4.2.1",
    "description": "Loan contract 17",
})))]
pub(in crate::http) struct CscAuthorize {
    #[schema(rename = "credentialID")]
    credential_id: String,
    /// How many: as many as there are hashes.
    #[schema(minimum = 1, maximum = 20)]
    num_signatures: u64,
    /// Version 1's name. SHA-256 in base64.
    #[schema(min_items = 1, max_items = 20)]
    hash: Option<Vec<String>>,
    /// Version 2's name; either version takes either.
    #[schema(min_items = 1, max_items = 20)]
    hashes: Option<Vec<String>>,
    /// SHA-256's object identifier; version 1's name.
    #[schema(pattern = "^2\\.16\\.840\\.1\\.101\\.3\\.4\\.2\\.1$")]
    hash_algo: Option<String>,
    /// Version 2's name.
    #[schema(rename = "hashAlgorithmOID", pattern = "^2\\.16\\.840\\.1\\.101\\.3\\.4\\.2\\.1$")]
    hash_algorithm_oid: Option<String>,
    /// What the holder is shown.
    #[schema(max_length = 500)]
    description: Option<String>,
}

/// Activation data, once the phone has signed.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase")]
pub(in crate::http) struct CscSad {
    #[schema(rename = "SAD")]
    sad: String,
    /// How long they are good, seconds.
    expires_in: u64,
}

/// Where to ask again: `credentials/authorizeCheck`.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscHandle {
    handle: signer_core::ids::RequestId,
}

/// What to sign, with the activation data for exactly these hashes.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "camelCase", examples(json!({
    "credentialID": "4fWMcnQHcEXSlqOqJW5Xqw", "SAD": "…",
    "hashes": ["LLZ0FYmTOmr9aWkOy0kxKyw0y7qOd9y3nbwdgI2EbAM="], "signAlgo": "1.2.840.10045.4.3.2",
})))]
pub(in crate::http) struct CscSign {
    #[schema(rename = "credentialID")]
    credential_id: String,
    /// Left out with an access token of scope `credential`, which is such data.
    #[schema(rename = "SAD")]
    sad: Option<String>,
    /// Version 1's name.
    #[schema(min_items = 1, max_items = 20)]
    hash: Option<Vec<String>>,
    /// Version 2's name; either version takes either.
    #[schema(min_items = 1, max_items = 20)]
    hashes: Option<Vec<String>>,
    /// ecdsa-with-SHA256.
    #[schema(pattern = "^1\\.2\\.840\\.10045\\.4\\.3\\.2$")]
    sign_algo: String,
    #[schema(pattern = "^S$")]
    operation_mode: Option<String>,
}

/// The signatures, in the order of the hashes.
#[derive(utoipa::ToSchema)]
pub(in crate::http) struct CscSignatures {
    /// DER in standard base64.
    signatures: Vec<String>,
}
