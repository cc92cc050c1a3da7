#!/usr/bin/python3
# SPDX-License-Identifier: MIT OR Apache-2.0
"""Debian's swtpm behind the mssim protocol: swtpm-as-tpm_server.py -port N (platform port N+1).

It lets the suites' --server path be checked against the same reference as --swtpm, and gives swtpm
to clients that speak mssim only. swtpm listens on sockets in a temporary folder; this program on
loopback.
"""
import ctypes
import shutil
import signal
import socket
import socketserver
import struct
import subprocess
import sys
import tempfile
import threading
import time

# mssim, command port and platform port
HASH_START, HASH_DATA, HASH_END, SEND_COMMAND = 5, 6, 7, 8
HANDSHAKE, SESSION_END, STOP = 15, 20, 21
POWER_ON, POWER_OFF, RESET = 1, 2, 17
# swtpm control channel
CMD_INIT, CMD_SET_LOCALITY, CMD_STOP = 2, 5, 14
CMD_HASH_START, CMD_HASH_DATA, CMD_HASH_END = 6, 7, 8
MAX_FRAME_BYTES = 1 << 16
LIBC, PR_SET_PDEATHSIG, PR_SET_NAME = ctypes.CDLL(None), 1, 15


def receive(connection, count):
    data = b""
    while len(data) < count:
        if connection.family == socket.AF_INET:
            # clients send a command in several small writes: without this each waits 40 ms for our
            # delayed ACK
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        part = connection.recv(count - len(data))
        if not part:
            raise EOFError
        data += part
    return data


def receive_u32(connection):
    return struct.unpack(">I", receive(connection, 4))[0]


class Swtpm:
    """One swtpm process; every call holds the lock, as the TPM takes one command at a time."""

    def __init__(self, folder):
        self.lock, self.powered, self.locality = threading.Lock(), False, 0
        data, control = folder + "/data", folder + "/control"
        self.process = subprocess.Popen(
            ["swtpm", "socket", "--tpm2", "--server", f"type=unixio,path={data}",
             "--ctrl", f"type=unixio,path={control}", "--tpmstate", f"dir={folder}",
             "--seccomp", "action=none"], stdin=subprocess.DEVNULL,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL))
        self.control = self.connect(control)
        self.data = self.connect(data)

    @staticmethod
    def connect(path):
        for _ in range(500):
            try:
                connection = socket.socket(socket.AF_UNIX)
                connection.connect(path)
                return connection
            except OSError:
                connection.close()
                time.sleep(0.01)
        raise SystemExit("swtpm did not start")

    def order(self, command, payload=b""):
        self.control.sendall(struct.pack(">I", command) + payload)
        return receive_u32(self.control)

    def power(self, on):
        with self.lock:
            if on != self.powered:
                self.order(CMD_INIT, struct.pack(">I", 0)) if on else self.order(CMD_STOP)
                self.powered = on

    def execute(self, locality, command):
        with self.lock:
            if not self.powered:
                return b""
            if locality != self.locality:
                self.order(CMD_SET_LOCALITY, bytes([locality]))
                self.locality = locality
            self.data.sendall(command)
            header = receive(self.data, 10)
            return header + receive(self.data, struct.unpack(">I", header[2:6])[0] - 10)


def serve_commands(connection, tpm):
    while (code := receive_u32(connection)) not in (SESSION_END, STOP):
        if code == SEND_COMMAND:
            locality = receive(connection, 1)[0]
            size = receive_u32(connection)
            if size > MAX_FRAME_BYTES:
                return
            response = tpm.execute(locality, receive(connection, size))
            connection.sendall(struct.pack(">I", len(response)) + response + bytes(4))
            continue
        elif code == HASH_START:
            tpm.order(CMD_HASH_START)
        elif code == HASH_DATA:
            size = receive_u32(connection)
            tpm.order(CMD_HASH_DATA, struct.pack(">I", size) + receive(connection, size))
        elif code == HASH_END:
            tpm.order(CMD_HASH_END)
        elif code == HANDSHAKE:
            receive_u32(connection)
            connection.sendall(struct.pack(">II", 1, 1 | 2))
        else:
            return
        connection.sendall(bytes(4))


def serve_platform(connection, tpm):
    while (code := receive_u32(connection)) not in (SESSION_END, STOP):
        if code in (POWER_OFF, RESET):
            tpm.power(False)
        if code in (POWER_ON, RESET):
            tpm.power(True)
        connection.sendall(bytes(4))


class Listener(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


def listen(port, serve, tpm):
    class Handler(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            try:
                serve(self.request, tpm)
            except (EOFError, ConnectionError):
                pass

    server = Listener(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main():
    if "-port" not in sys.argv[:-1]:
        raise SystemExit(__doc__)
    port = int(sys.argv[sys.argv.index("-port") + 1])
    LIBC.prctl(PR_SET_NAME, b"tpm_server", 0, 0, 0)  # suites look for the name in `ss -p`
    # blocked before the first thread starts, then waited for: none can arrive unseen
    ends = {signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    folder = tempfile.mkdtemp(prefix="swtpm-mssim-")
    tpm = Swtpm(folder)
    try:
        listen(port + 1, serve_platform, tpm)
        listen(port, serve_commands, tpm)
        signal.sigwait(ends)
    finally:
        tpm.process.kill()  # its state is in the folder that goes next
        tpm.process.wait()
        shutil.rmtree(folder, ignore_errors=True)


main()
