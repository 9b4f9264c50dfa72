"""python3-redis doing a job: a shop with stock, orders and a news ticker, by several workers at once."""

import threading
import time

import pytest
import redis


def in_threads(*functions):
    """Runs them at once; the first exception of any is the test's."""
    failed = []

    def guarded(f):
        try:
            f()
        except BaseException as e:
            failed.append(e)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for t in threads:
        t.start()
    for t in threads:
        t.join(120)
        assert not t.is_alive()
    if failed:
        raise failed[0]


def test_a_pipeline_fills_the_shop(t):
    with t.pipeline(transaction=False) as p:
        for i in range(5000):
            p.hset(f"item:{i}", mapping={"name": f"thing {i}", "price": i, "stock": 10})
        assert p.execute() == [3] * 5000
    assert t.dbsize() == 5000
    assert t.hgetall("item:77") == {"name": "thing 77", "price": "77", "stock": "10"}


def test_scanning_sees_every_key_while_others_come_and_go(t):
    steady = {f"steady:{i}" for i in range(3000)}
    with t.pipeline(transaction=False) as p:
        for k in steady:
            p.set(k, 1)
        p.execute()
    seen = set()
    for n, k in enumerate(t.scan_iter(match="*", count=50)):
        seen.add(k)
        if n % 3 == 0:
            t.set(f"new:{n}", 1)
        if n % 5 == 0:
            t.delete(f"new:{n - 3}")
    assert steady <= seen
    assert {k for k in t.scan_iter(match="steady:1*")} == {k for k in steady if k.startswith("steady:1")}
    t.hset("h", mapping={f"f{i}": i for i in range(1000)})
    assert dict(t.hscan_iter("h", count=20)) == {f"f{i}": str(i) for i in range(1000)}


def test_watch_and_retry_never_oversells(t):
    """Eight buyers, a hundred things: each sale is a WATCH, a look and a MULTI, retried until nobody was faster."""
    t.set("stock", 100)
    retries, sold = [], []

    def buyer(n):
        r = redis.Redis(port=t.connection_pool.connection_kwargs["port"], decode_responses=True, socket_timeout=120)
        with r.pipeline() as p:
            while True:
                try:
                    p.watch("stock")
                    left = int(p.get("stock"))
                    if left == 0:
                        return
                    p.multi()
                    p.set("stock", left - 1)
                    p.rpush("orders", f"{n}:{left}")
                    p.execute()
                    sold.append(left)
                except redis.WatchError:
                    retries.append(n)

    in_threads(*(lambda n=n: buyer(n) for n in range(8)))
    assert sorted(sold) == list(range(1, 101))
    assert t.get("stock") == "0" and t.llen("orders") == 100


def test_workers_take_each_job_once(t):
    """A queue with BLMOVE to a list of what is under way, and LREM when it is done."""
    t.rpush("jobs", *range(400))
    done, lock = [], threading.Lock()

    def worker():
        r = redis.Redis(port=t.connection_pool.connection_kwargs["port"], decode_responses=True, socket_timeout=120)
        while (job := r.blmove("jobs", "busy", 1, "LEFT", "RIGHT")) is not None:
            with lock:
                done.append(int(job))
            assert r.lrem("busy", 1, job) == 1

    in_threads(*[worker] * 5)
    assert sorted(done) == list(range(400)) and t.llen("busy") == 0


def test_a_ticker_in_a_thread(t):
    got = []
    ticker = t.pubsub(ignore_subscribe_messages=True)
    ticker.subscribe(**{"news": lambda m: got.append(m["data"])})
    ticker.psubscribe(**{"price.*": lambda m: got.append((m["channel"], m["data"]))})
    thread = ticker.run_in_thread(sleep_time=0.01)
    try:
        end = time.monotonic() + 120
        while (t.pubsub_numsub("news") != [("news", 1)] or t.pubsub_numpat() != 1) and time.monotonic() < end:
            time.sleep(0.01)
        for i in range(200):
            assert t.publish("news", i) == 1
            assert t.publish(f"price.{i}", i) == 1
        while len(got) < 400 and time.monotonic() < end:
            time.sleep(0.01)
    finally:
        thread.stop()
        thread.join(120)
    assert [x for x in got if isinstance(x, str)] == [str(i) for i in range(200)]
    assert [x for x in got if isinstance(x, tuple)] == [(f"price.{i}", str(i)) for i in range(200)]


def test_a_lock_of_set_nx_px(t):
    """The lock that needs no script: SET NX PX to take it, and a transaction that checks the token to give it back."""
    held = []

    def critical(n):
        r = redis.Redis(port=t.connection_pool.connection_kwargs["port"], decode_responses=True, socket_timeout=120)
        for _ in range(10):
            token = f"{n}:{time.monotonic_ns()}"
            while not r.set("lock", token, nx=True, px=30000):
                time.sleep(0.001)
            held.append(n)
            assert len(held) == 1
            held.pop()
            with r.pipeline() as p:
                p.watch("lock")
                assert p.get("lock") == token
                p.multi()
                p.delete("lock")
                p.execute()

    in_threads(*(lambda n=n: critical(n) for n in range(4)))
    assert t.get("lock") is None


def test_the_connection_pool_survives_a_restart(fresh):
    server = fresh("--appendonly", "yes", "--appendfsync", "always")
    r = server.client()
    r.set("k", "before")
    server.kill9()
    with pytest.raises(redis.ConnectionError):
        r.get("k")
    server.start()
    assert r.get("k") == "before"


def test_a_large_pipeline_of_large_values(r):
    value = bytes(range(256)) * 400
    with r.pipeline(transaction=False) as p:
        for i in range(200):
            p.set(i, value)
            p.get(i)
        replies = p.execute()
    assert replies[::2] == [True] * 200 and set(replies[1::2]) == {value}


def test_what_the_client_library_asks_at_the_start(server):
    r = redis.Redis(port=server.port, client_name="shop", db=3, health_check_interval=1, decode_responses=True)
    assert r.client_getname() == "shop" and r.client_id() > 0
    assert [c["name"] for c in r.client_list() if c["db"] == "3"] == ["shop"]
    info = r.info()
    assert info["redis_version"].startswith("7.2") and info["server_name"] == "skald"
    assert r.config_get("maxclients") == {"maxclients": "10000"}
    assert r.command_count() == len(r.command())
    assert r.time()[0] > 1_600_000_000
