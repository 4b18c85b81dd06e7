# SPDX-License-Identifier: BSD-2-Clause
"""Ground truth, nginx's error log and tlswhy's records, laid side by side: what does not fit is a mismatch."""

import collections
import json
import subprocess

from truth import ANY

# Lines that belong to another line's record, or to none in particular.
EVIDENCE_LINES = ("stale", "cannot-load")


def cipher_names():
    """OpenSSL's name → the IANA name, by OpenSSL itself."""
    out = subprocess.run(["openssl", "ciphers", "-stdname", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"],
                         stdout=subprocess.PIPE, check=True).stdout.decode()
    return {fields[2]: fields[0] for fields in (line.split() for line in out.splitlines()) if len(fields) > 2}


def endpoint(value):
    return (value["address"], value["port"]) if value else None


class Comparison:
    def __init__(self, truths, lines, records, backend_log, access_log, own_ports):
        self.truths, self.lines, self.records = truths, lines, records
        self.backend_log, self.access_log = backend_log, access_log
        self.own_ports = own_ports  # of the traced nginx: an upstream that is nginx itself
        self.mismatches = []  # (kind, text)
        self.claimed = set()
        self.matched_lines = 0
        self.counts = collections.defaultdict(collections.Counter)
        self.ciphers = cipher_names()
        self.by_client = {}
        for truth in truths:
            self.by_client[truth.client] = truth
            if truth.client[0] != "::1":
                self.by_client[truth.client[0]] = truth

    def mismatch(self, kind, text, *facts):
        self.counts[kind]["mismatches"] += 1
        facts = "".join("\n    " + (json.dumps(f, ensure_ascii=True) if isinstance(f, dict) else str(f)) for f in facts)
        self.mismatches.append((kind, text + facts))

    def run(self):
        self.index()
        for line in self.lines:
            self.attribute(line)
        for truth in self.truths:
            self.counts[truth.kind]["connections"] += 1
            self.counts[truth.kind]["lines"] += len(truth.lines)
            self.judge(truth)
        self.judge_backend_log()
        self.judge_access_log()
        self.judge_stale()
        for record in self.records:
            if record["id"] not in self.claimed:
                truth = self.truth_of(record)
                self.mismatch(truth.kind if truth else "(nobody's)", "a record that nothing accounts for", record)
        return self

    # ---- records ----------------------------------------------------------------------------------

    def index(self):
        self.clients, self.upstreams = collections.defaultdict(list), collections.defaultdict(list)
        self.followers = collections.defaultdict(list)
        ids = collections.Counter(r["id"] for r in self.records)
        for ident, count in ids.items():
            if count > 1:
                self.mismatch("(nobody's)", "id %s is used %d times" % (ident, count))
        for record in self.records:
            self.judge_record(record)
            if record["previous"] is not None:
                if record["previous"] not in ids:
                    self.mismatch("(nobody's)", "previous names no record", record)
                self.followers[record["previous"]].append(record)
            elif record["side"] == "client":
                self.clients[record["peer"]["address"]].append(record)
            else:
                self.upstreams[record["local"]["address"] if record["local"] else None].append(record)

    def truth_of(self, record):
        end = record["peer"] if record["side"] == "client" else record["local"]
        if not end:
            return None
        return self.by_client.get((end["address"], end["port"])) or self.by_client.get(end["address"])

    def judge_record(self, record):
        """What holds for every record."""
        latency = record["latency_us"]
        if latency["total"] is not None:
            parts = sum(latency[name] or 0 for name in ("hello_wait", "pickup", "crypto", "peer_wait"))
            if parts != latency["total"]:
                self.mismatch("(every record)", "latency: total %d, its parts %d" % (latency["total"], parts), record)
            if any((latency[name] or 0) < 0 for name in latency):
                self.mismatch("(every record)", "latency: a part below 0", record)
        if (record["cause"] is None) != (record["outcome"] == "established"):
            self.mismatch("(every record)", "cause and outcome do not fit", record)
        if record["error"] is not None and record["outcome"] == "established":
            self.mismatch("(every record)", "established with an error", record)
        if record["error"] is not None and record["error"]["code"] not in record["error"]["queue"]:
            self.mismatch("(every record)", "the code is not in its queue", record)

    # ---- lines --------------------------------------------------------------------------------------

    def attribute(self, line):
        truth = self.by_client.get((line.client, line.client_port) if line.client_port else line.client)
        if truth is None:
            self.mismatch("(nobody's)", "a line of no connection of ours", line)
        else:
            truth.lines.append(line)

    # ---- one connection -----------------------------------------------------------------------------

    def judge(self, truth):
        open_lines = [line for line in truth.lines if line.kind not in EVIDENCE_LINES]
        for expect in truth.expects:
            if expect.outcome is None:
                continue
            lines = [line for line in open_lines if line.side == expect.side and
                     (not expect.peer or line.upstream in (None, "%s:%d" % expect.peer))]
            line = None
            wanted = [kind for kind in expect.lines if kind not in EVIDENCE_LINES]
            if wanted:
                fitting = [one for one in lines if one.kind in wanted]
                if len(fitting) != 1:
                    self.mismatch(truth.kind, "%s: %d lines of %s in nginx's log" % (truth, len(fitting), wanted),
                                  *truth.lines)
                else:
                    line = fitting[0]
                    open_lines.remove(line)
                    self.judge_line(truth, expect, line)
            self.judge_expect(truth, expect, line)
        for line in open_lines:
            self.mismatch(truth.kind, "%s: a line that was not expected" % truth, line)

    def judge_line(self, truth, expect, line):
        if expect.codes and line.codes != expect.codes:
            self.mismatch(truth.kind, "%s: nginx's codes are not %s" % (truth, (expect.codes,)), line)
        if expect.verify is not None and line.verify != expect.verify:
            self.mismatch(truth.kind, "%s: nginx's verify code is not %d" % (truth, expect.verify), line)

    def candidates(self, truth, expect):
        if expect.side == "client":
            found = self.clients[truth.client[0]]
            if expect.inner:
                return [r for r in found if r["peer"]["port"] != truth.client[1]]
            return [r for r in found if r["peer"]["port"] == truth.client[1]]
        return [r for r in self.upstreams[truth.client[0]] if endpoint(r["peer"]) == expect.peer]

    def judge_expect(self, truth, expect, line):
        found = [r for r in self.candidates(truth, expect) if r["id"] not in self.claimed]
        if len(found) != 1:
            self.mismatch(truth.kind, "%s: %d records of side %s instead of 1" % (truth, len(found), expect.side),
                          *(found + ([line] if line else [])))
            for record in found:
                self.claim(truth, record)
            return
        primary = found[0]
        later = self.followers[primary["id"]]
        self.claim(truth, primary)
        for record in later:
            self.claim(truth, record)
        if expect.late == "stale":
            if len(later) > 1 or any(not self.is_evidence(r) for r in later):
                self.mismatch(truth.kind, "%s: a second record that only a stale code can explain" % truth, *later)
            self.judge_match(truth, expect, None, primary)
            return
        two = expect.late == "must" or (expect.late == "may" and primary["outcome"] == "established")
        if len(later) != two:
            self.mismatch(truth.kind, "%s: %d later records instead of %d" % (truth, len(later), two), primary, *later,
                          *truth.lines)
            return
        if two:
            if primary["outcome"] != "established" or not primary["handshake_calls"]:
                self.mismatch(truth.kind, "%s: the first record is not of an established handshake" % truth, primary)
            if later[0]["handshake_calls"] != 0:
                self.mismatch(truth.kind, "%s: the later record claims handshake calls" % truth, later[0])
        self.judge_match(truth, expect, line, later[0] if two else primary, two)

    @staticmethod
    def is_evidence(record):
        return record["cause"] is not None and bool(record["cause"]["evidence"])

    def claim(self, truth, record):
        self.claimed.add(record["id"])
        self.counts[truth.kind]["records"] += 1

    def judge_match(self, truth, expect, line, record, second=False):
        """Every fact of a record that the truth or nginx's line knows."""
        wrong = []

        def check(name, got, *right):
            if got not in right:
                wrong.append("%s is %r, not %s" % (name, got, " or ".join(repr(r) for r in right)))
        check("outcome", record["outcome"], expect.outcome)
        if expect.causes:
            check("cause", record["cause"] and record["cause"]["id"], *expect.causes)
        if expect.side == "client" and not expect.inner:
            check("peer", endpoint(record["peer"]), truth.client)
            check("local", endpoint(record["local"]), truth.target)
        if expect.proxied:
            check("proxied_peer", endpoint(record["proxied_peer"]), expect.proxied)
        if expect.sni is not ANY:
            check("sni", record["sni"], expect.sni)
        if expect.version:
            check("tls.version", record["tls"]["version"], expect.version)
        if expect.resumed is not None:
            check("tls.resumed", record["tls"]["resumed"], expect.resumed)
        if expect.calls is not None and not second:
            check("handshake_calls > 0", record["handshake_calls"] > 0, expect.calls)
        error = record["error"]
        if line is not None:
            self.matched_lines += 1
            self.counts[truth.kind]["matched"] += 1
            # Of a connection that was reset before any worker looked nobody knows whose it would be.
            if record["worker_pid"] is not None or line.kind != "reset-before-hello":
                check("worker_pid", record["worker_pid"], line.pid)
            check("error.text", error and error["text"], line.text)
            check("error.queue", tuple(error["queue"]) if error else (), line.codes)
            if line.verify is not None:
                check("verify.code", record["verify"] and record["verify"]["code"], line.verify)
            if line.kind == "connect-failed":
                check("errno", record["errno"], 111)
            if line.kind in ("peer-reset", "reset-before-hello"):
                check("errno", record["errno"], 104)
                check("tcp.reset", record["tcp"]["reset"], "peer")
        else:
            check("error", error, None)
        for code in expect.evidence:
            if not any(code in fact for fact in (record["cause"] or {}).get("evidence", [])):
                wrong.append("cause.evidence does not name %s" % code)
        if wrong:
            self.mismatch(truth.kind, "%s: %s" % (truth, "; ".join(wrong)), record, *([line] if line else []))

    # ---- the logs of those who succeeded -------------------------------------------------------------

    def judge_negotiated(self, kind, record, logged):
        tls, wrong = record["tls"], []
        if logged["version"] and tls["version"] != logged["version"]:
            wrong.append("version %s, nginx says %s" % (tls["version"], logged["version"]))
        cipher = self.ciphers.get(logged["cipher"], logged["cipher"])
        if logged["cipher"] and tls["cipher"] != cipher:
            wrong.append("cipher %s, nginx says %s" % (tls["cipher"], cipher))
        reused = {"r": True, ".": False}.get(logged["reused"])
        if reused is not None and tls["resumed"] is not reused:
            wrong.append("resumed %s, nginx says %s" % (tls["resumed"], reused))
        if record["sni"] != logged["sni"]:
            wrong.append("sni %s, nginx says %s" % (record["sni"], logged["sni"]))
        # In TLS 1.3 the server's choice is encrypted.
        visible = tls["version"] != "TLSv1.3" or tls["alpn"] is not None
        if logged["alpn"] and visible and tls["alpn"] != logged["alpn"]:
            wrong.append("alpn %s, nginx says %s" % (tls["alpn"], logged["alpn"]))
        if wrong:
            self.mismatch(kind, "negotiated: " + "; ".join(wrong), record, logged)

    def judge_backend_log(self):
        """Every TLS connection that the good upstreams served is exactly one record of the upstream side."""
        connections = {(e["client"], int(e["client_port"])): e for e in self.backend_log if e["version"]}
        records = collections.defaultdict(list)
        for found in self.upstreams.values():
            for record in found:
                records[endpoint(record["local"])].append(record)
        for client, logged in connections.items():
            truth = self.by_client.get(client[0]) if client[0] != "::1" else None
            if self.by_client.get(client):  # a client of ours that is no nginx
                continue
            kind = truth.kind if truth else "upstream-v6"
            if len(records[client]) != 1:
                self.mismatch(kind, "%d records of the upstream connection from %s:%d" % ((len(records[client]),) + client),
                              logged, *records[client])
                continue
            record = records[client][0]
            if record["id"] not in self.claimed:
                self.counts[kind]["records"] += 1
                if record["outcome"] != "established":
                    self.mismatch(kind, "not established, and yet it served a request", record, logged)
            self.claimed.add(record["id"])
            self.claimed.update(r["id"] for r in self.followers[record["id"]])
            self.judge_negotiated(kind, record, logged)

    def judge_access_log(self):
        """nginx's own words for what each client negotiated."""
        records = {endpoint(r["peer"]): r for found in self.clients.values() for r in found}
        for logged in self.access_log:
            if not logged["version"]:
                continue
            record = records.get((logged["client"].replace("::ffff:", ""), int(logged["client_port"])))
            # A stream session is logged too where the handshake failed, with the cipher (NONE).
            if record is None or record["outcome"] != "established":
                continue
            truth = self.truth_of(record)
            self.judge_negotiated(truth.kind if truth else "(nobody's)", record, logged)

    def judge_stale(self):
        """A stale code is evidence somewhere and never the error of the connection in whose line it stands."""
        for line in self.lines:
            if line.kind != "stale":
                continue
            told = [r for r in self.records if line.codes and line.codes[0] in json.dumps(
                [(r["cause"] or {}).get("evidence"), r.get("stale_errors")])]
            if not told:
                self.mismatch("(stale)", "no record's evidence names this line's code", line)
            else:
                self.matched_lines += 1

    # ---- in words -------------------------------------------------------------------------------------

    def table(self):
        rows = ["%-38s %11s %6s %8s %10s" % ("kind", "connections", "lines", "records", "mismatches")]
        for kind in sorted(self.counts):
            c = self.counts[kind]
            rows.append("%-38s %11d %6d %8d %10d" % (kind, c["connections"], c["lines"], c["records"], c["mismatches"]))
        return "\n".join(rows)
