// Publishes a signup event with amqplib.
//
//     npm install amqplib
//     node publish.js amqp://user:password@localhost foxden signup signup.json
//
// Ends with 0 only when the broker has the event in a queue. When in doubt run it again: a repeat does no harm.

"use strict";

const fs = require("node:fs");
const amqp = require("amqplib");

async function publish(url, exchange, routingKey, body) {
  const connection = await amqp.connect(url);
  try {
    const channel = await connection.createConfirmChannel();
    let returned = false;
    // The broker returns what no queue takes, before it confirms it.
    channel.on("return", () => { returned = true; });
    channel.publish(exchange, routingKey, body, {
      mandatory: true,
      persistent: true,
      contentType: "application/json",
      messageId: JSON.parse(body.toString("utf8")).signup_id,
    });
    // Rejects when the broker refuses it.
    await channel.waitForConfirms();
    if (returned) {
      throw new Error("no queue takes the event: has a worker declared it yet?");
    }
  } finally {
    await connection.close();
  }
}

const [url, exchange, routingKey, file] = process.argv.slice(2);
publish(url, exchange, routingKey, fs.readFileSync(file)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
