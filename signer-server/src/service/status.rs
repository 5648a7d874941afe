//! State of an installation, as its device is told.

use signer_core::{
    codec::Blob,
    wire::{DeviceStatus, StatusQuery},
};

use super::{Service, ServiceError, ServiceResult};

impl Service {
    /// State of the calling installation. No device token is in it: a clone could fetch it.
    ///
    /// # Errors
    /// A refusal if the message is not the device's.
    pub async fn status(&self, bytes: &[u8]) -> ServiceResult<DeviceStatus> {
        let (StatusQuery {}, caller) = self.open(bytes).await?;
        let installation = caller.installation;
        Ok(DeviceStatus {
            time: caller.now,
            key: installation.key.id,
            suite: installation.key.suite,
            epoch: installation.key.epoch,
            public_key: installation.key.public_key,
            standing: installation.standing,
            attempts: installation.counter.shown(&self.policy, caller.now),
            proof: Blob::new(installation.key.proof).ok_or(ServiceError::Bug("stored proof is too long"))?,
        })
    }
}
