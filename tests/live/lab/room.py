# SPDX-License-Identifier: BSD-2-Clause
"""
The room that a laboratory runs in: a number that nobody else has, addresses and ports made from it,
a directory, and a guard process that cleans all of it up whichever way the laboratory ends.

Everything is on loopback: servers on 127.N.0.x, upstreams on 127.N.1.x and 127.N.2.x, and every
client connection has a source address of its own in 127.N.16.1 and above, because nginx's error
log names a client by its address alone.
"""

import ctypes
import itertools
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

PR_SET_PDEATHSIG = 1
PORTS_PER_ROOM = 60
FIRST_PORT = 20000  # rooms × ports stay below the ephemeral range, which begins at 32768
ROOMS = range(1, 200)
LIBC = ctypes.CDLL(None, use_errno=True)


class Failure(Exception):
    """The laboratory itself could not do its work: never a verdict on what it tests."""


def wait_until(condition, seconds, what, interval=0.01):
    """Polls a condition; its first true value is returned, and a Failure raised at the deadline."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise Failure("waited %g s for %s" % (seconds, what))
        time.sleep(interval)


def end_processes(group, seconds):
    """SIGTERM to the group, SIGKILL to whoever is left; the caller leads the group itself."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    # A stopped process would keep the SIGTERM pending.
    os.killpg(group, signal.SIGCONT)
    os.killpg(group, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and members(group):
        time.sleep(0.01)
    for pid in members(group):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def members(group):
    """Live processes of a process group, without its leader."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == group:
            continue
        try:
            fields = pathlib.Path("/proc", entry, "stat").read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[2]) == group and fields[0] != "Z":
            found.append(int(entry))
    return found


class Room:
    def __init__(self, name="lab"):
        self.number, self._claim = self._claim_number()
        self.where = pathlib.Path(tempfile.mkdtemp(prefix="tlswhy-%s-" % name))
        self.where.chmod(0o755)  # nginx's workers are not root
        self._sysctls = {}
        self._ports = {}
        self._sources = itertools.count()
        self._used_ports = set()  # of clients on ::1
        self._source_lock = threading.Lock()
        self.processes = []
        self._start_guard()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()

    @staticmethod
    def _claim_number():
        """An abstract socket's name is free again the moment its owner dies."""
        for number in ROOMS:
            claim = socket.socket(socket.AF_UNIX)
            try:
                claim.bind("\0tlswhy-lab-%d" % number)
                return number, claim
            except OSError:
                claim.close()
        raise Failure("every laboratory is taken")

    def _start_guard(self):
        """
        A child that owns the process group of all that is started here, and sees by the end of a
        pipe that this process is gone, even by SIGKILL.
        """
        reader, self._alive = os.pipe()
        self.group = os.fork()
        if self.group == 0:
            try:
                os.setpgid(0, 0)
                os.close(self._alive)
                for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
                    signal.signal(number, signal.SIG_IGN)
                orders = b""
                while chunk := os.read(reader, 4096):
                    orders += chunk
                end_processes(os.getpgrp(), 3)
                for order in orders.decode().splitlines():
                    path, value = order.split("=", 1)
                    pathlib.Path(path).write_text(value)
                shutil.rmtree(self.where, ignore_errors=True)
            finally:
                os._exit(0)
        os.close(reader)
        # Both sides do it, so that neither has to wait for the other.
        try:
            os.setpgid(self.group, self.group)
        except OSError:
            pass

    def close(self):
        if self.group:
            os.close(self._alive)
            for process in self.processes:
                for stream in (process.stdin, process.stdout, process.stderr):
                    if stream and not stream.closed and not getattr(process, "read_by_thread", False):
                        stream.close()
            os.waitpid(self.group, 0)
            self.group = 0
            for process in self.processes:
                process.wait()
            self._claim.close()

    def sysctl(self, path, value):
        """Sets a sysctl for as long as the room is open; False where that is not allowed."""
        path = pathlib.Path("/proc/sys", path)
        try:
            before = path.read_text().strip()
            if before != value:
                os.write(self._alive, ("%s=%s\n" % (path, before)).encode())
                path.write_text(value)
            return True
        except OSError:
            return False

    def spawn(self, argv, **options):
        """
        Starts a process in the guard's group. Only from the main thread: PR_SET_PDEATHSIG means the
        death of the thread that forked.
        """
        group = self.group

        def enter_group():
            os.setpgid(0, group)
            # nginx's workers outlive a master that was killed, so ask it to end.
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)

        process = subprocess.Popen(argv, preexec_fn=enter_group, **options)
        self.processes.append(process)
        return process

    def port(self, name):
        """The same number for the same name, on whichever address."""
        if name not in self._ports:
            if len(self._ports) >= PORTS_PER_ROOM:
                raise Failure("more than %d ports" % PORTS_PER_ROOM)
            self._ports[name] = FIRST_PORT + self.number * PORTS_PER_ROOM + len(self._ports)
        return self._ports[name]

    def address(self, third, fourth):
        return "127.%d.%d.%d" % (self.number, third, fourth)

    @property
    def server(self):
        return self.address(0, 1)

    def source(self):
        """A loopback address that no other connection of this room has or had."""
        with self._source_lock:
            number = next(self._sources)
        if number >= 230 * 254:
            raise Failure("out of source addresses")
        return self.address(16 + number // 254, 1 + number % 254)

    def bind_client(self, client):
        """
        Gives a client's socket an address and port that no other of this room has or had. There is
        only one ::1, and the kernel soon uses a port again towards another listener.
        """
        if client.family == socket.AF_INET:
            client.bind((self.source(), 0))
            return client
        rejected = []
        while True:
            client.bind(("::1", 0))
            port = client.getsockname()[1]
            with self._source_lock:
                fresh = port not in self._used_ports
                self._used_ports.add(port)
            if fresh:
                for other in rejected:
                    other.close()
                return client
            # Kept until another was found, so that it is not chosen again.
            rejected.append(client)
            client = socket.socket(client.family, socket.SOCK_STREAM)

    def make(self, name, text):
        path = self.where / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return str(path)
