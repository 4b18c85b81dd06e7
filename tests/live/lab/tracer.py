# SPDX-License-Identifier: BSD-2-Clause
"""tlswhy as a process: started, seen ready, its records read while it runs, ended."""

import json
import os
import pathlib
import signal
import subprocess
import threading

from room import Failure, wait_until

ROOT = pathlib.Path(__file__).resolve().parents[3]


def program():
    """$TLSWHY, else the program of this checkout."""
    path = os.environ.get("TLSWHY") or str(ROOT / "tlswhy")
    if not os.access(path, os.X_OK):
        raise Failure("no program at %s: build it with `make`" % path)
    return path


class Tracer:
    def __init__(self, room, pid, *options, output="json", path=None):
        argv = [path or program(), "trace", "-p", str(pid)] + (["-o", output] if output else []) + list(options)
        self.lines, self.records, self.garbage, self.errors = [], [], [], ""
        self.output = output
        self.process = room.spawn(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self.process.read_by_thread = True
        self.threads = [threading.Thread(target=self._read_records, daemon=True),
                        threading.Thread(target=self._read_errors, daemon=True)]
        for thread in self.threads:
            thread.start()

    def _read_records(self):
        for raw in self.process.stdout:
            line = raw.decode(errors="replace").rstrip("\n")
            self.lines.append(line)
            if self.output == "json":
                try:
                    self.records.append(json.loads(line))
                except ValueError:
                    self.garbage.append(line)

    def _read_errors(self):
        for raw in self.process.stderr:
            self.errors += raw.decode(errors="replace")

    def wait_ready(self, seconds=20):
        def ready():
            if "tlswhy: tracing nginx PID" in self.errors or "tlswhy: tracing nginx " in self.errors:
                return True
            if self.process.poll() is not None:
                raise Failure("tlswhy ended with %d before it was ready: %s" % (self.process.returncode, self.errors))
            return False
        wait_until(ready, seconds, "tlswhy's ready line")
        return self

    def of_type(self, kind):
        return [r for r in list(self.records) if r.get("type") == kind]

    @property
    def connections(self):
        return self.of_type("connection")

    @property
    def summary(self):
        found = self.of_type("summary")
        return found[-1] if found else None

    def wait_for(self, match, seconds=10, what="a record"):
        """The first connection record that matches."""
        def found():
            for record in self.connections:
                if match(record):
                    return record
            return None
        return wait_until(found, seconds, what)

    def wait_settled(self, enough, seconds):
        """Until `enough` connection records came; no error when they do not, for that is judged later."""
        try:
            wait_until(lambda: len(self.connections) >= enough, seconds, "records", 0.05)
        except Failure:
            pass

    def stop(self, number=signal.SIGTERM, seconds=20):
        """Ends it; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failure("tlswhy did not end within %g s of signal %d" % (seconds, number)) from None
        for thread in self.threads:
            thread.join(5)
        return code
