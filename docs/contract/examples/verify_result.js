#!/usr/bin/env node
// Verifies the result that a person brings to the platform's return URL. Nothing to install.
//
//     node verify_result.js KEY_FILE FOXDEN_RESULT
//
// Prints the result as JSON, or ends with 1. docs/grants.md describes the form.
"use strict";

const { createHmac, timingSafeEqual } = require("node:crypto");
const { readFileSync } = require("node:fs");

const OLDEST = 300;
const AHEAD = 60;

/** Answers what was signed, or throws. `key` is a Buffer, `now` in seconds. */
function verifyResult(key, parameter, now) {
  const parts = parameter.split(".");
  if (parts.length !== 3 || parts[0] !== "FXR1") throw new Error("this is no result");
  const expected = createHmac("sha256", key).update(`${parts[0]}.${parts[1]}`).digest();
  const signature = Buffer.from(parts[2], "base64url");
  if (signature.length !== expected.length || !timingSafeEqual(signature, expected)) {
    throw new Error("the signature is wrong");
  }
  const result = JSON.parse(Buffer.from(parts[1], "base64url").toString("utf8"));
  if (!(result.time >= now - OLDEST && result.time <= now + AHEAD)) {
    throw new Error("the result is too old, or the clocks differ");
  }
  return result;
}

/** A key file's contents, without white space at its ends. */
function readKey(path) {
  return Buffer.from(readFileSync(path, "latin1").replace(/^[ \t\r\n\f]+|[ \t\r\n\f]+$/g, ""), "latin1");
}

try {
  const [keyFile, parameter] = process.argv.slice(2);
  console.log(JSON.stringify(verifyResult(readKey(keyFile), parameter, Date.now() / 1000)));
} catch (error) {
  console.error(`refused: ${error.message}`);
  process.exitCode = 1;
}
