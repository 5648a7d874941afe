//! ES256 by two parties: an ordinary ECDSA P-256/SHA-256 signature (FIPS 186-5) under an additively shared key.
//!
//! Additive key x = x_D + x_S, multiplicative nonce k₁·(k₂ + e), and one oblivious linear evaluation of the device's k₁⁻¹
//! with the server's fixed share, made of 256 correlations that were seeded by oblivious transfer once. Sources, messages
//! byte by byte, and the security argument: `spec/es256.md`. In short:
//!
//! - Lindell, *Fast Secure Two-Party ECDSA Signing* (CRYPTO 2017); Adjedj et al., *Two-Round 2PC ECDSA at the Cost of 1 OLE*
//!   (ePrint 2024/1950): the shape. Gilboa (CRYPTO 1999), Keller, Orsini, Scholl, *MASCOT* (CCS 2016): the evaluation.
//! - Masny, Rindal, *Endemic Oblivious Transfer* (CCS 2019): the seeds. Groth, Shoup (EUROCRYPT 2022): the shift e.
//!
//! | bytes | layout |
//! |---|---|
//! | device's commitment | H(R₁, salt), 32 |
//! | server's commitment | R₂ (65, uncompressed) ‖ proof of k₂ (c 32, z 32) |
//! | contribution | R₁ (65) ‖ salt (32) ‖ pad nonce (32) ‖ v (32) ‖ 256 corrections (32 each) |
//! | signature | r ‖ s, 64, low s |
//! | device hello | session nonce, 32 |
//! | server hello | session nonce (32) ‖ commitment to X_S (32) |
//! | device keys | X_D (33) ‖ proof of x_D (64) |
//! | opening | X_S (33) ‖ proof of x_S (64) ‖ salt (32) |
//! | question for seeds | 256 × two points (33 each) |
//! | seeds | 256 × point (33) ‖ two encrypted seeds (32 each) |
//! | server's share at rest | x_S (32) ‖ Q (65) ‖ 256 seeds (32 each), the seeds missing while they are asked for |

mod device;
mod keygen;
mod material;
mod ot;
mod pads;
mod points;
mod proof;
mod scalars;
mod server;
mod transcript;

#[cfg(test)]
pub(crate) mod tests;

use alloc::boxed::Box;

use rand_core::CryptoRng;

use self::{material::Material, ot::ServerReceiver};
use crate::{
    ecdsa,
    secret::{Secret, SecretBytes},
    suite::{
        Commitment, Commitments, Contribution, DeviceKeygen, DeviceNonce, DevicePart, DeviceShare,
        FinishError, GroupPublicKey, KeyContext, KeygenMessage, MaskedShare, ServerKeygen, ServerSeeding,
        ServerShare, Signature, SigningContext, Suite, SuiteError, SuiteId,
    },
};

/// Bits of the server's share, and correlations of one key.
const BITS: usize = 256;

/// The suite `es256`.
#[derive(Debug, Clone, Copy)]
pub struct Es256;

impl Suite for Es256 {
    fn id(&self) -> SuiteId {
        SuiteId::Es256
    }

    fn device_hello(
        &self,
        context: &KeyContext,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn DeviceKeygen>, KeygenMessage), SuiteError> {
        let (round, hello) = keygen::DeviceRound1::start(context, rng)?;
        Ok((Box::new(round), hello))
    }

    fn server_hello(
        &self,
        context: &KeyContext,
        hello: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerKeygen>, KeygenMessage), SuiteError> {
        let (round, answer) = keygen::ServerRound1::start(context, hello, rng)?;
        Ok((Box::new(round), answer))
    }

    fn device_commit(
        &self,
        hedge: &SecretBytes<32>,
        rng: &mut dyn CryptoRng,
    ) -> Result<(DeviceNonce, Commitment), SuiteError> {
        device::commit(hedge, rng)
    }

    fn server_commit(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        device: &Commitment,
    ) -> Result<Commitment, SuiteError> {
        server::commit(share, nonce_key, context, device)
    }

    fn contribute(
        &self,
        key: DevicePart<'_>,
        nonce: DeviceNonce,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
    ) -> Result<Contribution, SuiteError> {
        device::contribute(key, nonce, context, commitments)
    }

    fn check_syntax(&self, device: &Commitment, contribution: &Contribution) -> Result<(), SuiteError> {
        let one_hash = device.as_slice().len() == 32;
        let read = transcript::ContributionParts::read(contribution.as_slice());
        read.filter(|_| one_hash).map(drop).ok_or(SuiteError::Peer)
    }

    fn complete(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> Result<Option<Signature>, FinishError> {
        server::complete(share, nonce_key, context, commitments, contribution)
    }

    fn judge(
        &self,
        share: &ServerShare,
        nonce_key: &SecretBytes<32>,
        context: &SigningContext<'_>,
        commitments: Commitments<'_>,
        contribution: &Contribution,
    ) -> FinishError {
        server::judge(share, nonce_key, context, commitments, contribution)
    }

    fn is_signable(&self, digest: &[u8; 32]) -> bool {
        scalars::of_digest(digest).is_some()
    }

    fn verify(&self, public_key: &GroupPublicKey, digest: &[u8; 32], signature: &Signature) -> bool {
        let low = <&[u8; 64]>::try_from(signature.as_slice()).ok().filter(|bytes| scalars::is_low_s(bytes));
        low.is_some_and(|bytes| ecdsa::verify(&public_key.0, digest, bytes))
    }

    fn mask(&self, share: &DeviceShare, mask: &SecretBytes<64>) -> MaskedShare {
        MaskedShare(*scalars::shifted(&share.0, mask).expose())
    }

    fn unmask(&self, masked: &MaskedShare, mask: &SecretBytes<64>) -> DeviceShare {
        DeviceShare(scalars::shifted_back(&Secret::new(masked.0), mask))
    }

    fn offset_device_share(&self, share: &DeviceShare, offset: &SecretBytes<64>) -> DeviceShare {
        DeviceShare(scalars::shifted(&share.0, offset))
    }

    fn offset_server_share(
        &self,
        share: &ServerShare,
        offset: &SecretBytes<64>,
    ) -> Result<ServerShare, SuiteError> {
        Material::read(share)?.moved_back(offset)
    }

    fn server_seeding(
        &self,
        share: ServerShare,
        session: &[u8; 32],
        rng: &mut dyn CryptoRng,
    ) -> Result<(Box<dyn ServerSeeding>, KeygenMessage), SuiteError> {
        let (receiver, asked) = ServerReceiver::ask(Material::read(&share)?, session, rng)?;
        Ok((Box::new(receiver), asked))
    }

    fn device_seeding(
        &self,
        context: &KeyContext,
        seed: &SecretBytes<32>,
        session: &[u8; 32],
        asked: &KeygenMessage,
        rng: &mut dyn CryptoRng,
    ) -> Result<KeygenMessage, SuiteError> {
        ot::answer(&pads::seeds(seed, context), session, asked, rng)
    }
}
