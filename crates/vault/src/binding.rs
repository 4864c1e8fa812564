//! What an envelope is bound to.

/// The one place an envelope belongs to. It opens only where every field is the same again.
///
/// Nothing here is stored in the envelope: whoever opens it says where it was found, and the seal proves or disproves
/// it. So use what is known without opening, and what never changes for the row's lifetime.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Binding<'a> {
    /// The deployment, so that a row copied from production does not open in a sandbox that shares a key.
    pub environment: &'a str,
    /// What the value is used for, such as `store token` or `payload`.
    pub purpose: &'a str,
    /// The row the value belongs to, by an id that is never used twice.
    pub owner: &'a str,
    /// What the value allows, such as a token's scope; empty where the purpose says it all.
    pub scope: &'a str,
}

impl Binding<'_> {
    /// The associated data: the envelope's header, then each field with its length in front, so that no two bindings
    /// read the same. `None` if a field is too long to have its length written, 4 GiB.
    pub(crate) fn associated_data(&self, header: &[u8]) -> Option<Vec<u8>> {
        let mut data = Vec::with_capacity(128);
        data.extend_from_slice(header);
        for field in [self.environment, self.purpose, self.owner, self.scope] {
            data.extend_from_slice(&u32::try_from(field.len()).ok()?.to_be_bytes());
            data.extend_from_slice(field.as_bytes());
        }
        Some(data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_associated_data_is_laid_out_as_documented() {
        let binding = Binding { environment: "prod", purpose: "p", owner: "", scope: "é" };
        let expected = b"FXD1\x01\x02\x03\x04\x05\x06\x07\x08\
            \0\0\0\x04prod\
            \0\0\0\x01p\
            \0\0\0\0\
            \0\0\0\x02\xc3\xa9";
        assert_eq!(binding.associated_data(b"FXD1\x01\x02\x03\x04\x05\x06\x07\x08").unwrap(), expected);
    }
}
