//! The story, in the order it is told.

use std::{fs, io::IsTerminal as _};

use signer_client::{
    Code, Phone, Showing, draw,
    http::{NetworkHttp, NetworkOptions},
};
use signer_core::{
    credential::{Colour, DocumentType, VerificationResult},
    pin::Pin,
    suite::SuiteId,
    wire::CreatedEnrolmentCode,
};

use crate::{Options, Result, Stop, bank, output::Output, phone, server::Server, shop::Shop, wallet::Wallet};

pub(crate) const PERSON: &str = "olena";
pub(crate) const PIN: &str = "730194";
const PNG_PIXELS_PER_MODULE: u8 = 8;
const HISTORY_LINES: usize = 20;

pub(crate) fn tell(options: &Options) -> Result<()> {
    let stop = Stop::listen()?;
    let document = fs::read(&options.file).map_err(|error| format!("{}: {error}", options.file.display()))?;
    let output = Output::open(options.out.as_deref())?;
    let folder = tempfile::Builder::new().prefix("signer-demo-").tempdir()?;

    heading("1. The server starts on an empty folder and makes its keys");
    let server = Server::start(folder.path(), options.port, options.step_seconds)?;
    println!(
        "It serves at {}, a process of its own, its store in {}.",
        server.url(),
        folder.path().display()
    );

    heading("2. An operator makes an enrolment code; the phone enrols");
    let code: CreatedEnrolmentCode = server.operator(&["enrolment-code", PERSON])?;
    println!("Operator: code {} for {PERSON}.", code.code);
    let mut phone = phone::open(&folder.path().join("phone"), &server.url(), options.step_rule())?;
    let enrolled = phone.enrol(SuiteId::Es256, &code.code, &Pin::new(PIN)?)?;
    println!("Phone: installation {}, key {}.", enrolled.device, enrolled.context.key);
    println!("Both sides hold one share of {:?}. Neither has ever held the key.", enrolled.public_key);

    let bank = bank::sign(&server, &mut phone, options, &document, &output)?;
    let mut shop = Shop::open(&server, &folder.path().join("shop"))?;
    show(&mut phone, &mut shop, options, &output)?;
    output.tell();
    if options.once {
        server.stop()?;
        println!("Done.");
        return Ok(());
    }
    try_it(&mut phone, &server, &shop, &bank, options, &stop)?;
    println!("\nStopping.");
    server.stop()
}

/// Two pages, until Ctrl-C.
fn try_it(
    phone: &mut Phone,
    server: &Server,
    shop: &Shop,
    bank: &str,
    options: &Options,
    stop: &Stop,
) -> Result<()> {
    heading("5. Now you: two pages for a browser. Ctrl-C stops");
    phone.top_up(DocumentType::DrivingLicence)?;
    let wallet = Wallet::open(options.wallet_port)?;
    // After the `#` it reaches the page and no server.
    let page = format!("{}/verify/#token={}", server.url(), shop.token);
    println!("Holder: {}", wallet.url());
    println!("Shop:   {page}");
    println!(
        "Save the token on the shop's page. Show a document on the holder's; type its number in the shop, or scan"
    );
    println!("its code. Compare the two digits on both pages, and allow or deny.");
    println!("Bank:   SIGNER_SERVER={} SIGNER_TOKEN={bank} \\", server.url());
    println!("        signer ask --person {PERSON} --text 'Agreement 4711' --verification-code FILE");
    println!("It prints the code to choose on the holder's page. The holder's PIN is {PIN}.");
    wallet.run(phone, page, options.step_seconds, stop)
}

pub(crate) fn heading(text: &str) {
    println!("\n== {text}");
}

pub(crate) fn network(server: &Server) -> Result<Box<NetworkHttp>> {
    Ok(Box::new(NetworkHttp::new(&server.url(), &NetworkOptions::default())?))
}

fn show(phone: &mut Phone, shop: &mut Shop, options: &Options, output: &Output) -> Result<()> {
    heading("4. A document is issued to the phone; its code lives for one step and is used once");
    let count = phone.top_up(DocumentType::IdentityCard)?;
    println!("Phone: {count} day credentials, each with a key of its own, good for 26 hours.");
    let mut session = phone.start_show(DocumentType::IdentityCard, Showing::age())?;
    let screen = phone.display(&mut session)?;
    let code = &screen.code;
    draw_code(code)?;
    if let Ok(short) = &screen.short {
        println!(
            "Bar code: {}. It and the digits are good online only, and after the holder agrees.",
            short.bar
        );
        let bars = draw::bars(&short.bar.to_string())?;
        output.file("bar-code.svg", draw::bar_svg(&bars, "Bar code", "Of the same document").as_bytes())?;
    }
    let text = code.presentation.as_str();
    let matrix = draw::matrix(text)?;
    output.file("code.txt", format!("{text}\n").as_bytes())?;
    output.file(
        "code.svg",
        draw::svg(&matrix, "Document code", "Shows that the holder is over 18").as_bytes(),
    )?;
    output.file("code.png", &draw::png(&matrix, PNG_PIXELS_PER_MODULE)?)?;

    shop.sync(output)?;
    let offline = shop.offline(text, options.step_rule(), output)?;
    told("Shop, in airplane mode", &offline, Colour::Green)?;
    output.json("verification-offline.json", &offline)?;
    let online = shop.api.verify_code(text, "scan-0001")?;
    told("Shop, online", &online, Colour::Green)?;
    output.json("verification-online.json", &online)?;
    let again = shop.api.verify_code(text, "scan-0002")?;
    told("Shop, the same code again", &again, Colour::Red)?;
    if phone.poll(&mut session)? {
        println!("Phone: the code was used; the next one is on the screen.");
    }
    phone.end_display(session)?;
    let history = phone.history(HISTORY_LINES)?;
    println!(
        "Phone: {} entries of history, sealed to this phone; the server cannot change one unseen.",
        history.head.number
    );
    Ok(())
}

fn told(who: &str, result: &VerificationResult, expected: Colour) -> Result<()> {
    println!("{who}: {:?}. {} {}", result.result, result.sentence, result.next_step);
    if result.result == expected { Ok(()) } else { Err(format!("expected {expected:?}").into()) }
}

fn draw_code(code: &Code) -> Result<()> {
    let ansi = std::io::stdout().is_terminal();
    println!("{}", draw::terminal(&draw::matrix(code.presentation.as_str())?, ansi));
    println!("Digits: {}", code.digits);
    Ok(())
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
