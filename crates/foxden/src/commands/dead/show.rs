//! `foxden dead show`.

use clap::Args;
use foxden_intake::{DeadQueue, OpenLetter};
use serde_json::{Value, json};

use super::list::{as_json, origin, reason};
use crate::{exit::Exit, output, terminal::printable};

pub(crate) const HELP: &str = "\
The body is the customer's personal data: it is shown only with --body. Don't paste it into a ticket or a chat.

Examples:
  foxden dead show 3f9a2c41d07e
  foxden dead show 3f9a2c41d07e --json | jq .headers
  foxden dead show 3f9a2c41d07e --body";

/// `foxden dead show …`
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The letter's handle; `foxden dead list` shows it
    #[arg(value_name = "HANDLE")]
    handle: String,
    /// Show the body too: it is personal data
    #[arg(long)]
    body: bool,
    /// Print JSON, for scripts
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(queue: &DeadQueue, options: &Options) -> anyhow::Result<Exit> {
    let letters = queue.open(&options.handle).await?;
    if letters.is_empty() {
        super::not_found(&options.handle);
        return Ok(Exit::NotFound);
    }
    for letter in &letters {
        if options.json {
            output::say_json(&open_json(letter, options.body));
        } else {
            show(letter, options.body);
        }
    }
    if letters.len() > 1 {
        output::note(format!("{} letters share this handle: nothing tells them apart", letters.len()));
    }
    Ok(Exit::Done)
}

fn show(open: &OpenLetter, with_body: bool) {
    let letter = &open.letter;
    let line = |name: &str, value: &str| {
        if !value.is_empty() {
            output::say(format!("{name:<13} {}", printable(value)));
        }
    };
    line("handle", &letter.handle);
    line("signup", letter.signup_id.as_deref().unwrap_or("could not be read"));
    line("reason", &reason(letter));
    line("since", letter.at.as_deref().unwrap_or_default());
    line("published to", &origin(letter));
    line("message id", open.message_id.as_deref().unwrap_or_default());
    line("content type", open.content_type.as_deref().unwrap_or_default());
    line(
        "body",
        &format!("{} bytes{}", letter.bytes, if with_body { "" } else { ", not shown: personal data (--body)" }),
    );
    if !letter.mistakes.is_empty() {
        output::say("\nmistakes");
        letter.mistakes.lines().for_each(|mistake| output::say(format!("  {}", printable(mistake))));
    }
    let mut headers = open.headers.iter().filter(|(name, _)| *name != "x-foxden-mistakes").peekable();
    if headers.peek().is_some() {
        output::say("\nheaders");
    }
    for (name, value) in headers {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        output::say(format!("  {}: {}", printable(name), printable(&text)));
    }
    if with_body {
        output::say("\nbody");
        String::from_utf8_lossy(&open.body).lines().for_each(|text| output::say(printable(text)));
    }
}

fn open_json(open: &OpenLetter, with_body: bool) -> Value {
    let mut object = as_json(&open.letter);
    let members = object.as_object_mut().expect("a letter was just made an object");
    members.insert("message_id".to_owned(), json!(open.message_id));
    members.insert("content_type".to_owned(), json!(open.content_type));
    members.insert("headers".to_owned(), json!(open.headers));
    if with_body {
        members.insert("body".to_owned(), json!(String::from_utf8_lossy(&open.body)));
    }
    object
}
