//! `signer show`: a document's three codes on the screen.

use signer_client::{ClientError, NoShortCodes, Phone, Screen, ShowSession, Showing};
use signer_core::{credential::DocumentType, wire::Profile};

use crate::{
    Global, Show, live,
    output::{Failure, Output},
    screen,
    setup::{Desk, open},
};

pub(crate) fn show(global: &Global, output: &Output, args: &Show) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global, None)?;
    let kind = DocumentType::from(args.document);
    let online = !args.offline && phone.synchronise().is_ok();
    let showing = agreed(args)?;
    if online {
        stock_up(output, &mut phone, kind, showing.profile())?;
    }
    let mut session = phone.start_show(kind, showing)?;
    if session.is_linkable() {
        output.progress(
            "No unused credential is left: who sees this can tell that it is the same phone as before.",
        );
    }
    if args.once {
        let now_on = current(&mut phone, &mut session, args)?;
        screen::write_files(args, &now_on)?;
        return screen::print(output, args, &session, &now_on, phone.now());
    }
    live::run(output, args, phone, session, online)
}

/// What the holder agrees to by the options.
fn agreed(args: &Show) -> Result<Showing, Failure> {
    match Profile::from(args.profile) {
        profile if args.to_whoever_scans => Ok(Showing::to_whoever_scans(profile)),
        Profile::Age => Ok(Showing::age()),
        Profile::Minimal => Ok(Showing::minimal()),
        Profile::Full => Err(Failure::usage(
            "the full document is shown only with your word",
            "Add --to-whoever-scans, or show age or minimal and agree when a business asks for more.",
        )),
    }
}

fn stock_up(output: &Output, phone: &mut Phone, kind: DocumentType, profile: Profile) -> Result<(), Failure> {
    if phone.stock(kind).of(profile) > 0 {
        return Ok(());
    }
    output.progress("Getting credentials ...");
    phone.top_up(kind)?;
    if phone.stock(kind).of(profile) == 0 {
        return Err(Failure::new(
            "no_document",
            format!("the register has nothing to show as {} for this person", profile.name()),
            "Show another --profile. Age is for who is of age.",
        ));
    }
    Ok(())
}

/// What is to be on the screen now.
pub(crate) fn current(
    phone: &mut Phone,
    session: &mut ShowSession,
    args: &Show,
) -> Result<Screen, ClientError> {
    if args.offline {
        return Ok(Screen { code: phone.code(session)?, short: Err(NoShortCodes::Offline) });
    }
    phone.display(session)
}
