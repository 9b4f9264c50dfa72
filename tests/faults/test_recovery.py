"""Starting, stopping and starting again: what the journal forgives, what it refuses, and what a bad start says."""

import glob
import os
import signal
import socket
import stat
import subprocess
import time

import pytest
import redis

from resp import Conn, Error
from skald import BIN, free_port

ENGINES = ["io_uring", "thread"]
JOURNAL = ["--appendonly", "yes", "--appendfsync", "always", "--auto-aof-rewrite-percentage", "0"]


def fails(server):
    """Starts a server that must refuse to; what it said."""
    server.start(wait=False)
    assert server.proc.wait(60) == 1
    return server.log_text()


def wait_for(what, seconds=120):
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "it did not come"
        time.sleep(0.02)


def journal(server, kind="incr"):
    return sorted(glob.glob(f"{server.dir}/appendonlydir/*.{kind}.aof"), key=os.path.getmtime)[-1]


def filled(fresh, *more, keys=50):
    server = fresh(*JOURNAL, *more)
    r = server.client()
    for i in range(keys):
        r.set(f"k{i}", f"value {i}")
    r.close()
    return server


# ---- the journal's end and its middle ----

@pytest.mark.parametrize("engine", ENGINES)
def test_a_torn_tail_is_cut_with_a_warning(fresh, engine):
    server = filled(fresh, "--file-engine", engine)
    server.kill9()
    path = journal(server)
    os.truncate(path, os.path.getsize(path) - 5)
    server.start()
    assert "cut off" in server.log_text()
    r = server.client()
    assert r.get("k49") is None and r.get("k48") == "value 48" and r.dbsize() == 49
    r.set("after", 1)
    server.restart()
    assert server.client().dbsize() == 50
    assert server.log_text().count("cut off") == 1


def test_half_a_transaction_is_cut_as_a_whole(fresh):
    server = filled(fresh)
    r = server.client()
    with r.pipeline() as p:
        p.set("m1", "x").set("m2", "x").rpush("ml", "x")
        p.execute()
    server.kill9()
    path = journal(server)
    os.truncate(path, os.path.getsize(path) - 20)
    server.start()
    assert "transaction" in server.log_text()
    assert server.client().dbsize() == 50


def test_a_hole_of_zero_bytes_at_the_end_is_cut(fresh):
    server = filled(fresh)
    server.kill9()
    with open(journal(server), "ab") as f:
        f.write(bytes(5000))
    server.start()
    assert "cut off" in server.log_text() and server.client().dbsize() == 50


def test_a_torn_tail_can_be_made_a_reason_not_to_start(fresh):
    server = filled(fresh, "--aof-load-truncated", "no")
    server.kill9()
    path = journal(server)
    os.truncate(path, os.path.getsize(path) - 5)
    assert "aof-load-truncated" in fails(server)


@pytest.mark.parametrize("kind", ["incr", "base"])
def test_damage_in_the_middle_is_refused(fresh, kind):
    server = filled(fresh)
    r = server.client()
    r.bgrewriteaof()
    wait_for(lambda: r.info("persistence")["aof_rewrite_in_progress"] == 0)
    for i in range(50):
        r.set(f"l{i}", i)
    server.kill9()
    path = journal(server, kind)
    with open(path, "r+b") as f:
        f.seek(os.path.getsize(path) // 2)
        at = f.read().index(b"\r\n*") + os.path.getsize(path) // 2 + 2
        f.seek(at)
        f.write(b"!")
    said = fails(server)
    assert f"{os.path.basename(path)} is damaged at offset {at}" in said and "restore it" in said
    assert os.path.exists(path)


def test_a_wrong_length_in_the_middle_is_no_torn_tail(fresh):
    server = filled(fresh)
    server.kill9()
    path = journal(server)
    with open(path, "rb") as f:
        data = f.read()
    at = data.index(b"$8\r\nvalue 20")
    with open(path, "wb") as f:
        f.write(data[:at] + b"$999999999" + data[at + 2:])
    assert "damaged" in fails(server)
    assert os.path.getsize(path) == len(data) + 8  # nothing was cut


@pytest.mark.parametrize("kind", ["incr", "base"])
def test_a_missing_file_is_named(fresh, kind):
    server = filled(fresh)
    r = server.client()
    r.bgrewriteaof()
    wait_for(lambda: r.info("persistence")["aof_rewrite_in_progress"] == 0)
    server.stop()
    path = journal(server, kind)
    os.unlink(path)
    said = fails(server)
    assert os.path.basename(path) in said and "missing" in said


def test_a_missing_manifest_is_no_empty_start(fresh):
    server = filled(fresh)
    server.stop()
    os.unlink(glob.glob(f"{server.dir}/appendonlydir/*.manifest")[0])
    assert "no manifest" in fails(server)


def test_a_damaged_manifest_is_refused(fresh):
    server = filled(fresh)
    server.stop()
    with open(glob.glob(f"{server.dir}/appendonlydir/*.manifest")[0], "w") as f:
        f.write("file ../../etc/passwd seq x type b\n")
    assert "manifest" in fails(server)


def test_a_journal_that_cannot_be_read_is_refused(fresh):
    server = filled(fresh)
    server.stop()
    path = journal(server)
    os.unlink(path)
    os.mkdir(path)
    assert "not a regular file" in fails(server)


# ---- stopping and starting ----

@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("policy", ["always", "everysec", "no"])
def test_a_clean_stop_keeps_everything(fresh, engine, policy):
    server = fresh("--appendonly", "yes", "--appendfsync", policy, "--file-engine", engine)
    for n in range(3):
        r = server.client()
        for i in range(300):
            r.rpush("l", f"{n}:{i}")
        r.select(5)
        r.set(f"n{n}", n, px=10 ** 8)
        server.restart()  # checks the exit code too
    r = server.client()
    assert r.llen("l") == 900 and r.lindex("l", -1) == "2:299"
    r = server.client(db=5)
    assert r.dbsize() == 3 and r.pttl("n0") > 0
    assert r.info()["file_engine"] == engine


def test_stopping_closes_clients_and_ends_in_time(fresh):
    server = fresh(*JOURNAL)
    idle, blocked, subscriber = (Conn(server.raw()) for _ in range(3))
    assert idle.call("PING") == "PONG"
    blocked.send("BLPOP", "nothing", 0)
    subscriber.call("SUBSCRIBE", "c")
    pid = server.proc.pid
    os.kill(pid, signal.SIGTERM)
    assert server.proc.wait(120) == 0
    assert "stopped" in server.log_text()
    for c in (idle, blocked, subscriber):
        with pytest.raises((EOFError, OSError)):
            c.read()


def test_sigint_and_shutdown_stop_too(fresh):
    server = fresh()
    server.proc.send_signal(signal.SIGINT)
    assert server.proc.wait(120) == 0
    server = fresh(*JOURNAL)
    r = server.client()
    r.set("k", 1)
    r.shutdown()
    assert server.proc.wait(120) == 0
    server.start()
    assert server.client().get("k") == "1"


def test_a_write_that_waits_for_the_disk_is_not_acknowledged_by_a_stop(fresh):
    """Pipelines under way at SIGTERM: what was answered is there after the restart."""
    server = fresh(*JOURNAL)
    c = Conn(server.raw())
    for i in range(2000):
        c.send("RPUSH", "l", i)
    server.proc.send_signal(signal.SIGTERM)
    answered = 0
    try:
        while True:
            answered = c.read()
    except (EOFError, OSError):
        pass
    assert server.proc.wait(120) == 0
    server.start()
    kept = server.client().llen("l")
    assert answered <= kept <= 2000


def test_a_second_server_on_the_folder_is_refused(fresh, tmp_path):
    first = fresh(*JOURNAL, dir=tmp_path / "shared")
    second = fresh(*JOURNAL, dir=tmp_path / "shared", start=False)
    second.log = str(tmp_path / "second.log")
    said = fails(second)
    assert "another server" in said and str(first.proc.pid) in said
    assert first.client().ping()
    first.kill9()
    second.start()  # the lock of a killed server binds nobody
    assert second.client().ping()


def test_the_port_in_use_is_named(fresh):
    first = fresh()
    second = fresh(start=False)
    second.port = first.port
    assert f"port {first.port}" in fails(second)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_journal_can_be_switched_on_and_off_while_running(fresh, engine):
    server = fresh("--file-engine", engine)
    r = server.client()
    r.set("before", 1)
    r.rpush("list", *range(100))
    r.config_set("appendfsync", "always")
    r.config_set("appendonly", "yes")
    r.set("after", 1)
    wait_for(lambda: r.info("persistence")["aof_rewrite_in_progress"] == 0)
    server.kill9()
    server.args += JOURNAL
    server.start()
    r = server.client()
    assert r.mget("before", "after") == ["1", "1"] and r.llen("list") == 100
    r.config_set("appendonly", "no")
    r.set("unjournaled", 1)
    assert r.info("persistence")["aof_enabled"] == 0
    r.config_set("appendonly", "yes")
    wait_for(lambda: r.info("persistence")["aof_rewrite_in_progress"] == 0)
    server.kill9()
    server.start()
    assert server.client().dbsize() == 4


def test_without_a_journal_a_restart_is_empty(fresh):
    server = fresh()
    server.client().set("k", 1)
    server.restart()
    assert server.client().dbsize() == 0


def test_what_is_expired_stays_expired(fresh):
    server = fresh(*JOURNAL)
    r = server.client()
    r.set("short", 1, px=50)
    r.set("long", 1, ex=1000)
    server.kill9()
    time.sleep(0.1)
    server.start()
    r = server.client()
    assert r.get("short") is None and 0 < r.ttl("long") <= 1000


def test_an_effect_that_cannot_be_applied_stops_the_start(fresh):
    """Here: the database that it belongs to is no longer there."""
    server = fresh(*JOURNAL, "--databases", "32")
    server.client(db=20).set("k", "v")
    server.client().set("k", "in database 0")
    server.stop()
    server.args[-1] = "16"
    said = fails(server)
    assert "raise `databases`" in said and "--journal-skip-refused yes" in said
    server.args[-1] = "32"
    server.start()
    assert server.client(db=20).get("k") == "v"
    server.stop()
    server.args[-1] = "16"
    server.args += ["--journal-skip-refused", "yes"]
    server.start()
    assert server.client().get("k") == "in database 0" and "passed over" in server.log_text()


# ---- settings ----

@pytest.mark.parametrize("line, says", [
    ("no-such-thing 1", "unknown setting 'no-such-thing'"),
    ("port abc", "port"),
    ("port 70000", "between 0 and 65535"),
    ("maxclients", "'maxclients' needs a value"),
    ('dir "/tmp', "unbalanced quotes"),
    ("dir '/tmp", "unbalanced quotes"),
    ("appendfsync sometimes", "always, everysec, no"),
    ("appendonly maybe", "'yes' or 'no'"),
    ("maxmemory lots", "maxmemory"),
    ("client-output-buffer-limit normal 1", "buffer limit"),
    ("include /no/such/file", "/no/such/file"),
])
def test_a_bad_line_stops_the_start(tmp_path, line, says):
    conf = tmp_path / "skald.conf"
    conf.write_text(f"# a comment\nport {free_port()}\n\n{line}\n")
    p = subprocess.run([BIN, str(conf)], capture_output=True, text=True, timeout=60)
    said = p.stdout + p.stderr
    assert p.returncode == 1 and "line 4" in said and says in said, said


@pytest.mark.parametrize("args, says", [
    (["--no-such-thing", "1"], "no-such-thing"),
    (["--port"], "--port"),
    (["--port", "1", "2"], "--port"),
    (["/no/such/file"], "/no/such/file"),
    (["--dir", "/no/such/folder"], "/no/such/folder"),
    (["--logfile", "/no/such/folder/log"], "/no/such/folder/log"),
    (["--file-engine", "floppy"], "file-engine"),
    (["--bind", "300.1.1.1"], "300.1.1.1"),
    (["--appenddirname", "../x", "--appendonly", "yes"], "appenddirname"),
])
def test_a_bad_option_stops_the_start(tmp_path, args, says):
    if "--port" not in args:
        args = [*args, "--port", str(free_port())]
    p = subprocess.run([BIN, *args], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    said = p.stdout + p.stderr
    assert p.returncode == 1 and says in said, said


def test_a_file_with_quotes_includes_and_many_words(fresh, tmp_path):
    (tmp_path / "more.conf").write_text("maxclients 77\r\n")
    conf = tmp_path / "skald.conf"
    conf.write_text('requirepass "a \\"b\\" \\x63"\n'
                    f"include {tmp_path}/more.conf\n"
                    "save 3600 1 300 100\n"
                    "client-output-buffer-limit normal 1mb 512kb 10\n"
                    "timeout '5'\n")
    server = fresh(start=False)
    plain = server.command
    server.command = lambda: [plain()[0], str(conf), *plain()[1:]]
    server.start(wait=False)
    wait_for(lambda: "ready to accept" in server.log_text())
    r = server.client(password='a "b" c')
    assert r.config_get("maxclients") == {"maxclients": "77"}
    assert r.config_get("timeout") == {"timeout": "5"}
    assert r.config_get("client-output-buffer-limit")["client-output-buffer-limit"].startswith(
        "normal 1048576 524288 10")


def test_the_sample_of_the_settings_is_a_valid_file(tmp_path, fresh):
    sample = subprocess.run([BIN, "--sample-config"], capture_output=True, text=True, timeout=60, check=True).stdout
    settings = [block.splitlines()[-1][2:] for block in sample.strip().split("\n\n")[1:]]
    settings = [line for line in settings if not line.startswith(("port ", "bind ", "dir ", "unixsocket"))]
    conf = tmp_path / "skald.conf"
    conf.write_text("\n".join(settings) + "\n")
    server = fresh(start=False)
    plain = server.command
    server.command = lambda: [plain()[0], str(conf), *plain()[1:]]
    server.start()
    assert len(settings) > 20 and server.client().ping()


def test_hangup_opens_the_log_again(fresh, tmp_path):
    log = tmp_path / "skald.log"
    server = fresh("--logfile", str(log))
    wait_for(lambda: "ready to accept" in log.read_text())
    log.rename(tmp_path / "skald.log.1")
    server.proc.send_signal(signal.SIGHUP)
    wait_for(lambda: log.exists() and "re-opened" in log.read_text())
    server.stop()
    assert "stopped" in log.read_text()
    assert "stopped" not in (tmp_path / "skald.log.1").read_text()


def test_the_pid_file_lives_as_long_as_the_server(fresh, tmp_path):
    server = fresh("--pidfile", str(tmp_path / "pid"))
    assert int((tmp_path / "pid").read_text()) == server.proc.pid
    server.stop()
    assert not (tmp_path / "pid").exists()


# ---- the door ----

def test_a_unix_socket(fresh, tmp_path):
    path = str(tmp_path / "s.sock")
    server = fresh("--unixsocket", path, "--unixsocketperm", "700")
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o700
    r = redis.Redis(unix_socket_path=path, decode_responses=True)
    r.set("k", "over the socket")
    assert server.client().get("k") == "over the socket"
    assert "U" in r.execute_command("CLIENT", "INFO").split("flags=")[1].split()[0]
    server.kill9()
    server.start()  # the socket file that the killed one left is no obstacle
    assert redis.Redis(unix_socket_path=path).ping()
    server.stop()
    assert not os.path.exists(path)


def test_a_unix_socket_alone(fresh, tmp_path):
    path = str(tmp_path / "s.sock")
    server = fresh("--unixsocket", path, start=False)
    server.port = 0
    server.start(wait=False)
    wait_for(lambda: os.path.exists(path) and "ready to accept" in server.log_text())
    assert redis.Redis(unix_socket_path=path).ping()


def test_a_password(fresh):
    server = fresh("--requirepass", "secret", start=False)
    server.start(wait=False)
    wait_for(lambda: "ready to accept" in server.log_text())
    c = Conn(server.raw())
    for command in (["GET", "k"], ["PING"], ["CONFIG", "GET", "*"], ["SUBSCRIBE", "c"], ["MULTI"], ["COMMAND"]):
        assert str(c.call(*command)).startswith("NOAUTH"), command
    assert str(c.call("HELLO", 3)).startswith("NOAUTH")
    assert str(c.call("AUTH", "wrong")).startswith("WRONGPASS")
    assert str(c.call("AUTH", "nobody", "secret")).startswith("WRONGPASS")
    assert c.call("AUTH", "secret") == "OK"
    assert c.call("SET", "k", 1) == "OK"
    assert c.call("RESET") == "RESET"
    assert str(c.call("GET", "k")).startswith("NOAUTH")
    assert isinstance(c.call("HELLO", 3, "AUTH", "default", "secret"), dict)
    assert c.call("GET", "k") == b"1"


def test_who_is_not_authenticated_cannot_send_much(fresh):
    server = fresh("--requirepass", "secret", start=False)
    server.start(wait=False)
    wait_for(lambda: "ready to accept" in server.log_text())
    for big in (b"*1000\r\n", b"*1\r\n$100000\r\n"):
        c = Conn(server.raw())
        c.sock.sendall(big)
        assert "unauthenticated" in str(c.read())
        with pytest.raises(EOFError):
            c.read()


def test_more_clients_than_allowed(fresh):
    server = fresh("--maxclients", "5")
    first = Conn(server.raw())
    wait_for(lambda: b"connected_clients:1\r" in first.call("INFO", "clients"))
    held = [first] + [Conn(server.raw()) for _ in range(4)]
    assert all(c.call("PING") == "PONG" for c in held)
    over = Conn(server.raw())
    assert over.read().args == ("ERR max number of clients reached",)
    with pytest.raises((EOFError, OSError)):
        over.read()
    assert all(c.call("PING") == "PONG" for c in held)
    held.pop().close()
    wait_for(lambda: b"connected_clients:4\r" in held[0].call("INFO", "clients"))
    assert Conn(server.raw()).call("PING") == "PONG"


def test_an_idle_client_is_closed_and_waiting_ones_are_not(fresh):
    server = fresh("--timeout", "1")
    idle, blocked, subscriber = (Conn(server.raw()) for _ in range(3))
    assert idle.call("PING") == "PONG"
    blocked.send("BLPOP", "queue", 0)
    subscriber.call("SUBSCRIBE", "c")
    with pytest.raises((EOFError, OSError)):
        idle.read()
    r = server.client()
    r.rpush("queue", "x")
    r.publish("c", "y")
    assert blocked.read() == [b"queue", b"x"]
    assert subscriber.read() == [b"message", b"c", b"y"]


def address_of_this_machine():
    """An address other machines would use, or None. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.1", 9))
            return s.getsockname()[0]
        except OSError:
            return None


def test_protected_mode_turns_strangers_away(fresh):
    address = address_of_this_machine()
    if not address or address.startswith("127."):
        pytest.skip("this machine has only its loopback address")
    server = fresh("--bind", "127.0.0.1 " + address)
    s = socket.create_connection((address, server.port), timeout=120)
    c = Conn(s)
    if s.getsockname()[0] == address:
        s.settimeout(2)
    answer = None
    try:
        answer = c.read()
    except (TimeoutError, socket.timeout):
        pass
    if answer is None:
        pytest.skip("connections to one's own address count as local here")
    assert isinstance(answer, Error) and str(answer).startswith("DENIED")
    server.client().config_set("protected-mode", "no")
    assert Conn(socket.create_connection((address, server.port), timeout=120)).call("PING") == "PONG"
