"""A house whose usage is mirrored at the stand-in for Stripe's meter, a second after each use."""

import contextlib
import time

from farebox_test import Home, echo_tool
from stripe_double import SECRET_KEY, Stripe

CAPTURE = 6
EVENTS = "/v1/billing/meter_events"
GRANTS = "/v1/billing/credit_grants"
SUBSCRIPTIONS = "/v1/subscriptions"
DAY_MS = 24 * 60 * 60 * 1000
# Between two calls, so that no machine is fast enough to spend the wallet in the time of a test.
PAUSE_S = 0.01
# $0.0003, $0.01 and $0.10.
TOOLS = {"small": echo_tool(0.03), "middle": echo_tool(1), "large": echo_tool(10)}


@contextlib.contextmanager
def house(meter=True):
    # The same call again and again is no loop here.
    config = {"tools": TOOLS, "stripe": {"meter": meter, "meter_interval_s": 1}, "guard": {"released": 0, "repeated": 0},
              "org": {"name": "default", "email": "pay@example.com"}}
    with Stripe() as stripe:
        env = {"FAREBOX_STRIPE_API_BASE": stripe.url, "STRIPE_SECRET_KEY": SECRET_KEY,
               "FAREBOX_LOG": "info"}
        with Home(config, env, payments="stripe") as home:
            yield home, stripe


def captured(home):
    return home.query("SELECT coalesce(sum(amount_microusd), 0) FROM entry WHERE kind = ?",
                      CAPTURE)[0][0]


def told(stripe):
    return sum(int(e["payload"]["value"]) for e in stripe.objects("billing.meter_event"))


def lag(home):
    return home.query("SELECT sum(w.seq - coalesce(m.seq, 0)) + (SELECT count(*) FROM mirror_grant "
                      "WHERE is_told = 0) FROM wallet w LEFT JOIN mirror_org m ON m.org = w.org")[0][0]


def wait_said(server, what, timeout=60):
    server.until(lambda: what in server.err_text(), timeout)


def wait_told(home, server, timeout=60):
    server.balance()  # the first use of the store
    deadline = time.monotonic() + timeout
    while lag(home):
        assert time.monotonic() < deadline, server.err_text()
        server._pump(0.1)


def check_exact(home, stripe):
    """Each micro-USD of the ledger is told or carried, under names that are there once."""
    carried = home.query("SELECT sum(remainder_microusd) FROM mirror_org")[0][0]
    assert 0 <= carried < 1000, carried
    assert told(stripe) * 1000 + carried == captured(home), (told(stripe), carried, captured(home))
    events = stripe.objects("billing.meter_event")
    names = [e["identifier"] for e in events]
    assert len(set(names)) == len(names), names
    calls = {"call_" + row[0].hex()
             for row in home.query("SELECT ref FROM entry WHERE kind = ?", CAPTURE)}
    assert set(names) <= calls, names
    assert stripe.invariants()["meter_event_faults"] == []


def check_set_up_once(stripe):
    for kind in ("billing.meter", "product", "price", "customer", "subscription"):
        assert len(stripe.objects(kind)) == 1, (kind, stripe.objects(kind))


def turn_ran_out(home):
    """Of a process that was killed; it takes 6 s otherwise."""
    home.change("UPDATE mirror SET until_ms = 0, next_ms = 0")


def kill_when_asked(home, stripe, server, method, path):
    """Kills it while Stripe has heard the request and not answered."""
    count = len(stripe.requests(method, path))
    end = time.monotonic() + 60
    while len(stripe.requests(method, path)) == count:
        assert time.monotonic() < end, (path, server.err_text())
        server._pump(0.02)
    server.kill9()
    stripe.clear_faults()
    turn_ran_out(home)


def new_org(home, name):
    """A server for another org."""
    home.cli("orgs", "create", "--name", name, "--email", name + "@example.com")
    key = home.cli("keys", "create", "--org", name, "--scopes", "call,billing").out.strip()
    return home.server(env={"FAREBOX_API_KEY": key})


def doctor_says(home):
    checks = home.cli("doctor", "--json", status=None).json()["checks"]
    return [c for c in checks if "stripe.meter" in c.values()]


def wait_for(server, condition, timeout=30):
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, server.err_text()
        server._pump(0.1)
