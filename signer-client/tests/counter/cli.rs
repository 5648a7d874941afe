//! `signer trust`, `signer verify` without network, `signer request`.

use std::{fs, process::Command};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::Value;
use signer_client::lists::{point, read_point};
use signer_core::{
    codec::Label,
    credential::{BusinessClaims, BusinessId, Challenge, StepRule, Turn, verify_request},
    wire::Profile,
};
use tempfile::TempDir;

use crate::support::{business_issuer, code, key, list, now, root, signed, statuses};

pub(crate) struct Shop(TempDir);

impl Shop {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().into()
    }

    fn put(&self, name: &str, bytes: &[u8]) -> String {
        fs::write(self.path(name), bytes).unwrap();
        self.path(name)
    }

    /// Exit code and JSON of a command.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_signer"));
        command.args(["--json", "--state", &self.path("state")]).args(arguments).env_clear();
        let output = command.output().unwrap();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// A shop that has the root, trust list 5 and status list 1.
    fn with_lists() -> Self {
        let shop = Self::new();
        let (trust, status) = (shop.put("5.cose", &signed(5)), shop.put("1.cwt", &statuses(1, &[17], 0)));
        let root = point(root().verifying_key());
        let (exit, value) =
            shop.run(&["verify", "--trust-root", &root, "--trust-list", &trust, "--status-list", &status]);
        assert_eq!(
            (exit, &value["trust_list"]["number"], &value["status_lists"]),
            (0, &5.into(), &1.into()),
            "{value}"
        );
        shop
    }

    fn verify(&self, code: &str) -> (i32, Value) {
        self.run(&["verify", "--offline", code])
    }
}

#[test]
fn cli_081_a_bad_code_is_red_with_exit_code_1() {
    let (exit, value) = Shop::with_lists().verify("DQ1:NOT A CODE");
    assert_eq!((exit, &value["result"]), (1, &"red".into()));
    assert!(value["sentence"].is_string() && value["next_step"].is_string());
    // Without lists there is no answer at all, which is another thing than red.
    let (exit, value) = Shop::new().verify("DQ1:NOT A CODE");
    assert_eq!((exit, &value["error"]), (2, &"usage".into()));
}

#[test]
fn cli_084_offline_the_same_code_is_accepted_once_and_the_clock_has_a_floor() {
    let (one, two) = (Shop::with_lists(), Shop::with_lists());
    let (first, second) = (code(1, Turn::FIRST, None), code(1, Turn::FIRST.next().unwrap(), None));
    let (exit, value) = one.verify(&first);
    assert_eq!((exit, &value["result"]), (0, &"green".into()), "{value}");
    assert!(value["withdrawals_known_to"].is_u64());
    let (exit, value) = one.verify(&first);
    assert_eq!((exit, &value["reason"]), (1, &"used".into()), "{value}");
    // Another turn, another credential, another shop; then the turn before.
    assert_eq!(
        (one.verify(&second).0, one.verify(&code(2, Turn::FIRST, None)).0, two.verify(&second).0),
        (0, 0, 0)
    );
    let (exit, value) = two.verify(&first);
    assert_eq!((exit, &value["reason"]), (1, &"superseded".into()), "{value}");
    let (exit, value) = one.verify(&code(17, Turn::FIRST, None));
    assert_eq!((exit, &value["reason"]), (1, &"revoked".into()), "{value}");
    // Nothing of the holder is kept; the newest signed time is.
    let memory = two.path("state/verifier.json");
    let mut content: Value = serde_json::from_slice(&fs::read(&memory).unwrap()).unwrap();
    assert_eq!(content["clock_floor"], now().hour().0);
    // A clock before a signed time is wrong, and nothing is accepted by it.
    content["clock_floor"] = (now().0 + 7200).into();
    fs::write(&memory, content.to_string()).unwrap();
    let (exit, value) = two.verify(&code(3, Turn::FIRST, None));
    assert_eq!((exit, &value["reason"]), (1, &"clock".into()), "{value}");
    // A memory that cannot be read is no answer.
    fs::write(&memory, "{").unwrap();
    assert_eq!(two.verify(&code(4, Turn::FIRST, None)).0, 2);
}

#[test]
fn tru_066_an_older_list_is_no_answer_and_changes_nothing() {
    let shop = Shop::with_lists();
    let (trust, status) = (shop.put("4.cose", &signed(4)), shop.put("old.cwt", &statuses(1, &[], 1800)));
    let (exit, value) = shop.run(&["verify", "--trust-list", &trust]);
    assert_eq!((exit, &value["error"]), (2, &"trust_list_older".into()), "{value}");
    let (exit, value) = shop.run(&["verify", "--status-list", &status, &code(17, Turn::FIRST, None)]);
    assert_eq!((exit, &value["error"]), (2, &"status_list_older".into()), "{value}");
    assert_eq!(shop.verify(&code(17, Turn::FIRST, None)).1["reason"], "revoked");
    let sync = shop.run(&["verify", "--sync", "--server", "http://127.0.0.1:9"]);
    assert_eq!(sync.0, 2, "no network is no answer");
}

#[test]
fn tru_067_the_root_signs_a_list_and_never_a_lower_number_over_it() {
    let shop = Shop::new();
    let (file, out) = (shop.path("root.json"), shop.path("trust-list.cose"));
    let (exit, made) = shop.run(&["trust", "root-key", "--file", &file]);
    let text = made["root"].as_str().unwrap();
    assert_eq!(
        (exit, shop.run(&["trust", "root-key", "--file", &file]).1),
        (0, made.clone()),
        "the same again"
    );
    let public = read_point(text).unwrap();
    let json =
        |number| shop.put("list.json", serde_json::to_string(&list(number, &[public])).unwrap().as_bytes());
    let sign = |list: &str| shop.run(&["trust", "sign", "--root", &file, "--out", &out, list]);
    assert_eq!(sign(&json(5)).0, 0);
    let first = fs::read(&out).unwrap();
    let (exit, value) = sign(&json(4));
    assert_eq!((exit, &value["error"]), (1, &"trust_list_older".into()), "{value}");
    assert_eq!(sign(&json(5)).1["error"], "trust_list_conflict");
    assert_eq!(fs::read(&out).unwrap(), first);
    assert_eq!(sign(&json(6)).0, 0);
    let (exit, shown) = shop.run(&["trust", "show", "--root", text, &out]);
    assert_eq!((exit, &shown["number"], &shown["roots"][0]), (0, &6.into(), &text.into()));
    let stranger = point(key(9).verifying_key());
    assert_eq!(shop.run(&["trust", "show", "--root", &stranger, &out]).1["error"], "trust_list_unknown_root");
    assert_eq!(sign(&shop.put("bad.json", b"{}")).0, 2);
}

#[cfg(unix)]
#[test]
fn tru_068_a_key_file_is_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let shop = Shop::new();
    let file = shop.path("root.json");
    shop.run(&["trust", "root-key", "--file", &file]);
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    fs::set_permissions(&file, fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(shop.run(&["trust", "root-key", "--file", &file]).0, 2);
}

#[test]
fn tru_069_a_shop_asks_and_takes_only_the_answer() {
    let shop = Shop::with_lists();
    let business = read_point(shop.run(&["request", "--new-key"]).1["key"].as_str().unwrap()).unwrap();
    assert_eq!(shop.run(&["request", "--new-key"]).0, 2, "the key is not written over");
    let credential = |key| {
        let name = Label::new("Shop".into()).unwrap();
        let claims = BusinessClaims::new(
            now(),
            now().plus(86_400),
            key,
            name,
            vec![Profile::Age],
            BusinessId([7; 16]),
        );
        let issuer = business_issuer();
        let bytes = claims.unwrap().prepare(issuer.verifying_key()).sign(&issuer).unwrap();
        shop.put("business.txt", BASE64_URL_SAFE_NO_PAD.encode(bytes).as_bytes())
    };
    assert_eq!(shop.run(&["request", "--profile", "age"]).0, 2, "no credential yet");
    assert_eq!(
        shop.run(&["request", "--credential", &credential(*key(9).verifying_key())]).0,
        2,
        "another's"
    );
    assert_eq!(shop.run(&["request", "--credential", &credential(business)]).0, 0);
    assert_eq!(shop.run(&["request", "--profile", "full"]).0, 2, "not allowed");

    let (exit, asked) = shop.run(&["request", "--profile", "age"]);
    assert_eq!(exit, 0, "{asked}");
    let trust = list(5, &[*root().verifying_key()]);
    let read = verify_request(asked["request"].as_str().unwrap(), &trust, now(), StepRule::STANDARD).unwrap();
    assert_eq!((read.business().name(), read.ask().profile), ("Shop", Profile::Age));
    assert_eq!(asked["challenge"], read.challenge().to_string());

    let answer = |code: &str| shop.run(&["verify", "--offline", "--request", code]);
    let unasked = Some(Challenge([1; 16]));
    for other in [code(1, Turn::FIRST, None), code(2, Turn::FIRST, unasked)] {
        assert_eq!(answer(&other).1["reason"], "not_for_this_request");
    }
    let right = code(3, Turn::FIRST, Some(read.challenge()));
    assert_eq!(shop.verify(&right).1["reason"], "not_for_this_request", "it is for a request");
    let (exit, value) = answer(&right);
    assert_eq!((exit, &value["result"]), (0, &"green".into()), "{value}");
    assert_eq!(answer(&right).0, 2, "one answer to one request");
}
