#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Where the time of a handshake goes: into hello_wait, pickup, crypto or peer_wait, and they add up."""

import os
import pathlib
import signal
import time

import peers
from premises import Premises
from room import Room, wait_until
from scenario import case, record_of, run, trace
from truth import Traffic, established

WAIT_S = 0.3  # the behaviour of the peer that is measured
WAIT_US = int(WAIT_S * 1e6)
# The clocks of the two sides are the same, but the peer's wait begins before and ends after what
# nginx's side sees of it.
EARLY_US = 5000
BUSY_US = 250000  # what a loaded machine may add; less than the wait, so that no part is mistaken


def adds_up(checks, record):
    parts = record["latency_us"]
    checks.equal("the sum of the parts", sum(parts[p] or 0 for p in ("hello_wait", "pickup", "crypto", "peer_wait")),
                 parts["total"], record)
    checks("no part is negative", all(v is None or v >= 0 for v in parts.values()), record)


def dominated(checks, record, part):
    """One part has the wait, and no other has it too."""
    parts = record["latency_us"]
    checks.between(part, parts[part], WAIT_US - EARLY_US, WAIT_US + BUSY_US, record)
    for other in ("hello_wait", "pickup", "crypto", "peer_wait"):
        if other != part:
            checks.between(other, parts[other] or 0, 0, BUSY_US, record)
    adds_up(checks, record)


@case
def hello_wait(checks):
    with Premises(Room("latency")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        for ipv6 in (False, True):
            with traffic.open("tls", established(), ipv6=ipv6) as talk:
                time.sleep(WAIT_S)
                peers.get(traffic.secure(talk))
            dominated(checks, record_of(tracer, talk), "hello_wait")
        tracer.stop()


@case
def peer_wait(checks):
    with Premises(Room("latency")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        for versions in (("1.2",), ("1.3",)):
            waited = []

            def wait_once(data):
                # The second flight holds the Finished.
                waited.append(data)
                if len(waited) == 2:
                    time.sleep(WAIT_S)
                return data
            with traffic.open("tls", established()) as talk:
                client = peers.TlsClient(talk, traffic.context(versions=versions))
                client.handshake(change_out=wait_once)
                peers.get(client)
            dominated(checks, record_of(tracer, talk), "peer_wait")
        tracer.stop()


def stopped(pid):
    return pathlib.Path("/proc/%d/stat" % pid).read_text().rpartition(")")[2].split()[0] == "T"


@case
def pickup(checks):
    """The only worker is stopped while a hello waits for it."""
    with Premises(Room("latency"), workers=1) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        worker, = premises.nginx.workers()
        for listener in ("tls", "stream"):
            with traffic.open("tls", established()) as talk:
                peers.get(traffic.secure(talk))
            os.kill(worker, signal.SIGSTOP)
            try:
                wait_until(lambda: stopped(worker), 5, "the worker to stop")
                with traffic.open(listener, established()) as talk:
                    client = peers.TlsClient(talk, traffic.context())
                    try:
                        client.tls.do_handshake()
                    except peers.ssl.SSLWantReadError:
                        client.flush()
                    time.sleep(WAIT_S)
                    os.kill(worker, signal.SIGCONT)
                    client.handshake()
                    client.close()
            finally:
                os.kill(worker, signal.SIGCONT)
            dominated(checks, record_of(tracer, talk), "pickup")
        tracer.stop()


@case
def upstream(checks):
    """For an upstream there is neither hello_wait nor pickup, and the connect lies before the total."""
    with Premises(Room("latency")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        with traffic.open("tls", established()) as talk:
            peers.get(traffic.secure(talk), "/good")
        record = tracer.wait_for(lambda r: r["side"] == "upstream" and r["local"]["address"] == talk.address)
        parts = record["latency_us"]
        checks.equal("hello_wait and pickup", (parts["hello_wait"], parts["pickup"]), (None, None), record)
        checks.between("tcp_connect", parts["tcp_connect"], 0, 1000000, record)
        checks("there is a total and crypto", (parts["total"] or 0) > 0 and (parts["crypto"] or 0) > 0, record)
        adds_up(checks, record)
        # No reply means: nginx waits for the upstream, and that is peer_wait.
        with traffic.open("tls", established()) as talk:
            peers.get(traffic.secure(talk), "/silent")
        record = tracer.wait_for(lambda r: r["side"] == "upstream" and r["local"]["address"] == talk.address)
        checks.between("peer_wait of a silent upstream", record["latency_us"]["peer_wait"], 600000, 1500000, record)
        adds_up(checks, record)
        tracer.stop()


if __name__ == "__main__":
    run()
