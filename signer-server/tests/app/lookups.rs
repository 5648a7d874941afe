//! What an act costs does not grow with the number of people.

use signer_client::{Approved, RelyingParty};
use signer_core::{ids::RequestId, wire::CreatedEnrolmentCode};

use crate::{
    harness::{PIN, WRONG, request},
    limits::enrolled,
    support::{http::Client, phone::network, process::Process},
};

/// More than a statement may look at without a remark.
const OTHERS: u32 = 300;

/// Other people's rows, by SQL: who has a phone, a code to enrol with, an open request.
fn fill(store: &std::path::Path) {
    let db = rusqlite::Connection::open(store).unwrap();
    for (table, others) in [
        (
            "installation",
            "device = randomblob(16), device_key = randomblob(33), holder = 'other-' || n, lost_code = NULL, audit_name = NULL",
        ),
        ("enrolment_code", "hash = randomblob(32), holder = 'other-' || n, used = 0, expires = 1 << 40"),
        (
            "request",
            "id = randomblob(16), holder = 'other-' || n, idempotency_key = NULL, idempotency_body = NULL",
        ),
    ] {
        let columns: Vec<String> = {
            let mut columns = db.prepare(&format!("SELECT name FROM pragma_table_info('{table}')")).unwrap();
            columns.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let values: Vec<&str> = columns
            .iter()
            .map(|column| {
                let given = others.split(", ").find_map(|one| one.strip_prefix(&format!("{column} = ")));
                given.unwrap_or(column)
            })
            .collect();
        let sql = format!(
            "WITH RECURSIVE others (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM others WHERE n < {OTHERS})
             INSERT INTO {table} ({}) SELECT {} FROM others, (SELECT * FROM {table} LIMIT 1)",
            columns.join(", "),
            values.join(", ")
        );
        assert_eq!(db.execute(&sql, []).unwrap(), OTHERS as usize, "{table}");
    }
}

#[test]
fn sto_207_no_act_looks_at_everybodys_rows() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = Process::start(folder.path(), "log = \"info,signer_server::store=debug\"");
    let (mut olena, bank) = enrolled(&server, folder.path(), "olena");
    let asker = RelyingParty::new(network(&server.url()), bank.token.as_str());
    asker.ask(&request("olena", 1), "open").unwrap();
    let (client, admin) = (Client::new(server.url()), server.admin_token());
    let code = |person: &str| {
        let body = serde_json::json!({ "person": person });
        client.json("POST", "/admin/v1/enrolment-codes", &admin, Some(&body)).json::<CreatedEnrolmentCode>()
    };
    code("petro");
    server.terminate();
    server.wait();
    fill(&server.data.join("store.db"));
    server.restart();

    code("petro");
    let (mut petro, _) = enrolled(&server, folder.path(), "petro");
    let id: RequestId = asker.ask(&request("petro", 1), "another").unwrap().id;
    petro.approve(id, PIN).unwrap();
    let id = asker.ask(&request("olena", 1), "wrong").unwrap().id;
    assert!(matches!(olena.approve(id, WRONG), Ok(Approved::WrongPin(_))));
    olena.phone.status().unwrap();
    for path in
        ["/admin/v1/requests?limit=5", &format!("/admin/v1/requests?limit=5&relying_party={}", bank.id)]
    {
        assert_eq!(client.json("GET", path, &admin, None).status, 200, "{path}");
    }
    let device = olena.device_key().device_id();
    for act in ["suspend", "resume", "revoke"] {
        let path = format!("/admin/v1/devices/{device}/{act}");
        assert_eq!(client.json("POST", &path, &admin, None).status, 204, "{act}");
    }
    let log = server.log();
    // What SQL wrote above waits for the log all at once.
    let remarks = log.lines().filter(|line| line.contains("one by one") && !line.contains("audit_waiting"));
    let remarks: Vec<_> = remarks.collect();
    assert!(remarks.is_empty(), "{remarks:#?}");
}
