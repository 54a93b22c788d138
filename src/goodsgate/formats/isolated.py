"""Run the parser of a complex format in a process of its own.

A few kilobytes of a hostile file can make a parser take gigabytes, minutes, or the process down with it. So a parser
gets a process with limits on memory and time. The process has an empty environment and no descriptors besides its
pipes; it receives the file, and commands, through its standard input and returns frames through its standard output.
Every message and frame begins with its length.
"""

import contextlib
import importlib.util
import math
import os
import select
import signal
import subprocess
import sys
import time
import weakref
from collections.abc import Iterator, Sequence
from pathlib import Path

WALL_FACTOR = 3
"""The parser may let its reader wait for so many times its processor time, because a busy machine shares processors."""
PIPE_BYTES = 256 * 1024
END_SECONDS_MAX = 5.0
"""Time between the end of the output and that of the process."""
LENGTH_BYTES = 4
MEMORY_EXIT_CODE = 3
"""Exit code of a parser that ran out of memory and could still say so."""

_START = "import sys; sys.path += {path!r}; from {module} import main; main(sys.argv[1:])"


class ParserError(Exception):
    """The parser ended before it had delivered everything, because of what the file contains."""


class ParserMemoryError(ParserError):
    """The file needs more memory than the parser may use."""


class ParserTimeError(ParserError):
    """The file needs more time than the parser may use."""


class ParserOutputError(ParserError):
    """The parser delivered something that it never delivers, or more than it may."""


class ParserKilledError(Exception):
    """Somebody else killed the parser, such as an operator or a machine without memory: the file is not to blame."""


class ParserProcess:
    """A process that runs ``main`` of a module; it ends when this object is closed or dropped.

    The module lies in a package beside this one, which imports only the standard library and the `packages`. It limits
    itself, by the first two arguments: bytes of memory and seconds of processor time.
    """

    def __init__(self, module: str, *, packages: Sequence[str], memory_bytes_max: int, seconds_max: float,
                 frame_bytes_max: int, arguments: Sequence[str] = ()) -> None:
        self._seconds_left = seconds_max * WALL_FACTOR
        self._frame_bytes_max = frame_bytes_max
        # A parser's text comes out of its memory: there cannot be more of it.
        self._bytes_left = memory_bytes_max
        start = _START.format(path=[str(Path(__file__).parent), *_folders(packages)], module=module)
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", start, str(memory_bytes_max), str(seconds_max), *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd="/",
            # Where Python is linked to a library outside of the usual folders, it does not start without this.
            env={name: os.environ[name] for name in ("LD_LIBRARY_PATH",) if name in os.environ},
        )
        self._end = weakref.finalize(self, _end, self._process)

    @property
    def pid(self) -> int:
        """Id of the process."""
        return self._process.pid

    def send(self, message: bytes) -> None:
        """Send a message; no effect if the process has ended, which the next frame finds out."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(len(message).to_bytes(LENGTH_BYTES, "little") + message)
            self._process.stdin.flush()

    def frames(self, *, pause_seconds: float = math.inf) -> Iterator[bytes | None]:
        """Yield what the parser returns to its end, None whenever nothing came for so long.

        Raises ParserError and ParserKilledError.
        """
        while True:
            while not self._wait(pause_seconds):
                yield None
            length = int.from_bytes(self._read(LENGTH_BYTES), "little")
            if not length:
                self.close()
                return
            if length > min(self._frame_bytes_max, self._bytes_left):
                raise ParserOutputError(f"a frame of {length:,} bytes")
            self._bytes_left -= length
            yield self._read(length)

    def close(self) -> None:
        """End the process."""
        self._end()

    def _wait(self, seconds: float) -> bool:
        """Return whether there is output within so many seconds. Raises ParserTimeError if it has taken too long."""
        assert self._process.stdout is not None
        poll = select.poll()
        poll.register(self._process.stdout.fileno(), select.POLLIN)
        begun = time.monotonic()
        is_ready = bool(poll.poll(max(0.0, min(self._seconds_left, seconds)) * 1000))
        self._seconds_left -= time.monotonic() - begun
        if not is_ready and self._seconds_left <= 0:
            self.close()
            raise ParserTimeError("no answer in time")
        return is_ready

    def _read(self, count: int) -> bytes:
        """Return exactly so many bytes."""
        assert self._process.stdout is not None
        pieces: list[bytes] = []
        while count:
            while not self._wait(math.inf):
                pass
            piece = os.read(self._process.stdout.fileno(), min(count, PIPE_BYTES))
            if not piece:
                raise self._death()
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _death(self) -> Exception:
        """Return why the process ended too early, by its exit code."""
        try:
            code = self._process.wait(END_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            self.close()
            return ParserOutputError("the parser closed its output and went on")
        return fault_of(code)


def fault_of(code: int) -> Exception:
    """Return what the exit code of a process means."""
    if code in (MEMORY_EXIT_CODE, -signal.SIGABRT):  # a library that gets no memory calls abort
        return ParserMemoryError("out of memory")
    if code == -signal.SIGXCPU:
        return ParserTimeError("out of processor time")
    if code in (-signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP):
        return ParserKilledError(f"the parser was killed by signal {-code}; try again")
    return ParserError(f"the parser ended with code {code}")


def _end(process: subprocess.Popen[bytes]) -> None:
    process.kill()
    process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):  # unsent bytes of a process that is gone
                pipe.close()


def _folders(packages: Sequence[str]) -> list[str]:
    """Return where the packages are installed, without importing them here."""
    folders: dict[str, None] = {}
    for package in packages:
        spec = importlib.util.find_spec(package)
        if spec is None or not spec.origin:
            raise ImportError(f"the package {package} is not installed")
        folders[str(Path(spec.origin).parent.parent)] = None
    return [*folders]
