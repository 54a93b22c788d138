"""A gate of its own, a real feed with its dirt, and what a submitter sees. Stops everything it starts; exits 0."""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FEED = HERE / "feed" / "spree-home" / "products.csv"
STOCK = HERE / "feed" / "sunrise-fashion" / "inventory.csv.gz"
CATEGORIES = HERE / "reference" / "categories.csv"
GOODSGATE = [sys.executable, "-m", "goodsgate"]
ACCEPTED_WITH_REJECTIONS = 1
"""Exit code of `submit` where some records were rejected; see docs/reference/cli.md."""
STOP_SECONDS_MAX = 60


class Demo:
    """A gate on a free port with a store below `place`, and the command line as its merchant uses it."""

    def __init__(self, place: Path) -> None:
        self.place = place
        settings = {"GOODSGATE_STORE": str(place / "store"), "GOODSGATE_LOG_LEVEL": "warning"}
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self.environment = kept | settings
        with (place / "gate.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*GOODSGATE, "serve", "--port", "0", "--first-merchant", "demo"], env=self.environment, cwd=place,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )
        said = self._read_until("running at")
        self.environment["GOODSGATE_URL"] = re.findall(r"running at (\S+)", said)[0]
        self.environment["GOODSGATE_KEY"] = re.findall(r"GOODSGATE_KEY=(\S+)", said)[0]

    def _read_until(self, words: str) -> str:
        said = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            said += line
            if words in line:
                return said
        raise SystemExit(f"The gate did not open:\n{said}{(self.place / 'gate.log').read_text()}")

    def run(self, *arguments: str, fails_with: int = 0) -> None:
        """Show a command and run it, its progress and its answer on this terminal."""
        shown = " ".join(f"'{word}'" if re.search(r"[^\w./:=-]", word) else word for word in arguments)
        print(f"\n$ goodsgate {shown}", flush=True)
        code = subprocess.run([*GOODSGATE, *arguments], env=self.environment, cwd=Path.cwd(), check=False).returncode
        if code not in (0, fails_with):
            raise SystemExit(f"That ended with {code}; the gate's log is {self.place / 'gate.log'}")

    def report(self) -> Path:
        """Download the report of the newest batch into the demo's place."""
        newest = [*GOODSGATE, "list", "--limit", "1", "--search", FEED.name, "--json"]
        listed = subprocess.run(newest, env=self.environment, check=True, capture_output=True, text=True).stdout
        batch = re.findall(r'"id": ?"([0-9a-f]{32})"', listed)[0]
        target = self.place / f"{batch}-rejected.csv"
        self.run("report", batch, "-o", str(target))
        return target

    def stop(self) -> None:
        """Stop the gate and its worker."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS_MAX)
        assert self.process.stdout is not None
        self.process.stdout.close()


def main() -> None:
    """Show it."""
    place = Path(tempfile.mkdtemp(prefix="goodsgate-demo-"))
    demo = Demo(place)
    print(f"A gate is running at {demo.environment['GOODSGATE_URL']}; its data is in {place}.")
    try:
        print("\nWhat rules look up: the shop's categories.")
        demo.run("reference", "load", "category", _shown(CATEGORIES))
        print("\nA real product feed, as it is. Its `product_type` is not a category, its `category1` is.")
        maps = ("--map", "category1:product_type", "--map", "product_type:")
        demo.run("submit", _shown(FEED), *maps, fails_with=ACCEPTED_WITH_REJECTIONS)
        print("\nA real stock feed, packed.")
        demo.run("submit", "--kind", "stock", _shown(STOCK), fails_with=ACCEPTED_WITH_REJECTIONS)
        print("\nThe rejected products in the feed's own columns, to be corrected and sent back with `goodsgate fix`.")
        report = demo.report()
    finally:
        demo.stop()
        shutil.rmtree(place / "store", ignore_errors=True)
    print(f"\nThe gate is stopped. The report stays here: {report}")


def _shown(path: Path) -> str:
    """The path as somebody in this folder would type it."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    main()
