# SPDX-License-Identifier: BSD-2-Clause
"""A private nginx: its own prefix, logs, ports; nothing of the system's but the binary and its modules."""

import os
import pathlib
import shutil
import signal
import subprocess

import errorlog
from room import wait_until

FRAME = """
{modules}
daemon off;
user www-data www-data;
worker_processes {workers};
worker_shutdown_timeout 30s;
pid {where}/nginx.pid;
error_log {where}/error.log info;
events {{
	worker_connections 4096;
	# Its accept lines join a client without an address of its own to its port.
	debug_connection ::1;
}}
http {{
	log_format lab '$connection|$remote_addr|$remote_port|$server_addr|$server_port|$ssl_protocol|'
		'$ssl_cipher|$ssl_session_reused|$ssl_server_name|$ssl_alpn_protocol|$status|$upstream_addr|'
		'$connection_requests';
	access_log {where}/access.log lab;
	client_body_temp_path {where}/tmp-body;
	proxy_temp_path {where}/tmp-proxy;
	fastcgi_temp_path {where}/tmp-fastcgi;
	uwsgi_temp_path {where}/tmp-uwsgi;
	scgi_temp_path {where}/tmp-scgi;
	server_names_hash_bucket_size 128;
	variables_hash_max_size 2048;
{http}
}}
stream {{
	log_format lab '$connection|$remote_addr|$remote_port|$server_addr|$server_port|$ssl_protocol|'
		'$ssl_cipher|$ssl_session_reused|$ssl_server_name||$status|$upstream_addr|1';
	access_log {where}/access.log lab;
{stream}
}}
{mail}
"""

ACCESS_FIELDS = ("connection", "client", "client_port", "server", "server_port", "version", "cipher",
                 "reused", "sni", "alpn", "status", "upstream", "requests")


def module_dir():
    for where in ("/usr/lib/nginx/modules", "/usr/share/nginx/modules"):
        if os.path.isdir(where):
            return where
    return "modules"


class Nginx:
    def __init__(self, room, name, http, stream="", mail="", workers=2):
        self.room = room
        self.where = room.where / name
        self.where.mkdir(mode=0o755)
        modules = "".join("load_module %s/ngx_%s_module.so;\n" % (module_dir(), kind)
                          for kind, wanted in (("stream", True), ("mail", bool(mail))) if wanted)
        self.parts = dict(modules=modules, where=self.where, workers=workers, http=http, stream=stream,
                          mail="mail {\n%s\n}" % mail if mail else "")
        self.configure()
        self.process = None

    def configure(self, **changes):
        self.parts.update(changes)
        (self.where / "nginx.conf").write_text(FRAME.format(**self.parts))

    def start(self, upgradable=False):
        binary = shutil.which("nginx", path=os.environ.get("PATH", "") + ":/usr/sbin")
        # The full path: a binary upgrade (USR2) executes argv[0] again, without a search.
        argv = [binary, "-p", str(self.where), "-c", str(self.where / "nginx.conf"), "-e", str(self.where / "error.log")]
        if upgradable:
            # nginx ignores USR2 while its parent is the one it was started by; the guard finds it still.
            argv = ["sh", "-c", '"$@" & read -r line', "sh"] + argv
        with open(self.where / "stderr", "wb") as output:
            self.process = self.room.spawn(argv, stdin=subprocess.PIPE, stdout=output, stderr=output)

        def ready():
            if self.process.poll() is not None:
                raise RuntimeError("nginx did not start:\n" + (self.where / "stderr").read_text())
            return len(self.workers()) >= self.parts["workers"]
        wait_until(ready, 10, "nginx and its workers")
        if upgradable:
            self.process.stdin.close()
            self.process.wait()
        return self

    @property
    def pid(self):
        """Of the master; while a binary upgrade renames the file there is none."""
        return int((self.where / "nginx.pid").read_text())

    def workers(self, master=None):
        """Live workers that are not on their way out, told by their title."""
        return self._children(master, b"nginx: worker process\0", b"nginx: worker process")

    def old_workers(self, master=None):
        return self._children(master, b"nginx: worker process is shutting down",
                              b"nginx: worker process is shutting down\0")

    def _children(self, master, *titles):
        try:
            master = master or self.pid
        except (OSError, ValueError):
            return []
        try:
            text = pathlib.Path("/proc/%d/task/%d/children" % (master, master)).read_text()
        except OSError:
            return []
        found = []
        for pid in text.split():
            try:
                title = pathlib.Path("/proc", pid, "cmdline").read_bytes()
            except OSError:
                continue
            if title.rstrip(b"\0") in [t.rstrip(b"\0") for t in titles]:
                found.append(int(pid))
        return found

    def signal(self, number, pid=None):
        os.kill(pid or self.pid, number)

    def reload(self):
        before = set(self.workers())
        self.signal(signal.SIGHUP)
        wait_until(lambda: len(set(self.workers()) - before) >= self.parts["workers"], 10, "workers after the reload")

    def error_lines(self):
        return errorlog.parse_file(self.where / "error.log")

    def access_lines(self):
        """One dict a line; the log is written at once, for it is not buffered."""
        found = []
        path = self.where / "access.log"
        if path.exists():
            for line in path.read_text(errors="replace").splitlines():
                fields = line.split("|")
                if len(fields) == len(ACCESS_FIELDS):
                    found.append({k: (None if v in ("-", "") else v) for k, v in zip(ACCESS_FIELDS, fields)})
        return found
