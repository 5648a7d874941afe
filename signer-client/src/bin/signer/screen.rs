//! The codes as text, pictures and words.

use std::{
    fs,
    io::{IsTerminal as _, Write as _},
    path::Path,
};

use serde_json::json;
use signer_client::{Announcer, Language, Screen, ShortCodes, ShowSession, draw};
use signer_core::time::UnixSeconds;

use crate::{
    CodeArg, Show,
    holder::replace,
    output::{Failure, Output},
};

/// Prints what is on the screen now.
pub(crate) fn print(
    output: &Output,
    args: &Show,
    session: &ShowSession,
    screen: &Screen,
    now: UnixSeconds,
) -> Result<(), Failure> {
    let text = if output.json { String::new() } else { text(args, session, screen, now)? };
    output.print(&value(session, screen), &text);
    Ok(())
}

fn value(session: &ShowSession, screen: &Screen) -> serde_json::Value {
    let Screen { code, short } = screen;
    json!({
        "profile": session.profile().name(),
        "code": code.presentation.as_str(),
        "digits": short.as_ref().ok().map(|short| short.digits.to_string()),
        "bar": short.as_ref().ok().map(|short| short.bar.to_string()),
        "no_short_codes": short.as_ref().err().map(ToString::to_string),
        "step": code.step.0,
        "turn": code.turn.number(),
        "until": code.until.0,
        "linkable": session.is_linkable(),
    })
}

fn text(args: &Show, session: &ShowSession, screen: &Screen, now: UnixSeconds) -> Result<String, Failure> {
    let on_terminal = std::io::stdout().is_terminal();
    let wants = |code| args.codes.contains(&code);
    let mut text = String::new();
    if let Some(language) = args.spoken {
        text.push_str(&words(screen, language.into()));
    } else {
        if on_terminal {
            text.push_str("\x1b[2J\x1b[H");
        }
        if wants(CodeArg::Qr) {
            let matrix = draw::matrix(screen.code.presentation.as_str()).map_err(draw_failure)?;
            text.push_str(&draw::terminal(&matrix, on_terminal));
        }
        match &screen.short {
            Ok(ShortCodes { digits, bar }) => {
                if wants(CodeArg::Bar) {
                    let bars = draw::bars(&bar.to_string()).map_err(draw_failure)?;
                    text.push_str(&format!("\n{}  {bar}\n", draw::bar_terminal(&bars, on_terminal)));
                }
                if wants(CodeArg::Number) {
                    text.push_str(&format!("\n  {digits}\n"));
                }
            }
            Err(why) if wants(CodeArg::Bar) || wants(CodeArg::Number) => {
                text.push_str(&format!("\n  Only the QR works now: {why}.\n"));
            }
            Err(_) => {}
        }
    }
    text.push_str(&format!("\n  {}", session.profile().name()));
    if !on_terminal || args.spoken.is_some() {
        text.push_str(&format!(", good for {} s", screen.code.until.0.saturating_sub(now.0)));
    }
    Ok(text)
}

fn words(screen: &Screen, language: Language) -> String {
    match &screen.short {
        Ok(short) => Announcer::new(language).announce(Some(short.digits)).unwrap_or_default(),
        Err(why) => format!("Only the QR works now: {why}."),
    }
}

/// The seconds that are left, on the line the cursor is on.
pub(crate) fn count_down(output: &Output, args: &Show, left: u64) {
    if output.json || args.spoken.is_some() || !std::io::stdout().is_terminal() {
        return;
    }
    let mut out = std::io::stdout().lock();
    // A reader that went away is no fault of this program.
    drop(out.write_all(format!("\r  new in {left:3} s, Ctrl-C ends ").as_bytes()).and_then(|()| out.flush()));
}

/// Writes the files asked for. A bar code that is not good any more does not stay.
pub(crate) fn write_files(args: &Show, screen: &Screen) -> Result<(), Failure> {
    let text = screen.code.presentation.as_str();
    if let Some(path) = &args.text {
        replace(path, text.as_bytes())?;
    }
    if args.svg.is_some() || args.png.is_some() {
        let matrix = draw::matrix(text).map_err(draw_failure)?;
        let svg = || draw::svg(&matrix, "Document code", "QR code of a document, good for three minutes");
        let png = || draw::png(&matrix, 8).map_err(draw_failure);
        args.svg.iter().try_for_each(|path| replace(path, svg().as_bytes()))?;
        args.png.iter().try_for_each(|path| replace(path, &png()?))?;
    }
    let Ok(short) = &screen.short else {
        return [&args.bar_svg, &args.bar_png].into_iter().flatten().try_for_each(|path| remove(path));
    };
    if args.bar_svg.is_some() || args.bar_png.is_some() {
        let bars = draw::bars(&short.bar.to_string()).map_err(draw_failure)?;
        let svg = || draw::bar_svg(&bars, "Document code", "Bar code of a document, good for three minutes");
        let png = || draw::bar_png(&bars, 4).map_err(draw_failure);
        args.bar_svg.iter().try_for_each(|path| replace(path, svg().as_bytes()))?;
        args.bar_png.iter().try_for_each(|path| replace(path, &png()?))?;
    }
    Ok(())
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Failure::new(
            "file",
            format!("cannot remove {}: {error}", path.display()),
            "Give another file.",
        )),
        _ => Ok(()),
    }
}

fn draw_failure(error: impl std::fmt::Display) -> Failure {
    Failure::new("draw", format!("the code cannot be drawn: {error}"), "Use --text, and tell the developers.")
}
