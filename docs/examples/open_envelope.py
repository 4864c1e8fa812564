#!/usr/bin/env python3
"""Opens one envelope that foxden has sealed. Needs PyNaCl (pip install pynacl).

The key ring is taken from the environment, FOXDEN_KEYS, and the row from standard input, as JSON:

    {"environment": "production", "purpose": "credential", "owner": "<provisioning id>",
     "scope": "store_full_access", "envelope": "<the column in hexadecimal>"}

What was sealed goes to standard output. docs/envelope.md describes the format.
"""

import base64
import hashlib
import hmac
import json
import os
import sys

from nacl.bindings import crypto_aead_xchacha20poly1305_ietf_decrypt
from nacl.exceptions import CryptoError


def derive(key, info):
    """The first 32 bytes of HKDF-SHA256 without a salt."""
    extracted = hmac.new(bytes(32), key, hashlib.sha256).digest()
    return hmac.new(extracted, info + b"\x01", hashlib.sha256).digest()


def key_id(key):
    """16 bytes. An envelope of version 1 has the first 8 of them."""
    return derive(key, b"foxden v1 key id")[:16]


def read_ring(text):
    """The keys of a ring by their ids."""
    entries = [entry.strip() for entry in text.replace("\n", ",").split(",") if entry.strip()]
    keys = [entry.split(":", 1)[1] for entry in entries]
    # Padding may be left out.
    keys = [base64.b64decode(key + "=" * (-len(key) % 4), validate=True) for key in keys]
    return {key_id(key): key for key in keys}


def open_envelope(ring, environment, purpose, owner, scope, envelope):
    """Answers what was sealed for this place, or raises."""
    id_length = {b"FXD1": 8, b"FXD2": 16}.get(envelope[:4])
    if id_length is None:
        raise ValueError("this is not an envelope of version 1 or 2")
    header, nonce, sealed = envelope[: 4 + id_length], envelope[4 + id_length :][:24], envelope[28 + id_length :]
    if len(sealed) < 16:
        raise ValueError("the envelope is too short")
    key = next((key for id, key in ring.items() if id[:id_length] == header[4:]), None)
    if key is None:
        raise ValueError(f"the key {header[4:].hex()} is not in the ring")
    if envelope[:4] == b"FXD2":
        key = derive(key, b"foxden v2 seal: " + purpose.encode())
    bound = header
    for field in (environment, purpose, owner, scope):
        field = field.encode()
        bound += len(field).to_bytes(4, "big") + field
    return crypto_aead_xchacha20poly1305_ietf_decrypt(sealed, bound, nonce, key)


def main():
    row = json.load(sys.stdin)
    envelope = bytes.fromhex(row.pop("envelope"))
    try:
        opened = open_envelope(read_ring(os.environ["FOXDEN_KEYS"]), envelope=envelope, **row)
    except (ValueError, CryptoError) as error:
        sys.exit(f"it does not open: {error}")
    sys.stdout.buffer.write(opened)


if __name__ == "__main__":
    main()
