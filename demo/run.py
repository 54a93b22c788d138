"""Run a temporary gate, submit the files of several systems, correct one of them, and exit with 0."""

import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
FEED = HERE / "feed" / "spree-home" / "products.csv"
DIRTY_FEED = HERE / "feed" / "cap-shop" / "products.csv"
GOOGLE_FEED = HERE / "feed" / "google-merchant" / "feed.xml"
STOCK = HERE / "feed" / "sunrise-fashion" / "inventory.csv.gz"
CATEGORIES = HERE / "reference" / "categories.csv"
GOODSGATE = [sys.executable, "-m", "goodsgate"]
EXIT_REJECTED = 1
"""Exit code of `submit` if some records were rejected; see docs/reference/cli.md."""
STOP_SECONDS_MAX = 60


class Demo:
    """A gate on a free port, with its store in `folder`, and the command line of its merchant."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = {"GOODSGATE_STORE": str(folder / "store"), "GOODSGATE_LOG_LEVEL": "warning"}
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("GOODSGATE_")}
        self.environment = inherited | settings
        with (folder / "gate.log").open("wb") as log:
            self.process = subprocess.Popen(
                [*GOODSGATE, "serve", "--port", "0", "--first-merchant", "demo"], env=self.environment, cwd=folder,
                stdout=subprocess.PIPE, stderr=log, text=True,
            )
        output = self._read_until("running at")
        self.environment["GOODSGATE_URL"] = re.findall(r"running at (\S+)", output)[0]
        self.environment["GOODSGATE_KEY"] = re.findall(r"GOODSGATE_KEY=(\S+)", output)[0]

    def _read_until(self, text: str) -> str:
        output = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            output += line
            if text in line:
                return output
        raise SystemExit(f"The gate did not start:\n{output}{(self.folder / 'gate.log').read_text()}")

    def run(self, *arguments: str, allowed_code: int = 0) -> None:
        """Print a command and run it; exit if it ends with a code other than 0 and `allowed_code`."""
        quoted = (f"'{word}'" if re.search(r"[^\w./:=-]", word) else word for word in arguments)
        print(f"\n$ goodsgate {' '.join(quoted)}", flush=True)
        code = subprocess.run([*GOODSGATE, *arguments], env=self.environment, cwd=Path.cwd(), check=False).returncode
        if code not in (0, allowed_code):
            raise SystemExit(f"Exit code {code}. The gate's log: {self.folder / 'gate.log'}")

    def download_report(self) -> Path:
        """Download the report of the newest batch with the name of the product feed with errors."""
        newest = [*GOODSGATE, "list", "--limit", "1", "--search", DIRTY_FEED.name, "--json"]
        listed = subprocess.run(newest, env=self.environment, check=True, capture_output=True, text=True).stdout
        batch = re.findall(r'"id": ?"([0-9a-f]{32})"', listed)[0]
        target = self.folder / f"{batch}-rejected.csv"
        self.run("report", batch, "-o", str(target))
        return target

    def stop(self) -> None:
        """Stop the gate and its worker."""
        self.process.terminate()
        self.process.wait(STOP_SECONDS_MAX)
        assert self.process.stdout is not None
        self.process.stdout.close()


def main() -> None:
    """Run the demo."""
    folder = Path(tempfile.mkdtemp(prefix="goodsgate-demo-"))
    demo = Demo(folder)
    print(f"A gate is running at {demo.environment['GOODSGATE_URL']}. Its data is in {folder}.")
    try:
        print("\nLoad reference data: the categories of the shop.")
        demo.run("reference", "load", "category", _relative(CATEGORIES))
        print("\nSubmit the export of a Spree shop. It writes each product on several rows.")
        demo.run("submit", _relative(FEED))
        print("\nSubmit a feed for Google Merchant Center.")
        demo.run("submit", _relative(GOOGLE_FEED))
        print("\nSee how an export in the form of Shopify's is read, before anything is sent.")
        demo.run("inspect", "--currency", "EUR", _relative(DIRTY_FEED))
        print("\nSubmit it. Two of its rows have errors.")
        demo.run("submit", "--currency", "EUR", _relative(DIRTY_FEED), allowed_code=EXIT_REJECTED)
        print("\nDownload the two rejected rows, correct them, and send them back to their batch.")
        report = demo.download_report()
        correct(report)
        demo.run("fix", str(report))
        print("\nSubmit a real stock feed of another shop, compressed.")
        demo.run("submit", "--kind", "stock", "--collection", "sunrise", _relative(STOCK), allowed_code=EXIT_REJECTED)
    finally:
        demo.stop()
        shutil.rmtree(folder / "store", ignore_errors=True)
    print(f"\nThe gate has stopped. The corrected report: {report}")


def correct(report: Path) -> None:
    """Fill in what the rejected rows lack, as a person would in a spreadsheet program."""
    with report.open(encoding="utf-8-sig", newline="") as file:
        rows = [*csv.DictReader(file)]
    for row in rows:
        row["Variant SKU"] = row["Variant SKU"] or "GIFT-10"
        row["Variant Price"] = row["Variant Price"].replace("on request", "27.00")
    with report.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0]])
        writer.writeheader()
        writer.writerows(rows)


def _relative(path: Path) -> str:
    """Return the path relative to the current folder, if it is inside."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


if __name__ == "__main__":
    main()
