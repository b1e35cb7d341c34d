"""What the tests of pay and continue share.

The price of a tool says how much is missing, its timeout how long its call may wait: a call has 50 s.
"""

from farebox_test import Home, RpcError, echo_tool, error_of

URL = {"elicitation": {"url": {}}}
CAN_PAY = {"capabilities": URL}
INVALID_PARAMS, URL_REQUIRED = -32602, -32042
CHECKOUT = 4
GUARD_OFF = {"released": 0, "repeated": 0, "window_s": 60}
TOOLS = {
    "echo": echo_tool(30),
    "other": echo_tool(30),
    "slow": echo_tool(30, delay_ms=400),
    "brief": {**echo_tool(30), "timeout_ms": 48500},
    "never": {**echo_tool(30), "timeout_ms": 50000},
    "dear": echo_tool(612),
    "dearest": echo_tool(2_000_000),
}


def house(starter=0, tools=None, **more):
    return Home({"org": {"starter_tokens": starter}, "tools": tools or TOOLS, **more})


def offered(result):
    """(payment, url, state) of a result that must ask for a payment, and nothing else."""
    assert set(result) == {"resultType", "inputRequests", "requestState", "_meta"}, result
    assert result["resultType"] == "input_required", result
    assert set(result["_meta"]) == {"io.modelcontextprotocol/serverInfo"}, result
    assert set(result["inputRequests"]) == {"topup"}, result
    request = result["inputRequests"]["topup"]
    assert set(request) == {"method", "params"} and request["method"] == "elicitation/create"
    params = request["params"]
    assert set(params) == {"mode", "url", "message"} and params["mode"] == "url", params
    assert params["message"] and isinstance(result["requestState"], str), result
    return params["url"].rsplit("/", 1)[1], params["url"], result["requestState"]


def refused(result, **members):
    error = error_of(result)
    assert error["code"] == "INSUFFICIENT_CREDITS", error
    for name, value in members.items():
        assert error.get(name) == value, (name, error)
    return error


def answer(action, state):
    return {"inputResponses": {"topup": {"action": action}}, "requestState": state}


def accept(state):
    return answer("accept", state)


def rpc_code(act):
    try:
        result = act()
    except RpcError as e:
        return e.code
    raise AssertionError(result)


def elicited(act):
    """(payment, url) of the error that must come, for a client of 2025-11-25."""
    try:
        result = act()
    except RpcError as e:
        assert e.code == URL_REQUIRED and e.message, e
        assert set(e.data) == {"elicitations"} and len(e.data["elicitations"]) == 1, e
        one = e.data["elicitations"][0]
        assert set(one) == {"mode", "elicitationId", "url", "message"}, e
        assert one["mode"] == "url" and one["message"], e
        assert one["url"].endswith(one["elicitationId"]), e
        return one["elicitationId"], one["url"]
    raise AssertionError(result)


def pay(home, payment):
    home.cli("sandbox", "pay", payment)


def payments(home):
    """(kind, credit in cents, fee in cents) of all, oldest first."""
    return home.query("SELECT kind, credit_cents, fee_cents FROM payment ORDER BY id")


def charged(home):
    """How many calls were charged."""
    return home.query("SELECT count(*) FROM entry WHERE kind = 6")[0][0]


def check_books(home, calls):
    assert charged(home) == calls, charged(home)
    assert home.query("SELECT count(*) FROM hold") == [(0,)]
    home.ledger_verify()
