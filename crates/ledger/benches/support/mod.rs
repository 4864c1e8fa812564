//! What is measured.

use foxden_custody::{Custody, Payload, StoreDetails, UserDetails};
use foxden_ledger::{NewSignup, ProvisioningId, SignupId, Source};

fn payload() -> Payload {
    let text = |text: &str| text.to_owned();
    Payload {
        user: UserDetails {
            first_name: text("Ada"),
            last_name: text("Lovelace"),
            email: text("ada@example.com"),
            phone: None,
            extra: Default::default(),
        },
        store: StoreDetails {
            name: text("Engines"),
            domain: None,
            url: text("https://engines.example"),
            email: text("shop@engines.example"),
            country: text("GB"),
            region: text("London"),
            postal_code: text("W1"),
            extra: Default::default(),
        },
        captcha: Default::default(),
    }
}

/// A signup as it is when it is accepted. Its id is new each time.
pub(crate) fn signup(custody: &Custody, number: usize) -> NewSignup {
    let (id, payload) = (ProvisioningId::new(), payload());
    let signup_id = SignupId::parse(&format!("{number}-{id}")).expect("digits and letters");
    NewSignup {
        payload: custody.seal_payload(&id, &signup_id, &payload).expect("the operating system gives random bytes"),
        fingerprint: custody.fingerprint(&signup_id, None, &payload),
        id,
        signup_id,
        account_id: None,
        source: Source::Submit,
    }
}
