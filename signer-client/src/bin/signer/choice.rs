//! The verification code of a request: the holder picks the one that whoever asks shows.

use signer_client::Phone;
use signer_core::{
    approval::RequestObject,
    wire::{CodeChoice, CodeChosen, VerificationCode},
};

use crate::{
    Approve,
    output::{Failure, Output, ask},
};

/// Has the holder choose, and tells the server. A wrong code ends the request.
pub(crate) fn choose(
    output: &Output,
    phone: &mut Phone,
    object: &RequestObject,
    choice: &CodeChoice,
    args: &Approve,
) -> Result<(), Failure> {
    let asker = object.relying_party.name.as_str();
    let code = match args.code {
        Some(code) => Some(code),
        None if args.pin.pin_stdin => {
            return Err(Failure::usage("this request has a verification code", "Give --code."));
        }
        None => picked(output, asker, choice)?,
    };
    let code = code.filter(|code| choice.codes.contains(code)).ok_or_else(|| {
        Failure::new(
            "not_approved",
            format!(
                "that is none of the codes: {asker} shows another one, or you are asked by somebody else"
            ),
            "Nothing was signed. Use `signer decline` to say no.",
        )
    })?;
    match phone.choose_code(choice.request, code)? {
        CodeChosen::Right {} => Ok(()),
        CodeChosen::Wrong {} => Err(Failure::new(
            "wrong_code",
            format!("{code} is not the code that {asker} shows: the request has ended"),
            "Nothing was signed. If you did not begin this yourself, somebody else may have.",
        )),
    }
}

fn picked(output: &Output, asker: &str, choice: &CodeChoice) -> Result<Option<VerificationCode>, Failure> {
    output.progress(&format!("Which code does {asker} show you?"));
    for (number, code) in (1..).zip(&choice.codes) {
        output.progress(&format!("  {number}  {code}"));
    }
    let answer = ask("1, 2, 3 or the code; anything else if it is none of them")?;
    let answer = answer.trim();
    let by_number = || answer.parse::<usize>().ok()?.checked_sub(1).and_then(|place| choice.codes.get(place));
    Ok(answer.parse().ok().or_else(|| by_number().copied()))
}
