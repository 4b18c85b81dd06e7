#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""
Parity: thousands of connections of mixed kinds, both sides, and then every line that nginx's error log
has about a handshake must have exactly one record with the same side, code, text, peer and SNI, every
connection its record, and no record may lack a connection.

  parity.py                 the usual mix
  parity.py --extra         the second set: deferred, fastopen, reuseport with a foreign process, early data,
                            a certificate by variable, late refusals, an innocent beside a dying connection
  parity.py --no-tracer     only: does nginx log what the kinds promise?
  parity.py --only upstream-* --scale 0.1     a few kinds, fewer connections
"""

import argparse
import fnmatch
import sys
import time

import kinds_client
import kinds_extra
import kinds_upstream
from compare import Comparison
from premises import Premises
from room import Failure, Room, wait_until
from tracer import Tracer
from truth import KINDS, Traffic, established

assert kinds_client and kinds_extra and kinds_upstream  # they register their kinds


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program", nargs="?", help="tlswhy (default: $TLSWHY, else of this checkout)")
    parser.add_argument("--extra", action="store_true", help="the second set")
    parser.add_argument("--no-tracer", action="store_true", help="judge nginx's log alone")
    parser.add_argument("--only", action="append", metavar="GLOB", help="kinds to run; repeatable")
    parser.add_argument("--scale", type=float, default=1.0, help="connections, as a multiple of the usual")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=40, metavar="N", help="mismatches printed in full")
    parser.add_argument("--keep", metavar="FILE", help="write the records there, one a line")
    return parser.parse_args()


def chosen(options, *groups):
    kinds = [k for k in KINDS.values() if k.group in groups]
    if options.only:
        kinds = [k for k in kinds if any(fnmatch.fnmatch(k.name, glob) for glob in options.only)]
    return kinds


def warm_up(traffic, options):
    """Upstreams that will refuse must have done TLS before: one good request each."""
    after = chosen(options, "after") if options.extra else []
    for name in ("gone", "full"):
        if any(name in k.name for k in after):
            traffic.current.kind = "before-" + name
            kinds_upstream.ask(traffic, "/" + name, False,
                               established(side="upstream", peer=traffic.premises.upstream(name)), code=200)
            traffic.premises.order("end" if name == "gone" else "fill", name)


def make_traffic(premises, options):
    traffic = Traffic(premises)
    groups = ("extra",) if options.extra else ("mix",)
    if options.extra:
        # Client and server, both without a cookie: there is one cookie per source address.
        premises.fast_open = premises.room.sysctl("net/ipv4/tcp_fastopen", str(0x1 | 0x2 | 0x4 | 0x200))
        premises.start_foreign()
    warm_up(traffic, options)
    traffic.run(traffic.plan(chosen(options, *groups) + (chosen(options, "after") if options.extra else []),
                             options.scale, options.seed))
    if options.extra:
        for one in chosen(options, "serial"):
            for _ in range(max(1, round(one.weight * options.scale))):
                traffic.once(one)
        foreign = premises.foreign_clients()
        for truth in traffic.truths:
            if truth.client in foreign:
                truth.kind, truth.expects = truth.kind + "-foreign", ()
    return traffic


def settled_lines(premises, traffic):
    """nginx's lines, once every connection that was promised one has it (or a deadline passed)."""
    promised = sum(1 for t in traffic.truths for e in t.expects if e.lines)
    try:
        wait_until(lambda: len(premises.nginx.error_lines()) >= promised, 5, "nginx's lines", 0.1)
    except Failure:
        pass
    return premises.nginx.error_lines()


class LogAlone(Comparison):
    """The same judgement without records: what nginx logs is what the kinds promise."""

    def judge_expect(self, truth, expect, line):
        self.matched_lines += line is not None

    def judge_backend_log(self):
        pass

    judge_access_log = judge_stale = judge_backend_log


def judge_summary(comparison, tracer, code, records):
    """The summary line counts what was written, and says that nothing was lost."""
    summary = tracer.summary
    if code != 0:
        comparison.mismatch("(summary)", "tlswhy ended with %d" % code, tracer.errors)
    for line in tracer.garbage:
        comparison.mismatch("(summary)", "a line that is no JSON", line)
    if summary is None:
        comparison.mismatch("(summary)", "no summary line", tracer.errors)
        return
    first = [r for r in records if r["previous"] is None]
    right = {"connections": len(first), "handshakes": sum(1 for r in first if r["handshake_calls"] > 0),
             "events_lost": 0, "handshakes_lost": 0, "pending": 0}
    for name, value in right.items():
        if summary.get(name) != value:
            comparison.mismatch("(summary)", "%s is %r, not %r" % (name, summary.get(name), value), summary)
    if tracer.of_type("lost"):
        comparison.mismatch("(summary)", "lost", *tracer.of_type("lost"))


def main():
    options = arguments()
    start = time.monotonic()
    with Premises(Room("parity")) as premises:
        tracer = None
        if not options.no_tracer:
            tracer = Tracer(premises.room, premises.nginx.pid, path=options.program).wait_ready()
        began = time.monotonic()
        traffic = make_traffic(premises, options)
        took = time.monotonic() - began
        lines = settled_lines(premises, traffic)
        records, code = [], 0
        if tracer:
            expected = sum(1 + (e.late == "must") for t in traffic.truths for e in t.expects)
            tracer.wait_settled(expected, 10)
            code = tracer.stop()
            records = tracer.connections
            if options.keep:
                with open(options.keep, "w") as out:
                    out.write("\n".join(tracer.lines) + "\n")
        comparison = (Comparison if tracer else LogAlone)(
            traffic.truths, lines, records, premises.backend.access_lines(), premises.nginx.access_lines(),
            premises.room).run()
        if tracer:
            judge_summary(comparison, tracer, code, records)
        if options.extra and not options.only and not any(line.kind == "stale" for line in lines):
            comparison.mismatch("(stale)", "nginx logged no stale code: the scenario did not happen")
        for failure in traffic.failures:
            comparison.mismatch("(laboratory)", failure)
    print(comparison.table())
    for at, (kind, text) in enumerate(comparison.mismatches):
        if at == options.show:
            print("… and %d more" % (len(comparison.mismatches) - at))
            break
        print("MISMATCH %s: %s" % (kind, text))
    failing = [t for t in traffic.truths if any(e.outcome not in ("established", None) for e in t.expects)]
    print("parity%s: %d connections, %d failing in %d ways, %d lines, %d matched, %d records, %d mismatches; "
          "traffic %.1f s, all %.1f s" % (
              " --extra" if options.extra else "", len(traffic.truths), len(failing), len({t.kind for t in failing}),
              len(lines), comparison.matched_lines, len(records), len(comparison.mismatches), took,
              time.monotonic() - start))
    return 1 if comparison.mismatches else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failure as failure:
        print("parity: the laboratory failed: %s" % failure)
        sys.exit(2)
