"""The folders whose files an assistant may read."""

from pathlib import Path

from goodsgate.cli.client import Document
from goodsgate.cli.errors import CommandError

FILES_MAX = 200
ENTRIES_MAX = 10_000
"""Entries that are looked at for a list of files."""


class Folders:
    """Folders that a person has opened with ``--folder``; links that lead out of them are not followed."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = [Path(folder).resolve() for folder in folders]

    def find(self, name: str) -> Path:
        """Return the path of a file, absolute or below a folder. Raises CommandError, also for what is outside."""
        if not self._folders:
            raise CommandError("No folder is open to assistants. Start with `goodsgate mcp --folder FOLDER`.")
        for folder in self._folders:
            try:
                path = (folder / name).resolve()
                if path.is_relative_to(folder) and path.is_file():
                    return path
            except (OSError, ValueError, RuntimeError):
                continue
        places = ", ".join(map(str, self._folders))
        raise CommandError(f"There is no such file below the folders that are open to assistants: {places}.")

    def files(self) -> Document:
        """Return the files below the folders: name, bytes, and time of the last change."""
        files: list[Document] = []
        seen = 0
        for folder in self._folders:
            for path in folder.rglob("*"):
                seen += 1
                if seen > ENTRIES_MAX or len(files) >= FILES_MAX:
                    return {"files": files, "complete": False}
                if path.is_file() and path.resolve().is_relative_to(folder):
                    files.append({"path": str(path), "bytes": path.stat().st_size})
        return {"files": files, "complete": True}
