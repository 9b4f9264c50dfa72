"""Ports for servers that have yet to start.

They are not of the range from which the system takes the ports of outgoing connections: between the choice of such a port
and the server's bind somebody's connection may get it, even the one that waits for the server, for a socket that tries
its own port connects to itself. Each process takes whole blocks, by a name in the abstract space of Unix sockets: nobody
else can have it meanwhile, and it goes with the process.
"""

import itertools
import random
import socket
import threading

BLOCK = 32


def spare():
    """The first port of each block, in an order of its own for each process."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as f:
        low, high = map(int, f.read().split())
    starts = [*range(12000, low - BLOCK, BLOCK), *range(high + 1, 65536 - BLOCK, BLOCK)]
    random.SystemRandom().shuffle(starts)
    return starts or range(low, high - BLOCK, BLOCK)


def blocks():
    for start in itertools.cycle(spare()):
        name = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        try:
            name.bind(f"\0skald-test-ports-{start}")
        except OSError:
            name.close()
            continue
        yield from range(start, start + BLOCK)
        name.close()


ports = blocks()
lock = threading.Lock()  # a generator is for one thread at a time


def free_port():
    while True:
        with lock:
            port = next(ports)
        with socket.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
