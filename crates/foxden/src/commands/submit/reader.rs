//! Reading and checking events beside the submitting of those before them.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use foxden_intake::{EventError, SignupEvent};
use tokio::sync::mpsc;

use super::{
    events::{Document, Documents},
    resume::Mark,
};

/// So many checked events wait to be submitted: enough for the next batch, and a bound on memory.
const AHEAD: usize = 1000;

/// One event of the input, checked.
pub(super) struct Item {
    /// Its text, and where it stands.
    pub(super) document: Document,
    /// The event, or what is wrong with it.
    pub(super) event: Result<SignupEvent, EventError>,
}

/// Where in the input to begin.
#[derive(Debug, Default)]
pub(super) struct Start {
    /// What comes before this line is left out.
    pub(super) line: u64,
    /// What must stand in what is left out, if it is the input that was begun with.
    pub(super) mark: Option<Mark>,
}

/// Reads and checks on a thread of its own, since reading blocks. It ends with its input, with the first error, or when
/// nobody takes what it has read.
/// What is left out before the beginning is counted in `skipped`.
pub(super) fn read(input: Documents, start: Start, skipped: Arc<AtomicU64>) -> mpsc::Receiver<anyhow::Result<Item>> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    std::thread::spawn(move || {
        let ended = begin(input, start, &skipped).and_then(|rest| {
            for document in rest {
                let document = document?;
                let event = SignupEvent::parse(&document.bytes);
                if sender.blocking_send(Ok(Item { document, event })).is_err() {
                    break;
                }
            }
            Ok(())
        });
        if let Err(error) = ended {
            drop(sender.blocking_send(Err(error)));
        }
    });
    receiver
}

/// Passes over what comes before the beginning.
fn begin(
    input: Documents,
    start: Start,
    skipped: &AtomicU64,
) -> anyhow::Result<impl Iterator<Item = io::Result<Document>> + use<>> {
    let mut input = input.peekable();
    let mut mark = start.mark;
    while let Some(document) = input.next_if(|next| next.as_ref().is_ok_and(|document| document.line < start.line)) {
        let document = document?;
        skipped.fetch_add(1, Ordering::Relaxed);
        if mark.as_ref().is_some_and(|mark| mark.is_at(&document)) {
            mark = None;
        }
    }
    if let Some(mark) = mark {
        return Err(OtherInput { line: mark.line }.into());
    }
    Ok(input)
}

/// The state file was begun with another input: to go on makes no sense.
#[derive(Debug, thiserror::Error)]
#[error(
    "line {line} is not the event that was submitted from there: is this the input that the state file was begun with? Remove \
     the state file to begin again, which makes nothing twice"
)]
pub(super) struct OtherInput {
    line: u64,
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{super::resume::Mark, AtomicU64, Documents, Start, begin};

    fn lines(start: Start) -> Result<Vec<u64>, String> {
        let event = |id: &str| {
            format!(
                r#"{{"version":1,"signup_id":"{id}","user":{{"first_name":"A","last_name":"L","email":"a@example.com"}},"store":{{"name":"E","url":"https://e.example","email":"s@e.example","country":"DE","region":"B","postal_code":"1"}}}}"#
            )
        };
        let input = format!("{}\nbroken\n\n{}\n", event("s-1"), event("s-2"));
        let documents = Documents::read(Box::new(Cursor::new(input))).unwrap();
        let rest = begin(documents, start, &AtomicU64::new(0)).map_err(|error| error.to_string())?;
        Ok(rest.map(|document| document.unwrap().line).collect())
    }

    fn mark(line: u64, signup_id: &str) -> Option<Mark> {
        Some(Mark { line, signup_id: signup_id.to_owned() })
    }

    #[test]
    fn what_comes_before_the_line_is_left_out() {
        assert_eq!(lines(Start::default()), Ok(vec![1, 2, 4]));
        assert_eq!(lines(Start { line: 2, mark: None }), Ok(vec![2, 4]));
        assert_eq!(lines(Start { line: 5, mark: mark(4, "s-2") }), Ok(vec![]));
    }

    #[test]
    fn another_input_than_the_one_begun_with_is_refused() {
        assert_eq!(lines(Start { line: 3, mark: mark(1, "s-1") }), Ok(vec![4]));
        for other in [mark(1, "s-7"), mark(2, "s-1"), mark(9, "s-1")] {
            let refused = lines(Start { line: 10, mark: other }).unwrap_err();
            assert!(refused.contains("is this the input that the state file was begun with?"), "{refused}");
        }
    }
}
