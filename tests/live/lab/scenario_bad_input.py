#!/usr/bin/python3
# SPDX-License-Identifier: BSD-2-Clause
"""Wrong uses, broken recordings and hostile bytes: every exit code of the interface, and never a crash."""

import json
import os
import random
import re
import shutil
import signal
import subprocess

import hello
import peers
from premises import Premises
from room import Room, wait_until
from scenario import case, finish, record_of, run, tlswhy, trace
from tracer import Tracer, program
from truth import KINDS, Traffic, established

NOBODY = 65534


def one_line(checks, what, done, code):
    """An exit code, and where it is an error exactly one line that says what, why and what to do."""
    err = done.stderr.decode(errors="replace")
    checks("%s: exit %d" % (what, code), done.returncode == code, "exit %s" % done.returncode, err)
    if code not in (0, 2):
        checks("%s: one line on standard error" % what,
               err.count("\n") == 1 and re.match(r"tlswhy: [^:]+: .+; .+\n$", err), repr(err))
        checks("%s: nothing on standard output" % what, not done.stdout, done.stdout[:200])


@case
def usage(checks):
    for arguments in ((), ("--no-such-option",), ("no-such-command",), ("trace",), ("trace", "-p"), ("trace", "-p", "x/y\1"),
                      ("trace", "-p", "1", "--no-such-option"), ("trace", "-p", "1", "-o", "xml"),
                      ("trace", "-p", "1", "--ring-size", "1000"), ("trace", "-p", "1", "-s", "sideways"),
                      ("trace", "-p", "1", "-n", "-3"), ("trace", "-p", "1", "-d", "x"), ("trace", "-p", "1", "--peer", "1.2.3.4/99"),
                      ("trace", "-p", "1", "--outcome", "nonsense"), ("replay",), ("explain", "no-such-cause")):
        done = tlswhy(*arguments)
        # A pid file of that name does not exist, which is another error than a bad argument.
        right = (2, 3) if arguments == ("trace", "-p", "x/y\1") else (2,)
        checks("`tlswhy %s`: exit 2" % " ".join(ascii(a)[1:-1] for a in arguments), done.returncode in right,
               "exit %s" % done.returncode, done.stderr.decode(errors="replace"))
        checks("it says something", done.stderr, done.stdout)
    for arguments in (("--help",), ("--version",), ("trace", "--help"), ("replay", "--help"), ("check", "--help")):
        done = tlswhy(*arguments)
        checks("`tlswhy %s`: exit 0, on standard output alone" % " ".join(arguments),
               done.returncode == 0 and done.stdout and not done.stderr, done.returncode, done.stderr.decode())


@case
def no_target(checks):
    with Room("input") as room:
        one_line(checks, "no such pid", tlswhy("trace", "-p", "4194303"), 3)
        one_line(checks, "no such pid file", tlswhy("trace", "-p", str(room.where / "none.pid")), 3)
        one_line(checks, "not nginx", tlswhy("trace", "-p", str(os.getpid())), 3)
        # Called nginx, and has no OpenSSL.
        impostor = room.where / "nginx"
        shutil.copy("/bin/sleep", impostor)
        process = room.spawn([str(impostor), "600"])
        wait_until(lambda: os.readlink("/proc/%d/exe" % process.pid) == str(impostor), 5, "the impostor")
        one_line(checks, "no OpenSSL in it", tlswhy("trace", "-p", str(process.pid)), 3)
        one_line(checks, "a pid file that names no process", tlswhy("trace", "-p", room.make("old.pid", "4194303\n")), 3)
        one_line(checks, "a pid file with no number", tlswhy("trace", "-p", room.make("bad.pid", "nginx\n")), 3)


def without_btf(argv):
    """In a mount namespace where the kernel's type information is hidden."""
    return ["unshare", "-m", "--propagation", "private", "sh", "-c",
            'mount -t tmpfs none /sys/kernel/btf && exec "$@"', "sh"] + argv


@case
def host(checks):
    with Premises(Room("input")) as premises:
        pid = str(premises.nginx.pid)
        if subprocess.run(without_btf(["true"]), stderr=subprocess.DEVNULL).returncode == 0:
            done = finish(without_btf([program(), "trace", "-p", pid, "-d", "1"]))
            one_line(checks, "no BTF", done, 4)
            done = finish(without_btf([program(), "check", "-p", pid]))
            checks.equal("exit code of check without BTF", done.returncode, 4, done.stdout.decode())
        else:
            checks("a mount namespace can be made", False)
        # The program may lie where only root can go.
        copy = str(premises.room.where / "tlswhy")
        shutil.copy(program(), copy)
        os.chmod(copy, 0o755)
        done = tlswhy("trace", "-p", pid, path=copy, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        one_line(checks, "not root", done, 5)
        done = tlswhy("check", "-p", pid, path=copy, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/")
        checks.equal("exit code of check without rights", done.returncode, 5, done.stdout.decode(), done.stderr.decode())
        checks.equal("exit code of check", tlswhy("check", "-p", pid).returncode, 0)
        checks.equal("exit code of check of no nginx", tlswhy("check", "-p", str(os.getpid())).returncode, 3)


@case
def clean_ends(checks):
    with Premises(Room("input")) as premises:
        traffic = Traffic(premises)

        def connect():
            with traffic.open("tls", established()) as talk:
                peers.get(traffic.secure(talk))
            return talk
        for number in (signal.SIGINT, signal.SIGTERM):
            tracer = trace(premises)
            connect()
            wait_until(lambda: tracer.connections, 10, "a record")
            checks.equal("exit code after %s" % number.name, tracer.stop(number), 0)
            checks("the last line is the summary", tracer.records[-1]["type"] == "summary", tracer.lines[-1])
            checks("standard error has a summary", len(tracer.errors.splitlines()) >= 2, tracer.errors)
            checks.equal("the first line's type", tracer.records[0]["type"], "session")
        tracer = trace(premises, "-n", "3")
        for _ in range(3):
            connect()
        wait_until(lambda: tracer.process.poll() is not None, 10, "the end after three records")
        checks.equal("exit code with -n 3", tracer.stop(), 0)
        checks.equal("records", len(tracer.connections), 3)
        tracer = trace(premises, "-d", "1")
        wait_until(lambda: tracer.process.poll() is not None, 10, "the end after a second")
        checks.equal("exit code with -d 1", tracer.stop(), 0)

        # A handshake that is not over at the end is pending, and no failure.
        tracer = trace(premises)
        with traffic.open("tls") as talk:
            talk.send(hello.hello_12())
            talk.flight()
            checks.equal("exit code in mid-handshake", tracer.stop(), 0)
        checks.equal("pending", tracer.summary["pending"], 1, tracer.summary)
        checks.equal("records of it", tracer.connections, [])

        # A reader that goes away.
        process = premises.room.spawn([program(), "trace", "-p", str(premises.nginx.pid), "-o", "json"],
                                      stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        while b"tracing nginx" not in (line := process.stderr.readline()):
            if not line:
                break
        process.stdout.close()

        def ended():
            connect()
            return process.poll() is not None
        wait_until(ended, 10, "the end after the reader's", 0.1)
        checks.equal("exit code when the reader closes the pipe", process.returncode, 0, process.stderr.read().decode())

        done = tlswhy("trace", "-p", str(premises.nginx.pid), "-d", "1", "--save", "/nonexistent/directory/file")
        one_line(checks, "a recording that cannot be written", done, 1)

        # nginx ends.
        tracer = trace(premises)
        connect()
        premises.nginx.signal(signal.SIGTERM)
        wait_until(lambda: tracer.process.poll() is not None, 15, "tlswhy's end with nginx's")
        checks.equal("exit code when nginx ended", tracer.stop(), 0, tracer.errors)
        checks.equal("what was before it is written", len(tracer.connections), 1)


def recording(premises, *kinds):
    """A file of raw events, and how many connections were written live."""
    saved = premises.room.where / "events.save"
    tracer = trace(premises, "--save", str(saved))
    traffic = Traffic(premises)
    for name in kinds:
        traffic.once(KINDS[name])
    tracer.wait_settled(len(traffic.truths), 10)
    tracer.stop()
    if traffic.failures:
        raise RuntimeError(traffic.failures[0])
    return saved, tracer


def mutations(data, count, seed=7):
    """A recording damaged in many ways."""
    chance = random.Random(seed)
    for at in range(count):
        changed = bytearray(data)
        way = at % 5
        if way == 0:
            for _ in range(chance.randint(1, 20)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        elif way == 1:
            del changed[chance.randrange(len(changed)):]
        elif way == 2:
            start = chance.randrange(len(changed))
            del changed[start:start + chance.randint(1, 600)]
        elif way == 3:
            start = chance.randrange(len(changed))
            changed[start:start] = chance.randbytes(chance.randint(1, 600))
        else:
            # Lengths and kinds: small or huge numbers on a word's place.
            for _ in range(chance.randint(1, 8)):
                start = chance.randrange(len(changed) // 4) * 4
                changed[start:start + 4] = chance.choice((0, 1, 31, 0x7fffffff, 0xffffffff, 1025)).to_bytes(4, "little")
        yield bytes(changed)


MUTATIONS = 400


@case
def recordings(checks):
    with Premises(Room("input")) as premises:
        saved, tracer = recording(premises, "tls13-full", "tls12-full", "protocol-too-old", "unknown-ca-13", "plain-http",
                                  "connect-close", "half-hello-fin", "upstream-good", "upstream-plain-http",
                                  "mtls-missing-13", "proxy-protocol-good", "starttls", "sni-rejected")
        done = tlswhy("replay", str(saved), "-o", "json")
        one_line(checks, "replay of a good recording", done, 0)
        replayed = [json.loads(line) for line in done.stdout.decode().splitlines()]
        live = {r["id"]: r for r in tracer.connections}
        again = {r["id"]: r for r in replayed if r["type"] == "connection"}
        checks("replay says what trace said (%d records)" % len(live), live == again and live,
               *[(live.get(i), again.get(i)) for i in list(live) + list(again) if live.get(i) != again.get(i)][:3])
        one_line(checks, "a recording that is missing", tlswhy("replay", str(premises.room.where / "none")), 1)
        one_line(checks, "an empty one", tlswhy("replay", premises.room.make("empty", "")), 1)
        one_line(checks, "a foreign one", tlswhy("replay", "/bin/sh"), 1)
        one_line(checks, "a directory", tlswhy("replay", "/"), 1)
        data = saved.read_bytes()
        damaged = premises.room.where / "damaged.save"
        bad, codes = [], set()
        for at, changed in enumerate(mutations(data, MUTATIONS)):
            damaged.write_bytes(changed)
            done = tlswhy("replay", str(damaged), "-o", ("json", "text")[at & 1])
            codes.add(done.returncode)
            output = done.stdout.decode(errors="strict")
            if done.returncode not in (0, 1) or b"Sanitizer" in done.stderr:
                bad.append("mutation %d: exit %d: %s" % (at, done.returncode, done.stderr.decode()[:400]))
            if at & 1 == 0:
                for line in output.splitlines():
                    json.loads(line)
            if dangerous(done.stdout):
                bad.append("mutation %d: control characters" % at)
        checks("%d damaged recordings: exit 0 or 1, valid output (codes %s)" % (MUTATIONS, sorted(codes)), not bad, *bad[:5])


HOSTILE = (b"\x1b[31mred\x1b[0m.test", b"a\nb.test", b"a\rb.test", b"quote\"back\\slash.test", b"\xff\xfe\xfd.test",
           b"bell\x07.test", b"del\x7f.test", b"\xc2\x9b31m.test", b"\xe2\x80\xae.test", b"tab\t.test", b"%s%n%x.test",
           b"\xed\xa0\x80.test", b"\xf4\x90\x80\x80.test", b"<script>.test", b"x" * 255, b"\xc0\xaf.test", b"\x1b]0;t\x07.test")


def dangerous(output):
    """Control characters that a terminal would act on; a newline ends a record."""
    text = output.decode("utf-8", errors="replace")
    return [c for c in text if c != "\n" and (ord(c) < 0x20 or 0x7f <= ord(c) <= 0x9f or c in "\u202a\u202b\u202c\u202d\u202e"
                                              "\u2066\u2067\u2068\u2069\u2028\u2029")]


@case
def hostile_bytes(checks):
    with Premises(Room("input")) as premises:
        saved = premises.room.where / "hostile.save"
        tracer = trace(premises, "--save", str(saved))
        texts = Tracer(premises.room, premises.nginx.pid, output="text").wait_ready()
        traffic = Traffic(premises)
        talks = []
        for name in HOSTILE:
            for opening in (hello.hello_12(sni=name), hello.hello_13(sni=name),
                            hello.hello_13(protocols=(name, b"h2"[:1] + name[:100]))):
                with traffic.open("tls") as talk:
                    talk.send(opening)
                    talk.fin()
                    talk.drain()
                talks.append((talk, name))
            with traffic.open("tls") as talk:
                talk.send(name[:12] + b" \r\n\r\n")
                talk.fin()
                talk.drain()
            talks.append((talk, name))
        for talk, name in talks:
            record_of(tracer, talk)
        tracer.stop()
        texts.stop()
        checks("every line is JSON", not tracer.garbage, *tracer.garbage[:3])
        checks.equal("records", len(tracer.connections), len(talks))
        raw = "\n".join(tracer.lines).encode("utf-8", errors="surrogateescape")
        checks("JSON is valid UTF-8", raw.decode("utf-8") is not None)
        checks("JSON has no control character", not dangerous(raw), dangerous(raw)[:10])
        shown = {r["sni"] for r in tracer.connections}
        for name in (b"quote\"back\\slash.test", b"<script>.test", b"%s%n%x.test", b"x" * 255):
            checks("a harmless name is told as it is: %s" % name[:20].decode(), name.decode() in shown, sorted(filter(None, shown)))
        text = "\n".join(texts.lines).encode()
        checks("text has lines", len(texts.lines) >= len(talks), texts.errors)
        checks("text has no control character", not dangerous(text), [hex(ord(c)) for c in dangerous(text)[:10]])
        checks("standard error has none either", not dangerous((tracer.errors + texts.errors).encode()))
        for output in ("text", "json"):
            done = tlswhy("replay", str(saved), "-o", output)
            checks("replay -o %s has none either" % output, done.returncode == 0 and not dangerous(done.stdout),
                   done.returncode, done.stderr.decode())


if __name__ == "__main__":
    run()
