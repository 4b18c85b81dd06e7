# SPDX-License-Identifier: BSD-2-Clause
"""What was done to nginx, connection by connection, and which records and log lines must come of it."""

import contextlib
import dataclasses
import os
import queue
import random
import threading
import time
import traceback

import peers
from room import Failure

ANY = object()


@dataclasses.dataclass
class Expect:
    """One record that must exist (or none, with an outcome of None), and its line in nginx's log."""
    side: str = "client"
    outcome: str = "established"
    causes: tuple = ()  # ids that are right; empty: cause must be null
    lines: tuple = ()  # kinds of the line (errorlog.KINDS) that are right; empty: no line
    codes: tuple = None  # OpenSSL's, as nginx logs them; None: not checked here
    verify: int = None
    calls: bool = None  # whether SSL_do_handshake ran at all
    sni: object = ANY
    version: str = None
    resumed: bool = None
    peer: tuple = None  # upstream side: (address, port)
    inner: bool = False  # nginx is its own upstream: the client is nginx, from the same address
    # The facts came after the handshake: "no"; "may": in the one record, or in a second one that names
    # it as previous; "must": always in a second one.
    late: str = "no"
    evidence: tuple = ()  # codes that must be in the cause's evidence
    proxied: tuple = None  # proxied_peer


@dataclasses.dataclass
class Truth:
    kind: str
    client: tuple  # (address, port)
    target: tuple
    expects: tuple
    lines: list = dataclasses.field(default_factory=list)
    ended: bool = False

    def __str__(self):
        return "%s %s:%d → %s:%d" % ((self.kind,) + self.client + self.target)


def established(**more):
    return Expect(calls=True, **more)


def failed(causes, *codes, **more):
    """OpenSSL refused, and nginx logged its codes."""
    more = {"lines": ("failed",), "codes": codes, "calls": True, **more}
    return Expect(outcome="failed", causes=(causes,) if isinstance(causes, str) else causes, **more)


def aborted(causes, *lines, **more):
    return Expect(outcome="aborted", causes=(causes,) if isinstance(causes, str) else causes, lines=lines, **more)


def timed_out(cause, *lines, **more):
    return Expect(outcome="timed_out", causes=(cause,), lines=lines, **more)


def rejected(causes, *lines, **more):
    return Expect(outcome="rejected", causes=(causes,) if isinstance(causes, str) else causes, lines=lines, **more)


KINDS = {}


@dataclasses.dataclass
class Kind:
    name: str
    function: object
    weight: int
    families: tuple
    group: str


def kind(name, weight=12, v6=True, group="mix"):
    """Registers function(traffic, ipv6) under a name; weight: how often in a mix of the usual size."""
    def register(function):
        if name in KINDS:
            raise Failure("two kinds are called " + name)
        KINDS[name] = Kind(name, function, weight, (False, True) if v6 else (False,), group)
        return function
    return register


class Traffic:
    def __init__(self, premises, threads=24):
        self.premises = premises
        self.certificates = premises.certificates
        self.threads = threads
        self.truths = []
        self.failures = []
        self.unlocked = threading.Lock()
        self.current = threading.local()
        self.settings = {}

    # ---- for the kinds -------------------------------------------------------------------------

    def context(self, **settings):
        """A client's settings, made once: sessions belong to them."""
        key = tuple(sorted((k, str(v)) for k, v in settings.items()))
        with self.unlocked:
            if key not in self.settings:
                self.settings[key] = peers.context(**settings)
            return self.settings[key]

    def ca(self, name="ca"):
        return self.certificates.pem(name)

    def pair(self, name):
        return (self.certificates.pem(name), self.certificates.key(name))

    def tell(self, client, target, *expects):
        truth = Truth(getattr(self.current, "kind", "?"), client, target, expects)
        with self.unlocked:
            self.truths.append(truth)
        return truth

    @contextlib.contextmanager
    def open(self, listener, *expects, ipv6=False, before=b""):
        """A connection from an address of its own, with what must come of it."""
        target = self.premises.target(listener, ipv6)
        with peers.Conversation(target, self.premises.room, before) as talk:
            talk.truth = self.tell((talk.address, talk.port), target, *expects)
            yield talk
        talk.truth.ended = True

    def program(self, listener, *expects, port=15000 + os.getpid() % 8000):
        """
        Source address and port for a program that makes one connection, with what must come of it. The
        address is its own, so the port may be the same for all of a run, but not for two runs within a
        TIME_WAIT; it is below those the kernel gives out.
        """
        source = self.premises.room.source()
        target = self.premises.target(listener)
        self.tell((source, port), target, *expects)
        return source, port, target

    def secure(self, talk, name="good.test", session=None, settings=None, **options):
        """A handshake that must succeed; the truth learns what was negotiated."""
        client = peers.TlsClient(talk, settings or self.context(**options), name, session)
        client.handshake()
        expect = talk.truth.expects[0]
        expect.version, expect.sni = client.tls.version(), name
        expect.resumed = bool(client.tls.session_reused)
        return client

    # ---- running -------------------------------------------------------------------------------

    def plan(self, kinds, scale=1.0, seed=1):
        """(kind, ipv6) as often as each kind's weight says, shuffled the same way for the same seed."""
        plan = []
        for one in kinds:
            for at in range(max(1, round(one.weight * scale))):
                plan.append((one, one.families[at % len(one.families)]))
        random.Random(seed).shuffle(plan)
        return plan

    def run(self, plan, seconds=120):
        """Runs a plan on threads; what a kind itself could not do is in failures."""
        work = queue.SimpleQueue()
        for item in plan:
            work.put(item)
        deadline = time.monotonic() + seconds
        threads = [threading.Thread(target=self._work, args=(work, deadline), daemon=True)
                   for _ in range(min(self.threads, len(plan)))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(max(0.1, deadline + 10 - time.monotonic()))
            if thread.is_alive():
                raise Failure("the traffic did not end in %g s" % seconds)
        return self

    def _work(self, work, deadline):
        while time.monotonic() < deadline:
            try:
                one, ipv6 = work.get_nowait()
            except queue.Empty:
                return
            self.once(one, ipv6)

    def once(self, one, ipv6=False):
        self.current.kind = one.name
        try:
            one.function(self, ipv6)
        except Exception:
            with self.unlocked:
                self.failures.append("%s%s: %s" % (one.name, " over IPv6" if ipv6 else "", traceback.format_exc()))

    def by_client(self):
        return {truth.client: truth for truth in self.truths}
