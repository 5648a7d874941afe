//! `signer show`: a document's three codes on the screen.

use signer_client::{BusinessRequest, ClientError, NoShortCodes, Phone, Screen, ShowSession, Showing};
use signer_core::{credential::DocumentType, wire::Profile};

use crate::{
    Global, Show,
    checks::claims,
    live,
    output::{Failure, Output, confirm, printable},
    screen,
    setup::{Desk, open},
};

pub(crate) fn show(global: &Global, output: &Output, args: &Show) -> Result<(), Failure> {
    let Desk { mut phone, .. } = open(global)?;
    let online = !args.offline && phone.synchronise().is_ok();
    let (kind, showing) = agreed(output, &phone, args)?;
    if online {
        // An event may have come while nobody listened.
        phone.renew_withdrawn().map(drop).or_else(live::offline_is_fine)?;
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

/// What the holder agrees to, by the options or when asked.
fn agreed(output: &Output, phone: &Phone, args: &Show) -> Result<(DocumentType, Showing), Failure> {
    let kind = args.document.into();
    if let Some(text) = &args.request {
        return answered(output, phone.read_request(text.trim())?, kind, args.yes);
    }
    match Profile::from(args.profile) {
        profile if args.to_whoever_scans => Ok((kind, Showing::to_whoever_scans(profile))),
        Profile::Age => Ok((kind, Showing::age())),
        Profile::Minimal => Ok((kind, Showing::minimal())),
        Profile::Full => Err(Failure::usage(
            "the full document is shown only with your word",
            "Add --to-whoever-scans or the business's --request, or show age and agree when somebody asks for more.",
        )),
    }
}

/// Names the business and what it asks for, and takes the holder's word.
fn answered(
    output: &Output,
    request: BusinessRequest,
    kind: DocumentType,
    yes: bool,
) -> Result<(DocumentType, Showing), Failure> {
    let kind = request.document_type().unwrap_or(kind);
    let name = printable(request.name());
    output.progress(&format!("{name} asks\nFor      {} (your {})", claims(request.profile()), kind.name()));
    if request.is_trust_list_old() {
        output.progress(
            "This phone's trust list is over a week old: the business may have been struck off since.",
        );
    }
    if !yes && !confirm(&format!("Show it to {name}?"))? {
        return Err(Failure::new(
            "declined",
            "nothing was shown",
            "Show age or minimal instead, if you like.",
        ));
    }
    Ok((kind, Showing::answer(request)))
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
