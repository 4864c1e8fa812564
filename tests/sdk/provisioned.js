// Foxy's official JavaScript SDK with a token that foxden has sealed: a platform that is given one can run the shop. Run by
// tests/sdk.rs, which names in the environment:
//
//     FOXY_API_HOME, FOXY_CLIENT_ID, FOXY_CLIENT_SECRET, FOXY_REFRESH_TOKEN, STORE_DOMAIN, STORE_URI
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const Backend = require("@foxy.io/sdk/backend");

const { FOXY_API_HOME, FOXY_CLIENT_ID, FOXY_CLIENT_SECRET, FOXY_REFRESH_TOKEN, STORE_DOMAIN, STORE_URI } = process.env;

test("the sealed token opens the store that was made for the signup, and may change it", async () => {
  const api = new Backend.API({
    base: new URL(FOXY_API_HOME),
    clientId: FOXY_CLIENT_ID,
    clientSecret: FOXY_CLIENT_SECRET,
    refreshToken: FOXY_REFRESH_TOKEN,
    level: -1,
  });
  const store = await (await api.follow("fx:store").get()).json();
  assert.deepEqual([store.store_domain, store._links.self.href], [STORE_DOMAIN, STORE_URI]);
  const changed = await (await api.follow("fx:store").patch({ from_email: "orders@engines.example" })).json();
  assert.equal(changed.from_email, "orders@engines.example");
});
