#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Workers come and go: by reload, by death, by a binary upgrade; every one is traced from its first handshake."""

import os
import signal

import hello
import peers
from premises import Premises
from room import Room, wait_until
from scenario import case, record_of, run, trace
from tracer import Tracer
from truth import Traffic, established


def connections(traffic, count):
    """Good connections, each with its record to come."""
    talks = []
    for at in range(count):
        with traffic.open("tls", established(), ipv6=bool(at % 2)) as talk:
            peers.get(traffic.secure(talk, versions=(("1.2",), ("1.3",))[at % 2]))
        talks.append(talk)
    return talks


def serving_worker(traffic):
    """One good connection; the pid of the worker that served it."""
    with traffic.open("stream", established()) as talk:
        client = traffic.secure(talk)
        pid = int(client.read().split()[1])
        client.close()
    return pid


def all_recorded(checks, tracer, talks, workers, what):
    records = [record_of(tracer, talk) for talk in talks]
    strange = [r for r in records if r["worker_pid"] not in workers or r["outcome"] != "established"
               or r["tls"]["version"] is None]
    checks("%s: %d connections, all recorded and of workers %s" % (what, len(talks), sorted(workers)), not strange, *strange)
    return {r["worker_pid"] for r in records}


def exits(tracer, pids, seconds=20):
    """The worker_exit lines of these pids, when all of them came."""
    def found():
        lines = {line["pid"]: line for line in tracer.of_type("worker_exit")}
        return {pid: lines[pid] for pid in pids} if set(pids) <= set(lines) else None
    return wait_until(found, seconds, "worker_exit lines of %s" % (pids,))


@case
def reload(checks):
    with Premises(Room("reload")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        old = premises.nginx.workers()
        all_recorded(checks, tracer, connections(traffic, 6), old, "before")
        # A handshake that the old worker keeps until it ends.
        with traffic.open("tls", established()) as talk:
            client = peers.TlsClient(talk, traffic.context(versions=("1.2",)))
            try:
                client.tls.do_handshake()
            except peers.ssl.SSLWantReadError:
                client.flush()
            client.inbox.write(talk.flight())
            premises.nginx.reload()
            new = [pid for pid in premises.nginx.workers() if pid not in old]
            # The very first handshakes of the new workers, at once.
            seen = set()
            while len(seen) < 2 and len(traffic.truths) < 200:
                talks = connections(traffic, 8)
                seen |= all_recorded(checks, tracer, talks, set(new) | set(old), "at once after it") & set(new)
            checks.equal("new workers seen", seen, set(new))
            client.handshake()
            peers.get(client)
            client.close()
        record = record_of(tracer, talk)
        checks("a handshake that began before it ended in the old worker",
               record["worker_pid"] in old and record["outcome"] == "established", record)
        lines = wait_until(lambda: tracer.of_type("reload"), 10, "a reload line")
        checks.equal("reload lines", len(lines), 1, *lines)
        checks.equal("succeeded", lines[0]["succeeded"], True, lines[0])
        checks.equal("old_workers", sorted(lines[0]["old_workers"]), sorted(old), lines[0])
        checks.equal("new_workers", sorted(lines[0]["new_workers"]), sorted(new), lines[0])
        for pid, line in exits(tracer, old).items():
            checks("worker %d exited by itself, nothing pending" % pid, not line["signal"] and line["pending"] == 0, line)
        checks.equal("tlswhy's exit code", tracer.stop(), 0)
        checks.equal("records", len(tracer.connections), len(traffic.truths))


@case
def failed_reload(checks):
    """A broken configuration: nginx goes on with the old one, and a line says so."""
    with Premises(Room("reload")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        old = premises.nginx.workers()
        (premises.nginx.where / "nginx.conf").write_text("nonsense here;\n")
        premises.nginx.signal(signal.SIGHUP)
        lines = wait_until(lambda: tracer.of_type("reload"), 15, "a reload line")
        checks.equal("succeeded", [line["succeeded"] for line in lines], [False], *lines)
        checks.equal("the workers", premises.nginx.workers(), old)
        all_recorded(checks, tracer, connections(traffic, 4), old, "afterwards")
        checks.equal("tlswhy's exit code", tracer.stop(), 0)


@case
def worker_killed(checks):
    with Premises(Room("reload")) as premises:
        tracer = trace(premises)
        traffic = Traffic(premises)
        old = premises.nginx.workers()
        all_recorded(checks, tracer, connections(traffic, 6), old, "before")
        # Handshakes in the middle, in either worker.
        talks = []
        for _ in range(12):
            manager = traffic.open("tls")
            talk = manager.__enter__()
            talk.send(hello.hello_12())
            talk.flight()
            talks.append((talk, manager))
        # A worker has one thread: when it has served another, its calls for these have returned.
        served = set()
        while served != set(old) and len(traffic.truths) < 400:
            served |= {pid for pid in [serving_worker(traffic)] if pid in old}
        for pid in old:
            os.kill(pid, signal.SIGKILL)
        wait_until(lambda: len(set(premises.nginx.workers()) - set(old)) == 2, 10, "new workers")
        new = premises.nginx.workers()
        for talk, manager in talks:
            manager.__exit__(None, None, None)
        lines = exits(tracer, old)
        checks.equal("signals", {line["signal"] for line in lines.values()}, {9}, *lines.values())
        checks.equal("pending", sum(line["pending"] for line in lines.values()), len(talks), *lines.values())
        for talk, _ in talks:
            record = record_of(tracer, talk)
            checks("a handshake that it took along: aborted, worker-exited",
                   record["outcome"] == "aborted" and record["cause"]["id"] == "worker-exited", record)
        all_recorded(checks, tracer, connections(traffic, 8), new, "afterwards")
        checks.equal("tlswhy's exit code", tracer.stop(), 0)


@case
def binary_upgrade(checks):
    """USR2, then QUIT of the old master: the new one is traced, and its library found again."""
    with Premises(Room("reload"), upgradable=True) as premises:
        nginx = premises.nginx
        tracer = trace(premises)
        traffic = Traffic(premises)
        old_master, old = nginx.pid, nginx.workers()
        all_recorded(checks, tracer, connections(traffic, 4), old, "before")
        nginx.signal(signal.SIGUSR2)

        def upgraded():
            try:
                return nginx.pid != old_master and len(nginx.workers()) == 2
            except (OSError, ValueError):
                return False
        wait_until(upgraded, 15, "the new master's workers")
        new = nginx.workers()
        both = set(old) | set(new)
        all_recorded(checks, tracer, connections(traffic, 12), both, "both at work")
        nginx.signal(signal.SIGQUIT, old_master)
        wait_until(lambda: not nginx.workers(old_master), 10, "the old workers' end")
        all_recorded(checks, tracer, connections(traffic, 12), new, "the new one alone")
        exits(tracer, old)
        checks("tlswhy goes on", tracer.process.poll() is None, tracer.errors)
        nginx.reload()
        again = [pid for pid in nginx.workers() if pid not in new]
        all_recorded(checks, tracer, connections(traffic, 8), set(again) | set(new), "after a reload of the new one")
        checks.equal("tlswhy's exit code", tracer.stop(), 0)


@case
def one_worker(checks):
    """-p of a worker: that worker alone."""
    with Premises(Room("reload")) as premises:
        worker = premises.nginx.workers()[0]
        tracer = Tracer(premises.room, worker).wait_ready()
        traffic = Traffic(premises)
        answers = {}
        while (len(set(answers.values())) < 2 or len(answers) < 20) and len(answers) < 400:
            with traffic.open("stream", established()) as talk:
                client = traffic.secure(talk)
                answers[(talk.address, talk.port)] = int(client.read().split()[1])
                client.close()
        mine = {client for client, pid in answers.items() if pid == worker}
        checks("both workers had connections", 0 < len(mine) < len(answers), len(mine), len(answers))
        tracer.wait_settled(len(mine), 10)
        tracer.stop()
        got = {(r["peer"]["address"], r["peer"]["port"]) for r in tracer.connections}
        checks("the worker's %d connections have their records" % len(mine), mine <= got, sorted(mine - got))
        checks("the other worker's %d have none" % (len(answers) - len(mine)), got <= mine,
               *[r for r in tracer.connections if (r["peer"]["address"], r["peer"]["port"]) not in mine])


if __name__ == "__main__":
    run()
