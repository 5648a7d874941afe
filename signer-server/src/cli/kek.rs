//! The operator's acts on key-encryption keys.

use std::fmt::Write as _;

use clap::Subcommand;
use serde_json::{Value, json};
use signer_core::wire::{KekView, KeksView};

use super::{AdminClient, print};

#[derive(Debug, Clone, Copy, Subcommand)]
pub(super) enum KekCommand {
    /// Show the generations, what is still wrapped under old ones, and whether every node is up to date.
    #[command(visible_alias = "status")]
    List,
    /// Make the next generation. The server puts it to use as soon as every node holds it, and brings everything under it while
    /// it works.
    #[command(
        after_help = "It is made where the configuration says: in the token of [hsm], which the other nodes use too, or in a file, kek-N in this data \
                      folder, which you copy to those of the other nodes. They take it up within a second."
    )]
    Rotate,
    /// Retire an old generation. Refused while anything is wrapped under it.
    Retire {
        /// Its number.
        generation: u32,
    },
}

pub(super) fn kek(admin: &AdminClient, json: bool, command: KekCommand) -> Result<(), String> {
    match command {
        KekCommand::List => {
            let view: KeksView = admin.send("GET", "/admin/v1/keks", None)?;
            print(json, &view, &told(&view));
        }
        KekCommand::Rotate => {
            let before: KeksView = admin.send("GET", "/admin/v1/keks", None)?;
            let newest = before.generations.last().map_or(0, |kek| kek.generation);
            let path = format!("/admin/v1/keks/{}/prepare", newest.saturating_add(1));
            let view: KeksView = admin.send("POST", &path, None)?;
            print(json, &view, &told(&view));
        }
        KekCommand::Retire { generation } => {
            admin.send::<Value>("POST", &format!("/admin/v1/keks/{generation}/retire"), None)?;
            let text = format!(
                "Generation {generation} is retired. Once no backup from before is needed, destroy its key: the file kek*.retired in every data folder, or the key of a token by its label (kek {generation})."
            );
            print(json, &json!({ "retired": generation }), &text);
        }
    }
    Ok(())
}

fn told(view: &KeksView) -> String {
    let mut text = String::new();
    for KekView { generation, id, source, state, left, .. } in &view.generations {
        let _infallible = write!(text, "{generation:>3}  {id}  {source:<5}  {state:<8}");
        let total: u64 = left.iter().map(|left| left.rows).sum();
        if total > 0 {
            let parts: Vec<_> = left.iter().map(|left| format!("{} {}", left.rows, left.what)).collect();
            let _infallible = write!(text, "  {total} left: {}", parts.join(", "));
        } else if state == "old" {
            text.push_str("  nothing left: it can be retired");
        }
        text.push('\n');
    }
    let _infallible =
        write!(text, "{} of {} nodes up to date", view.nodes.saturating_sub(view.nodes_behind), view.nodes);
    text
}
