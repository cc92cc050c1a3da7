#!/bin/bash
# SPDX-License-Identifier: MIT OR Apache-2.0
# pytss.sh: the pytest suite of tpm2-pytss 1.2.0 (ESAPI, FAPI, TCTI, policies, encodings) against one TPM server.
# The tests come from PyPI's sdist; the module under them is Debian's python3-tpm2-pytss of the same version.
# Every test starts a server of its own, on a free pair of ports, in an empty folder.
. "$(dirname "${BASH_SOURCE[0]}")/suite-runner.sh"
suite_begin pytss "$@"

need_packages swtpm swtpm-tools tpm2-tools iproute2 util-linux python3 python3-tpm2-pytss python3-pytest \
    python3-pytest-xdist python3-pytest-timeout python3-yaml libtss2-dev libtss2-tcti-mssim0 libtss2-tcti-swtpm0
pypi_sdist tpm2-pytss 1.2.0 3a05964e3723dd0778752682c18f9fb914292d2167e3ef68d7590f47d9fc6b9e

# A copy of the tests alone: beside src/ Python would look for the module there, where it is not built.
mkdir "$RUN/tree" && cp -r "$SOURCE/test" "$RUN/tree/test"
cat >"$RUN/tree/test/conftest.py" <<'PYTHON'
"""Chooses the simulator, replaces the suite's fixed 3 s wait by a look at the ports, prints a line a test."""
import os, shutil, socket, subprocess, tempfile, time
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
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in table)


def start(self):
    for _ in range(3):
        port = free_pair()
        folder = self.working_dir.name
        if isinstance(self, base.SwtpmSimulator):
            command = ["swtpm", "socket", "--tpm2", "--server", f"port={port}", "--ctrl",
                       f"type=tcp,port={port + 1}", "--flags", "not-need-init", "--tpmstate", f"dir={folder}"]
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
    name = report.nodeid.removeprefix("test/").replace(".py::", ".").replace("::", ".").replace(" ", "_")
    seconds[name] = seconds.get(name, 0) + report.duration
    if report.outcome != "passed":
        if report.failed or verdicts.get(name) != "FAIL":
            verdicts[name] = "FAIL" if report.failed else "SKIP"
    if report.when in ("teardown", "???"):
        emit.write(f"{verdicts.get(name, 'PASS')} {name} {seconds[name]:.1f}\n")


def pytest_collectreport(report):
    if emit is not None and report.failed:
        emit.write(f"FAIL collect:{report.nodeid} 0.0\n")
PYTHON
[ -z "$PREPARE_ONLY" ] || exit 0

SUITE_BEGIN_S=$SECONDS
mkfifo "$RUN/pipe"
while read -r verdict name seconds; do result "$verdict" "$name" "$seconds"; done <"$RUN/pipe" &
READER=$!
cd "$RUN/tree" || exit 3
# -k takes no regular expression: the names are collected first, and those that --only leaves are handed over.
CHOSEN=(test)
if [ -n "$ONLY" ]; then
    RESULTS_PIPE=/dev/null isolated 120 /usr/bin/python3 -m pytest -q --collect-only -p no:cacheprovider test \
        >"$RUN/log/collect.log" 2>&1
    # "printed name, tab, pytest's name", as --only speaks of the printed ones
    mapfile -t CHOSEN < <(grep '::' "$RUN/log/collect.log" |
        while read -r id; do name=${id#test/}; name=${name/.py::/.}; printf '%s\t%s\n' "${name//::/.}" "$id"; done |
        ONLY=$ONLY awk -F '\t' '$1 ~ ENVIRON["ONLY"] { print $2 }')
fi
if [ ${#CHOSEN[@]} -gt 0 ]; then
    PATH=$RUN/bin:$PATH TSS2_LOG=all+NONE PYTHONDONTWRITEBYTECODE=1 RESULTS_PIPE=$RUN/pipe \
        isolated 3600 /usr/bin/python3 -m pytest -v -n "$JOBS" --timeout 120 -p no:cacheprovider "${CHOSEN[@]}" \
        >"$RUN/log/pytest.log" 2>&1 &
    wait $!; STATUS=$?
else
    STATUS=5
    : >"$RUN/pipe"
fi
# a run that dies before it opens the pipe must not leave the reader waiting
{ exec 8<>"$RUN/pipe"; exec 8>&-; } 2>/dev/null
wait $READER
# pytest: 0 all passed, 1 some failed, 5 none collected; anything else means that the run itself broke
[ $STATUS -le 1 ] || [ $STATUS = 5 ] || result FAIL "pytest-run(exit=$STATUS)" 0.0
suite_end
