//! Random bytes, from the operating system and from nowhere else.

use zeroize::{Zeroize, Zeroizing};

/// The operating system gave no random bytes. Nothing was sealed or generated; trying again later is safe.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gave no random bytes")]
pub struct NoRandomness(#[source] getrandom::Error);

/// Fresh random bytes, wiped when dropped since most callers make keys of them.
pub(crate) fn random_bytes<const N: usize>() -> Result<Zeroizing<[u8; N]>, NoRandomness>
where
    [u8; N]: Zeroize,
{
    let mut bytes = Zeroizing::new([0; N]);
    getrandom::fill(bytes.as_mut_slice()).map_err(NoRandomness)?;
    Ok(bytes)
}

/// What a secret of ours is made of: the characters of url-safe base64, which stand unescaped anywhere.
pub(crate) const URL_SAFE: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/// A random text of this many of the given ASCII characters, each as likely as any other.
///
/// # Errors
/// Only if the operating system gives no random bytes.
pub fn random_text(characters: &[u8], length: usize) -> Result<Zeroizing<String>, NoRandomness> {
    // As large as it gets: a text that is moved while it grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(length));
    // Bytes beyond the last whole round of characters would make the first ones likelier.
    let whole = 256 - 256 % characters.len();
    while text.len() < length {
        let bytes = random_bytes::<64>()?;
        let fair = bytes.iter().map(|byte| usize::from(*byte)).filter(|byte| *byte < whole);
        let missing = length - text.len();
        text.extend(fair.take(missing).map(|byte| char::from(characters[byte % characters.len()])));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_random_text_has_its_length_and_all_of_its_characters() {
        for characters in [&b"abc"[..], URL_SAFE, b"abcdefghijklmnopqrstuvwxyz0123456789"] {
            let text = random_text(characters, 20_000).unwrap();
            assert_eq!(text.len(), 20_000);
            let count = |character: u8| text.bytes().filter(|byte| *byte == character).count();
            // Twenty thousand draws: none is off by half, unless the draw is unfair.
            let fair = 20_000 / characters.len();
            assert!(characters.iter().all(|character| (fair / 2..fair * 2).contains(&count(*character))));
            assert_eq!(characters.iter().map(|character| count(*character)).sum::<usize>(), 20_000);
        }
        assert_ne!(*random_text(URL_SAFE, 43).unwrap(), *random_text(URL_SAFE, 43).unwrap());
    }
}
