#!/usr/bin/env python3
"""The detectors over the real binary, against a company that is made up and behaves as told."""

import json
import os
import sys
import time
import urllib.parse
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "harness"))

from farebox_test import (AT_ONCE_S, Company, Home, content_of, error_of, main,  # noqa: E402
                          usage_of, wait_for_a_whole)

GREENHOUSE = "/v1/boards/tidewater/jobs"
LEVER = "/v0/postings/tidewater-labs"


def config_of(company, private=True, tokens=100, guard=None, **detector):
    return {
        "guard": guard or {},
        "org": {"starter_tokens": tokens},
        "network": {"allow_private": private},
        "detectors": {
            "hiring": {"price": {"kind": "flat", "tokens": 5}, **detector,
                       "sources": {name: {"base_url": company.url}
                                   for name in ("greenhouse", "lever", "ashby")}},
            "website_change": {"price": {"kind": "flat", "tokens": 3}, **detector},
        },
    }


class Stage:
    """A company, a home that knows it, and a server."""

    def __init__(self, **config):
        self.config = config

    def __enter__(self):
        self.company = Company().__enter__()
        self.home = Home(config_of(self.company, **self.config))
        self.server = self.home.server().__enter__()
        return self

    def __exit__(self, kind, *rest):
        try:
            self.server.__exit__(kind, *rest)
            if kind is None:
                self.home.ledger_verify()
        finally:
            self.company.__exit__(kind, *rest)
            self.home.__exit__(kind, *rest)

    def control(self, what, **how):
        url = "%s/control/%s?%s" % (self.company.url, what, urllib.parse.urlencode(how))
        urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10).close()

    def requests(self):
        with urllib.request.urlopen(self.company.url + "/control/requests", timeout=10) as f:
            return f.read().decode().splitlines()

    def about(self, **more):
        return {"company": {"name": "Tidewater", "url": self.company.url, **more}}

    def hiring(self, meta=None, **boards):
        return self.server.call("detect_hiring", {"company": {"boards": boards}}, meta)

    def website(self, path=""):
        return self.server.call("detect_website_change", {"company": {"url": self.company.url + path}})

    def signal(self, meta=None, **more):
        result = self.server.call("detect_signal", {
            **self.about(boards={"greenhouse": "tidewater"}), **more}, meta)
        return content_of("detect_signal", result)


def tokens_of(result):
    return usage_of(result)["tokens"]


def ran(found):
    return [(r["detector"], r["status"], r["tokens"]) for r in found["ran"]]


def test_a_company_that_hires_is_a_hit():
    with Stage() as stage:
        for boards, jobs in (({"greenhouse": "tidewater"}, 3), ({"lever": "tidewater-labs"}, None),
                             ({"ashby": "tidewater-sea"}, None)):
            result = stage.hiring(**boards)
            found = content_of("detect_hiring", result)
            signal, = found["signals"]
            evidence = signal["evidence"]
            assert signal["type"] == "hiring" and evidence["open_jobs"] > 0, signal
            assert jobs is None or evidence["open_jobs"] == jobs, evidence
            assert {"open_jobs", "departments", "locations", "newest"} <= set(evidence), evidence
            assert signal["source_url"].startswith(stage.company.url), signal
            assert found["unchanged"] is False and found["usage"]["tokens"] == 5, found
            assert usage_of(result) == found["usage"]
        assert stage.server.balance() == 85


def test_a_board_without_jobs_is_an_answer_and_is_charged():
    with Stage() as stage:
        result = stage.hiring(lever="hollow")
        assert content_of("detect_hiring", result)["signals"] == []
        assert tokens_of(result) == 5 and stage.server.balance() == 95


def test_no_news_is_no_charge():
    wait_for_a_whole("month")
    with Stage() as stage:
        first = content_of("detect_hiring", stage.hiring(greenhouse="tidewater"))
        for _ in range(8):  # more often than any guard would let fail
            result = stage.hiring(greenhouse="tidewater")
            found = content_of("detect_hiring", result)
            assert found["unchanged"] is True and tokens_of(result) == 0, found
            assert found["signals"][0]["fingerprint"] == first["signals"][0]["fingerprint"]
        assert stage.server.balance() == 95
        usage = stage.server.call_ok("get_usage")["totals"]
        assert usage["charged"] == 1 and usage["refunded"] == 8, usage
        stage.control("change")
        result = stage.hiring(greenhouse="tidewater")
        found = content_of("detect_hiring", result)
        assert found["unchanged"] is False and tokens_of(result) == 5, found
        assert found["signals"][0]["evidence"]["added"] > 0, found


def test_what_was_seen_is_remembered_by_the_next_process_and_by_this_org_only():
    with Stage() as stage:
        stage.hiring(greenhouse="tidewater")
        stage.home.cli("orgs", "create", "--name", "acme")
        stage.home.cli("grant", "--tokens", "100", "--org", "acme")
        key = stage.home.cli("keys", "create", "--org", "acme").out.strip()
        arguments = {"company": {"boards": {"greenhouse": "tidewater"}}}
        with stage.home.server() as s:
            assert s.call_ok("detect_hiring", arguments)["unchanged"] is True
        with stage.home.server(env={"FAREBOX_API_KEY": key}) as s:
            assert s.call_ok("detect_hiring", arguments)["unchanged"] is False


def test_the_first_look_at_a_website_is_free():
    with Stage() as stage:
        for unchanged in (False, True):
            result = stage.website()
            found = content_of("detect_website_change", result)
            assert found["signals"] == [] and found["unchanged"] is unchanged, found
            assert tokens_of(result) == 0
        stage.control("change")
        result = stage.website()
        found = content_of("detect_website_change", result)
        signal, = found["signals"]
        assert signal["type"] == "website_change" and signal["evidence"]["changed_blocks"] > 0
        assert tokens_of(result) == 3 and stage.server.balance() == 97


def test_a_company_that_is_not_there_is_not_charged():
    with Stage() as stage:
        for kind in ("greenhouse", "lever", "ashby"):
            result = stage.hiring(**{kind: "no-such-company"})
            error = error_of(result)
            assert error["code"] == "UPSTREAM_REJECTED" and error["provider_status"] == 404, error
            assert error["retryable"] is False and tokens_of(result) == 0
        error = error_of(stage.website("/no/such/page"))
        assert error["code"] == "UPSTREAM_REJECTED", error
        assert stage.server.balance() == 100


def test_a_board_that_fails_is_not_charged():
    with Stage(guard={"released": 0}) as stage:
        for how, code in (({"status": 500}, "UPSTREAM_ERROR"), ({"status": 503}, "UPSTREAM_ERROR"),
                          ({"status": 429}, "UPSTREAM_ERROR"), ({"status": 403}, None),
                          ({"mode": "garbage"}, "UPSTREAM_ERROR"),
                          ({"mode": "close"}, "UPSTREAM_ERROR"),
                          ({"mode": "drop-after-half"}, "UPSTREAM_ERROR")):
            stage.control("reset")
            stage.control("fail", path=GREENHOUSE, **how)
            result = stage.hiring(greenhouse="tidewater")
            error = error_of(result)
            assert code is None or error["code"] == code, (how, error)
            assert error["code"].startswith("UPSTREAM_"), (how, error)
            if "status" in how:
                assert error["provider_status"] == how["status"], (how, error)
            assert tokens_of(result) == 0, (how, result)
        assert stage.server.balance() == 100
        # Nothing of it was remembered.
        stage.control("reset")
        assert content_of("detect_hiring", stage.hiring(greenhouse="tidewater"))["unchanged"] is False


def test_a_board_that_asks_to_wait_a_moment_is_asked_again():
    with Stage() as stage:
        stage.control("fail", path=GREENHOUSE, status=503, retry_after=0, times=1)
        assert tokens_of(stage.hiring(greenhouse="tidewater")) == 5
        assert len([r for r in stage.requests() if GREENHOUSE in r]) == 2, stage.requests()
        # One that wants longer is passed on.
        stage.control("reset")
        stage.control("fail", path=GREENHOUSE, status=429, retry_after=3600)
        error = error_of(stage.hiring(greenhouse="tidewater"))
        assert error["retry_after_s"] == 3600, error


def test_a_board_that_hangs_is_a_timeout():
    with Stage(timeout_ms=300) as stage:
        stage.control("fail", path=GREENHOUSE, mode="hang")
        stage.control("fail", path="/", mode="hang")
        for detect in (lambda: stage.hiring(greenhouse="tidewater"), stage.website):
            began = time.monotonic()
            result = detect()
            error = error_of(result)
            assert error["code"] == "UPSTREAM_TIMEOUT" and error["retryable"] is True, error
            assert tokens_of(result) == 0
            assert time.monotonic() - began < AT_ONCE_S
        assert stage.server.balance() == 100


def test_one_board_of_two_that_fails_does_not_spoil_the_answer():
    with Stage() as stage:
        stage.control("fail", path=GREENHOUSE, status=500)
        result = stage.hiring(greenhouse="tidewater", lever="tidewater-labs")
        signal, = content_of("detect_hiring", result)["signals"]
        assert "/v0/postings" in signal["source_url"] and tokens_of(result) == 5, signal


def test_a_page_that_is_too_large_or_goes_in_circles():
    with Stage() as stage:
        for path in ("/big", "/loop"):
            result = stage.website(path)
            error = error_of(result)
            assert error["code"] in ("UPSTREAM_ERROR", "UPSTREAM_REJECTED"), (path, error)
            assert tokens_of(result) == 0
        result = stage.website("/moved")
        assert content_of("detect_website_change", result)["signals"] == []


def test_private_addresses_are_not_for_strangers():
    with Stage(private=False) as stage:
        port = stage.company.port
        for url in (stage.company.url, "http://localhost:%d/" % port, "http://[::1]:%d/" % port,
                    "http://127.1:%d/" % port, "http://0:%d/" % port, "http://2130706433:%d/" % port,
                    "http://0x7f.1:%d/" % port, "http://[::ffff:127.0.0.1]:%d/" % port,
                    "http://169.254.169.254/latest/meta-data/", "http://10.0.0.1/"):
            result = stage.server.call("detect_website_change", {"company": {"url": url}})
            error = error_of(result)
            assert error["code"] in ("UPSTREAM_REJECTED", "UPSTREAM_ERROR", "INVALID_ARGUMENTS"), error
        error = error_of(stage.hiring(greenhouse="tidewater"))
        assert error["code"].startswith("UPSTREAM_"), error
        assert stage.requests() == [], stage.requests()
        assert stage.server.balance() == 100


def test_other_schemes_are_no_addresses():
    with Stage() as stage:
        for url in ("file:///etc/passwd", "ftp://127.0.0.1/", "gopher://127.0.0.1/",
                    "javascript:alert(1)", "http://", "//x"):
            result = stage.server.call("detect_website_change", {"company": {"url": url}})
            assert error_of(result)["code"] in ("UPSTREAM_REJECTED", "INVALID_ARGUMENTS"), (url, result)
            assert "root:" not in json.dumps(result)
        assert stage.server.balance() == 100


def test_all_detectors_run_in_the_order_of_the_org():
    with Stage() as stage:
        found = stage.signal()
        assert ran(found) == [("hiring", "hit", 5), ("website_change", "none", 0)], found["ran"]
        assert found["usage"]["tokens"] == 5 and found["usage"]["credits_remaining"] == 0.95
        assert [s["type"] for s in found["signals"]] == ["hiring"]
        stage.control("change")
        stage.server.call_ok("set_signals_order", {"order": ["website_change", "hiring"]})
        found = stage.signal()
        assert ran(found) == [("website_change", "hit", 3), ("hiring", "hit", 5)], found["ran"]
        assert [s["type"] for s in found["signals"]] == ["website_change", "hiring"]
        found = stage.signal()
        assert ran(found) == [("website_change", "unchanged", 0), ("hiring", "unchanged", 0)]
        assert found["usage"]["tokens"] == 0
        assert stage.server.balance() == 87


def test_only_those_that_are_asked_for_run():
    with Stage() as stage:
        assert ran(stage.signal(signals=["hiring"])) == [("hiring", "hit", 5)]
        assert not [r for r in stage.requests() if r.startswith("GET / ")], stage.requests()


def test_the_first_hit_is_enough_when_asked_so():
    with Stage() as stage:
        found = stage.signal(mode="first")
        assert ran(found) == [("hiring", "hit", 5), ("website_change", "skipped", 0)], found["ran"]
        assert not [r for r in stage.requests() if r.startswith("GET / ")], stage.requests()
        # What is no hit does not stop it.
        stage.server.call_ok("set_signals_order", {"order": ["website_change", "hiring"]})
        stage.control("change")
        stage.website()
        found = stage.signal(mode="first")
        assert [r[1] for r in ran(found)] == ["unchanged", "hit"], found["ran"]


def test_one_that_fails_does_not_stop_the_others():
    with Stage() as stage:
        stage.control("fail", path=GREENHOUSE, status=500)
        found = stage.signal()
        assert ran(found) == [("hiring", "failed", 0), ("website_change", "none", 0)], found["ran"]
        found = stage.signal(company={"boards": {"greenhouse": "nobody"}})
        assert ran(found) == [("hiring", "failed", 0), ("website_change", "failed", 0)], found["ran"]
        assert stage.server.balance() == 100


def test_the_cap_is_on_the_sum():
    with Stage() as stage:
        stage.website()  # so that it has something to compare with
        stage.control("change")
        found = stage.signal(meta={"farebox/maxTokens": 7.9999})
        assert ran(found) == [("hiring", "hit", 5), ("website_change", "skipped", 0)], found["ran"]
        stage.control("reset")
        found = stage.signal(meta={"farebox/maxTokens": 4})
        assert ran(found) == [("hiring", "skipped", 0), ("website_change", "unchanged", 0)], found["ran"]
        stage.control("change")
        found = stage.signal(meta={"farebox/maxTokens": 8})
        assert [r[1] for r in ran(found)] == ["unchanged", "hit"], found["ran"]
        assert stage.server.balance() == 92


def test_the_second_detector_that_cannot_be_paid_is_named_and_the_first_stands():
    with Stage(tokens=6) as stage:
        found = stage.signal()
        assert ran(found) == [("hiring", "hit", 5), ("website_change", "insufficient_credits", 0)], found
        assert found["signals"] and found["usage"]["credits_remaining"] == 0.01
        assert stage.server.balance() == 1


def test_a_repeated_key_pays_no_detector_twice():
    with Stage() as stage:
        meta = {"farebox/idempotencyKey": "k"}
        first = stage.signal(meta=meta)
        asked = len(stage.requests())
        again = stage.signal(meta=meta)
        assert again["signals"] == first["signals"], again
        assert ran(again)[0] == ("hiring", "hit", 0) and again["usage"]["tokens"] == 0, again
        assert not [r for r in stage.requests()[asked:] if GREENHOUSE in r], stage.requests()
        assert stage.server.balance() == 95


def test_progress_is_told_to_who_asked():
    with Stage() as stage:
        stage.signal(meta={"progressToken": "p-1"})
        seen = [m["params"] for m in stage.server.notifications()]
        assert [p["progress"] for p in seen] == [1, 2], seen
        assert {p["progressToken"] for p in seen} == {"p-1"}, seen
        stage.signal()
        assert not stage.server.notifications()


def test_a_cancelled_look_is_released_and_forgotten():
    with Stage() as stage:
        stage.control("fail", path=GREENHOUSE, mode="hang", times=1)
        s = stage.server
        id = s.send_call("detect_signal", stage.about(boards={"greenhouse": "tidewater"}))
        while not [r for r in stage.requests() if GREENHOUSE in r]:
            pass
        s.notify("notifications/cancelled", {"requestId": id})
        while s.call_ok("get_token_balance")["held_tokens"]:
            pass
        assert s.balance() == 100
        assert not [r for r in stage.requests() if r.startswith("GET / ")], "it went on"
        assert content_of("detect_hiring", stage.hiring(greenhouse="tidewater"))["unchanged"] is False
        s.stop()
        assert not s.inbox, s.inbox


def test_a_cancel_after_the_first_was_paid_tells_what_was_found():
    with Stage() as stage:
        stage.control("fail", path="/", mode="hang")
        s = stage.server
        id = s.send_call("detect_signal", stage.about(boards={"greenhouse": "tidewater"}))
        while not [r for r in stage.requests() if r.startswith("GET / ")]:
            pass
        s.notify("notifications/cancelled", {"requestId": id})
        found = content_of("detect_signal", s.wait(id))
        assert ran(found) == [("hiring", "hit", 5), ("website_change", "skipped", 0)], found["ran"]
        assert s.balance() == 95 and s.call_ok("get_token_balance")["held_tokens"] == 0


def test_a_detector_that_is_switched_off_is_gone():
    with Company() as company, Home() as home:
        config = config_of(company)
        config["detectors"]["hiring"]["enabled"] = False
        home.configure(config)
        with home.server() as s:
            assert "detect_hiring" not in [t["name"] for t in s.request("tools/list")["tools"]]
            assert s.call_ok("get_signals_order") == {"order": ["website_change"]}
            found = s.call_ok("detect_signal", {"company": {"url": company.url}})
            assert ran(found) == [("website_change", "none", 0)], found


main()
