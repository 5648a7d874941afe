//! The server's two steps of a signature: a derived commitment, and the finish.

use alloc::collections::BTreeMap;

use frost_secp256k1::{
    VerifyingKey,
    keys::{KeyPackage, PublicKeyPackage, VerifyingShare},
    round1::{self, SigningCommitments, SigningNonces},
    round2::{self, SignatureShare},
};

use super::{
    DEVICE, PARTICIPANTS, SERVER, check, commitments, encode_commitments, package, participant, points,
    rng::Stream, shares::ServerMaterial,
};
use crate::{
    domain::{Domain, Macer},
    secret::SecretBytes,
    suite::{
        Commitment, Contribution, FinishError, PROTOCOL_VERSION, ServerShare, Signature, SigningContext,
        SuiteError,
    },
};

/// The server's commitment for `context` and the device's commitment.
pub(super) fn commit(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    device: &Commitment,
) -> Result<Commitment, SuiteError> {
    commitments(device)?;
    let material = material(share, context)?;
    encode_commitments(&nonces(&material, nonce_key, context, device)?.1)
}

/// Makes the server's signature share, aggregates, verifies. On failure asks the second implementation who is wrong.
pub(super) fn finish(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    device: &Commitment,
    contribution: &Contribution,
) -> Result<Signature, FinishError> {
    let material = material(share, context).map_err(|_| FinishError::ServerFault)?;
    let (nonces, own) =
        nonces(&material, nonce_key, context, device).map_err(|_| FinishError::ServerFault)?;
    if let Some(signature) = complete(&material, &nonces, own, context, device, contribution) {
        return Ok(signature);
    }
    let own = encode_commitments(&own).map_err(|_| FinishError::ServerFault)?;
    if !material.is_consistent() {
        return Err(FinishError::ServerFault);
    }
    let valid = check::device_share_is_valid(&check::DeviceSharePart {
        public_key: &material.public_key,
        verifying_share: &material.device,
        digest: context.digest,
        device: device.as_slice(),
        server: own.as_slice(),
        contribution: contribution.as_slice(),
    });
    Err(if valid { FinishError::ServerFault } else { FinishError::Cheating })
}

fn material(share: &ServerShare, context: &SigningContext<'_>) -> Result<ServerMaterial, SuiteError> {
    let material = ServerMaterial::decode(share)?;
    if material.is_for(&context.public_key) { Ok(material) } else { Err(SuiteError::OwnMaterial) }
}

/// Derives both nonces. Every field that enters the transcript before the nonce enters the seed, so that no second
/// input leads to the same nonce; the share is mixed in as RFC 9591 §4.1 does.
fn nonces(
    material: &ServerMaterial,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    device: &Commitment,
) -> Result<(SigningNonces, SigningCommitments), SuiteError> {
    let seed = Macer::new(nonce_key, Domain::ServerNonce)
        .number(PROTOCOL_VERSION.into())
        .number(context.key.suite.number().into())
        .field(context.key.key.as_bytes())
        .number(context.key.epoch.0.into())
        .field(context.key.device.as_bytes())
        .field(&context.public_key.0)
        .field(&context.request_hash)
        .number(context.fetched_at.0)
        .number(context.index.into())
        .field(context.digest)
        .field(device.as_slice())
        .derive();
    let share = material.signing_share()?;
    Ok(round1::commit(&share, &mut Stream::new(seed)))
}

/// RFC 9591 §5.2 and §5.3. `aggregate` verifies the signature itself.
fn complete(
    material: &ServerMaterial,
    nonces: &SigningNonces,
    own: SigningCommitments,
    context: &SigningContext<'_>,
    device: &Commitment,
    contribution: &Contribution,
) -> Option<Signature> {
    points::scalar(contribution.as_slice())?;
    let device_share = SignatureShare::deserialize(contribution.as_slice()).ok()?;
    let package = package(commitments(device).ok()?, own, context.digest).ok()?;
    let (id_device, id_server) = (participant(DEVICE).ok()?, participant(SERVER).ok()?);
    let device = VerifyingShare::deserialize(&material.device).ok()?;
    let server = VerifyingShare::deserialize(&material.server).ok()?;
    let public_key = VerifyingKey::deserialize(&material.public_key).ok()?;
    let key = KeyPackage::new(id_server, *material.signing_share().ok()?, server, public_key, PARTICIPANTS);
    let own_share = round2::sign(&package, nonces, &key).ok()?;
    let shares = BTreeMap::from([(id_device, device_share), (id_server, own_share)]);
    let verifying = BTreeMap::from([(id_device, device), (id_server, server)]);
    let public = PublicKeyPackage::new(verifying, public_key, Some(PARTICIPANTS));
    let signature = frost_secp256k1::aggregate(&package, &shares, &public).ok()?;
    Signature::new(signature.serialize().ok()?)
}
