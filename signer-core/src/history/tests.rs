use alloc::{string::ToString, vec, vec::Vec};

use rand::{SeedableRng, rngs::StdRng};

use super::*;
use crate::{
    codec::{self, Label, List},
    ids::DeviceId,
    secret::SecretBytes,
    wire::{HISTORY_PAGE_MAX, HistoryPage, NumberedEntry, REPLY_BYTES_MAX},
};

const DEVICE: DeviceId = DeviceId::from_bytes([1; 16]);
const NOW: UnixSeconds = UnixSeconds(1_795_169_700);

fn key(byte: u8) -> HistoryKey {
    HistoryKey::derive(&SecretBytes::new([byte; 32]), DEVICE)
}

fn entry(number: u64) -> Entry {
    Entry { at: NOW.plus(number), act: Act::PinChanged {} }
}

fn seal(entry: &Entry) -> SealedEntry {
    key(1).public().seal(DEVICE, entry, &mut StdRng::seed_from_u64(entry.at.0)).unwrap()
}

fn largest() -> Entry {
    let name = || Label::new("ї".repeat(100)).unwrap();
    let documents = List::new(vec![name(); 32]).unwrap();
    let asked = Asked { relying_party: name(), request: RequestId::from_bytes([0xff; 16]), documents };
    Entry { at: UnixSeconds(u64::MAX), act: Act::Signed { asked } }
}

#[test]
fn his_001_only_the_phone_opens_an_entry_and_only_whole() {
    let (phone, sealed) = (key(1), seal(&entry(1)));
    assert_eq!(phone.open(&sealed), Some(entry(1)));
    assert_eq!(key(2).open(&sealed), None, "another key");
    let other = DeviceId::from_bytes([2; 16]);
    assert_eq!(HistoryKey::derive(&SecretBytes::new([1; 32]), other).open(&sealed), None, "another device");
    for at in 0..sealed.as_bytes().len() {
        let mut bytes = sealed.as_bytes().to_vec();
        bytes[at] ^= 1;
        assert_eq!(phone.open(&SealedEntry::new(bytes).unwrap()), None, "byte {at}");
    }
    assert_eq!(alloc::format!("{phone:?} {sealed:?}"), "HistoryKey(redacted) SealedEntry(304 bytes)");
}

#[test]
fn his_002_a_sealed_entry_tells_little_by_its_length() {
    let reason = Label::new("r".repeat(REASON_BYTES_MAX)).unwrap();
    for act in
        [Act::Frozen {}, Act::Revoked { reason }, Act::CredentialsIssued { document_type: 1, count: 8 }]
    {
        assert_eq!(seal(&Entry { at: NOW, act }).as_bytes().len(), 32 + 256 + 16);
    }
    // Where the padding begins anew.
    let name = |length: usize| Label::new("n".repeat(length)).unwrap();
    let of = |length: usize| {
        let asked = Asked {
            relying_party: name(100),
            request: RequestId::from_bytes([1; 16]),
            documents: List::new(vec![name(length)]).unwrap(),
        };
        Entry { at: NOW, act: Act::Signed { asked } }
    };
    let lengths: Vec<_> = (90..130).map(|length| (codec::encode(&of(length)).len(), of(length))).collect();
    for (length, entry) in lengths {
        let sealed = seal(&entry);
        assert_eq!(sealed.as_bytes().len(), 48 + if length < 256 { 256 } else { 512 }, "{length}");
        assert_eq!(key(1).open(&sealed), Some(entry));
    }
}

#[test]
fn his_003_the_longest_entry_fits_and_so_does_the_longest_page() {
    let sealed = seal(&largest());
    assert!(sealed.as_bytes().len() <= SEALED_BYTES_MAX);
    assert_eq!(key(1).open(&sealed), Some(largest()));
    let longest = SealedEntry::new(vec![0; SEALED_BYTES_MAX]).unwrap();
    let entries = (1..=u64::from(HISTORY_PAGE_MAX))
        .map(|_| NumberedEntry { number: u64::MAX, sealed: longest.clone() });
    let head = HistoryHead { number: u64::MAX, hash: [0xff; 32] };
    let page =
        HistoryPage { time: UnixSeconds(u64::MAX), before: [0xff; 32], entries: entries.collect(), head };
    assert!(codec::encode(&page).len() <= REPLY_BYTES_MAX);
    assert_eq!(SealedEntry::new(vec![0; SEALED_BYTES_MAX + 1]), None);
    assert_eq!(SealedEntry::new(vec![0; 47]), None);
}

/// X25519 public keys of low order (RFC 7748 §6.1) give a secret that everybody knows.
#[test]
fn his_004_nothing_is_sealed_to_a_key_of_low_order() {
    let mut one = [0; 32];
    one[0] = 1;
    for weak in [[0; 32], one] {
        let sealed = HistoryKeyBytes(weak).seal(DEVICE, &entry(1), &mut StdRng::seed_from_u64(1));
        assert_eq!(sealed, Err(SealError));
    }
}

/// A server's history of `length` entries; `salt` makes another one.
struct Server {
    entries: Vec<SealedEntry>,
}

impl Server {
    fn new(length: u64, salt: u64) -> Self {
        Self { entries: (1..=length).map(|number| seal(&entry(number * 1000 + salt))).collect() }
    }

    fn head(&self, number: u64) -> HistoryHead {
        let number = usize::try_from(number).unwrap();
        self.entries[..number].iter().fold(HistoryHead::start(DEVICE), |head, sealed| head.after(sealed))
    }

    fn newest(&self) -> HistoryHead {
        self.head(self.entries.len() as u64)
    }

    fn page(&self, after: u64, limit: usize) -> HistoryPage {
        let first = usize::try_from(after).unwrap().min(self.entries.len());
        let last = first.saturating_add(limit).min(self.entries.len());
        let entries = (after + 1..).zip(&self.entries[first..last]);
        HistoryPage {
            time: NOW,
            before: self.head(first as u64).hash,
            entries: entries
                .map(|(number, sealed)| NumberedEntry { number, sealed: sealed.clone() })
                .collect(),
            head: self.newest(),
        }
    }
}

/// What a phone that knows `known` finds, asking from `from` in pages of `limit`, with each page changed on its way.
fn walk(
    server: &Server,
    known: HistoryHead,
    from: u64,
    limit: usize,
    change: impl Fn(&mut HistoryPage),
) -> Result<(HistoryHead, Vec<u64>), HistoryFault> {
    let mut check = HistoryCheck::new(DEVICE, known, from);
    let mut numbers = Vec::new();
    while let Some(after) = check.wants() {
        let mut page = server.page(after, limit);
        change(&mut page);
        numbers.extend(check.page(page)?.iter().map(|entry| entry.number));
        assert!(numbers.len() < 1000, "no end");
    }
    Ok((check.reached().unwrap(), numbers))
}

fn honest(_: &mut HistoryPage) {}

#[test]
fn his_010_an_honest_history_is_taken_from_wherever_it_is_asked() {
    let server = Server::new(9, 0);
    for known in 0..=9 {
        for from in 0..=known {
            for limit in [1, 2, 64] {
                let (head, numbers) = walk(&server, server.head(known), from, limit, honest).unwrap();
                assert_eq!(head, server.newest());
                assert_eq!(numbers, (from + 1..=9).collect::<Vec<_>>());
            }
        }
    }
    let empty = Server::new(0, 0);
    assert_eq!(walk(&empty, empty.newest(), 0, 64, honest).unwrap(), (HistoryHead::start(DEVICE), vec![]));
    // From after what is known is from what is known.
    assert_eq!(walk(&server, server.head(4), 7, 64, honest).unwrap().1, [5, 6, 7, 8, 9]);
}

#[test]
fn his_011_a_history_that_was_shortened_is_named() {
    let (server, old) = (Server::new(9, 0), Server::new(6, 0));
    let fault = HistoryFault::Shortened { known: 9, got: 6 };
    for from in 0..=9 {
        assert_eq!(walk(&old, server.newest(), from, 64, honest), Err(fault));
        // An old head, whatever entries come with it.
        let replay = |page: &mut HistoryPage| page.head = old.newest();
        assert_eq!(walk(&server, server.newest(), from, 64, replay), Err(fault));
    }
    assert_eq!(fault.to_string(), "the server's history ends at entry 6; this phone has seen entry 9");
}

#[test]
fn his_012_a_history_that_was_rewritten_is_named() {
    let server = Server::new(9, 0);
    for at in 0..9 {
        let mut other = Server::new(12, 0);
        other.entries[at] = seal(&entry(77));
        for from in 0..=9 {
            for limit in [1, 64] {
                let found = walk(&other, server.newest(), from, limit, honest);
                assert_eq!(found, Err(HistoryFault::Rewritten { number: 9 }), "{at} {from}");
            }
        }
    }
    // Entries in another order; the same length; from the very beginning.
    let mut swapped = Server::new(9, 0);
    swapped.entries.swap(2, 3);
    assert_eq!(walk(&swapped, server.newest(), 0, 64, honest), Err(HistoryFault::Rewritten { number: 9 }));
    let start = |page: &mut HistoryPage| page.before = [9; 32];
    assert_eq!(walk(&server, server.newest(), 0, 64, start), Err(HistoryFault::Rewritten { number: 0 }));
}

#[test]
fn his_013_a_missing_entry_is_named() {
    let server = Server::new(9, 0);
    for gone in 1..=9 {
        for limit in [1, 64] {
            let drop = |page: &mut HistoryPage| page.entries.retain(|entry| entry.number != gone);
            let found = walk(&server, server.head(0), 0, limit, drop);
            assert_eq!(found, Err(HistoryFault::Gap { after: gone - 1 }));
        }
    }
    let twice = |page: &mut HistoryPage| page.entries.insert(1, page.entries[0].clone());
    assert_eq!(walk(&server, server.head(0), 0, 64, twice), Err(HistoryFault::Gap { after: 1 }));
    let swap = |page: &mut HistoryPage| page.entries.swap(3, 4);
    assert_eq!(walk(&server, server.head(0), 0, 64, swap), Err(HistoryFault::Gap { after: 3 }));
}

#[test]
fn his_014_entries_that_do_not_lead_to_the_head_are_named() {
    let (server, other) = (Server::new(9, 0), Server::new(9, 5));
    let fault = Err(HistoryFault::Forked { number: 9 });
    // Dropped, and the rest numbered anew.
    let renumber = |page: &mut HistoryPage| {
        page.entries.remove(4);
        (1..).zip(&mut page.entries).for_each(|(number, entry)| entry.number = number);
        page.entries.push(NumberedEntry { number: 9, sealed: seal(&entry(5)) });
    };
    assert_eq!(walk(&server, server.head(2), 0, 64, renumber), fault);
    let edit = |page: &mut HistoryPage| {
        page.entries.iter_mut().for_each(|entry| entry.sealed = seal(&self::entry(3)));
    };
    assert_eq!(walk(&server, server.head(9 - 9), 0, 64, edit), fault);
    // Another head than that of the entries; pages of two histories.
    assert_eq!(walk(&server, server.head(2), 0, 64, |page| page.head = other.newest()), fault);
    let torn = |page: &mut HistoryPage| {
        if page.before == server.head(6).hash {
            *page = HistoryPage { head: page.head, ..other.page(6, 3) };
        }
    };
    assert_eq!(walk(&server, server.head(0), 0, 3, torn), fault);
}

#[test]
fn his_015_the_first_page_says_where_it_ends() {
    let (before, after) = (Server::new(6, 0), Server::new(9, 0));
    // Entries are added while the phone reads: it ends at or after the head it was told first, and goes on next time.
    let mut check = HistoryCheck::new(DEVICE, before.head(2), 2);
    check.page(before.page(2, 2)).unwrap();
    assert_eq!((check.wants(), check.reached()), (Some(4), Some(before.head(4))));
    check.page(after.page(4, 64)).unwrap();
    assert_eq!((check.wants(), check.reached()), (None, Some(after.newest())));
    // A page past the first head still has to pass through it.
    let mut check = HistoryCheck::new(DEVICE, before.head(2), 2);
    check.page(before.page(2, 2)).unwrap();
    let mut other = Server::new(9, 0);
    other.entries[5] = seal(&entry(8));
    assert_eq!(check.page(other.page(4, 64)), Err(HistoryFault::Forked { number: 6 }));
}
