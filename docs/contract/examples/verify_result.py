#!/usr/bin/env python3
"""Verifies the result that a person brings to the platform's return URL. Python 3.8 or later, nothing to install.

    python3 verify_result.py KEY_FILE FOXDEN_RESULT

Prints the result as JSON, or ends with 1. docs/grants.md describes the form.
"""

import base64
import hashlib
import hmac
import json
import sys
import time

OLDEST = 300
AHEAD = 60


def base64url(text):
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def verify_result(key, parameter, now):
    """Answers what was signed, or raises ValueError."""
    parts = parameter.split(".")
    if len(parts) != 3 or parts[0] != "FXR1" or not parameter.isascii():
        raise ValueError("this is no result")
    signed = f"{parts[0]}.{parts[1]}".encode()
    signature = hmac.new(key, signed, hashlib.sha256).digest()
    if not hmac.compare_digest(signature, base64url(parts[2])):
        raise ValueError("the signature is wrong")
    result = json.loads(base64url(parts[1]))
    if not now - OLDEST <= result["time"] <= now + AHEAD:
        raise ValueError("the result is too old, or the clocks differ")
    return result


if __name__ == "__main__":
    with open(sys.argv[1], "rb") as file:
        key = file.read().strip(b" \t\r\n\f")
    try:
        print(json.dumps(verify_result(key, sys.argv[2], time.time())))
    except ValueError as error:
        sys.exit(f"refused: {error}")
