//! Document codes: made, verified offline, drawn.

use signer_benches::{
    alternate::{Compared, compare},
    codes::Parties,
    history::Sealing,
    qr,
};

use super::figures::{Goal, ROUNDS, Report, micros};

pub(crate) fn measure(report: &mut Report) {
    let parties = Parties::new();
    in_memory(report, &parties);
    for (profile, code) in parties.of_each_profile() {
        let version = (qr::matrix(code.as_str()).size() - 17) / 4;
        report.inform(format!(
            "qr_of_profile {profile} {} characters version {version}-M",
            code.as_str().len()
        ));
    }
    let mut sealing = Sealing::new();
    let compared = compare(ROUNDS, || parties.p256_sign(), || sealing.seal());
    report.inform(format!(
        "history_seal_per_p256_sign {:.2} ({})",
        compared.ratio,
        micros(compared, "sign", "seal")
    ));
    drawn(report, parties.text());
}

fn in_memory(report: &mut Report, parties: &Parties) {
    let compared = compare(ROUNDS, || parties.p256_sign(), || parties.present());
    let checked = compare(ROUNDS / 5, || parties.p256_sign(), || parties.present_from_keystore()).subject;
    let measured = format!(
        "{} ({checked:.0} with a keystore's signature, which is checked)",
        micros(compared, "sign", "code")
    );
    report.add("code_issue_per_p256_sign", compared.ratio, Goal::AtMost(1.05), measured);
    let compared = compare(ROUNDS, || parties.verify_times(2), || parties.verify());
    let measured = micros(compared, "two verifies", "offline verify");
    report.add("offline_verify_per_two_verifies", compared.ratio, Goal::AtMost(1.1), measured);
    let compared = compare(ROUNDS, || parties.verify_times(1), || parties.verify_known());
    let measured = micros(compared, "one verify", "credential known");
    report.add("known_verify_per_one_verify", compared.ratio, Goal::AtMost(1.1), measured);
}

fn drawn(report: &mut Report, text: &str) {
    let mut faster = |name, least, compared: Compared| {
        report.add(name, 1.0 / compared.ratio, Goal::AtLeast(least), micros(compared, "theirs", "ours"));
    };
    faster("qr_svg_per_out_of_the_box", 10.0, compare(ROUNDS, || qr::their_svg(text), || qr::svg(text)));
    let matrices = compare(ROUNDS, || qr::their_matrix(text), || qr::matrix(text));
    faster("qr_matrix_per_out_of_the_box", 10.0, matrices);
    faster("qr_png_per_out_of_the_box", 5.0, compare(ROUNDS, || qr::their_png(text), || qr::png(text)));
}
