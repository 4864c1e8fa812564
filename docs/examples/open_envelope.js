#!/usr/bin/env node
// Opens one envelope that foxden has sealed. Needs libsodium-wrappers (npm install libsodium-wrappers).
//
// The key ring is taken from the environment, FOXDEN_KEYS, and the row from standard input, as JSON:
//
//     {"environment": "production", "purpose": "credential", "owner": "<provisioning id>",
//      "scope": "store_full_access", "envelope": "<the column in hexadecimal>"}
//
// What was sealed goes to standard output. docs/envelope.md describes the format.
"use strict";

const { hkdfSync } = require("node:crypto");
const { readFileSync } = require("node:fs");
const sodium = require("libsodium-wrappers");

/** The first 8 bytes of HKDF-SHA256 without a salt, in hexadecimal. */
function keyId(key) {
  return Buffer.from(hkdfSync("sha256", key, "", "foxden v1 key id", 8)).toString("hex");
}

/** The keys of a ring by their ids. */
function readRing(text) {
  const entries = text.split(/[,\n]/).map((entry) => entry.trim()).filter(Boolean);
  const keys = entries.map((entry) => Buffer.from(entry.slice(entry.indexOf(":") + 1), "base64"));
  return new Map(keys.map((key) => [keyId(key), key]));
}

/** Answers what was sealed for this place, or throws. */
function openEnvelope(ring, { environment, purpose, owner, scope }, envelope) {
  if (envelope.length < 52 || envelope.subarray(0, 4).toString("latin1") !== "FXD1") {
    throw new Error("this is not an envelope of version 1");
  }
  const id = envelope.subarray(4, 12).toString("hex");
  const key = ring.get(id);
  if (!key) throw new Error(`the key ${id} is not in the ring`);
  const bound = [envelope.subarray(0, 12)];
  for (const field of [environment, purpose, owner, scope].map((field) => Buffer.from(field))) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    bound.push(length, field);
  }
  return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(
    null, envelope.subarray(36), Buffer.concat(bound), envelope.subarray(12, 36), key);
}

async function main() {
  await sodium.ready;
  const row = JSON.parse(readFileSync(0, "utf8"));
  process.stdout.write(openEnvelope(readRing(process.env.FOXDEN_KEYS), row, Buffer.from(row.envelope, "hex")));
}

main().catch((error) => {
  console.error(`it does not open: ${error.message}`);
  process.exitCode = 1;
});
