"""LATENCY: histograms of commands, events above the threshold, what is said about them."""

import pytest

from helpers import error, raw


@pytest.fixture
def watched(t):
    t.config_set("latency-monitor-threshold", 200)
    raw(t, "LATENCY", "RESET")
    yield t
    t.config_set("latency-monitor-threshold", 0)
    raw(t, "LATENCY", "RESET")


def test_histograms_count_every_call(t):
    t.config_resetstat()
    for i in range(50):
        t.set("k", i)
    t.get("k")
    said = raw(t, "LATENCY", "HISTOGRAM", "set", "get", "zadd", "nonsense")
    assert said[0::2] == ["set", "get"]
    calls, n, name, buckets = said[1]
    assert (calls, n, name) == ("calls", 50, "histogram_usec")
    assert buckets[0::2] == sorted(buckets[0::2]) and buckets[-1] == 50
    assert "config|resetstat" in raw(t, "LATENCY", "HISTOGRAM")
    assert raw(t, "LATENCY", "HISTOGRAM", "config|resetstat")[0] == "config|resetstat"


def test_percentiles_in_info(t):
    t.config_resetstat()
    t.set("k", 1)
    said = t.info("latencystats")["latency_percentiles_usec_set"]
    assert set(said) == {"p50", "p99", "p99.9"} and 0 <= said["p50"] <= said["p99.9"]
    t.config_set("latency-tracking-info-percentiles", "0 12.5 100")
    assert set(t.info("latencystats")["latency_percentiles_usec_set"]) == {"p0", "p12.5", "p100"}
    assert t.config_get("latency-tracking-info-percentiles") == {"latency-tracking-info-percentiles": "0 12.5 100"}
    assert "between 0.0 and 100.0" in error(t, "CONFIG", "SET", "latency-tracking-info-percentiles", "101")
    t.config_set("latency-tracking-info-percentiles", "50 99 99.9")
    t.config_set("latency-tracking", "no")
    assert raw(t, "LATENCY", "HISTOGRAM") == [] and t.info("latencystats") == {}
    t.config_set("latency-tracking", "yes")


def test_what_is_slow_becomes_an_event(watched):
    t = watched
    assert raw(t, "LATENCY", "LATEST") == []
    raw(t, "DEBUG", "SLEEP", "0.22")
    raw(t, "DEBUG", "SLEEP", "0.25")
    [[name, when, last, longest]] = raw(t, "LATENCY", "LATEST")
    assert name == "command" and when > 1600000000 and longest >= 250 and last <= longest
    history = raw(t, "LATENCY", "HISTORY", "command")
    assert 1 <= len(history) <= 2 and max(ms for _, ms in history) == longest
    assert raw(t, "LATENCY", "HISTORY", "nothing") == []
    graph = raw(t, "LATENCY", "GRAPH", "command").splitlines()
    assert graph[0].startswith("command - high ") and "#" in "".join(graph[1:]) and "s" in "".join(graph[9:])
    assert error(t, "LATENCY", "GRAPH", "nothing") == "No samples available for event 'nothing'"
    said = raw(t, "LATENCY", "DOCTOR")
    assert "command:" in said and "SLOWLOG" in said
    assert raw(t, "LATENCY", "RESET", "nothing", "command") == 1 and raw(t, "LATENCY", "LATEST") == []


def test_nothing_is_kept_below_the_threshold(t):
    raw(t, "DEBUG", "SLEEP", "0.03")
    assert raw(t, "LATENCY", "LATEST") == []
    assert "latency-monitor-threshold is 0" in raw(t, "LATENCY", "DOCTOR")
    t.config_set("latency-monitor-threshold", 100000)
    assert "Nothing took 100000 ms" in raw(t, "LATENCY", "DOCTOR")
    t.config_set("latency-monitor-threshold", 0)
    assert error(t, "LATENCY", "NONSENSE") == "unknown subcommand 'NONSENSE'. Try LATENCY HELP."
    assert raw(t, "LATENCY", "HELP")[0].startswith("LATENCY <subcommand>")
