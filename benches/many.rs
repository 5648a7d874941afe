//! Many at once: waiting long polls and signing sessions, against a whole server in this process, over real connections.
//!
//! `cargo run --release -p signer-benches --bin many -- [POLLS] [SESSIONS_PER_SECOND] [SECONDS]`: 9000, 100 and 60 unless
//! said. The polls are held by a process of its own, so that what they cost the server is not mixed with what they cost the
//! client.

use signer_benches::many::{self, Plan};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [word, address] = arguments.as_slice()
        && word == many::HOLD
    {
        many::hold(address);
        return;
    }
    let number = |at: usize, default: usize| match arguments.get(at).map(|text| text.parse()) {
        None => default,
        Some(Ok(number)) => number,
        Some(Err(_)) => {
            eprintln!("many [POLLS] [SESSIONS_PER_SECOND] [SECONDS]");
            std::process::exit(2);
        }
    };
    let plan = Plan { polls: number(0, 9000), rate: number(1, 100), seconds: number(2, 60) };
    println!("{}", many::run(&plan));
}
