//! What the server keeps wrapped, opened with the key-encryption key from its file: for looking whether it lies about
//! in the clear, and for codes that only the real issuer could sign.

use rusqlite::Connection;
use signer_core::{
    ceremony::ServerKey,
    credential::StatusIndex,
    ids::DeviceId,
    secret::SecretBytes,
    wrap::{Kek, Location, Wrapped, unwrap},
};

pub(crate) struct Vault {
    kek: Kek,
    db: Connection,
}

impl Vault {
    pub(crate) fn open(kek: &[u8], db: Connection) -> Self {
        Self { kek: Kek::new(SecretBytes::from_slice(kek).unwrap()), db }
    }

    fn unwrap(&self, table: &str, row: &[u8], column: &str, epoch: u32, wrapped: Vec<u8>) -> Vec<u8> {
        let wrapped = Wrapped::from_bytes(wrapped).unwrap();
        unwrap(&self.kek, &Location { table, row, column, epoch }, &wrapped).unwrap().to_vec()
    }

    /// One of the server's own keys.
    pub(crate) fn server_key(&self, purpose: &str) -> Vec<u8> {
        let sql = "SELECT wrapped FROM server_key WHERE purpose = ?1";
        let wrapped = self.db.query_row(sql, [purpose], |row| row.get(0)).unwrap();
        self.unwrap("server_key", purpose.as_bytes(), "wrapped", 0, wrapped)
    }

    /// The server's share of a phone's key.
    pub(crate) fn share(&self, device: DeviceId) -> ServerKey {
        let sql = "SELECT id, epoch, wrapped FROM signing_key WHERE device = ?1";
        let (id, epoch, wrapped): ([u8; 16], u32, Vec<u8>) = self
            .db
            .query_row(sql, [device.as_bytes()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
            .unwrap();
        ServerKey::decode(&self.unwrap("key_share", &id, "wrapped", epoch, wrapped)).unwrap()
    }

    /// The secret of a credential's digits.
    pub(crate) fn otp(&self, status: StatusIndex) -> SecretBytes<32> {
        let sql = "SELECT wrapped_otp FROM credential WHERE list = ?1 AND idx = ?2";
        let wrapped = self.db.query_row(sql, (status.list, status.index), |row| row.get(0)).unwrap();
        let row = (u64::from(status.list) << 32 | u64::from(status.index)).to_be_bytes();
        SecretBytes::from_slice(&self.unwrap("credential", &row, "wrapped_otp", 0, wrapped)).unwrap()
    }
}
