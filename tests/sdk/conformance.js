// Foxy's official JavaScript SDK (@foxy.io/sdk) against the simulator: what the SDK takes for granted of Foxy must hold
// there as well. Run by tests/sdk.rs, which starts the simulator and names it in the environment:
//
//     FOXY_API_HOME, FOXY_AUTHORIZE_URL
//
// The SDK's own responses always say status 200, so what a status is, is asked by its `fetch`.
"use strict";

const assert = require("node:assert/strict");
const test = require("node:test");
const Backend = require("@foxy.io/sdk/backend");
const Core = require("@foxy.io/sdk/core");

const base = new URL(process.env.FOXY_API_HOME);
const QUIET = -1;

const PROJECT = {
  redirect_uri: "http://127.0.0.1:9/back",
  project_name: "Conformance",
  company_name: "Foxden",
  contact_name: "Ada Lovelace",
  contact_email: "ada@platform.example",
  contact_phone: "555 0100",
};
const STORE = {
  store_name: "Engines",
  store_url: "https://engines.example",
  store_email: "shop@engines.example",
  postal_code: "55401",
  country: "US",
  region: "MN",
};

/** What the tests have made so far; each goes on from what the one before it has left. */
const made = {};

/** The SDK with a refresh token of this client's. */
function backend(refreshToken) {
  const { client_id: clientId, client_secret: clientSecret } = made.client;
  return new Backend.API({ base, clientId, clientSecret, refreshToken, level: QUIET });
}

/** The access token the SDK holds. */
const held = (api) => JSON.parse(api.storage.getItem("access_token")).access_token;

/** Has the SDK believe that this is its access token. */
function plant(api, accessToken, expiresIn = 7200) {
  const token = { access_token: accessToken, expires_in: expiresIn, date_created: new Date().toISOString() };
  api.storage.setItem("access_token", JSON.stringify(token));
}

/** A raw answer with its true status, and its body. */
async function raw(api, url, init) {
  const response = await api.fetch(url, init);
  return { status: response.status, type: response.headers.get("Content-Type"), body: await response.json() };
}

const rels = (document) => Object.keys(document._links);
const within = (uri) => assert.equal(new URL(uri).origin, base.origin, uri);

test("without a token the home document leads to a new client, which comes with its token", async () => {
  const headers = { "FOXY-API-VERSION": "1", "Content-Type": "application/json" };
  const fetch = (input, init) => {
    const request = new Core.API.WHATWGRequest(input, init);
    Object.entries(headers).forEach(([name, value]) => request.headers.set(name, value));
    return Core.API.whatwgFetch(request);
  };
  const api = new Core.API({ base, fetch, level: QUIET });
  assert.ok(rels(await (await api.get()).json()).includes("fx:create_client"));
  const client = await (await api.follow("fx:create_client").post(PROJECT)).json();
  assert.equal(client.token.scope, "client_full_access");
  assert.ok(client.client_id && client.client_secret && client.token.refresh_token);
  within(client._links.self.href);
  made.client = client;
});

test("a refresh token opens the same client again and stays as it is", async () => {
  const { client_id: clientId, client_secret: clientSecret, token } = made.client;
  const fresh = await Backend.API.getToken({ base, clientId, clientSecret, refreshToken: token.refresh_token }, true);
  assert.equal(fresh.refresh_token, token.refresh_token);
  assert.notEqual(fresh.access_token, token.access_token);
  assert.deepEqual([fresh.token_type.toLowerCase(), fresh.expires_in, fresh.scope], ["bearer", 7200, token.scope]);
  const api = backend(token.refresh_token);
  const client = await (await api.follow("fx:client").get()).json();
  assert.equal(client.project_name, PROJECT.project_name);
  assert.equal(client.client_secret, clientSecret);
});

test("a wrong secret and a wrong token are OAuth errors that the SDK tells", async () => {
  const { client_id: clientId, client_secret: clientSecret, token } = made.client;
  const ask = (changes) =>
    Backend.API.getToken({ base, clientId, clientSecret, refreshToken: token.refresh_token, ...changes }, true);
  const error = (kind) => (thrown) => JSON.parse(thrown.message).error === kind;
  await assert.rejects(ask({ clientSecret: "wrong" }), error("invalid_client"));
  await assert.rejects(ask({ refreshToken: "wrong" }), error("invalid_grant"));
  const silent = { base, clientId, clientSecret: "wrong", refreshToken: token.refresh_token };
  assert.equal(await Backend.API.getToken(silent), null);
});

test("the client's home document leads to new users, with their tokens", async () => {
  const api = backend(made.client.token.refresh_token);
  const create = api.follow("fx:create_user");
  const person = { first_name: "Ada", last_name: "Lovelace", email: "ada@customers.example", is_merchant: true };
  const user = await (await create.post(person)).json();
  assert.equal(user.token.scope, "user_full_access");
  within(user._links.self.href);
  made.user = user;
});

test("a user's home document leads to the user, who can be read and changed", async () => {
  const api = backend(made.user.token.refresh_token);
  const home = await (await api.get()).json();
  assert.ok(["self", "curies", "fx:user", "fx:stores", "fx:token", "fx:reporting"].every((rel) => rels(home).includes(rel)));
  const user = await (await api.follow("fx:user").get()).json();
  assert.deepEqual([user.email, user.first_name], ["ada@customers.example", "Ada"]);
  assert.equal(user._links.self.href, made.user._links.self.href);
  const changed = await (await api.follow("fx:user").patch({ phone: "555 0100" })).json();
  assert.equal(changed.phone, "555 0100");
});

test("a user makes stores, with their tokens, and lists them page by page", async () => {
  const api = backend(made.user.token.refresh_token);
  const stores = api.follow("fx:stores");
  for (const name of ["one", "two", "three"]) {
    made[name] = await (await stores.post({ ...STORE, store_domain: `sdk-${name}` })).json();
    assert.equal(made[name].token.scope, "store_full_access");
  }
  const domains = [];
  let page = await (await stores.get({ limit: 2 })).json();
  assert.deepEqual([page.total_items, page.returned_items, page.limit, page.offset], [3, 2, 2, 0]);
  for (;;) {
    domains.push(...page._embedded["fx:stores"].map((store) => store.store_domain));
    if (page._links.self.href === page._links.last.href || page.offset + page.returned_items >= page.total_items) break;
    page = await (await page._links.next.get()).json();
  }
  assert.deepEqual(domains, ["sdk-one", "sdk-two", "sdk-three"]);
});

test("filters and zooms that the SDK writes are understood", async () => {
  const api = backend(made.user.token.refresh_token);
  const found = await (await api.follow("fx:stores").get({ filters: ["store_domain=sdk-two"] })).json();
  assert.deepEqual(found._embedded["fx:stores"].map((store) => store.store_domain), ["sdk-two"]);
  const user = await (await api.follow("fx:user").get({ zoom: "stores" })).json();
  assert.equal(user._embedded["fx:stores"].length, 3);
});

test("a store's token opens the store and nothing else", async () => {
  const api = backend(made.one.token.refresh_token);
  const store = await (await api.follow("fx:store").get({ zoom: "users" })).json();
  assert.deepEqual([store.store_domain, store.store_name], ["sdk-one", "Engines"]);
  assert.deepEqual(store._embedded["fx:users"].map((user) => user.email), ["ada@customers.example"]);
  const changed = await (await api.follow("fx:store").patch({ store_name: "Difference Engines" })).json();
  assert.equal(changed.store_name, "Difference Engines");
  const other = await raw(api, made.two._links.self.href);
  assert.deepEqual([other.status, other.body.error], [403, "insufficient_scope"]);
});

test("a 401 invalid_token is met with one new token and one repeat", async () => {
  const api = backend(made.one.token.refresh_token);
  plant(api, "expired-long-ago");
  const store = await (await api.follow("fx:store").get()).json();
  assert.equal(store.store_domain, "sdk-one");
  assert.notEqual(held(api), "expired-long-ago");
});

test("a token near its end is replaced before it is used", async () => {
  const api = backend(made.one.token.refresh_token);
  plant(api, "ends-in-a-minute", 60);
  assert.equal((await raw(api, base.toString())).status, 200);
  assert.notEqual(held(api), "ends-in-a-minute");
});

test("attributes are made, read, changed and removed", async () => {
  const api = backend(made.one.token.refresh_token);
  const attributes = api.follow("fx:store").follow("fx:attributes");
  await attributes.post({ name: "signup", value: "s-1", visibility: "private" });
  const listed = await (await attributes.get()).json();
  const [attribute] = listed._embedded["fx:attributes"];
  assert.deepEqual([attribute.name, attribute.value, attribute.visibility], ["signup", "s-1", "private"]);
  const changed = await (await attribute._links.self.patch({ value: "s-2" })).json();
  assert.equal(changed.value, "s-2");
  await attribute._links.self.delete();
  assert.equal((await (await attributes.get()).json()).total_items, 0);
});

test("mistakes come as fx:errors, each with its logref", async () => {
  const api = backend(made.client.token.refresh_token);
  const { _links: links } = await (await api.get()).json();
  const answer = await raw(api, links["fx:create_user"].href, { method: "POST", body: JSON.stringify({ first_name: "A" }) });
  assert.equal(answer.status, 400);
  assert.match(answer.type, /^application\/(vnd\.error|hal)\+json/);
  const errors = answer.body._embedded["fx:errors"];
  assert.equal(answer.body.total, errors.length);
  assert.ok(errors.length >= 2 && errors.every((error) => error.logref && error.message));
  const taken = await (await api.follow("fx:create_user").post({ first_name: "A", last_name: "L", email: "ada@customers.example" })).json();
  assert.match(taken._embedded["fx:errors"][0].message, /already in use/);
});

test("the reports tell what is taken and what is free", async () => {
  const api = backend(made.client.token.refresh_token);
  const report = async (rel, query) => {
    const { _links: links } = await (await api.follow("fx:reporting").get()).json();
    return raw(api, `${links[rel].href}?${new URLSearchParams(query)}`);
  };
  const taken = await report("fx:reporting_email_exists", { email: "ada@customers.example" });
  assert.deepEqual([taken.status, rels(taken.body).includes("fx:user")], [200, true]);
  const free = await report("fx:reporting_store_domain_exists", { store_domain: "nobodys" });
  assert.deepEqual([free.status, free.body._embedded["fx:errors"].length], [404, 1]);
});

test("a code from the authorization endpoint opens what was granted, once", async () => {
  const { client_id: clientId, client_secret: clientSecret } = made.client;
  const grant = { response_type: "code", client_id: clientId, scope: "store_full_access", state: "s", sim_as: "sdk-two" };
  const browser = await fetch(`${process.env.FOXY_AUTHORIZE_URL}?${new URLSearchParams(grant)}`, { redirect: "manual" });
  const back = new URL(browser.headers.get("Location"));
  assert.equal(back.searchParams.get("state"), "s");
  const code = back.searchParams.get("code");
  const token = await Backend.API.getToken({ base, clientId, clientSecret, code }, true);
  assert.equal(token.scope, "store_full_access");
  const store = await (await backend(token.refresh_token).follow("fx:store").get()).json();
  assert.equal(store.store_domain, "sdk-two");
  await assert.rejects(Backend.API.getToken({ base, clientId, clientSecret, code }, true), /invalid_grant/);
});

test("a link that is not there can't be followed", async () => {
  const api = backend(made.one.token.refresh_token);
  await assert.rejects(api.follow("fx:create_user").get(), Core.API.Node.ResolutionError);
});
