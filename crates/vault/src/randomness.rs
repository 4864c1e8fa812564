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
