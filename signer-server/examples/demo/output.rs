//! What the demo leaves in `--out DIR`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use crate::Result;

/// The folder, if one was asked for.
pub(crate) struct Output(Option<PathBuf>);

impl Output {
    pub(crate) fn open(folder: Option<&Path>) -> Result<Self> {
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        }
        Ok(Self(folder.map(Path::to_owned)))
    }

    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let Some(folder) = &self.0 else { return Ok(()) };
        let path = folder.join(name);
        fs::write(&path, bytes).map_err(|error| format!("{}: {error}", path.display()).into())
    }

    pub(crate) fn json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        self.file(name, &text)
    }

    pub(crate) fn tell(&self) {
        if let Some(folder) = &self.0 {
            println!("\nThe results are in {}.", folder.display());
        }
    }
}
