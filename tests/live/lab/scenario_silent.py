#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Failures of which nginx's log says nothing at its default level: each has its record all the same."""

import peers
from premises import Premises
from room import Room
from scenario import case, compare, run, trace
from truth import KINDS, Traffic, established


def prove(traffic):
    """
    A listener is known to be one for TLS by a handshake: what came before that is kept, and told then.
    """
    traffic.current.kind = "proof"
    for target in {truth.target for truth in traffic.truths}:
        with peers.Conversation(target, traffic.premises.room) as talk:
            talk.truth = traffic.tell((talk.address, talk.port), target, established())
            traffic.secure(talk).close()
            talk.fin()
            talk.drain()


def silent(checks, *kinds):
    with Premises(Room("silent")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        for name in kinds:
            for ipv6 in KINDS[name].families:
                traffic.once(KINDS[name], ipv6)
        prove(traffic)
        tracer.wait_settled(len(traffic.truths), 10)
        checks.equal("tlswhy's exit code", tracer.stop(), 0)
        compare(checks, premises, traffic, tracer)
        loud = [line for truth in traffic.truths for line in truth.lines if line.level != "info"]
        checks("nginx logs nothing, or at level info", not loud, *loud)
        for truth in traffic.truths:
            records = [r for r in tracer.connections if (r["peer"]["address"], r["peer"]["port"]) == truth.client]
            if truth.kind != "proof":
                checks("%s has one record, and a cause" % truth, len(records) == 1 and records[0]["cause"], *records)


@case
def closed_before_hello(checks):
    silent(checks, "connect-close", "stream-connect-close")


@case
def half_hello_until_timeout(checks):
    silent(checks, "timeout-half-hello", "stream-timeout")


@case
def silent_until_timeout(checks):
    silent(checks, "timeout-silent", "stream-timeout-silent")


@case
def reset(checks):
    silent(checks, "connect-reset", "reset-after-flight-12", "reset-after-flight-13", "stream-reset-after-flight")


@case
def closed_in_handshake(checks):
    silent(checks, "fin-after-flight-12", "fin-after-flight-13", "half-hello-fin", "close-notify")


if __name__ == "__main__":
    run()
