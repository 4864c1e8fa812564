//! Secret types, key ring and sealed envelopes (XChaCha20-Poly1305).
