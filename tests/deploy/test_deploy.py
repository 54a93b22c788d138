"""What is handed to others to run: held to schemas and linters, and to our own command line, settings and routes."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import jsonschema_rs
import pytest
import yaml

from tests.deploy.files import (
    DEPLOY,
    SCHEMAS,
    TOP,
    check_command,
    check_settings,
    check_stop,
    documents,
    routes,
    schema,
    seconds,
)

UNITS = sorted(DEPLOY.glob("systemd/*.service"))
PROGRAM = "/opt/goodsgate/.venv/bin/goodsgate"
EXPOSURE_MAX = 2.0
"""Of 10, as `systemd-analyze security` reckons; a unit without any of it has 9.6."""
DIRECTIVES = {
    "Unit": {"Description", "Wants", "After"},
    "Service": {
        "Type", "User", "Group", "EnvironmentFile", "ExecStart", "Restart", "RestartSec", "TimeoutStopSec",
        "CapabilityBoundingSet", "LockPersonality", "NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProcSubset",
        "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs",
        "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "RemoveIPC",
        "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
        "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "UMask",
    },
    "Install": {"WantedBy"},
}
"""Those that systemd 247 and later know, of those that we use; for machines without systemd."""
SYSTEMD_MIN = 250
"""From here on it judges units that are not installed."""
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "ENTRYPOINT", "CMD"}


# -- systemd ----------------------------------------------------------------------------------------------------------


def _unit(path: Path) -> configparser.ConfigParser:
    """A directive may be given more than once; the last is kept, which is enough for what is asked here."""
    parsed = configparser.ConfigParser(interpolation=None, strict=False, delimiters=["="])
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text("utf-8"))
    return parsed


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_what_there_is(path: Path) -> None:
    """With directives that systemd knows, a command line that is ours, and time to stop in."""
    unit = _unit(path)
    assert {name: set(unit[name]) - DIRECTIVES[name] for name in unit.sections()} == {
        "Unit": set(), "Service": set(), "Install": set()
    }
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == PROGRAM
    check_command(words)
    check_stop(seconds(unit["Service"]["TimeoutStopSec"]), command=words[0])


def _systemd() -> int:
    """Its version; 0 if there is none."""
    if shutil.which("systemd-analyze") is None:
        return 0
    told = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=False)
    found = re.match(r"systemd (\d+)", told.stdout)
    return int(found[1]) if found else 0


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_as_systemd_judges_it(path: Path, tmp_path: Path) -> None:
    """Nothing to complain of, and little exposed."""
    if _systemd() < SYSTEMD_MIN:
        reason = f"systemd-analyze from {SYSTEMD_MIN} is not installed"
        print(reason)
        pytest.skip(reason)
    # The program has to be there for systemd to be content; any will do.
    unit = tmp_path / path.name.replace("@.", "@1.")
    unit.write_text(path.read_text("utf-8").replace(PROGRAM, sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit],
        capture_output=True, text=True, check=False, timeout=60,
    )
    assert judged.returncode == 0, judged.stdout[-500:] + judged.stderr


# -- compose ----------------------------------------------------------------------------------------------------------


def test_the_compose_file_keeps_the_specification() -> None:
    """Its JSON schema, which knows every field."""
    (compose,) = documents("compose.yaml")
    judge = jsonschema_rs.validator_for(schema("compose-spec.json"))
    assert [str(fault) for fault in judge.iter_errors(compose)] == []
    broken = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))
    broken["services"]["api"]["dependson"] = []
    assert list(judge.iter_errors(broken)) != []


def test_the_compose_file_fits_together() -> None:
    """Commands, settings, times to stop, and names that are named elsewhere in it."""
    (compose,) = documents("compose.yaml")
    services = compose["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= services.keys()
        if name == "postgres":
            continue
        check_command(service["command"])
        check_settings(list(service["environment"]))
        assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()
        if service["command"][0] != "migrate":
            assert service["depends_on"]["migrate"]["condition"] == "service_completed_successfully"
            check_stop(seconds(service["stop_grace_period"]), command=service["command"][0])
    assert {one["source"] for one in services["postgres"]["configs"]} == compose["configs"].keys()
    assert "/readyz" in routes()
    assert "8480/readyz" in services["api"]["healthcheck"]["test"][-1]


# -- Kubernetes -------------------------------------------------------------------------------------------------------

KINDS = {
    "Secret": "io.k8s.api.core.v1.Secret", "Service": "io.k8s.api.core.v1.Service", "Job": "io.k8s.api.batch.v1.Job",
    "Deployment": "io.k8s.api.apps.v1.Deployment", "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
}
MANIFEST = documents("kubernetes.yaml")
BY_NAME = {f"{one['kind']}/{one['metadata']['name']}": one for one in MANIFEST}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_object_keeps_the_schema_of_kubernetes(name: str) -> None:
    """Strictly: a field that it does not know is one that it would not heed."""
    one = BY_NAME[name]
    whole = schema("kubernetes.json")
    judge = jsonschema_rs.validator_for({**whole, "$ref": f"#/$defs/{KINDS[one['kind']]}"})
    assert [f"{fault.instance_path}: {fault.message}" for fault in judge.iter_errors(one)] == []
    assert list(judge.iter_errors({**one, "specs": {}})) != []


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith(("Deployment", "Job"))])
def test_what_a_pod_runs(name: str) -> None:
    """Our command line with our settings, from the Secret that is there, as nobody in particular, with time to stop."""
    template = BY_NAME[name]["spec"]["template"]
    (container,) = template["spec"]["containers"]
    check_command(container["args"])
    check_settings([one["name"] for one in container["env"]])
    for one in container["env"]:
        if "valueFrom" in one:
            wanted = one["valueFrom"]["secretKeyRef"]
            assert wanted["key"] in BY_NAME[f"Secret/{wanted['name']}"]["stringData"]
    assert template["spec"]["securityContext"]["runAsNonRoot"]
    assert container["securityContext"]["readOnlyRootFilesystem"]
    if container["args"][0] != "migrate":
        check_stop(template["spec"]["terminationGracePeriodSeconds"], command=container["args"][0])
        assert BY_NAME[name]["spec"]["selector"]["matchLabels"].items() <= template["metadata"]["labels"].items()


def test_the_manifest_fits_together() -> None:
    """Probes ask routes that there are, on the port that is there; Service and budgets choose pods that there are."""
    known = routes()
    deployments = [one["spec"]["template"] for one in MANIFEST if one["kind"] == "Deployment"]
    for template in deployments:
        (container,) = template["spec"]["containers"]
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            asked = container.get(probe, {}).get("httpGet")
            assert asked is None or (asked["path"] in known and asked["port"] in ports)
    choosers = [one["spec"]["selector"] for one in MANIFEST if one["kind"] in ("Service", "PodDisruptionBudget")]
    for chooser in choosers:
        wanted = chooser.get("matchLabels", chooser).items()
        assert len([one for one in deployments if wanted <= one["metadata"]["labels"].items()]) == 1
    assert not [one for one in MANIFEST if "namespace" in one["metadata"]]


# -- image ------------------------------------------------------------------------------------------------------------


def test_the_image_is_made_of_what_is_there() -> None:
    """Known instructions, sources that are there and let through, pinned packages, and nobody in particular."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text("utf-8").splitlines() if line and line[0] != "#"]
    words = [line.split() for line in lines]
    assert {first for first, *_ in words} <= INSTRUCTIONS
    passed = (DEPLOY / "Dockerfile.dockerignore").read_text("utf-8").split()
    for _, *sources, _target in (line for line in words if line[0] == "COPY" and not line[1].startswith("--")):
        for source in sources:
            assert (TOP / source).exists()
            assert f"!{source}" in passed
    assert any("-c constraints.txt" in line for line in lines)
    (user,) = (line[1] for line in words if line[0] == "USER")
    assert not user.startswith(("root", "0"))
    (settings,) = (line[1:] for line in words if line[0] == "ENV")
    check_settings([one.partition("=")[0] for one in settings if one.startswith("GOODSGATE_")])


def test_a_schema_says_where_it_is_from() -> None:
    """With version and licence."""
    told = (SCHEMAS / "README.md").read_text("utf-8")
    for path in SCHEMAS.glob("*.json"):
        assert re.search(rf"^\| `{re.escape(path.name)}` \|.*\d+\.\d+\.\d+.*\| Apache-2\.0 \|$", told, re.M)
