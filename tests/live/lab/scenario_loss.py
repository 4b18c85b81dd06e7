#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Every loss is counted: with the smallest ring under a flood, seen and lost handshakes are those made."""

import mmap
import os
import signal

from premises import Premises
from room import Room, wait_until
from scenario import case, run, trace
from truth import KINDS, Traffic

FLOOD = {"tls13-full": 600, "tls12-full": 600, "tls12-resumed-ticket": 200, "protocol-too-old": 200, "alert-80": 100,
         "upstream-good": 200}


def flood(traffic, scale=1.0):
    plan = [(KINDS[name], False) for name, count in FLOOD.items() for _ in range(int(count * scale))]
    traffic.run(plan)
    if traffic.failures:
        raise RuntimeError(traffic.failures[0])


def judge(checks, premises, traffic, tracer):
    made = sum(1 for truth in traffic.truths for _ in truth.expects)
    checks.equal("tlswhy's exit code", tracer.stop(), 0)
    summary = tracer.summary
    if not checks("there is a summary", summary, tracer.errors):
        return
    checks("events were lost (%d)" % summary["events_lost"], summary["events_lost"] > 0, summary)
    checks("handshakes were lost (%d)" % summary["handshakes_lost"], summary["handshakes_lost"] > 0, summary)
    checks.equal("handshakes + handshakes_lost", summary["handshakes"] + summary["handshakes_lost"], made, summary)
    lost = tracer.of_type("lost")
    checks("there are lost lines", lost, summary)
    checks.equal("the sum of their events", sum(line["events"] for line in lost), summary["events_lost"], *lost[:5])
    checks.equal("the sum of their handshakes", sum(line["handshakes"] for line in lost), summary["handshakes_lost"],
                 *lost[:5])
    checks("they say where", {line["where"] for line in lost} <= {"ring", "map", "reader", "output"}, *lost[:5])
    checks("standard error says it too", "lost" in tracer.errors, tracer.errors)
    calls = [r for r in tracer.connections if r["previous"] is None and r["handshake_calls"] > 0]
    checks.equal("records with handshake calls", len(calls), summary["handshakes"])
    known = {truth.client for truth in traffic.truths}
    strange = [r for r in tracer.connections if r["side"] == "client" and
               (r["peer"]["address"], r["peer"]["port"]) not in known]
    checks("no record is of a connection that was not", not strange, *strange[:5])


@case
def smallest_ring(checks):
    with Premises(Room("loss")) as premises:
        tracer = trace(premises, "--ring-size", str(mmap.PAGESIZE))
        traffic = Traffic(premises)
        flood(traffic)
        judge(checks, premises, traffic, tracer)


@case
def reader_stands_still(checks):
    """A tracer that gets no CPU for a while: its ring overflows, and afterwards it goes on."""
    with Premises(Room("loss")) as premises:
        tracer = trace(premises, "--ring-size", str(mmap.PAGESIZE * 16))
        traffic = Traffic(premises)
        os.kill(tracer.process.pid, signal.SIGSTOP)
        try:
            flood(traffic, 0.5)
        finally:
            os.kill(tracer.process.pid, signal.SIGCONT)
        wait_until(lambda: tracer.of_type("lost"), 10, "a lost line")
        before = len(tracer.connections)
        traffic.once(KINDS["tls13-full"])
        wait_until(lambda: len(tracer.connections) > before, 10, "a record after the loss")
        judge(checks, premises, traffic, tracer)


if __name__ == "__main__":
    run()
