//! The guard against the library's own parsers.

use lapin::{
    BasicProperties,
    protocol::basic::{parse_deliver, parse_properties},
    types::{AMQPValue, FieldTable},
};
use proptest::prelude::*;

use super::{
    FLAWS_HEADER, Flaws,
    content::{mended_header, mended_method},
    fields::DEPTH_MAX,
    frames::{FRAME_MAX, Frames},
};

/// Class, weight and size of the body.
const START: [u8; 12] = [0, 60, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2];
const LIMIT: usize = FRAME_MAX as usize - 8;
const HEADERS: u16 = 1 << 13;
const MESSAGE_ID: u16 = 1 << 7;

fn header(flags: u16, properties: &[u8]) -> Vec<u8> {
    [&START[..], &flags.to_be_bytes(), properties].concat()
}

fn long(bytes: &[u8]) -> Vec<u8> {
    [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

fn short(bytes: &[u8]) -> Vec<u8> {
    [&[u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

/// A table whose only entry nests this many arrays.
fn nested(levels: usize) -> Vec<u8> {
    let mut value = vec![b'V'];
    for _ in 0..levels {
        value = [&b"A"[..], &long(&value)].concat();
    }
    long(&[short(b"deep"), value].concat())
}

fn frame(kind: u8, channel: u16, payload: &[u8]) -> Vec<u8> {
    [&[kind][..], &channel.to_be_bytes(), &long(payload), &[0xce]].concat()
}

/// What is handed on of what came, in pieces of this size.
fn through(came: &[u8], piece: usize) -> Vec<u8> {
    let (mut frames, mut out) = (Frames::new(FRAME_MAX), Vec::new());
    came.chunks(piece).for_each(|piece| frames.take(piece, &mut out).unwrap());
    frames.finish(&mut out);
    out
}

/// The properties, as the library reads all of them; nothing, if it can't.
fn read(header: &[u8]) -> Option<BasicProperties> {
    parse_properties(&header[START.len()..]).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, properties)| properties)
}

/// The properties of a header that needs mending, and its flaws.
fn mended(header: &[u8]) -> (BasicProperties, String) {
    let mended = mended_header(header, Flaws::default(), LIMIT).expect("it has a flaw");
    assert!(mended.len() <= LIMIT);
    let properties = read(&mended).expect("the library reads it");
    let flaws = Flaws::in_headers(properties.headers().as_ref().unwrap());
    (properties, flaws.words())
}

fn headers(properties: &BasicProperties) -> &FieldTable {
    properties.headers().as_ref().unwrap()
}

#[test]
fn what_the_library_reads_is_handed_on_as_it_came() {
    let table = [short(b"n"), b"I\0\0\0\x07".to_vec(), short("é".as_bytes()), b"S".to_vec(), long(b"\xff")].concat();
    let good = header(HEADERS | MESSAGE_ID, &[long(&table), short(b"m-1")].concat());
    assert!(read(&good).is_some());
    assert_eq!(mended_header(&good, Flaws::default(), LIMIT), None);
    let came = [frame(1, 1, &[0, 60, 0, 80]), frame(2, 1, &good), frame(3, 1, b"{}"), frame(8, 0, b"")].concat();
    for piece in [1, 2, 7, 8, came.len()] {
        assert_eq!(through(&came, piece), came);
    }
}

#[test]
fn a_text_that_is_not_utf8_is_escaped_and_named() {
    let bad = header(MESSAGE_ID, &short(b"caf\xe9"));
    assert!(read(&bad).is_none(), "the library reads it now, so this guard may be dropped");
    let (properties, flaws) = mended(&bad);
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "caf\\xe9");
    assert_eq!(flaws, "message_id");
    let names = long(&[short(b"caf\xe9"), b"V".to_vec(), short(b"good"), b"t\x01".to_vec()].concat());
    let (properties, flaws) = mended(&header(HEADERS, &names));
    assert_eq!(headers(&properties).inner()["caf\\xe9"], AMQPValue::Void);
    assert_eq!(headers(&properties).inner()["good"], AMQPValue::Boolean(true));
    assert_eq!(flaws, "header_name");
}

#[test]
fn an_escaped_text_still_fits_into_its_255_bytes() {
    let (properties, _) = mended(&header(MESSAGE_ID, &short(&[0xff; 255])));
    assert_eq!(properties.message_id().as_ref().unwrap().as_str().len(), 255);
}

#[test]
fn what_nests_deeper_than_the_limit_is_left_out_and_the_rest_kept() {
    let depth = |levels| header(HEADERS | MESSAGE_ID, &[nested(levels), short(b"m-1")].concat());
    assert_eq!(mended_header(&depth(DEPTH_MAX - 1), Flaws::default(), LIMIT), None, "the table is a level itself");
    for levels in [DEPTH_MAX, 2_000, 26_000] {
        let (properties, flaws) = mended(&depth(levels));
        assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
        assert!(headers(&properties).contains_key("deep"));
        assert_eq!(flaws, "header_depth");
    }
}

#[test]
fn a_value_whose_end_is_unknown_takes_only_its_own_container_with_it() {
    let inner = [short(b"a"), b"t\x01".to_vec(), short(b"b"), b"?".to_vec()].concat();
    let outer = [short(b"in"), b"F".to_vec(), long(&inner), short(b"after"), b"V".to_vec()].concat();
    let (properties, flaws) = mended(&header(HEADERS, &long(&outer)));
    let AMQPValue::FieldTable(inner) = &headers(&properties).inner()["in"] else { panic!("it is a table") };
    assert_eq!((inner.inner().len(), &inner.inner()["a"]), (1, &AMQPValue::Boolean(true)));
    assert!(headers(&properties).contains_key("after"));
    assert_eq!(flaws, "header_form");
}

#[test]
fn headers_that_would_not_fit_into_a_frame_when_mended_are_left_out() {
    let entry = [short(&[0xff; 200]), b"V".to_vec()].concat();
    let large = header(HEADERS | MESSAGE_ID, &[long(&entry.repeat(600)), short(b"m-1")].concat());
    let (properties, flaws) = mended(&large);
    assert_eq!((headers(&properties).inner().len(), flaws.as_str()), (1, "header_name header_size"));
    assert_eq!(properties.message_id().as_ref().unwrap().as_str(), "m-1");
}

#[test]
fn headers_larger_than_the_frames_that_were_agreed_are_left_out() {
    let large = frame(2, 1, &header(HEADERS, &long(&[short(b"n"), b"S".to_vec(), long(&[b'x'; 9_000])].concat())));
    let tune =
        |frame_max: u32| frame(1, 0, &[&[0, 10, 0, 30, 7, 255][..], &frame_max.to_be_bytes(), &[0, 10]].concat());
    for frame_max in [0, 10_000, FRAME_MAX] {
        let came = [tune(frame_max), large.clone()].concat();
        assert_eq!(through(&came, 100), came);
    }
    let came = [tune(8_192), large].concat();
    let handed_on = through(&came, 100);
    assert!(handed_on.len() < 200, "the library would end the connection");
    let payload = &handed_on[tune(8_192).len() + 7..handed_on.len() - 1];
    assert_eq!(Flaws::in_headers(headers(&read(payload).unwrap())).words(), "header_size");
}

#[test]
fn a_routing_key_that_is_not_utf8_is_a_flaw_of_the_message_that_follows() {
    let method = |key: &[u8]| {
        [&[0, 60, 0, 60][..], &short(b"tag"), &[0, 0, 0, 0, 0, 0, 0, 1, 0], &short(b"shop"), &short(key)].concat()
    };
    let good = header(MESSAGE_ID, &short(b"m-1"));
    let came = [
        frame(1, 1, &method(b"caf\xe9")),
        frame(1, 2, &method(b"signup")),
        frame(2, 1, &good),
        frame(2, 2, &good),
        frame(2, 1, &good),
    ]
    .concat();
    let mut flaws = Flaws::default();
    let mended = mended_method(&method(b"caf\xe9"), &mut flaws).unwrap();
    assert_eq!(parse_deliver(&mended[4..]).unwrap().1.routing_key.as_str(), "caf\\xe9");
    let flawed = mended_header(&good, flaws, LIMIT).unwrap();
    let out = [frame(1, 1, &mended), frame(1, 2, &method(b"signup")), frame(2, 1, &flawed)].concat();
    assert_eq!(through(&came, 5), [out, frame(2, 2, &good), frame(2, 1, &good)].concat());
    assert_eq!(Flaws::in_headers(headers(&read(&flawed).unwrap())).words(), "routing_key");
}

#[test]
fn a_reply_that_the_broker_cut_within_a_character_can_be_read() {
    let close = [&[0, 20, 0, 40, 1, 148][..], &short(b"no exchange 'caf\xc3"), &[0, 60, 0, 40]].concat();
    let mended = mended_method(&close, &mut Flaws::default()).unwrap();
    assert!(mended.ends_with(&[&br"no exchange 'caf\xc3"[..], &[0, 60, 0, 40]].concat()));
}

#[test]
fn a_frame_larger_than_any_may_be_is_not_held() {
    let start = [&[2, 0, 1][..], &FRAME_MAX.to_be_bytes()].concat();
    let error = Frames::new(FRAME_MAX).take(&start, &mut Vec::new()).unwrap_err();
    assert_eq!(error.to_string(), "the broker sent a frame larger than 131072 bytes");
}

#[test]
fn what_is_no_amqp_is_left_to_the_library() {
    let came = b"HTTP/1.1 400 Bad Request\r\n\r\n";
    assert_eq!(through(came, 3), came);
}

/// Entries of a table or an array out of arbitrary bytes, wrong as often as right.
fn entries(choices: &mut impl Iterator<Item = u8>, is_table: bool, depth: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for _ in 0..choices.next().unwrap_or(0) % 4 {
        if is_table {
            let name: Vec<u8> = choices.take(2).collect();
            out.extend(short(if name.first().is_some_and(|byte| byte % 2 == 0) { b"name" } else { &name }));
        }
        let kind = b"tbBsUuIifDlLdTVSxAFAF?"[usize::from(choices.next().unwrap_or(0)) % 22];
        out.push(kind);
        match kind {
            b'A' | b'F' if depth < 40 => out.extend(long(&entries(choices, kind == b'F', depth + 1))),
            b'S' | b'x' => out.extend(long(b"text")),
            _ => {
                let count = usize::from(choices.next().unwrap_or(0)) % 10;
                out.extend(choices.take(count));
            }
        }
    }
    out
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn whatever_is_handed_on_the_library_reads(flags: u16, choices in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut choices = choices.into_iter();
        let mut properties = Vec::new();
        for at in (0..14).filter(|at| flags & (1 << (15 - at)) != 0) {
            match at {
                2 => properties.extend(long(&entries(&mut choices, true, 1))),
                3 | 4 => properties.push(1),
                9 => properties.extend([0; 8]),
                _ => properties.extend(short(&choices.by_ref().take(2).collect::<Vec<_>>())),
            }
        }
        properties.extend(choices.take(1).filter(|byte| *byte < 16));
        let came = header(flags, &properties);
        let handed_on = mended_header(&came, Flaws::default(), LIMIT);
        let properties = read(handed_on.as_ref().unwrap_or(&came));
        prop_assert!(properties.is_some(), "{came:?} became {handed_on:?}");
        let flawed = properties.unwrap().headers().as_ref().is_some_and(|table| table.contains_key(FLAWS_HEADER));
        prop_assert_eq!(handed_on.is_some(), flawed);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), piece in 1_usize..50) {
        let _ = mended_method(&bytes, &mut Flaws::default());
        if let Some(header) = mended_header(&bytes, Flaws::default(), LIMIT) {
            prop_assert!(read(&header).is_some());
        }
        let framed: Vec<u8> = [1, 2, 3, 8].into_iter().flat_map(|kind| frame(kind, 1, &bytes)).collect();
        prop_assert_eq!(through(&framed, piece), through(&framed, framed.len()));
    }
}
