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

/** The first bytes of HKDF-SHA256 without a salt. */
function derive(key, info, length) {
  return Buffer.from(hkdfSync("sha256", key, "", info, length));
}

/** 16 bytes in hexadecimal. An envelope of version 1 has the first 8 of them. */
function keyId(key) {
  return derive(key, "foxden v1 key id", 16).toString("hex");
}

/** The keys of a ring by their ids. */
function readRing(text) {
  const entries = text.split(/[,\n]/).map((entry) => entry.trim()).filter(Boolean);
  const keys = entries.map((entry) => Buffer.from(entry.slice(entry.indexOf(":") + 1), "base64"));
  return new Map(keys.map((key) => [keyId(key), key]));
}

/** Answers what was sealed for this place, or throws. */
function openEnvelope(ring, { environment, purpose, owner, scope }, envelope) {
  const magic = envelope.subarray(0, 4).toString("latin1");
  const idLength = { FXD1: 8, FXD2: 16 }[magic];
  if (!idLength) throw new Error("this is not an envelope of version 1 or 2");
  const header = envelope.subarray(0, 4 + idLength);
  const nonce = envelope.subarray(4 + idLength, 28 + idLength);
  const sealed = envelope.subarray(28 + idLength);
  if (sealed.length < 16) throw new Error("the envelope is too short");
  const id = header.subarray(4).toString("hex");
  const [, key] = [...ring].find(([known]) => known.startsWith(id)) ?? [];
  if (!key) throw new Error(`the key ${id} is not in the ring`);
  const sealingKey = magic === "FXD1" ? key : derive(key, `foxden v2 seal: ${purpose}`, 32);
  const bound = [header];
  for (const field of [environment, purpose, owner, scope].map((field) => Buffer.from(field))) {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(field.length);
    bound.push(length, field);
  }
  return sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(null, sealed, Buffer.concat(bound), nonce, sealingKey);
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
