"""A shell session that runs the commands of a page."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import Step

STEP_SECONDS_MAX = 120
ANY = re.compile(r"…")
SCRIPT = """set -a; . "{state}"
{command}
code=$?; export -p > "{state}"; echo "cd '$PWD'" >> "{state}"; exit $code"""


class Session:
    """Keeps variables and the working folder between commands, and background commands until `close`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._state = folder / ".state"
        self._state.write_text("")
        self._staying: list[subprocess.Popen[bytes]] = []

    def run(self, step: Step) -> None:
        """Run a command and check its exit code and output."""
        result = subprocess.run(
            self._typed(step), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=STEP_SECONDS_MAX,
        )
        transcript = f"$ {step.command}\n{result.stdout}"
        assert result.returncode == step.code, transcript
        printed = iter(result.stdout.splitlines())
        for line in step.output:
            known = line.strip() == "…" or any(_matches(line, actual) for actual in printed)
            assert known, f"{transcript}\nnot printed: {line}"

    def start(self, step: Step) -> Path:
        """Start a background command and return the file of its output."""
        log = self.folder / f".stays-{len(self._staying)}"
        with log.open("wb") as file:
            started = subprocess.Popen(
                self._typed(step._replace(command=f"exec {step.command}")), cwd=self.folder, env=self.environment,
                stdout=file, stderr=subprocess.STDOUT,
            )
        self._staying.append(started)
        return log

    def close(self) -> None:
        """Stop all background commands and check that each exits with 0."""
        for process in self._staying:
            process.terminate()
        assert [process.wait(STEP_SECONDS_MAX) for process in self._staying] == [0] * len(self._staying)

    def _typed(self, step: Step) -> list[str]:
        return ["bash", "-c", SCRIPT.format(state=self._state, command=step.command)]


def _matches(expected: str, actual: str) -> bool:
    """Return whether a line matches the page, where `…` is anything and runs of spaces are one."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in ANY.split(" ".join(expected.split())))
    return re.fullmatch(pattern.replace(r".*\ ", r".*\s*"), " ".join(actual.split())) is not None
