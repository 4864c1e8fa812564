//! Tickets: what the link to a grant's page carries. Computed whenever a link is shown, and stored nowhere.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use foxden_ledger::GrantId;
use foxden_vault::Fingerprint;
use zeroize::Zeroizing;

use crate::{content::encode, custody::Custody};

/// Version and purpose, as the first part of every ticket.
const FORM: &str = "FXT1";
const TICKET: &str = "ticket";

impl Custody {
    /// The ticket of a grant that expires at this moment: `FXT1.GRANT.EXPIRES_AT_MS.PROOF`.
    ///
    /// The same grant and moment have the same ticket, until another key is the ring's first. It stands unescaped in a
    /// URL. Anyone who has it sees the grant's page, so it belongs in no log.
    ///
    /// The proof is an HMAC under a key that the ring has for tickets alone, with the id of the ring's key in front of
    /// it. It covers the environment's name too: a sandbox that shares a key makes no tickets for production.
    pub fn ticket(&self, grant: &GrantId, expires_at_ms: i64) -> String {
        let mut text = format!("{FORM}.{grant}.{expires_at_ms}");
        let proof = self.ring().fingerprint(TICKET, &self.proven(&text));
        text.push('.');
        URL_SAFE_NO_PAD.encode_string(proof.as_bytes(), &mut text);
        text
    }

    /// The grant's id and the moment of its expiry, in milliseconds since 1970, if this ring has made the ticket in
    /// this environment, with any of its keys. Whether that moment is past is for the caller's clock.
    pub fn read_ticket(&self, ticket: &str) -> Option<(GrantId, i64)> {
        let (text, proof) = ticket.rsplit_once('.')?;
        let proof = Fingerprint::from_bytes(&URL_SAFE_NO_PAD.decode(proof).ok()?).ok()?;
        if self.ring().matches(TICKET, &self.proven(text), &proof) != Some(true) {
            return None;
        }
        let (grant, expires_at_ms) = text.strip_prefix(FORM)?.strip_prefix('.')?.split_once('.')?;
        Some((GrantId::parse(grant)?, expires_at_ms.parse().ok()?))
    }

    /// What the proof is made of. JSON, so that no two pairs read the same.
    fn proven(&self, text: &str) -> Zeroizing<Vec<u8>> {
        encode(&(self.environment(), text))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use foxden_vault::KeyRing;

    use super::*;

    const GRANT: &str = "018f6f2e-0000-7000-8000-000000000001";
    const EXPIRES_AT_MS: i64 = 1_795_000_000_000;
    const NEW: &str = "new:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";
    const OLD: &str = "old:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

    fn grant() -> GrantId {
        GrantId::parse(GRANT).unwrap()
    }

    fn custody(keys: &str) -> Custody {
        Custody::new(Arc::new(KeyRing::parse(keys).unwrap()), "production")
    }

    #[test]
    fn a_ticket_is_laid_out_as_documented() {
        // Python, with sha256: ring = bytes(range(32)); key = hkdf(ring, b"foxden v1 fingerprint: ticket", 32); tag =
        // hmac(key, b'["production","FXT1.018f6f2e-0000-7000-8000-000000000001.1795000000000"]'); the proof is the
        // ring's key id and the tag, in url-safe base64.
        let ticket = custody(NEW).ticket(&grant(), EXPIRES_AT_MS);
        assert_eq!(
            ticket,
            "FXT1.018f6f2e-0000-7000-8000-000000000001.1795000000000.QEwLLzleUNzFHSGhBUXlTIiAx9M9xBlaxIw9Li4AGCbjFt8nLvyVuw"
        );
        assert_eq!(custody(NEW).read_ticket(&ticket), Some((grant(), EXPIRES_AT_MS)));
    }

    #[test]
    fn a_ticket_stands_unescaped_in_a_url_and_is_short_enough_for_a_mail() {
        let ticket = custody(NEW).ticket(&grant(), EXPIRES_AT_MS);
        assert!(ticket.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)), "{ticket}");
        assert_eq!(ticket.len(), 110);
    }

    #[test]
    fn a_truncated_or_prolonged_ticket_is_refused() {
        let ticket = custody(NEW).ticket(&grant(), EXPIRES_AT_MS);
        for length in 0..ticket.len() {
            assert_eq!(custody(NEW).read_ticket(&ticket[..length]), None, "{length} bytes");
            assert_eq!(custody(NEW).read_ticket(&ticket[length + 1..]), None, "without the first {}", length + 1);
        }
        for other in [format!("{ticket}A"), format!("{ticket}="), format!("{ticket}."), format!(" {ticket}")] {
            assert_eq!(custody(NEW).read_ticket(&other), None, "{other}");
        }
    }

    #[test]
    fn a_ticket_with_a_flipped_bit_is_refused() {
        let ticket = custody(NEW).ticket(&grant(), EXPIRES_AT_MS);
        let mut flipped = 0;
        for (at, bit) in (0..ticket.len()).flat_map(|at| (0..7).map(move |bit| (at, bit))) {
            let mut bytes = ticket.clone().into_bytes();
            bytes[at] ^= 1 << bit;
            let other = String::from_utf8(bytes).expect("seven bits make ASCII");
            assert_eq!(custody(NEW).read_ticket(&other), None, "bit {bit} of byte {at}");
            flipped += 1;
        }
        assert_eq!(flipped, 110 * 7);
    }

    #[test]
    fn the_proof_of_one_ticket_is_none_of_another() {
        let proof = |ticket: &str| ticket.rsplit_once('.').unwrap().1.to_owned();
        let later = proof(&custody(NEW).ticket(&grant(), EXPIRES_AT_MS + 1));
        let other = proof(&custody(NEW).ticket(&GrantId::new(), EXPIRES_AT_MS));
        for proof in [&later, &other] {
            assert_eq!(custody(NEW).read_ticket(&format!("FXT1.{GRANT}.{EXPIRES_AT_MS}.{proof}")), None);
        }
    }

    #[test]
    fn another_environment_another_ring_and_another_purpose_make_no_tickets() {
        let ticket = custody(NEW).ticket(&grant(), EXPIRES_AT_MS);
        let ring = || Arc::new(KeyRing::parse(NEW).unwrap());
        assert_eq!(Custody::new(ring(), "sandbox").read_ticket(&ticket), None);
        assert_eq!(custody(OLD).read_ticket(&ticket), None);
        // A key under the id of another one.
        let text = format!("FXT1.{GRANT}.{EXPIRES_AT_MS}");
        let mut proof = *custody(OLD).ring().fingerprint(TICKET, &custody(OLD).proven(&text)).as_bytes();
        proof[..8].copy_from_slice(ring().primary().as_bytes());
        assert_eq!(custody(NEW).read_ticket(&format!("{text}.{}", URL_SAFE_NO_PAD.encode(proof))), None);
        let print = ring().fingerprint("event-fingerprint", &custody(NEW).proven(&text));
        let ticket = format!("{text}.{}", URL_SAFE_NO_PAD.encode(print.as_bytes()));
        assert_eq!(custody(NEW).read_ticket(&ticket), None);
    }

    #[test]
    fn a_ticket_lives_as_long_as_its_key_is_in_the_ring() {
        let ticket = custody(OLD).ticket(&grant(), EXPIRES_AT_MS);
        let rotated = custody(&format!("{NEW},{OLD}"));
        assert_eq!(rotated.read_ticket(&ticket), Some((grant(), EXPIRES_AT_MS)));
        assert_ne!(rotated.ticket(&grant(), EXPIRES_AT_MS), ticket, "the first key proves");
        assert_eq!(custody(NEW).read_ticket(&rotated.ticket(&grant(), EXPIRES_AT_MS)), Some((grant(), EXPIRES_AT_MS)));
        assert_eq!(custody(NEW).read_ticket(&ticket), None);
    }

    #[test]
    fn what_is_no_ticket_is_refused() {
        let long = "A".repeat(1_000_000);
        for text in ["", ".", "...", "FXT1", "FXT1...", "FXT1.a.1.", "FXT1.a.1.é", "é.é.é.é", &long] {
            assert_eq!(custody(NEW).read_ticket(text), None);
        }
    }
}
