"""`goodsgate` for the tests: each command is a fork of one process that has imported everything.

`python -m tests.commands SOCKET` serves until its standard input ends. The program that `programs` writes passes its
arguments, folder, environment and open files to that process, and ends with the exit code of the fork. A start of
Python costs ten times as much.
"""

import atexit
import functools
import gc
import json
import os
import selectors
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOADED = (
    "goodsgate.cli", "goodsgate.cli.acts", "goodsgate.app", "goodsgate_client", "httpx", "httpcore", "rich.progress",
    "goodsgate.engine.inspection", "goodsgate.store.sqlite", "goodsgate.protocols", "goodsgate.observe", "uvicorn",
)
REQUEST_BYTES_MAX = 1 << 20
PROGRAM = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] in (["serve"], ["work"], ["stand-in"]):  # run on, and are stopped by a signal
    os.execv({python!r}, [{python!r}, "-m", "goodsgate", *sys.argv[1:]])
with socket.socket(socket.AF_UNIX) as server:
    server.connect({address!r})
    socket.send_fds(server, [b"\\0"], [0, 1, 2])
    server.sendall(json.dumps([sys.argv, os.getcwd(), dict(os.environ)]).encode())
    server.shutdown(socket.SHUT_WR)
    code = server.recv(1)
os._exit(code[0] if code else 70)
"""


@functools.cache
def programs() -> Path:
    """Serve commands until the tests end, and return the folder of the program `goodsgate`, for the front of PATH."""
    folder = Path(tempfile.mkdtemp(prefix="goodsgate-commands-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    address = str(folder / "commands")
    program = folder / "bin" / "goodsgate"
    program.parent.mkdir()
    program.write_text(PROGRAM.format(python=sys.executable, address=address))
    program.chmod(0o700)
    server = subprocess.Popen(
        [sys.executable, "-m", "tests.commands", address], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        cwd=Path(__file__).resolve().parents[1], env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    atexit.register(_end, server)
    assert server.stdout is not None
    assert server.stdout.readline() == b"ready\n"
    return program.parent


def _end(server: "subprocess.Popen[bytes]") -> None:
    server.communicate()


def serve(address: str) -> None:
    """Fork for each connection, until the tests are gone."""
    for module in PRELOADED:
        __import__(module)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody collects the forks
    gc.freeze()
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(address)
        listener.listen(64)
        selector.register(listener, selectors.EVENT_READ)
        selector.register(sys.stdin, selectors.EVENT_READ)
        print("ready", flush=True)
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                selector.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                connection.sendall(bytes([_run(connection)]))
                os._exit(0)
            connection.close()


def _run(connection: socket.socket) -> int:
    """Run the command of a connection and return its exit code."""
    _, files, _, _ = socket.recv_fds(connection, 1, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin, sys.stdout = (os.fdopen(number, mode, closefd=False) for number, mode in enumerate("rw"))
    sys.stderr = os.fdopen(2, "w", buffering=1, errors="backslashreplace", closefd=False)
    request = b"".join(iter(lambda: connection.recv(REQUEST_BYTES_MAX), b""))
    arguments, folder, environment = json.loads(request)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = arguments
    from goodsgate.cli import main

    try:
        main(prog_name="goodsgate")
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return code


if __name__ == "__main__":
    serve(sys.argv[1])
