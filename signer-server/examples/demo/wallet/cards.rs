//! The faces of the cards. A real wallet has them from the signed extracts that it keeps; the demo reads the made-up person in the
//! register's file.

use std::{collections::BTreeMap, fs};

use serde::Deserialize;
use signer_core::credential::DocumentType;

use super::view::{Person, kind_of};
use crate::{Result, server::REGISTER, story::PERSON};

/// A document as its card shows it.
#[derive(Clone)]
pub(super) struct Card {
    pub(super) kind: DocumentType,
    pub(super) number: String,
    pub(super) expires: String,
}

#[derive(Deserialize)]
struct Record {
    document_type: String,
    family: String,
    given: String,
    number: String,
    expires: String,
}

/// The person of the demo, and what they hold.
pub(super) fn read() -> Result<(Person, Vec<Card>)> {
    // Others in the file are vehicles, which have other fields.
    let mut register: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&fs::read(REGISTER)?)?;
    let records = register.remove(PERSON).ok_or("the person is not in the register")?;
    let records: Vec<Record> = serde_json::from_value(records)?;
    let mut person = Person::default();
    let mut cards = Vec::new();
    for Record { document_type, family, given, number, expires } in records {
        let kind = kind_of(&document_type).ok_or("an unknown kind of document")?;
        person = Person { family, given };
        cards.push(Card { kind, number, expires });
    }
    Ok((person, cards))
}
