//! Where Foxy's public documentation is silent: what the simulator does, and why.
//!
//! This module holds no code. A client that leans on one of these lines leans on a guess.
//!
//! | subject | what happens here | why |
//! | --- | --- | --- |
//! | the `refresh_token` of a `client_credentials` answer | the one that the client's creation answered | that there is one stands in the README of Foxy's PHP client |
//! | `invalid_client` | 401 with `WWW-Authenticate` after HTTP Basic, 400 after form credentials | RFC 6749 section 5.2 |
//! | `scope` left out of `client_credentials` | means `client_full_access` | the only scope a client can have by itself |
//! | descriptions of OAuth errors | those of the widespread PHP OAuth server library | "The access token provided has expired" is documented, and is its wording |
//! | token request that isn't a form | 400 `invalid_request` | RFC 6749 section 4 |
//! | refresh token used by another client | 400 `invalid_grant` | RFC 6749 section 6 |
//! | a code's life, and second use | 10 minutes, or `Config::code_lifetime`; 400 `invalid_grant`, tokens from the first use stay valid unless [`Allows`](crate::Allows) has it | RFC 6749 section 4.1.2, whose "should" on revoking Foxy's OAuth library is not known to follow |
//! | `redirect_uri` at the token endpoint | required if the authorization request had one; must be where the code went | RFC 6749 section 4.1.3. The official JavaScript SDK sends none with the code |
//! | `state` left out at the authorization endpoint | the browser comes back with `invalid_request` | the documentation tells every client to send it |
//! | `FOXY-API-VERSION` other than 1 | the refusal of a missing one, whose beginning is known | only one version is documented |
//! | no token where one is needed | 401 `fx:errors`, `WWW-Authenticate: Bearer` without an error code | RFC 6750 section 3.1 |
//! | scopes other than the three for full access (`transaction_read`, `store_id_8` and so on) | granted as asked for; without full access a token opens the home document and the reports, and all else is 403 | which words there are, and what each opens, is in Foxy's permissions alone |
//! | token of another scope, or of another user or store | 403 `insufficient_scope` | RFC 6750 section 3.1 |
//! | a store's token at its user and that user's stores, which its home document links | 403 | the stricter reading of "one store; everything in it" |
//! | a user's token reading a single store | 403 | the stricter reading of "one store; everything in it" |
//! | reports (`fx:reporting_*_exists`) | any valid token opens them; without one 401 | they are linked for every scope, and tell who has an account |
//! | missing or wrong hCaptcha code | 400 `fx:errors` naming the `h-captcha-code` header, in the same words; any code passes, or the one of `Config::captcha_code`, however often | only the header's name is documented |
//! | a taken email | 400 "email is already in use" | by analogy with the documented text for `store_domain`; for a store's customers Foxy says "This email address is already in use by an existing customer of this store." |
//! | the end of the text for a missing `FOXY-API-VERSION`; the texts of a 201, but for "created successfully" | as in `reply.rs` and `handlers` | the rest isn't public |
//! | texts for missing, long and malformed properties | "first_name is required", "… can not be longer than 50 characters" and so on | none is documented |
//! | lengths | counted in characters | databases count so |
//! | lengths of a client's properties | as in `clients.rs` | none is documented |
//! | a `webhook_key` that is a JSON object | each of its four keys may be as long as a plain one | one limit for all of it would leave no room for them |
//! | `use_webhook`, `use_cart_validation`, `use_single_sign_on` without their key | 400 "use_webhook needs a webhook_key" and so on | that they need it is known, the text isn't |
//! | the store's secret | made with the store and shown as its `webhook_key` | that Foxy makes one of 60 characters is documented |
//! | case and outer spaces of emails and domains | don't make them differ | logins and DNS names are compared so |
//! | unknown properties in a body | left out without a word | `is_active` and others are read-only and often echoed back |
//! | `null` for a property | the same as leaving it out | |
//! | reserved domains | `www`, `api`, `admin`, `mail` and the like, `xn--…`, `foxycart-…` | the text is documented, the set isn't |
//! | remote domains | three labels or more, the last of letters; international names in punycode | Foxy's own admin asks for that; whether the API does isn't documented |
//! | domains that can't be remote | those ending with `foxycart.com` or `foxy.io` | they are Foxy's own |
//! | region in the US | any two letters | the list of states is Foxy's |
//! | defaults of a new store | locale `en_US`, language `english`, timezone `America/Los_Angeles`, not active | |
//! | JSON sent as `text/plain` | read as JSON | the official SDK sends it so from Node |
//! | other request types | 415 `fx:errors`; XML and multipart would be taken by Foxy | not simulated |
//! | bodies over 1 MiB | 413 `fx:errors` | |
//! | a 201 | `message`, `token` and links, not the properties | the examples show no more |
//! | page size | 20, at most 300; more is cut down, nonsense ignored | the examples' `limit` is 20 |
//! | `first`, `prev`, `next`, `last` | always there; `next` of the last page is that page | the examples show all four on a single page, with equal offsets |
//! | `total_items` | a number | the SDK's types say so, though an example shows a text |
//! | filters | equality with a property's text | |
//! | PATCH | answers 200 with the whole resource | |
//! | attributes | names may repeat; every client with access to the resource may change and delete those that it sees; 200 for DELETE | only who sees them is documented |
//! | `visibility` in a PATCH of an attribute | refused, even if it is the one that it has | that it can't be changed is documented, the answer isn't |
//! | PATCH of a collection of attributes | 405; at Foxy it makes and changes several | not simulated |
//! | an attribute, whose owner the token doesn't open | 404 | its existence is nobody else's business |
//! | PUT, and DELETE of a client | 405; Foxy knows them | not simulated |
//! | DELETE of users and stores | 405, unless [`Allows`](crate::Allows) has it; 400 for a user who still has stores; names are free afterwards, or stay taken | documented for users, known for stores, and nothing is said of what becomes of the rest |
//! | a store's token creating stores | 403, unless [`Allows`](crate::Allows) has it | an official example says that it may; the page on scopes does not |
//! | integrations: who may POST | the store's token, and the user's where [`Allows`](crate::Allows) has it | only the store's is sure |
//! | integrations: what is listed, and DELETE | what was POSTed or granted, and no DELETE (405); where [`Allows`](crate::Allows) has it, the tokens of creations too, and DELETE ends refresh and access tokens at once | documented, but not of which tokens, nor how fast |
//! | integrations of the same client, user and scope | an entry and a life for each refresh token; access tokens end with any of them; variants of `X4` in [`Allows`](crate::Allows) do otherwise | "access tokens of the same client, user and scope" is all that is documented |
//! | a second grant to the same client | another refresh token, or the present one where [`Allows`](crate::Allows) has it | not documented |
//! | reading and changing a client's secret; who sees a restricted attribute | as documented, unless [`Allows`](crate::Allows) lacks it | Foxy's own sources disagree |
//! | the authorization endpoint's pages | log in by email, without a password; choose; allow or deny. A person is asked every time | Foxy's own are not documented |
//! | `sim_as`, `sim_deny` there | grant or deny without a page | for tests and tools |
//! | `store_id_N` there | leaves that store only, unless [`Allows`](crate::Allows) has it ignored; a page says so to a user who doesn't have it | official code sends it, and no page tells what it does |
//! | OPTIONS | 204 with `Allow`: the methods that the caller would not be refused for what [`Allows`](crate::Allows) lacks | |
//! | paths | `/users/{id}/stores` for `fx:stores`, `/store_attributes/{id}` and so on | clients must follow links; `/stores` works as well |
