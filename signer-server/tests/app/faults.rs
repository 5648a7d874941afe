//! A full disk, a disk that can only be read, a clock that steps back: correct answers, then recovery by itself.

use std::{fs, path::PathBuf, process::Command};

use signer_client::Approved;
use signer_core::{credential::Reason, wire::Profile};

use crate::{
    harness::{PIN, TestApp, WRONG},
    restore::{guess, sign},
    screen::{self, GREEN, Till, outcome, red, stocked},
    support::{
        clock::{T0, TestClock},
        postgres::is_root,
    },
};

/// A small file system in memory.
struct Disk(PathBuf);

impl Disk {
    /// None where nobody may mount one.
    fn mount(folder: PathBuf) -> Option<Self> {
        fs::create_dir(&folder).unwrap();
        if !is_root() {
            eprintln!("not tried: it takes root to mount a disk");
            return None;
        }
        let disk = Self(folder);
        disk.run("mount", &["-t", "tmpfs", "-o", "size=8m,mode=700", "tmpfs"]);
        Some(disk)
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        assert!(Command::new(program).args(arguments).arg(&self.0).status().unwrap().success());
    }

    /// Takes every byte that is left.
    fn fill(&self) {
        let mut size = 1 << 20;
        let mut file = fs::File::create(self.0.join("ballast")).unwrap();
        while size > 0 {
            if std::io::Write::write_all(&mut file, &vec![1; size]).is_err() {
                size /= 2;
            }
        }
    }

    fn empty(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _best_effort = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn res_040_on_a_full_disk_nothing_is_released_and_space_is_all_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path().join("disk")) else { return };
    let mut app = TestApp::spawn_with(|config| config.data_dir = disk.0.join("data"));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    let ids = [(); 3].map(|()| app.ask(&bank, "olena"));
    let prepared = phone.prepare(ids[0], PIN);
    disk.fill();
    let mut refused = 0;
    for _ in 0..40 {
        let answer = app.device("approve", &prepared);
        // The log may have had room for a few more.
        if answer.status == 503 {
            assert_eq!(answer.header("retry-after"), Some("1"));
            assert_eq!(answer.problem().code.code(), "overloaded");
            refused += 1;
        }
        let made = app.admin("POST", "/enrolment-codes", Some(&serde_json::json!({ "person": "somebody" })));
        assert!(matches!(made.status, 201 | 503), "{made:?}");
        refused += u32::from(made.status == 503);
    }
    assert!(refused > 10, "{refused}");
    disk.empty();
    assert_eq!(app.device("approve", &prepared).status, 200);
    assert!(matches!(phone.approve(ids[1], WRONG).unwrap(), Approved::WrongPin(_)));
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
    app.restart();
    assert_eq!(phone.phone.status().unwrap().attempts.left, 2);
    assert!(matches!(phone.approve(ids[2], PIN).unwrap(), Approved::Signed(_)));
    app.stop();
}

#[test]
fn res_041_a_disk_that_can_only_be_read_is_named_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = Disk::mount(folder.path().join("disk")) else { return };
    let mut app = TestApp::spawn_with(|config| config.data_dir = disk.0.join("data"));
    let (bank, mut phone) = (app.bank(), app.phone("olena"));
    app.stop();
    disk.run("mount", &["-o", "remount,ro"]);
    let refused = app.start().unwrap_err();
    assert!(refused.to_lowercase().contains("read"), "{refused}");
    disk.run("mount", &["-o", "remount,rw"]);
    app.start().unwrap();
    sign(&app, &bank, &mut phone, "olena");
    app.stop();
}

#[test]
fn res_042_a_clock_that_steps_back_takes_nothing_back() {
    let mut app = TestApp::spawn();
    let right = TestClock::at(T0);
    let bank = app.bank();
    let (mut ivan, mut andrii) = (app.phone_on("ivan", &right), app.phone_on("andrii", &right));
    let till = Till::new(&app, "Corner Shop");
    let mut shown = stocked(&app, "olena");
    let code = screen::code(&mut shown, Profile::Age);
    assert_eq!(outcome(&app, &till.scan(code.presentation.as_str())), GREEN);
    for _ in 0..3 {
        guess(&app, &bank, &mut ivan, "ivan");
    }
    let locked = ivan.phone.status().unwrap().attempts.locked_until;
    assert!(locked.is_some());
    for back in [1, 3600, 30 * 24 * 3600] {
        app.clock.set(T0 - back);
        assert_eq!(ivan.phone.status().unwrap().attempts.locked_until, locked);
        let used = outcome(&app, &till.scan(code.presentation.as_str()));
        assert_eq!(used, red(Reason::Used));
        sign(&app, &bank, &mut andrii, "andrii");
    }
    let Till { token, id, .. } = till;
    app.restart();
    assert_eq!(ivan.phone.status().unwrap().attempts.locked_until, locked);
    let till = Till::of(&app, &token, &id);
    assert_eq!(outcome(&app, &till.scan(code.presentation.as_str())), red(Reason::Used));
    sign(&app, &bank, &mut andrii, "andrii");
}
