"""What the tests of commands share."""

import pytest
import redis


def error(r, *cmd):
    """The text of the error that the command gives, without its code ERR."""
    with pytest.raises(redis.ResponseError) as e:
        raw(r, *cmd)
    return str(e.value)


def raw(r, *cmd):
    """The reply as it came, without what redis-py makes of it."""
    conn = r.connection_pool.get_connection("_")
    try:
        conn.send_command(*cmd)
        return conn.read_response()
    finally:
        r.connection_pool.release(conn)


def other_db(r, n):
    args = dict(r.connection_pool.connection_kwargs)
    args["db"] = n
    return redis.Redis(**args)


WRONGTYPE = "WRONGTYPE Operation against a key holding the wrong kind of value"
NOT_INT = "value is not an integer or out of range"
