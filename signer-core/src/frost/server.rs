//! The server's two steps of a signature: a derived commitment, and the finish.

use alloc::collections::BTreeMap;

use frost_secp256k1::{
    VerifyingKey,
    keys::{KeyPackage, PublicKeyPackage, VerifyingShare},
    round1,
    round2::{self, SignatureShare},
};
use k256::Scalar;
use rand_core_frost::RngCore as _;
use zeroize::Zeroizing;

use super::{
    DEVICE, PARTICIPANTS, SERVER, check, commitments, package, participant, points, rng::Stream,
    shares::ServerMaterial, verify,
};
use crate::{
    secret::SecretBytes,
    suite::{
        Commitment, Commitments, Contribution, FinishError, ServerShare, Signature, SigningContext,
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
    check::Signer::new(DEVICE, device.as_slice()).ok_or(SuiteError::Peer)?;
    let material = material(share, context)?;
    let nonces = Nonces::draw(&material, context.nonce_seed(nonce_key, device));
    Commitment::new(nonces.public.commitment.to_vec()).ok_or(SuiteError::OwnMaterial)
}

/// Makes the server's signature share, adds the device's, verifies.
pub(super) fn complete(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    Commitments { device, .. }: Commitments<'_>,
    contribution: &Contribution,
) -> Result<Option<Signature>, FinishError> {
    let material = material(share, context).map_err(|_| FinishError::ServerFault)?;
    let nonces = Nonces::draw(&material, context.nonce_seed(nonce_key, device));
    Ok(aggregate(&material, &nonces, context, device, contribution))
}

/// Asks both implementations who is wrong.
pub(super) fn judge(
    share: &ServerShare,
    nonce_key: &SecretBytes<32>,
    context: &SigningContext<'_>,
    Commitments { device, .. }: Commitments<'_>,
    contribution: &Contribution,
) -> FinishError {
    let Ok(material) = material(share, context) else { return FinishError::ServerFault };
    let seed = || context.nonce_seed(nonce_key, device);
    let nonces = Nonces::draw(&material, seed());
    if !material.is_consistent()
        || crate_completes(&material, seed(), context, device, contribution).is_some()
    {
        return FinishError::ServerFault;
    }
    let valid = check::device_share_is_valid(&check::DeviceSharePart {
        public_key: &material.public_key,
        verifying_share: &material.device,
        digest: context.digest,
        device: device.as_slice(),
        server: &nonces.public.commitment,
        contribution: contribution.as_slice(),
    });
    if valid { FinishError::ServerFault } else { FinishError::Cheating }
}

fn material(share: &ServerShare, context: &SigningContext<'_>) -> Result<ServerMaterial, SuiteError> {
    let material = ServerMaterial::decode(share)?;
    if material.is_for(&context.public_key) { Ok(material) } else { Err(SuiteError::OwnMaterial) }
}

/// Both nonces and the commitment to them. The share is mixed in as RFC 9591 §4.1 does.
struct Nonces {
    hiding: Zeroizing<Scalar>,
    binding: Zeroizing<Scalar>,
    public: check::Signer,
}

impl Nonces {
    fn draw(material: &ServerMaterial, seed: SecretBytes<32>) -> Self {
        let mut stream = Stream::new(seed);
        let mut draw = || {
            let mut random = Zeroizing::new([0; 32]);
            stream.fill_bytes(&mut *random);
            check::nonce(&random, &material.share)
        };
        let (hiding, binding) = (draw(), draw());
        let public = check::Signer::commit(SERVER, &hiding, &binding);
        Self { hiding, binding, public }
    }
}

/// RFC 9591 §5.2 and §5.3: z_S = d + ρ·e + λ·c·s_S, the signature (R, z_D + z_S). What does not verify stays here.
#[expect(clippy::arithmetic_side_effects, reason = "arithmetic of the field, which has no overflow")]
fn aggregate(
    material: &ServerMaterial,
    nonces: &Nonces,
    context: &SigningContext<'_>,
    device: &Commitment,
    contribution: &Contribution,
) -> Option<Signature> {
    let key = &material.public_key;
    let signers = [check::Signer::new(DEVICE, device.as_slice())?, nonces.public];
    let device_share = points::scalar(contribution.as_slice())?;
    let share = Zeroizing::new(points::scalar(&material.share)?);
    let r = check::group_commitment(key, &signers, context.digest)?;
    let rho = check::binding_factor(key, &signers, context.digest, SERVER);
    let lambda_c = check::lagrange(&signers, SERVER)? * check::challenge(&r, key, context.digest);
    let own_share = Zeroizing::new(*nonces.hiding + *nonces.binding * rho + lambda_c * *share);
    let z: [u8; 32] = (device_share + *own_share).to_bytes().into();
    let signature = Signature::new([&points::point_bytes(&r)[..], &z].concat())?;
    verify(&context.public_key, context.digest, &signature).map(|()| signature)
}

/// The same by the crate, from the nonces on. `aggregate` verifies the signature itself.
fn crate_completes(
    material: &ServerMaterial,
    seed: SecretBytes<32>,
    context: &SigningContext<'_>,
    device: &Commitment,
    contribution: &Contribution,
) -> Option<Signature> {
    points::scalar(contribution.as_slice())?;
    let device_share = SignatureShare::deserialize(contribution.as_slice()).ok()?;
    let (nonces, own) = round1::commit(&*material.signing_share().ok()?, &mut Stream::new(seed));
    let package = package(commitments(device).ok()?, own, context.digest).ok()?;
    let (id_device, id_server) = (participant(DEVICE).ok()?, participant(SERVER).ok()?);
    let device = VerifyingShare::deserialize(&material.device).ok()?;
    let server = VerifyingShare::deserialize(&material.server).ok()?;
    let public_key = VerifyingKey::deserialize(&material.public_key).ok()?;
    let key = KeyPackage::new(id_server, *material.signing_share().ok()?, server, public_key, PARTICIPANTS);
    let own_share = round2::sign(&package, &nonces, &key).ok()?;
    let shares = BTreeMap::from([(id_device, device_share), (id_server, own_share)]);
    let verifying = BTreeMap::from([(id_device, device), (id_server, server)]);
    let public = PublicKeyPackage::new(verifying, public_key, Some(PARTICIPANTS));
    let signature = frost_secp256k1::aggregate(&package, &shares, &public).ok()?;
    Signature::new(signature.serialize().ok()?)
}

#[cfg(test)]
mod tests {
    use super::{super::tests::World, *};

    #[test]
    fn fro_002_both_implementations_make_the_same_signature() {
        for number in 0..16 {
            let mut world = World::new(number);
            let (device, contribution) = world.contribute();
            let context = world.context();
            let material = material(&world.server, &context).unwrap();
            let seed = || context.nonce_seed(&world.nonce_key, &device);
            let ours =
                aggregate(&material, &Nonces::draw(&material, seed()), &context, &device, &contribution);
            assert!(ours.is_some());
            assert_eq!(ours, crate_completes(&material, seed(), &context, &device, &contribution));
        }
    }
}
