#!/usr/bin/env python3
"""Writes a ledger with the foxden and the foxy-sim of an earlier release: see README.md beside it.

usage: make.py BIN_DIR OUT_DIR    with AMQP_URL, and DATABASE_URL of an empty PostgreSQL database or none (SQLite)
"""
import base64, json, os, pathlib, shutil, signal, socket, sqlite3, subprocess, sys, tempfile, time

BIN, OUT = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
WORK = pathlib.Path(tempfile.mkdtemp())
POSTGRES, PORT = os.environ.get("DATABASE_URL"), 41327
SIM = f"http://127.0.0.1:{PORT}"
# Test keys: 32 bytes of 1 and of 2.
FIRST, SECOND = (f"{name}:{base64.b64encode(bytes([byte]) * 32).decode()}" for name, byte in [("first", 1), ("second", 2)])
BASE = {
    "FOXDEN_FOXY_API": SIM, "FOXDEN_FOXY_CLIENT_ID": "client_of_the_fixture",
    "FOXDEN_FOXY_CLIENT_SECRET": "secret-of-the-fixture", "FOXDEN_KEYS": FIRST, "FOXDEN_ENVIRONMENT": "fixture",
    "FOXDEN_DATABASE_URL": POSTGRES or f"sqlite:{WORK}/ledger.db", "FOXDEN_LOG_FORMAT": "json",
    "FOXDEN_POLL_INTERVAL": "50ms", "FOXDEN_FOXY_RATE": "off", "FOXDEN_RETRY_INITIAL": "100ms",
    "FOXDEN_RETRY_MAX": "200ms", "FOXDEN_LOOKUP_DELAY": "100ms", "FOXDEN_CALL_TIMEOUT": "2s",
    "FOXDEN_CONNECT_TIMEOUT": "1s", "FOXDEN_LEASE": "13s", "FOXDEN_SHUTDOWN_GRACE": "10s",
    "FOXDEN_ESCROW_DIR": f"{WORK}/escrow", "FOXDEN_AMQP_URL": os.environ["AMQP_URL"], "PATH": os.environ["PATH"],
}
LATER = {"FOXDEN_LOOKUP_DELAY": "1h", "FOXDEN_LEASE": "1h", "FOXDEN_CALL_TIMEOUT": "10m", "FOXDEN_SHUTDOWN_GRACE": "11m",
         "FOXDEN_LISTING_LAG": "2h"}
names = []


def foxden(*args, text=None, settings=(), ok=(0,)):
    done = subprocess.run([BIN / "foxden", *args], input=text, env=BASE | dict(settings), cwd=WORK, text=True,
                          capture_output=True)
    assert done.returncode in ok, (args, done)
    return done.stdout


def event(name, **changes):
    made = {"version": 1, "signup_id": name,
            "user": {"first_name": "Ada", "last_name": "Lovelace", "email": f"{name}@customers.example"},
            "store": {"name": f"Engines {name}", "url": "https://engines.example", "email": "shop@engines.example",
                      "country": "US", "region": "MN", "postal_code": "55401"}}
    for path, value in changes.items():
        part, member = path.split("_", 1)
        made.setdefault(part, {})[member] = value
    return made


def note(events):
    names.extend(one["signup_id"] for one in events if one["signup_id"] not in names)


def submit(*events, settings=()):
    note(events)
    foxden("submit", "--to", "ledger", "-", text="".join(json.dumps(one) + "\n" for one in events), settings=settings)


def publish(*events):
    note(events)
    foxden("submit", "-", text="".join(json.dumps(one) + "\n" for one in events))


class Running:
    all = []

    def __init__(self, *command, settings=()):
        self.log = open(WORK / "log", "ab")
        Running.all.append(self)
        self.process = subprocess.Popen(list(map(str, command)), env=BASE | dict(settings), cwd=WORK, stdout=self.log,
                                        stderr=self.log)

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        Running.all.remove(self)
        self.process.wait(120)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.stop()


def sim(*faults, extra=()):
    running = Running(BIN / "foxy-sim", "--bind", f"127.0.0.1:{PORT}", "--books", WORK / "books.jsonl", "--seed", 1,
                      "--client-id", BASE["FOXDEN_FOXY_CLIENT_ID"], "--client-secret", BASE["FOXDEN_FOXY_CLIENT_SECRET"],
                      *[word for fault in faults for word in ("--fault", fault)], *extra)
    until("simulator", lambda: socket.socket().connect_ex(("127.0.0.1", PORT)) == 0)
    return running


def worker(settings=()):
    before = (WORK / "log").read_text().count("worker.started") if (WORK / "log").exists() else 0
    running = Running(BIN / "foxden", "worker", settings=settings)
    until("worker", lambda: (WORK / "log").read_text().count("worker.started") > before)
    return running


def shown(name, settings=()):
    return json.loads(foxden("show", name, "--json", settings=settings))


def until(what, condition):
    started = time.time()
    while not condition():
        assert time.time() - started < 40, (what, (WORK / "log").read_text()[-3000:])
        assert all(r.process.poll() is None for r in Running.all), (what, (WORK / "log").read_text()[-600:])
        time.sleep(0.05)


def until_place(name, *places):
    def there():
        try:
            row = shown(name)
        except AssertionError:
            return False
        return (row["state"], row.get("parked_reason")) in [(p if isinstance(p, tuple) else (p, None)) for p in places]
    until(f"{name}: {places}", there)


PARKED = lambda reason: ("parked", reason)


def phase(events, places, faults=(), settings=(), extra=(), via=submit):
    """Works these off until each is in its place, then stops in good order."""
    via(*events)
    with sim(*faults, extra=extra), worker(settings):
        for one, place in zip(events, places):
            until_place(one["signup_id"], place)
        time.sleep(0.3)


def left(name, faults, ready, settings=(), end=signal.SIGTERM, **changes):
    """Leaves one signup where it is when `ready` holds. `end` stops or kills the worker."""
    submit(event(name, **changes))
    with sim(*faults) as simulator, worker(LATER | dict(settings)) as running:
        until(name, lambda: ready(shown(name)))
        time.sleep(0.3)
        if end == signal.SIGKILL:
            simulator.stop(signal.SIGKILL)
        running.stop(end)


def services(what):
    subprocess.run([os.environ["FOXDEN_SERVICES"], what, "rabbitmq", os.environ["FOXDEN_SERVICES_DIR"]], check=True)


def log():
    return (WORK / "log").read_text()


class Locked:
    """Keeps every writer of tokens out."""
    def __enter__(self):
        if POSTGRES:
            self.held = subprocess.Popen(["psql", "-qX", POSTGRES], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                         text=True)
            self.held.stdin.write("BEGIN; LOCK TABLE credentials IN ACCESS EXCLUSIVE MODE; SELECT 'held';\n")
            self.held.stdin.flush()
            while "held" not in self.held.stdout.readline():
                pass
        else:
            self.db = sqlite3.connect(WORK / "ledger.db", isolation_level=None)
            self.db.execute("BEGIN IMMEDIATE")

    def __exit__(self, *_):
        if POSTGRES:
            self.held.kill()
            self.held.wait()
        else:
            self.db.rollback()


def escrowed(name, settings=()):
    """Makes its store while the ledger takes no token, and kills the worker once the token is on its disk."""
    submit(event(name))
    patient = {"FOXDEN_CALL_TIMEOUT": "10s", "FOXDEN_LEASE": "25s", "FOXDEN_SHUTDOWN_GRACE": "12s"} | dict(settings)
    with sim("POST /users/{id}/stores: stall_after_work(3s)") as simulator, worker(patient) as running:
        until(name, lambda: shown(name)["step"] == "store" and shown(name)["state"] == "in_flight")
        with Locked():
            until("escrow", lambda: any((WORK / "escrow").glob("*.escrow")))
            running.stop(signal.SIGKILL)
        simulator.stop(signal.SIGKILL)


def files():
    return sorted(p.name for p in (WORK / "escrow").glob("*.escrow"))


try:
    foxden("migrate", "up")
    # Restored from an older copy, before anything was sent.
    submit(event("restored"))
    time.sleep(1.1)
    foxden("migrate", "restored", "--at", time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "--reason", "a copy was put back")
    with sim(), worker():
        until_place("restored", "closed")
    # The plain way, by the broker, under the first key.
    phase([event("plain-1", user_phone="+1 612 555 0100"), event("plain-2", store_domain="plain-two"), event("plain-3")],
          ["closed"] * 3, via=publish)
    phase([event("same-name-1", store_name="Same Name"), event("same-name-2", store_name="Same Name")], ["closed"] * 2)
    phase([event("email-taken", user_email="plain-1@customers.example"), event("domain-taken", store_domain="plain-two"),
           event("domain-reserved", store_domain="admin"), event("corrected", store_domain="plain-two"),
           event("corrected-to-derive", store_domain="plain-two")],
          [PARKED("email_taken"), PARKED("domain_taken"), PARKED("domain_reserved"), PARKED("domain_taken"),
           PARKED("domain_taken")])
    phase([event("corrected", store_domain="plain-three"), event("corrected-to-derive")], ["closed"] * 2)
    # Another content under a known id: refused, with an event of no provisioning.
    with sim(), worker():
        publish(event("plain-1", user_phone="+1 612 555 0199"))
        until("conflict", lambda: "dead" in log())
        time.sleep(1)
    phase([event("payload-kept")], ["closed"], settings={"FOXDEN_KEEP_PAYLOADS": "true"})
    phase([event("rejected")], [PARKED("rejected_by_foxy")], ["POST /users: echo(400) always"])
    phase([event("captcha-refused", captcha_user_code="stale")], [PARKED("captcha_refused")],
          extra=["--captcha", "users", "--captcha-code", "fresh"])
    phase([event("user-token-lost")], [PARKED("user_token_lost")], ["POST /users: reset_after_work nth 1"])
    phase([event("user-token-cut")], [PARKED("user_token_lost")], ["POST /users: no_token nth 1"])
    phase([event("store-token-lost")], [PARKED("store_token_lost")], ["POST /users/{id}/stores: reset_after_work nth 1"])
    phase([event("suspicious-user")], [PARKED("suspicious_link")], ["POST /users: foreign_link nth 1"])
    phase([event("suspicious-store")], [PARKED("suspicious_link")], ["POST /users/{id}/stores: foreign_link nth 1"])
    phase([event("exhausted")], [PARKED("attempts_exhausted")], ["POST /users/{id}/stores: forbidden always"],
          {"FOXDEN_GIVE_UP_AFTER": "1s"})
    # Not made, looked up, and sent again; a lookup without an answer first.
    phase([event("looked-up")], ["closed"], ["POST /users: reset_before_work nth 1",
                                             "GET /reporting/email_exists: status(503) nth 1"])
    phase([event("not-sent")], ["closed"], ["POST /users: refuse nth 1"])
    # One customer's second signup, without and with the user's token.
    phase([event("customer-a-1", user_id="a")], ["closed"])
    phase([event("customer-a-2", user_id="a", user_email="customer-a-1@customers.example")], [PARKED("user_token_not_kept")])
    keep = {"FOXDEN_KEEP_USER_TOKENS": "true"}
    phase([event("customer-b-1", user_id="b")], ["closed"], settings=keep)
    phase([event("customer-b-2", user_id="b", user_email="customer-b-1@customers.example")], ["closed"], settings=keep)
    # Users of the platform's own mailbox, one of them left behind.
    submit(event("generations"))
    with sim("POST /users: reset_after_work nth 1"), worker({"FOXDEN_USER_EMAIL": "shop+{signup_id}.{generation}@platform.example"}):
        until("generations", lambda: any(a["outcome"] == "present" for a in shown("generations")["attempts"]))
        # Its pause is long, unless it is over already.
        foxden("retry", "generations", ok=(0, 1))
        until_place("generations", "closed")
    # A token on a dead worker's disk, which the next one moves into the ledger.
    escrowed("token-held")
    with sim(), worker():
        until_place("token-held", "closed")
    assert not files(), files()
    # Acts of people.
    phase([event("forgotten", user_id="f")], ["closed"])
    foxden("forget", "forgotten", "--yes", "--reason", "asked for it")
    phase([event("retried", store_domain="plain-three")], [PARKED("domain_taken")])
    with sim(), worker():
        foxden("retry", "retried")
        until("retried", lambda: [a["kind"] for a in shown("retried")["attempts"]].count("create") > 2)
        until_place("retried", PARKED("domain_taken"))
    submit(event("cancelled-before"))
    foxden("cancel", "cancelled-before", "--yes", "--reason", "changed their mind")
    phase([event("cancelled-with-user", store_domain="plain-three")], [PARKED("domain_taken")])
    foxden("cancel", "cancelled-with-user", "--yes", "--reason", "changed their mind")
    with sim():
        foxden("token", "plain-1", "--reason", "a look")
    # Sealed by a key that the worker lacks.
    with sim(), worker():
        submit(event("key-missing"), settings={"FOXDEN_KEYS": f"{SECOND},{FIRST}"})
        until_place("key-missing", PARKED("key_missing"))
    # Under the second key from here on.
    BASE["FOXDEN_KEYS"] = f"{SECOND},{FIRST}"
    phase([event("second-key-1"), event("second-key-2")], ["closed"] * 2)

    # What is left open. Two signups of one customer want one domain, whose first call is in doubt.
    in_state = lambda step, state: lambda row: (row["step"], row["state"]) == (step, state)
    # A call for a domain that is in doubt for good, and another signup of the customer that wants it.
    shared = {"user_id": "b", "user_email": "customer-b-1@customers.example", "store_domain": "wanted-twice"}
    phase([event("store-in-doubt", **shared)], [PARKED("attempts_exhausted")],
          ["POST /users/{id}/stores: reset_before_work nth 1", *[f"GET {path}: status(503) always" for path in
            ("/users/{id}/stores", "/stores", "/reporting/store_domain_exists")]],
          keep | {"FOXDEN_GIVE_UP_AFTER": "1s", "FOXDEN_BREAKER_FAILURES": "0"})
    phase([event("store-unclear", **shared)], [PARKED("store_unclear")], settings=keep)
    left("elsewhere", ["POST /users/{id}/stores: reset_before_work nth 1"], in_state("store", "unknown"),
         {"FOXDEN_LOOKUP_DELAY": "4s"}, store_domain="raced-for")
    submit(event("racer", store_domain="raced-for"))
    with sim(), worker(LATER | {"FOXDEN_RETRY_INITIAL": "1h", "FOXDEN_RETRY_MAX": "1h"}):
        until_place("racer", "closed")
        until("elsewhere", lambda: "present_elsewhere" in [a["outcome"] for a in shown("elsewhere")["attempts"]])
    left("user-unknown-made", ["POST /users: reset_after_work nth 1"], in_state("user", "unknown"))
    left("user-unknown-not-made", ["POST /users: reset_before_work nth 1"], in_state("user", "unknown"))
    left("store-unknown-made", ["POST /users/{id}/stores: reset_after_work nth 1"], in_state("store", "unknown"))
    left("store-unknown-not-made", ["POST /users/{id}/stores: reset_before_work nth 1"], in_state("store", "unknown"))
    left("store-waiting", ["POST /users/{id}/stores: rate_limited(3600) always"], in_state("store", "due"))
    left("user-waiting", ["POST /users: rate_limited(3600) always"],
         lambda row: in_state("user", "due")(row) and row["attempts"])
    for step, path in [("user", "/users"), ("store", "/users/{id}/stores")]:
        for made, fault in [("made", "stall_after_work(600s)"), ("not-made", "stall_before_work(600s)")]:
            left(f"{step}-in-flight-{made}", [f"POST {path}: {fault} always"], in_state(step, "in_flight"), end=signal.SIGKILL)
    # Provisioned while the broker stands still: not yet published.
    with sim(), worker(LATER) as running:
        services("freeze")
        try:
            submit(event("not-published"))
            until_place("not-published", "closed")
            running.stop(signal.SIGKILL)
        finally:
            services("thaw")
    escrowed("in-escrow", {"FOXDEN_LEASE": "1h"})
    submit(event("queued"), event("queued-customer", user_id="q"))

    where = "postgres" if POSTGRES else "sqlite"
    expected = [{member: value for member, value in shown(name).items() if member not in ("meaning", "advice", "due_at")}
                for name in names]
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{where}.shown.jsonl").write_text("".join(json.dumps(one, sort_keys=True) + "\n" for one in expected))
    shutil.copy(WORK / "books.jsonl", OUT / f"{where}.books.jsonl")
    shutil.copy(WORK / "escrow" / files()[0], OUT / f"{where}.escrow")
    if not POSTGRES:
        shutil.copy(WORK / "ledger.db", OUT / "ledger.db")
finally:
    for one in Running.all:
        one.process.kill()
