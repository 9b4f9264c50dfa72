"""The GEO family: scores as Redis keeps them, searches against a walk over all places, stores, refusals, effects."""

import math
import random

from helpers import WRONGTYPE, error, raw

EARTH = 6372797.560856


def haversine(a, b):
    lon1, lat1, lon2, lat2 = map(math.radians, (*a, *b))
    u, v = math.sin((lat2 - lat1) / 2), math.sin((lon2 - lon1) / 2)
    return 2 * EARTH * math.asin(math.sqrt(u * u + math.cos(lat1) * math.cos(lat2) * v * v))


def test_searches_against_a_walk_over_all_places(t):
    rng = random.Random(11)
    for _ in range(20):
        t.delete("g")
        lon, lat = rng.uniform(-150, 150), rng.uniform(-65, 65)
        spread = 10 ** rng.uniform(-3, 1)
        raw(t, "GEOADD", "g", *[x for i in range(400) for x in (lon + rng.uniform(-spread, spread), lat + rng.uniform(-spread, spread), f"p{i}")])
        at = {f"p{i}": tuple(map(float, p)) for i, p in enumerate(raw(t, "GEOPOS", "g", *[f"p{i}" for i in range(400)]))}
        centre = "p7"
        radius = spread * 111000 * rng.uniform(0.1, 1)
        near = {m: haversine(at[centre], p) for m, p in at.items() if haversine(at[centre], p) <= radius}
        said = raw(t, "GEOSEARCH", "g", "FROMMEMBER", centre, "BYRADIUS", radius, "m", "ASC", "WITHDIST")
        assert [m for m, _ in said] == sorted(near, key=near.get)
        assert all(abs(float(d) - near[m]) < 0.001 + near[m] * 1e-9 for m, d in said)
        width, height = radius, radius * 2
        boxed = {m for m, p in at.items() if EARTH * abs(math.radians(p[1] - at[centre][1])) <= height / 2
                 and haversine(p, (at[centre][0], p[1])) <= width / 2}
        assert set(raw(t, "GEOSEARCH", "g", "FROMLONLAT", *at[centre], "BYBOX", width / 1000, height / 1000, "km")) == boxed
        assert len(raw(t, "GEOSEARCH", "g", "FROMMEMBER", centre, "BYRADIUS", radius, "m", "COUNT", 3, "ANY")) == min(3, len(near))
        assert raw(t, "GEORADIUSBYMEMBER", "g", centre, radius, "m", "COUNT", 5, "DESC") == sorted(near, key=near.get)[::-1][:5]


def test_scores_are_those_of_redis(t):
    raw(t, "GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    assert t.zscore("g", "Palermo") == 3479099956230698 and t.zscore("g", "Catania") == 3479447370796909
    assert raw(t, "GEOHASH", "g", "Palermo", "Catania", "x") == ["sqc8b49rny0", "sqdtr74hyu0", None]
    assert raw(t, "GEODIST", "g", "Palermo", "Catania", "MI") == "103.3182"
    assert raw(t, "GEOSEARCH", "g", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", "DESC", "WITHHASH", "WITHCOORD") == [
        ["Palermo", 3479099956230698, ["13.36138933897018433", "38.11555639549629859"]],
        ["Catania", 3479447370796909, ["15.08726745843887329", "37.50266842333162032"]]]


def test_adding_moving_and_conditions(t):
    assert raw(t, "GEOADD", "g", "NX", "CH", 1, 1, "a", 2, 2, "b") == 2
    assert raw(t, "GEOADD", "g", "NX", "CH", 3, 3, "a") == 0
    assert raw(t, "GEOADD", "g", "XX", "CH", 3, 3, "a", 4, 4, "c") == 1 and raw(t, "GEOADD", "g", 3, 3, "a") == 0
    assert raw(t, "GEOADD", "absent", "XX", 1, 1, "a") == 0 and not t.exists("absent")
    assert raw(t, "GEOPOS", "g", "c") == [None]


def test_what_is_stored(t):
    raw(t, "GEOADD", "g", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    assert raw(t, "GEORADIUS", "g", 15, 37, 100, "km", "STORE", "s") == 1
    assert t.zscore("s", "Catania") == 3479447370796909
    assert raw(t, "GEOSEARCHSTORE", "s", "g", "FROMLONLAT", 15, 37, "BYRADIUS", 200, "km", "STOREDIST") == 2
    assert abs(t.zscore("s", "Palermo") - 190.4424) < 0.0001
    assert raw(t, "GEOSEARCHSTORE", "s", "g", "FROMLONLAT", 0, 0, "BYRADIUS", 1, "km") == 0 and not t.exists("s")
    t.set("s", "x")
    assert raw(t, "GEORADIUS", "absent", 15, 37, 100, "km", "STORE", "s") == 0 and not t.exists("s")


def test_refusals(t):
    assert error(t, "GEOADD", "g", 181, 0, "a") == "invalid longitude,latitude pair 181.000000,0.000000"
    assert error(t, "GEOADD", "g", "nan", 0, "a") == "value is not a valid float"
    assert error(t, "GEOADD", "g", "x", 0, "a") == "value is not a valid float"
    assert error(t, "GEOADD", "g", "NX", "XX", 0, 0, "a") == "syntax error"
    assert error(t, "GEOADD", "g", 1, 1, "a", 2, 2) == "syntax error"
    assert not t.exists("g")
    raw(t, "GEOADD", "g", 1, 1, "a")
    search = ("GEOSEARCH", "g", "FROMLONLAT", 1, 1)
    assert error(t, *search, "BYRADIUS", "x", "m") == "need numeric radius"
    assert error(t, *search, "BYRADIUS", -1, "m") == "radius cannot be negative"
    assert error(t, *search, "BYRADIUS", 1, "yards") == "unsupported unit provided. please use M, KM, FT, MI"
    assert error(t, *search, "BYBOX", 1, -1, "m") == "height or width cannot be negative"
    assert error(t, *search, "BYRADIUS", 1, "m", "COUNT", 0) == "COUNT must be > 0"
    assert error(t, *search, "BYRADIUS", 1, "m", "ANY") == "the ANY argument requires COUNT argument"
    assert error(t, *search, "ASC", "WITHDIST") == "exactly one of BYRADIUS and BYBOX can be specified for GEOSEARCH"
    assert error(t, "GEOSEARCH", "g", "BYRADIUS", 1, "m", "ASC", "WITHDIST") == (
        "exactly one of FROMMEMBER or FROMLONLAT can be specified for GEOSEARCH")
    assert error(t, "GEOSEARCH", "g", "FROMMEMBER", "b", "BYRADIUS", 1, "m") == "could not decode requested zset member"
    assert error(t, "GEORADIUS_RO", "g", 1, 1, 1, "m", "STORE", "s") == "syntax error"
    assert error(t, "GEORADIUS", "g", 1, 1, 1, "m", "STORE", "s", "WITHDIST") == (
        "STORE option in GEORADIUS is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
    t.set("str", "x")
    for command in (["GEOADD", "str", 1, 1, "a"], ["GEODIST", "str", "a", "b"], ["GEOPOS", "str", "a"],
                    ["GEOSEARCHSTORE", "d", "str", "FROMLONLAT", 1, 1, "BYRADIUS", 1, "m"]):
        assert error(t, *command).startswith(WRONGTYPE)


def test_places_survive_a_kill(fresh):
    s = fresh("--appendonly", "yes", "--appendfsync", "always")
    c = s.client()
    raw(c, "GEOADD", "g", "CH", 13.361389, 38.115556, "Palermo", 15.087269, 37.502669, "Catania")
    raw(c, "GEOADD", "g", "XX", 13.5, 38, "Palermo", 1, 1, "never")
    raw(c, "GEOSEARCHSTORE", "near", "g", "FROMMEMBER", "Catania", "BYRADIUS", 50, "km", "STOREDIST")
    before = [c.zrange(k, 0, -1, withscores=True) for k in ("g", "near")]
    s.kill9()
    s.start()
    assert [s.client().zrange(k, 0, -1, withscores=True) for k in ("g", "near")] == before
