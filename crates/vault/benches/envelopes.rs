//! What sealing and opening cost: `make bench`.

use divan::{Bencher, black_box};
use foxden_vault::{Binding, KeyRing};

fn main() {
    divan::main();
}

fn ring() -> KeyRing {
    let key = foxden_vault::generate_key("bench").expect("the operating system gives random bytes");
    KeyRing::parse(&key).expect("a generated key parses")
}

const BINDING: Binding<'static> =
    Binding { environment: "bench", purpose: "credential", owner: "row", scope: "store_full_access" };

/// A token is about 100 bytes, an event about 1 KiB.
const SIZES: [usize; 3] = [100, 1024, 65536];

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher<'_, '_>, size: usize) {
    let (ring, plain) = (ring(), vec![7; size]);
    bencher.counter(divan::counter::BytesCount::new(size)).bench(|| ring.seal(&BINDING, black_box(&plain)));
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher<'_, '_>, size: usize) {
    let ring = ring();
    let sealed = ring.seal(&BINDING, &vec![7; size]).expect("the operating system gives random bytes");
    bencher.counter(divan::counter::BytesCount::new(size)).bench(|| ring.open(&BINDING, black_box(&sealed)));
}
