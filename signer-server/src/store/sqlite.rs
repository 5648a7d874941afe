//! placeholder until the engine lands
use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct OpenError;
#[derive(Debug)]
pub struct SqliteOptions {
    pub path: PathBuf,
    pub witness_path: PathBuf,
    pub group_window: Duration,
    pub queue_max: usize,
}
#[derive(Debug)]
pub struct SqliteStore;
impl SqliteStore {
    pub fn open(_: SqliteOptions, _: &mut dyn rand::CryptoRng) -> Result<Arc<Self>, OpenError> {
        Err(OpenError)
    }
    pub fn migrate(_: &Path) -> Result<u32, OpenError> {
        Err(OpenError)
    }
    pub async fn close(&self) {}
}
