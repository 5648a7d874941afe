//! The ports on a desktop machine: files, the system's clocks, and a software stand-in for the phone's keystore.

use std::{
    fmt, fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::OnceLock,
    time::{Duration, Instant, SystemTime},
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use p256::{
    ecdsa::{Signature, SigningKey, signature::Signer},
    elliptic_curve::Generate,
};
use rand_core::CryptoRng;
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use signer_core::{
    device_key::{DevicePublicKeyBytes, DeviceSignature, ToSign},
    pin::Stretched,
    secret::SecretBytes,
    time::UnixSeconds,
};
use zeroize::Zeroizing;

use crate::ports::{
    Clock, DayKeyHandle, HardwareKey, KeystoreError, Monotonic, Purpose, Storage, StorageError,
};

/// One state image in one file, replaced atomically, readable by its owner only.
#[derive(Debug)]
pub struct FileStorage {
    path: PathBuf,
}

impl FileStorage {
    /// The image in the file `path`; its directory must exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

impl Storage for FileStorage {
    fn load(&self) -> Result<Option<Vec<u8>>, StorageError> {
        read(&self.path).map_err(|error| StorageError(error.to_string()))
    }

    fn store(&mut self, image: &[u8]) -> Result<(), StorageError> {
        replace(&self.path, image).map_err(|error| StorageError(error.to_string()))
    }

    fn erase(&mut self) -> Result<(), StorageError> {
        match fs::remove_file(&self.path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(StorageError(error.to_string()))
            }
            _ => Ok(()),
        }
    }
}

fn read(path: &Path) -> std::io::Result<Option<Vec<u8>>> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a new file beside the old one, makes it durable, then puts it in the old one's place.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".new");
    let beside = directory.join(name);
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        options.mode(0o600);
    }
    let mut file = options.open(&beside)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    file.write_all(bytes)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    fs::File::open(directory)?.sync_all()
}

/// The system's clocks.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn wall(&self) -> UnixSeconds {
        #[expect(clippy::disallowed_methods, reason = "this is where the clock comes in")]
        let now = SystemTime::now();
        UnixSeconds(now.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs()))
    }

    fn monotonic(&self) -> Monotonic {
        boot_clock().unwrap_or_else(process_clock)
    }

    fn sleep(&self, time: Duration) {
        std::thread::sleep(time);
    }
}

/// Linux: time since the machine started, suspension included, the same for every process.
fn boot_clock() -> Option<Monotonic> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let digits: Vec<u8> =
        id.chars().filter_map(|c| c.to_digit(16)).filter_map(|digit| u8::try_from(digit).ok()).collect();
    let (pairs, _) = digits.as_chunks::<2>();
    let run: Vec<u8> = pairs.iter().map(|[high, low]| (high << 4) | low).collect();
    let uptime = fs::read_to_string("/proc/uptime").ok()?;
    let seconds: f64 = uptime.split(' ').next()?.parse().ok()?;
    Some(Monotonic { run: run.try_into().ok()?, elapsed: Duration::try_from_secs_f64(seconds).ok()? })
}

/// Elsewhere: time since this process first asked. Another process has another run.
fn process_clock() -> Monotonic {
    static START: OnceLock<(Instant, [u8; 16])> = OnceLock::new();
    let (start, run) = START.get_or_init(|| {
        let mut run = [0; 16];
        run[..4].copy_from_slice(&std::process::id().to_be_bytes());
        run[8..].copy_from_slice(&SystemClock.wall().0.to_be_bytes());
        (Instant::now(), run)
    });
    Monotonic { run: *run, elapsed: start.elapsed() }
}

/// A keystore in software. **A stand-in**: a real phone keeps these keys in hardware, where they cannot be copied; here
/// whoever reads the file and the state can try PINs.
pub struct SoftwareKey {
    path: Option<PathBuf>,
    rng: Box<dyn CryptoRng + Send>,
    device: SigningKey,
    secret: SecretBytes<32>,
    day_keys: Vec<(DayKeyHandle, SigningKey)>,
}

impl fmt::Debug for SoftwareKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SoftwareKey(redacted)")
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    warning: String,
    device_key: String,
    hmac_secret: String,
    day_keys: Vec<DayKeyEntry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DayKeyEntry {
    handle: String,
    key: String,
}

const WARNING: &str =
    "Stand-in for a phone's hardware keystore. Whoever can read this file and state.cbor can try PINs.";

impl SoftwareKey {
    /// A keystore that ends with the process.
    #[must_use]
    pub fn in_memory(mut rng: Box<dyn CryptoRng + Send>) -> Self {
        let device = SigningKey::generate_from_rng(&mut *rng);
        let secret = SecretBytes::random(&mut *rng);
        Self { path: None, rng, device, secret, day_keys: Vec::new() }
    }

    /// The keystore in the file `path`, made if it is not there. Returns whether it was made.
    ///
    /// # Errors
    /// [`KeystoreError`] if the file cannot be read or written or is not a keystore.
    pub fn open(
        path: impl Into<PathBuf>,
        rng: Box<dyn CryptoRng + Send>,
    ) -> Result<(Self, bool), KeystoreError> {
        let path = path.into();
        let file = read(&path).map_err(|error| KeystoreError(error.to_string()))?.map(Zeroizing::new);
        let Some(file) = file else {
            let mut key = Self::in_memory(rng);
            key.path = Some(path);
            key.save()?;
            return Ok((key, true));
        };
        let key = Self::parse(&file, path, rng).ok_or_else(|| KeystoreError("its file is damaged".into()))?;
        Ok((key, false))
    }

    fn parse(file: &[u8], path: PathBuf, rng: Box<dyn CryptoRng + Send>) -> Option<Self> {
        let file: KeyFile = serde_json::from_slice(file).ok()?;
        let bytes = |text: &str| BASE64_STANDARD.decode(text).ok().map(Zeroizing::new);
        let key = |text: &str| SigningKey::from_slice(&bytes(text)?).ok();
        let secret = SecretBytes::from_slice(&bytes(&file.hmac_secret)?)?;
        let day_keys = file.day_keys.iter().map(|entry| {
            let handle = bytes(&entry.handle)?.as_slice().try_into().ok()?;
            Some((DayKeyHandle(handle), key(&entry.key)?))
        });
        let (device, day_keys) = (key(&file.device_key)?, day_keys.collect::<Option<_>>()?);
        Some(Self { path: Some(path), rng, device, secret, day_keys })
    }

    fn save(&self) -> Result<(), KeystoreError> {
        let Some(path) = &self.path else { return Ok(()) };
        let text = |bytes: &[u8]| BASE64_STANDARD.encode(bytes);
        let entry = |(handle, key): &(DayKeyHandle, SigningKey)| DayKeyEntry {
            handle: text(&handle.0),
            key: text(&key.to_bytes()),
        };
        let file = KeyFile {
            warning: WARNING.into(),
            device_key: text(&self.device.to_bytes()),
            hmac_secret: text(self.secret.expose()),
            day_keys: self.day_keys.iter().map(entry).collect(),
        };
        let json = serde_json::to_vec_pretty(&file).map(Zeroizing::new);
        let json = json.map_err(|error| KeystoreError(error.to_string()))?;
        replace(path, &json).map_err(|error| KeystoreError(error.to_string()))
    }

    fn hmac(&self, label: &[u8], input: &[u8]) -> Result<SecretBytes<32>, KeystoreError> {
        let mac = Hmac::<Sha256>::new_from_slice(self.secret.expose());
        let mut mac = mac.map_err(|_| KeystoreError("no HMAC".into()))?;
        mac.update(label);
        mac.update(&[0]);
        mac.update(input);
        Ok(SecretBytes::new(mac.finalize().into_bytes().into()))
    }
}

fn public(key: &SigningKey) -> Result<DevicePublicKeyBytes, KeystoreError> {
    let point = key.verifying_key().to_sec1_point(true);
    let bytes = point.as_bytes().try_into().map_err(|_| KeystoreError("a key has no public half".into()))?;
    Ok(DevicePublicKeyBytes(bytes))
}

fn sign(key: &SigningKey, message: &[u8]) -> [u8; 64] {
    let signature: Signature = key.sign(message);
    signature.normalize_s().to_bytes().into()
}

impl HardwareKey for SoftwareKey {
    fn public_key(&self) -> Result<DevicePublicKeyBytes, KeystoreError> {
        public(&self.device)
    }

    fn sign(&self, message: ToSign) -> Result<DeviceSignature, KeystoreError> {
        Ok(DeviceSignature(sign(&self.device, &message.0)))
    }

    fn bind(&self, stretched: &Stretched) -> Result<SecretBytes<32>, KeystoreError> {
        self.hmac(b"bind", stretched.message().expose())
    }

    fn derive(&self, purpose: Purpose, input: &[u8]) -> Result<SecretBytes<32>, KeystoreError> {
        let label: &[u8] = match purpose {
            Purpose::Wrap => b"wrap",
            Purpose::Hedge => b"hedge",
            Purpose::History => b"history",
            Purpose::LostCode => b"lost-code",
        };
        self.hmac(label, input)
    }

    fn new_day_key(&mut self) -> Result<(DayKeyHandle, DevicePublicKeyBytes), KeystoreError> {
        let key = SigningKey::generate_from_rng(&mut *self.rng);
        let mut handle = [0; 16];
        self.rng.fill_bytes(&mut handle);
        let public_key = public(&key)?;
        self.day_keys.push((DayKeyHandle(handle), key));
        self.save()?;
        Ok((DayKeyHandle(handle), public_key))
    }

    fn sign_with_day_key(&self, key: DayKeyHandle, message: &[u8]) -> Result<[u8; 64], KeystoreError> {
        let found = self.day_keys.iter().find(|(handle, _)| *handle == key);
        found
            .map(|(_, key)| sign(key, message))
            .ok_or_else(|| KeystoreError("the day key is not there".into()))
    }

    fn keep_day_keys(&mut self, keep: &[DayKeyHandle]) -> Result<(), KeystoreError> {
        self.day_keys.retain(|(handle, _)| keep.contains(handle));
        self.save()
    }

    fn reset(&mut self) -> Result<(), KeystoreError> {
        self.device = SigningKey::generate_from_rng(&mut *self.rng);
        self.secret = SecretBytes::random(&mut *self.rng);
        self.day_keys.clear();
        self.save()
    }
}

/// The operating system's randomness.
#[must_use]
pub fn system_rng() -> Box<dyn CryptoRng + Send> {
    Box::new(rand_core::UnwrapErr(rand::rngs::SysRng))
}
