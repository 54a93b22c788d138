"""One shell in which the commands of a page are run, as if they were typed."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.docs.pages import Step

STEP_SECONDS_MAX = 60
ANY = re.compile(r"…")
SCRIPT = """set -a; . "{state}"
{command}
code=$?; export -p > "{state}"; echo "cd '$PWD'" >> "{state}"; exit $code"""


class Session:
    """Variables and the working folder live on from one command to the next; so does what stays, until `close`."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._state = folder / ".state"
        self._state.write_text("")
        self._staying: list[subprocess.Popen[bytes]] = []

    def run(self, step: Step) -> None:
        """A command, which must end as the page says and print what it shows."""
        done = subprocess.run(
            self._typed(step), cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=STEP_SECONDS_MAX,
        )
        told = f"$ {step.command}\n{done.stdout}"
        assert done.returncode == step.code, told
        printed = iter(done.stdout.splitlines())
        for line in step.shown:
            known = line.strip() == "…" or any(_matches(line, actual) for actual in printed)
            assert known, f"{told}\nnot printed: {line}"

    def start(self, step: Step) -> Path:
        """A command that stays; the file that it prints to."""
        log = self.folder / f".stays-{len(self._staying)}"
        with log.open("wb") as file:
            started = subprocess.Popen(
                self._typed(step._replace(command=f"exec {step.command}")), cwd=self.folder, env=self.environment,
                stdout=file, stderr=subprocess.STDOUT,
            )
        self._staying.append(started)
        return log

    def close(self) -> None:
        """Stop what stays; each must end well."""
        for process in self._staying:
            process.terminate()
        assert [process.wait(STEP_SECONDS_MAX) for process in self._staying] == [0] * len(self._staying)

    def _typed(self, step: Step) -> list[str]:
        return ["bash", "-c", SCRIPT.format(state=self._state, command=step.command)]


def _matches(shown: str, actual: str) -> bool:
    """Whether a line is what the page shows, runs of blanks being one and `…` being anything."""
    pattern = ".*".join(re.escape(" ".join(part.split())) for part in ANY.split(" ".join(shown.split())))
    return re.fullmatch(pattern.replace(r".*\ ", r".*\s*"), " ".join(actual.split())) is not None
