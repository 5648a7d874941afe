//! What shops see, all in one table, and what in it joins two shows of one holder.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use minicbor::{Decoder, data::Type};
use serde_json::Value;
use signer_core::wire::Profile;

/// Bytes of a window: so many are never equal by chance.
const WINDOW: usize = 8;
/// Document's own claims in a credential; see `spec/credential.md`.
const CLAIMS: &str = "issuer.payload.-3";
/// Field of a full or age document that is not a claim but a digest.
const DIGESTS: [&str; 2] = ["issuer.payload.-3.7", "issuer.payload.-3.2"];

/// One show as the shops saw it.
#[derive(Clone)]
pub(crate) struct Seen {
    pub(crate) holder: usize,
    /// The show session; shows of one session belong together for everybody to see.
    pub(crate) session: usize,
    pub(crate) profile: Profile,
    /// What is seen, by its place.
    pub(crate) fields: BTreeSet<(String, Vec<u8>)>,
}

impl Seen {
    /// The text of a QR: every value in it by its place, every window of its bytes wherever it stands.
    pub(crate) fn of_code(holder: usize, session: usize, profile: Profile, text: &str) -> Self {
        let mut seen = Self { holder, session, profile, fields: BTreeSet::new() };
        let token = base45(text.strip_prefix("DQ1:").unwrap());
        let mut decoder = Decoder::new(&token);
        assert_eq!(decoder.array().unwrap(), Some(2));
        for envelope in ["issuer", "device"] {
            seen.value(&mut decoder, envelope);
        }
        assert_eq!(decoder.position(), token.len());
        seen
    }

    pub(crate) fn add(&mut self, place: &str, bytes: &[u8]) {
        // A document's own claims may join: they are what was shown. An age has none of its own.
        let own = self.profile != Profile::Age && (place == "claim" || place.starts_with(CLAIMS));
        if own && !DIGESTS.contains(&place) {
            return;
        }
        self.add_digits(place, bytes);
        let windows = bytes.windows(WINDOW).map(|window| ("bytes".to_owned(), window.to_vec()));
        self.fields.extend(windows);
    }

    /// A value as a whole: pieces of a few digits are equal by chance.
    pub(crate) fn add_digits(&mut self, place: &str, digits: &[u8]) {
        self.fields.insert((place.to_owned(), digits.to_vec()));
    }

    /// An answer of the server: every value by its place.
    pub(crate) fn add_answer(&mut self, place: &str, answer: &Value) {
        match answer {
            Value::Object(members) => {
                for (name, value) in members {
                    let place = if name == "claims" { "claim".into() } else { format!("{place}.{name}") };
                    self.add_answer(
                        if place == "claim" || self.is_claim(&place) { "claim" } else { &place },
                        value,
                    );
                }
            }
            Value::Array(values) => values.iter().for_each(|value| self.add_answer(place, value)),
            Value::Null => {}
            value => self.add(place, value.to_string().as_bytes()),
        }
    }

    fn is_claim(&self, place: &str) -> bool {
        place.starts_with("claim.")
    }

    fn value(&mut self, decoder: &mut Decoder<'_>, place: &str) {
        let start = decoder.position();
        match decoder.datatype().unwrap() {
            // The place in the status lists is one value; so is the number of the list.
            Type::Array if place.ends_with(".payload.-2") => {
                decoder.array().unwrap();
                let (list, index) = (decoder.u32().unwrap(), decoder.u32().unwrap());
                self.add("status list", &list.to_be_bytes());
                self.add("status place", &[list.to_be_bytes(), index.to_be_bytes()].concat());
            }
            Type::Array => {
                let length = decoder.array().unwrap().unwrap();
                for n in 0..length {
                    let name = ["protected", "unprotected", "payload", "signature"];
                    let envelope = matches!(place, "issuer" | "device");
                    let name =
                        if envelope { name[usize::try_from(n).unwrap()].into() } else { n.to_string() };
                    self.value(decoder, &format!("{place}.{name}"));
                }
            }
            Type::Map => {
                let length = decoder.map().unwrap().unwrap();
                for _ in 0..length {
                    let key = decoder.i64().unwrap();
                    self.value(decoder, &format!("{place}.{key}"));
                }
            }
            Type::Bytes if place.ends_with(".payload") => {
                let payload = decoder.bytes().unwrap();
                self.value(&mut Decoder::new(payload), place);
            }
            _ => {
                decoder.skip().unwrap();
                let bytes = &decoder.input()[start..decoder.position()];
                self.add(place, bytes);
            }
        }
    }
}

/// A value that stands in shows of one holder only, and in two of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Join {
    pub(crate) place: String,
    pub(crate) holder: usize,
    pub(crate) shows: usize,
}

/// Shows by their holder.
type Sessions = BTreeMap<usize, BTreeSet<usize>>;

/// Everything that joins shows, by its place. `sizes` are the numbers of values of places with so few that two shows of one
/// holder can have the same by chance; what chance explains is left out.
pub(crate) fn joins(table: &[Seen], sizes: &[(&str, usize)]) -> BTreeMap<String, Vec<Join>> {
    let mut holders: HashMap<&(String, Vec<u8>), Sessions> = HashMap::new();
    for seen in table {
        for field in &seen.fields {
            holders.entry(field).or_default().entry(seen.holder).or_default().insert(seen.session);
        }
    }
    let mut joins: BTreeMap<String, Vec<Join>> = BTreeMap::new();
    for ((place, _), holders) in holders {
        let only = holders.iter().next().filter(|(_, sessions)| holders.len() == 1 && sessions.len() > 1);
        if let Some((holder, sessions)) = only {
            let join = Join { place: place.clone(), holder: *holder, shows: sessions.len() };
            joins.entry(place.clone()).or_default().push(join);
        }
    }
    let pairs = pairs(table);
    joins.retain(|place, found| {
        let size = sizes.iter().find(|(known, _)| known == place).map(|(_, size)| *size);
        // Four more than expected happen once in many thousand runs.
        size.is_none_or(|size| found.len() > pairs.div_ceil(size) + 3)
    });
    joins
}

/// Pairs of shows of one holder.
fn pairs(table: &[Seen]) -> usize {
    let mut sessions = Sessions::new();
    for seen in table {
        sessions.entry(seen.holder).or_default().insert(seen.session);
    }
    sessions.values().map(|shows| shows.len() * (shows.len() - 1) / 2).sum()
}

fn base45(text: &str) -> Vec<u8> {
    const ALPHABET: &[u8] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ $%*+-./:";
    let digits: Vec<usize> =
        text.bytes().map(|c| ALPHABET.iter().position(|known| *known == c).unwrap()).collect();
    let group = |group: &[usize]| {
        let value = group.iter().rev().fold(0, |value, digit| value * 45 + digit);
        let bytes = u16::try_from(value).unwrap().to_be_bytes();
        bytes[3 - group.len()..].to_vec()
    };
    digits.chunks(3).flat_map(group).collect()
}
