# SPDX-License-Identifier: MIT OR Apache-2.0
"""The suite's conftest.py: chooses the simulator, replaces the fixed wait of 3 s by a look at the
ports, and writes a line for each test."""
import os
import socket
import subprocess
import time
from . import TSS2_BaseTest as base

READY_S = 20
base.TpmSimulator.SIMULATORS = [
    base.SwtpmSimulator if os.environ["TARGET"] == "swtpm" else base.IBMSimulator]


def free_pair():
    for _ in range(100):
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = first.getsockname()[1]
            try:
                second.bind(("127.0.0.1", port + 1))
                return port
            except (OSError, OverflowError):
                continue
    raise SystemError("no free pair of ports")


def listening(port):
    with open("/proc/net/tcp") as table:
        fields = (line.split() for line in table)
        return any(row[1].endswith(f":{port:04X}") and row[3] == "0A" for row in fields)


def start(self):
    for _ in range(3):
        port = free_pair()
        folder = self.working_dir.name
        if isinstance(self, base.SwtpmSimulator):
            command = ["swtpm", "socket", "--tpm2", "--flags", "not-need-init",
                       "--server", f"port={port}", "--ctrl", f"type=tcp,port={port + 1}",
                       "--tpmstate", f"dir={folder}"]
        else:
            command = ["tpm_server", "-port", str(port)]
        process = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL)
        deadline = time.monotonic() + READY_S
        while process.poll() is None and time.monotonic() < deadline:
            if listening(port) and listening(port + 1):
                self.tpm, self._port = process, port
                return
            time.sleep(0.01)
        process.kill()
        process.wait()
    raise SystemError("Could not start simulator")


def close(self):
    self.tpm.terminate()
    try:
        self.tpm.wait(5)
    except subprocess.TimeoutExpired:
        self.tpm.kill()
        self.tpm.wait()


base.BaseTpmSimulator.start = start
base.BaseTpmSimulator.close = close

seconds, verdicts = {}, {}


def pytest_configure(config):
    config.is_worker = hasattr(config, "workerinput")
    global emit
    emit = None if config.is_worker else open(os.environ["RESULTS_PIPE"], "w", buffering=1)


def pytest_runtest_logreport(report):
    if emit is None:
        return
    name = report.nodeid.removeprefix("test/").replace(".py::", ".")
    name = name.replace("::", ".").replace(" ", "_")
    seconds[name] = seconds.get(name, 0) + report.duration
    if report.outcome != "passed":
        if report.failed or verdicts.get(name) != "FAIL":
            verdicts[name] = "FAIL" if report.failed else "SKIP"
    if report.when in ("teardown", "???"):
        emit.write(f"{verdicts.get(name, 'PASS')} {name} {seconds[name]:.1f}\n")


def pytest_collectreport(report):
    if emit is not None and report.failed:
        emit.write(f"FAIL collect:{report.nodeid} 0.0\n")
