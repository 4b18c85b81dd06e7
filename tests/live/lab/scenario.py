# SPDX-License-Identifier: BSD-2-Clause
"""
What the scenarios share. A scenario is a file with cases; `scenario_NAME.py [CASE…]` runs those (or all) and
prints a line for each thing it checked. Exit 0: every check held; 1: one did not; 2: the laboratory failed.
"""

import json
import subprocess
import sys
import traceback

import kinds_client
import kinds_extra
import kinds_upstream
from compare import Comparison
from room import Failure
from tracer import Tracer, program
from truth import Traffic

assert kinds_client and kinds_extra and kinds_upstream and Traffic  # for the scenarios

CASES = {}


class Checks:
    def __init__(self):
        self.made = self.failed = 0

    def __call__(self, what, holds, *facts):
        self.made += 1
        if holds:
            print("ok      %s" % what, flush=True)
            return True
        self.failed += 1
        print("FAILED  %s" % what)
        for fact in facts:
            print("        %s" % (json.dumps(fact) if isinstance(fact, (dict, list)) else fact))
        sys.stdout.flush()
        return False

    def equal(self, what, got, right, *facts):
        return self("%s is %r" % (what, right), got == right, "it is %r" % (got,), *facts)

    def between(self, what, got, low, high, *facts):
        return self("%s is within %s…%s" % (what, low, high), got is not None and low <= got <= high,
                    "it is %r" % (got,), *facts)


def case(function):
    CASES[function.__name__.replace("_", "-")] = function
    return function


def run():
    names = sys.argv[1:] or list(CASES)
    checks = Checks()
    for name in names:
        if name not in CASES:
            print("no case %s; there are: %s" % (name, " ".join(CASES)))
            sys.exit(2)
        try:
            CASES[name](checks)
        except Failure as failure:
            # What tlswhy did not do in time is a verdict too, but one without a comparison.
            checks("case %s comes to its end" % name, False, failure)
        except Exception:
            traceback.print_exc(file=sys.stdout)
            print("the laboratory failed in case %s" % name)
            sys.exit(2)
    print("%d checks, %d failed" % (checks.made, checks.failed))
    sys.exit(1 if checks.failed or not checks.made else 0)


def trace(premises, *options, **more):
    return Tracer(premises.room, premises.nginx.pid, *options, **more).wait_ready()


def record_of(tracer, talk, seconds=10, **facts):
    """The record of a conversation; facts narrow it down."""
    def match(record):
        return record["peer"] == {"address": talk.address, "port": talk.port} and \
            all(record[name] == value for name, value in facts.items())
    return tracer.wait_for(match, seconds, "the record of %s:%d" % (talk.address, talk.port))


def compare(checks, premises, traffic, tracer):
    """The judgement of parity.py for a few connections."""
    lines = premises.nginx.error_lines()
    comparison = Comparison(traffic.truths, lines, tracer.connections, premises.backend.access_lines(),
                            premises.nginx.access_lines(), premises.room).run()
    checks("the kinds themselves did what they should", not traffic.failures, *traffic.failures)
    checks("%d connections, %d lines, %d records agree" % (len(traffic.truths), len(lines), len(tracer.connections)),
           not comparison.mismatches, *["%s: %s" % m for m in comparison.mismatches])
    return comparison


def tlswhy(*arguments, stdin=b"", seconds=30, path=None, **options):
    """Runs it to its end, or to the deadline: that is a failure too, with an exit code nobody expects."""
    return finish([path or program(), *arguments], stdin, seconds, **options)


def finish(argv, stdin=b"", seconds=30, **options):
    try:
        return subprocess.run(argv, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=seconds,
                              **options)
    except subprocess.TimeoutExpired as late:
        return subprocess.CompletedProcess(argv, "none within %d s" % seconds, late.stdout or b"", late.stderr or b"")
