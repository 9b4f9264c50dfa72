"""`make install`: what it puts where, and that it starts."""

import os
import subprocess

import pytest
from skald import BIN, ROOT, Server

VARIANT = next((v for v in ("asan", "tsan") if f"/{v}/" in BIN), "")


@pytest.fixture
def root(tmp_path):
    install(tmp_path)
    return tmp_path


def install(to):
    clean = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    m = subprocess.run(["make", "-s", "-C", ROOT, "install", f"VARIANT={VARIANT}", f"DESTDIR={to}", "PREFIX=/usr"],
                       capture_output=True, text=True, env=clean, timeout=600)
    assert m.returncode == 0, m.stdout + m.stderr


def files(root):
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def test_what_is_where(root):
    assert files(root) == ["etc/skald/skald.conf", "etc/skald/skald.conf.sample", "usr/bin/skald",
                           "usr/lib/systemd/system/skald.service"]
    assert os.access(root / "usr/bin/skald", os.X_OK)


def test_the_unit_names_what_was_installed(root):
    unit = (root / "usr/lib/systemd/system/skald.service").read_text()
    assert "@" not in unit
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    binary, conf = start.removeprefix("ExecStart=").split()[:2]
    assert (root / binary.lstrip("/")).is_file()
    assert (root / conf.lstrip("/")).is_file()


@pytest.mark.parametrize("conf, journal", [("skald.conf.sample", "no"), ("skald.conf", "yes")])
def test_it_starts_with_its_configuration(root, tmp_path_factory, conf, journal):
    class Installed(Server):
        def command(self):
            return [str(root / "usr/bin/skald"), str(root / "etc/skald" / conf), "--port", str(self.port), "--bind",
                    "127.0.0.1", "--dir", self.dir]

    s = Installed(tmp_path_factory.mktemp("data"))
    s.start()
    try:
        c = s.client()
        assert c.config_get("appendonly")["appendonly"] == journal
        assert c.set("a", "1")
        c.close()
    finally:
        s.stop()


def test_every_line_of_the_sample_is_a_setting(root, tmp_path):
    """Uncommented, the sample is a configuration of nothing but defaults, and is accepted."""
    blocks = (root / "etc/skald/skald.conf.sample").read_text().strip().split("\n\n")[1:]
    settings = [b.splitlines()[-1].removeprefix("# ") for b in blocks]
    assert len(settings) > 30
    conf = tmp_path / "all.conf"
    conf.write_text("\n".join(settings) + "\n")

    class All(Server):
        def command(self):
            return [str(root / "usr/bin/skald"), str(conf), "--port", str(self.port), "--dir", self.dir]

    s = All(tmp_path / "data")
    s.start()
    s.stop()


def test_an_edited_configuration_stays(root):
    conf = root / "etc/skald/skald.conf"
    conf.write_text("port 7777\n")
    install(root)
    assert conf.read_text() == "port 7777\n"
