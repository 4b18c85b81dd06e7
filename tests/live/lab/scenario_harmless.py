#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""tlswhy beside nginx under load: nobody dies, nobody sees an error, nothing stays, nothing is read."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import threading

import hello
import peers
from kinds_client import s_client
from premises import Premises
from room import Failure, Room, wait_until
from scenario import case, record_of, run, tlswhy, trace
from truth import Traffic, established

STARTS, KILLS = 20, 5


class Anywhere:
    """In place of a room: the load's connections need no address of their own, and are too many for it."""

    @staticmethod
    def bind_client(client):
        return client


class Load:
    """Threads that make good connections of several kinds until told to stop; every error is kept."""

    def __init__(self, traffic, threads=4):
        self.traffic = traffic
        self.errors, self.made = [], 0
        self.ending = threading.Event()
        self.lock = threading.Lock()
        self.threads = [threading.Thread(target=self.work, args=(at,), daemon=True) for at in range(threads)]
        for thread in self.threads:
            thread.start()

    def work(self, at):
        kept = None
        while not self.ending.is_set():
            try:
                # The first thread keeps one connection for all of its requests, across all starts and ends.
                if at == 0:
                    if kept is None:
                        kept = peers.Conversation(self.traffic.premises.target("tls"), Anywhere)
                        client = peers.TlsClient(kept, self.traffic.context())
                        client.handshake()
                    answer = peers.get(client, "/good", keep=True)
                else:
                    talk = peers.Conversation(self.traffic.premises.target(("tls", "ec", "tls", "p384")[at % 4]),
                                              Anywhere)
                    with talk:
                        one = peers.TlsClient(talk, self.traffic.context(versions=(("1.3",), ("1.2",))[at % 2]))
                        one.handshake()
                        answer = peers.get(one)
                        one.close()
                if peers.status(answer) != 200:
                    raise AssertionError("answered %r" % answer[:80])
                with self.lock:
                    self.made += 1
            except Exception as error:
                with self.lock:
                    self.errors.append("%s: %r" % (("kept", "ec", "tls", "p384")[at % 4], error))
                if len(self.errors) > 20:
                    return

    def stop(self):
        self.ending.set()
        for thread in self.threads:
            thread.join(peers.DEADLINE)


def kernel_objects():
    """{(kind, id): name} of what is loaded and held by no living tlswhy but ours; pids where bpftool knows them."""
    bpftool = shutil.which("bpftool", path=os.environ.get("PATH", "") + ":/usr/sbin")
    if not bpftool:
        raise Failure("no bpftool")
    found = {}
    for kind in ("prog", "map", "link"):
        out = subprocess.run([bpftool, "-j", kind, "show"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
        for item in json.loads(out or b"[]"):
            holders = {p["comm"] for p in item.get("pids", [])}
            found[(kind, item["id"])] = (item.get("name") or item.get("type"), holders)
    return found


def left_behind(before):
    """What was not there before, but for objects that another process holds right now."""
    return {key: value for key, value in kernel_objects().items() if key not in before and not value[1]}


def uprobe_events():
    for where in ("/sys/kernel/tracing", "/sys/kernel/debug/tracing"):
        try:
            return pathlib.Path(where, "uprobe_events").read_text()
        except OSError:
            continue
    return ""


def nothing_left(checks, before, probes_before):
    try:
        wait_until(lambda: not left_behind(before), 10, "the kernel to let go", 0.1)
    except Failure:
        pass
    left = left_behind(before)
    checks("no program, map or link is left in the kernel", not left, *["%s %s" % item for item in left.items()])
    checks.equal("uprobe_events", uprobe_events(), probes_before)


def under_load(checks, times, end):
    """Starts and ends tlswhy a number of times; end(tracer) → exit code."""
    before, probes = kernel_objects(), uprobe_events()
    with Premises(Room("harmless")) as premises:
        workers = premises.nginx.workers()
        load = Load(Traffic(premises))
        codes, seen = [], 0
        for _ in range(times):
            tracer = trace(premises)
            made = load.made
            wait_until(lambda: load.made > made + 20 or len(load.errors) > 20, 20, "the load to go on")
            wait_until(lambda: tracer.connections or len(load.errors) > 20, 20, "a record")
            codes.append(end(tracer))
            seen += len(tracer.connections)
        load.stop()
        checks.equal("the workers", premises.nginx.workers(), workers)
        checks("no client saw an error in %d requests" % load.made, not load.errors and load.made, *load.errors)
        died = [line for line in (premises.nginx.where / "error.log").read_text(errors="replace").splitlines()
                if "exited on signal" in line or "[alert]" in line]
        checks("nginx logs no alert", not died, *died)
        checks("there were records all the time (%d)" % seen, seen > times)
        nothing_left(checks, before, probes)
        # And it can be traced once more.
        tracer = trace(premises)
        traffic = Traffic(premises)
        with traffic.open("tls", established()) as talk:
            peers.get(traffic.secure(talk))
        checks("it is traced again afterwards", record_of(tracer, talk))
        checks.equal("the last exit code", tracer.stop(), 0)
    return codes


@case
def start_and_stop(checks):
    codes = under_load(checks, STARTS, lambda tracer: tracer.stop(signal.SIGTERM))
    checks.equal("exit codes", codes, [0] * STARTS)


@case
def kill(checks):
    codes = under_load(checks, KILLS, lambda tracer: tracer.stop(signal.SIGKILL))
    checks.equal("exit codes", codes, [-signal.SIGKILL] * KILLS)


# ---- what is never read ----------------------------------------------------------------------------

MARK = b"Xy7marKmustneverbeseenQ"


def marked_request(path=b"/"):
    body = MARK * 3
    return b"POST %s?q=%s HTTP/1.1\r\nHost: good.test\r\nCookie: c=%s\r\nX-Mark: %s\r\nConnection: close\r\n" \
        b"Content-Length: %d\r\n\r\n%s" % (path, MARK, MARK, MARK, len(body), body)


def marked_traffic(traffic):
    """Requests with the mark in all of their parts, wherever one might be copied by mistake."""
    premises = traffic.premises

    def plainly(listener, data, before=b""):
        with traffic.open(listener, before=before) as talk:
            talk.send(data)
            talk.drain()
    plainly("tls", marked_request())
    plainly("tls", MARK + b" / HTTP/1.1\r\n\r\n")
    plainly("stream", marked_request())
    plainly("plain", marked_request())
    plainly("plain", marked_request(b"/good"))
    plainly("deferred", marked_request())
    plainly("proxied", marked_request(), hello.proxy_v1(("192.0.2.7", 4711), ("192.0.2.1", 443)))
    for listener, place in (("tls", b"/"), ("tls", b"/good"), ("tls", b"/plain-http"), ("early", b"/"), ("deferred", b"/")):
        for versions in (("1.2",), ("1.3",)):
            with traffic.open(listener) as talk:
                client = peers.TlsClient(talk, traffic.context(versions=versions))
                client.handshake()
                client.write(marked_request(place))
                while client.read():
                    pass
    with traffic.open("starttls") as talk:
        talk.receive()
        for line in (b"EHLO " + MARK, b"AUTH PLAIN " + MARK, b"STARTTLS"):
            talk.send(line + b"\r\n")
            talk.receive()
        client = peers.TlsClient(talk, traffic.context())
        client.handshake()
        client.write(b"MAIL FROM:<" + MARK + b"@x.test>\r\n")
        client.read()
    # Accepted early data, and early data that the server's other port refuses.
    room = premises.room
    source, port, target = traffic.program("early")
    session = str(room.where / "marked-session")
    peers.program(s_client(source, port, target, "-tls1_3", "-sess_out", session, "-ign_eof"), stdin=marked_request())
    for listener in ("early", "tls"):
        source, port, target = traffic.program(listener)
        out = peers.program(s_client(source, port, target, "-tls1_3", "-sess_in", session, "-ign_eof", "-early_data",
                                     room.make("marked-request", marked_request().decode())),
                            stdin=marked_request() if listener == "tls" else b"")
        if "Early data was accepted" not in out and listener == "early":
            raise Failure("no early data was accepted")


@case
def no_request_is_read(checks):
    with Premises(Room("harmless")) as premises:
        saved = premises.room.where / "marked.save"
        tracer = trace(premises, "--save", str(saved))
        traffic = Traffic(premises)
        marked_traffic(traffic)
        tracer.wait_settled(20, 10)
        checks.equal("tlswhy's exit code", tracer.stop(), 0)
        data = saved.read_bytes()
        for name, text in (("recording", data), ("output", "\n".join(tracer.lines).encode()),
                           ("standard error", tracer.errors.encode())):
            # No part of it either: half of the mark would be half of a secret.
            parts = [MARK[at:at + 13] for at in range(len(MARK) - 12)]
            checks("the %s (%d bytes) has no mark" % (name, len(text)), not any(part in text for part in parts))
        replayed = tlswhy("replay", str(saved), "-o", "json")
        checks("the recording is one: %d connections" % len(tracer.connections),
               replayed.returncode == 0 and replayed.stdout.count(b'"type":"connection"') == len(tracer.connections) > 15,
               replayed.stderr.decode(), replayed.stdout.decode(errors="replace")[-600:])


if __name__ == "__main__":
    run()
