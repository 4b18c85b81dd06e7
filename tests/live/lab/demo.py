#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""The demonstration: tlswhy's own text output, live, while good and failing peers come and go."""

import subprocess
import sys
import threading
import time

import kinds_client
import kinds_upstream
from premises import Premises
from room import Failure, Room, wait_until
from tracer import program
from truth import KINDS, Traffic

assert kinds_client and kinds_upstream  # they register their kinds

GOOD = ("tls13-full", "tls12-full", "tls13-resumed", "tls12-resumed-ticket", "http2-alpn", "upstream-good",
        # On the same listener as proxy-header-missing, and before it: what fails on a listener is told
        # once it has proved to be one for TLS. Even places come over IPv4, as that one does.
        "proxy-protocol-good", "mtls-good")
# One failure after the other, with good connections between them, as in life.
FAILING = ("protocol-too-old", "no-shared-cipher", "unknown-ca-13", "hostname-12", "expired-13", "sni-rejected",
           "mtls-missing-13", "no-shared-alpn", "plain-http", "http-ssh", "proxy-header-missing", "connect-close",
           "fin-after-flight-13", "reset-after-flight-12", "timeout-half-hello", "curl-unknown-ca",
           "upstream-protocol-old", "upstream-needs-sni", "upstream-expired", "upstream-plain-http", "upstream-silent",
           "upstream-wants-certificate-13")
SECONDS = 12


def say(text):
    print(text, file=sys.stderr, flush=True)


class Forwarded:
    """tlswhy's standard error, passed on line by line, and watched for the ready line."""

    def __init__(self, process):
        self.process, self.ready = process, False
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        for raw in self.process.stderr:
            line = raw.decode(errors="replace")
            sys.stderr.write(line)
            sys.stderr.flush()
            self.ready = self.ready or "tracing nginx" in line


def main():
    with Premises(Room("demo")) as premises:
        say("demo: a private nginx on %s, pid %d" % (premises.room.server, premises.nginx.pid))
        say("demo: ./tlswhy trace -p %d -o text" % premises.nginx.pid)
        process = premises.room.spawn([program(), "trace", "-p", str(premises.nginx.pid), "-o", "text"],
                                      stderr=subprocess.PIPE)
        process.read_by_thread = True
        forwarded = Forwarded(process)
        wait_until(lambda: forwarded.ready or process.poll() is not None, 20, "tlswhy's ready line")
        if process.poll() is not None:
            forwarded.thread.join(5)
            return process.returncode or 1
        traffic = Traffic(premises)
        for at, name in enumerate(FAILING):
            began = time.monotonic()
            for kind in (GOOD[at % len(GOOD)], name):
                traffic.once(KINDS[kind], bool(at % 2) and True in KINDS[kind].families)
            # The pace of the show.
            time.sleep(max(0, SECONDS / len(FAILING) - (time.monotonic() - began)))
        process.terminate()
        process.wait(20)
        forwarded.thread.join(5)
        if traffic.failures:
            say("demo: " + traffic.failures[0])
        return process.returncode or (1 if traffic.failures else 0)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        say("demo: " + str(failure))
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
