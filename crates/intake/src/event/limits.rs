//! How long things may be. Lengths are in characters (Unicode scalar values), as Foxy counts them, unless said otherwise.

/// The largest body that is read, in bytes. A full event has some 13 KiB, captcha codes included; more is a mistake of the sender, and reading it
/// would only cost memory.
pub const BODY_MAX: usize = 64 * 1024;

/// How deep objects and lists may nest. The contract needs three levels; the rest is room for tolerable junk, which then
/// gets a mistake with a path. Deeper bodies are not read at all, so that no reader's stack depends on the sender.
pub(super) const DEPTH_MAX: usize = 8;

/// How many mistakes of one event are told; what lies beyond is only counted.
pub(super) const MISTAKES_MAX: usize = 50;

/// The parent app's id of the customer, in bytes; ours, as long as a signup id.
pub(super) const USER_ID_MAX: usize = 200;

/// An hCaptcha code, in bytes; ours, and more than any that hCaptcha gives out today.
pub(super) const CAPTCHA_CODE_MAX: usize = 4096;

// Foxy docs: rels/create_user.
pub(super) const PERSON_NAME_MAX: usize = 50;
pub(super) const USER_EMAIL_MAX: usize = 100;
pub(super) const PHONE_MAX: usize = 50;

// Foxy docs: rels/stores.
pub(super) const STORE_NAME_MAX: usize = 50;
pub(super) const STORE_DOMAIN_MAX: usize = 100;
pub(super) const STORE_URL_MAX: usize = 300;
pub(super) const STORE_EMAIL_MAX: usize = 300;
/// A code has two. What is longer may be a country's name, whose code the answer can then suggest.
pub(super) const COUNTRY_NAME_MAX: usize = 100;
pub(super) const POSTAL_CODE_MAX: usize = 50;
pub(super) const REGION_MAX: usize = 100;
pub(super) const FROM_EMAIL_MAX: usize = 100;
pub(super) const RECEIPT_CONTINUE_URL_MAX: usize = 300;
pub(super) const LOGO_URL_MAX: usize = 200;

/// For optional properties whose limit Foxy does not document (`locale_code`, `language`, `timezone`): ours, and roomy.
pub(super) const SHORT_WORD_MAX: usize = 100;
/// For `store_version_uri`, whose limit Foxy does not document: that of its other links.
pub(super) const STORE_VERSION_URI_MAX: usize = 300;

/// One DNS label (RFC 1035 section 2.3.4), in bytes.
pub(super) const LABEL_MAX: usize = 63;

// `store.properties`, which passes on what this contract does not name: bounds of our own.
pub(super) const PROPERTIES_MAX: usize = 50;
pub(super) const PROPERTY_NAME_MAX: usize = 64;
pub(super) const PROPERTY_TEXT_MAX: usize = 1000;
