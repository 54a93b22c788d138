"""The files of `deploy/` match their schemas, and the commands, settings and routes of this version."""

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

import goodsgate
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
"""Maximum exposure level by `systemd-analyze security`, from 0 to 10; a unit without restrictions has 9.6."""
DIRECTIVES = {
    "Unit": {"Description", "Wants", "After"},
    "Service": {
        "Type", "User", "Group", "Environment", "EnvironmentFile", "ExecStart", "Restart", "RestartSec",
        "TimeoutStopSec", "KillMode", "LimitNOFILE", "StateDirectory", "StateDirectoryMode", "WorkingDirectory",
        "CapabilityBoundingSet", "LockPersonality", "NoNewPrivileges", "PrivateDevices", "PrivateTmp", "ProcSubset",
        "ProtectClock", "ProtectControlGroups", "ProtectHome", "ProtectHostname", "ProtectKernelLogs",
        "ProtectKernelModules", "ProtectKernelTunables", "ProtectProc", "ProtectSystem", "RemoveIPC",
        "RestrictAddressFamilies", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID",
        "SystemCallArchitectures", "SystemCallErrorNumber", "SystemCallFilter", "UMask",
    },
    "Install": {"WantedBy"},
}
"""The used directives that systemd 247 and later support; checked on machines without systemd."""
SYSTEMD_MIN = 250
"""The first version that verifies units which are not installed."""
INSTRUCTIONS = {"FROM", "WORKDIR", "COPY", "RUN", "ENV", "USER", "EXPOSE", "HEALTHCHECK", "ENTRYPOINT", "CMD"}


# -- systemd ----------------------------------------------------------------------------------------------------------


def _unit(path: Path) -> configparser.ConfigParser:
    """Parse a unit file. Of repeated directives only the last is kept, which is enough for these tests."""
    parsed = configparser.ConfigParser(interpolation=None, strict=False, delimiters=["="])
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(path.read_text("utf-8"))
    return parsed


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_starts_an_existing_command(path: Path) -> None:
    """It uses supported directives, a valid command line, and a sufficient stop timeout."""
    unit = _unit(path)
    assert {name: set(unit[name]) - DIRECTIVES[name] for name in unit.sections()} == {
        "Unit": set(), "Service": set(), "Install": set()
    }
    program, *words = shlex.split(unit["Service"]["ExecStart"])
    assert program == PROGRAM
    check_command(words)
    check_stop(seconds(unit["Service"]["TimeoutStopSec"]), command=words[0])


def _systemd() -> int:
    """Return the version of systemd; 0 without systemd."""
    if shutil.which("systemd-analyze") is None:
        return 0
    result = subprocess.run(["systemd-analyze", "--version"], capture_output=True, text=True, check=False)
    match = re.match(r"systemd (\d+)", result.stdout)
    return int(match[1]) if match else 0


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_systemd_accepts_a_unit(path: Path, tmp_path: Path) -> None:
    """systemd reports no problem and a low exposure."""
    if _systemd() < SYSTEMD_MIN:
        reason = f"systemd-analyze from {SYSTEMD_MIN} is not installed"
        print(reason)
        pytest.skip(reason)
    # systemd requires that the program exists; any program will do.
    unit = tmp_path / path.name.replace("@.", "@1.")
    unit.write_text(path.read_text("utf-8").replace(PROGRAM, sys.executable))
    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False, timeout=60
    )
    complaints = [line for line in verified.stderr.splitlines() if unit.name in line]
    assert (verified.returncode, complaints) == (0, []), verified.stderr
    rated = subprocess.run(
        ["systemd-analyze", "security", "--offline=yes", f"--threshold={EXPOSURE_MAX * 10:.0f}", unit],
        capture_output=True, text=True, check=False, timeout=60,
    )
    assert rated.returncode == 0, rated.stdout[-500:] + rated.stderr


# -- compose ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "service"), [("compose.yaml", "api"), ("compose.sqlite.yaml", "gate")])
def test_a_compose_file_matches_its_schema(name: str, service: str) -> None:
    """The schema is strict: an unknown field is an error."""
    (compose,) = documents(name)
    validator = jsonschema_rs.validator_for(schema("compose-spec.json"))
    assert [str(error) for error in validator.iter_errors(compose)] == []
    broken = yaml.safe_load((DEPLOY / name).read_text("utf-8"))
    broken["services"][service]["dependson"] = []
    assert list(validator.iter_errors(broken)) != []


def test_the_compose_file_for_sqlite_is_consistent() -> None:
    """The store is on a volume, everything else is read-only, and the API and its worker have time to stop."""
    (compose,) = documents("compose.sqlite.yaml")
    (gate,) = compose["services"].values()
    check_command(gate["command"])
    check_settings(list(gate["environment"]))
    assert (DEPLOY / gate["build"]["context"] / gate["build"]["dockerfile"]).exists()
    volume, _, folder = gate["volumes"][0].partition(":")
    assert volume in compose["volumes"]
    assert gate["environment"]["GOODSGATE_STORE"] == folder
    assert gate["read_only"]
    for command in ("serve", "work"):
        check_stop(seconds(gate["stop_grace_period"]), command=command)


def test_the_compose_file_is_consistent() -> None:
    """Commands and settings exist, stop timeouts suffice, and references inside the file resolve."""
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
    assert "healthcheck" not in services["api"], "it is that of the image"
    assert all(services[name]["healthcheck"]["disable"] for name in ("migrate", "worker"))


# -- Kubernetes -------------------------------------------------------------------------------------------------------

KINDS = {
    "Secret": "io.k8s.api.core.v1.Secret", "Service": "io.k8s.api.core.v1.Service", "Job": "io.k8s.api.batch.v1.Job",
    "Deployment": "io.k8s.api.apps.v1.Deployment", "PodDisruptionBudget": "io.k8s.api.policy.v1.PodDisruptionBudget",
}
MANIFEST = documents("kubernetes.yaml")
BY_NAME = {f"{one['kind']}/{one['metadata']['name']}": one for one in MANIFEST}


@pytest.mark.parametrize("name", BY_NAME)
def test_an_object_matches_the_schema_of_kubernetes(name: str) -> None:
    """The schema is strict: an unknown field is an error, because Kubernetes would ignore it."""
    one = BY_NAME[name]
    whole = schema("kubernetes.json")
    validator = jsonschema_rs.validator_for({**whole, "$ref": f"#/$defs/{KINDS[one['kind']]}"})
    assert [f"{error.instance_path}: {error.message}" for error in validator.iter_errors(one)] == []
    assert list(validator.iter_errors({**one, "specs": {}})) != []


@pytest.mark.parametrize("name", [name for name in BY_NAME if name.startswith(("Deployment", "Job"))])
def test_a_pod_runs_an_existing_command(name: str) -> None:
    """Its settings exist, its Secret is in the manifest, it does not run as root, and its stop timeout suffices."""
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


def test_the_manifest_is_consistent() -> None:
    """Probes use existing routes and ports; Service and disruption budgets select existing pods."""
    known = routes()
    deployments = [one["spec"]["template"] for one in MANIFEST if one["kind"] == "Deployment"]
    for template in deployments:
        (container,) = template["spec"]["containers"]
        ports = {port["name"] for port in container.get("ports", ())}
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            request = container.get(probe, {}).get("httpGet")
            assert request is None or (request["path"] in known and request["port"] in ports)
    selectors = [one["spec"]["selector"] for one in MANIFEST if one["kind"] in ("Service", "PodDisruptionBudget")]
    for selector in selectors:
        wanted = selector.get("matchLabels", selector).items()
        assert len([one for one in deployments if wanted <= one["metadata"]["labels"].items()]) == 1
    assert not [one for one in MANIFEST if "namespace" in one["metadata"]]


def test_the_kustomization_is_of_the_manifest() -> None:
    """It sets the image of this version and the replicas of the Deployments; kubectl accepts it, if there is one."""
    (kustomization,) = documents("kustomization.yaml")
    assert kustomization.keys() == {"apiVersion", "kind", "resources", "images", "replicas"}
    assert [path for path in kustomization["resources"] if not (DEPLOY / path).exists()] == []
    (image,) = kustomization["images"]
    assert image == {"name": "goodsgate", "newTag": goodsgate.__version__}
    deployments = {one["metadata"]["name"]: one["spec"]["replicas"] for one in MANIFEST if one["kind"] == "Deployment"}
    assert {each["name"]: each["count"] for each in kustomization["replicas"]} == deployments
    if shutil.which("kubectl") is None:
        return
    built = subprocess.run(["kubectl", "kustomize", DEPLOY], capture_output=True, text=True, check=True, timeout=60)
    objects = list(yaml.safe_load_all(built.stdout))
    assert {f"{one['kind']}/{one['metadata']['name']}" for one in objects} == BY_NAME.keys()
    assert f"image: goodsgate:{goodsgate.__version__}" in built.stdout


# -- image ------------------------------------------------------------------------------------------------------------


def test_the_image_is_built_from_existing_files() -> None:
    """Sources exist and are not ignored, packages are pinned, and the image does not run as root."""
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
    assert any("8480/readyz" in line for line in lines if line.lstrip().startswith("CMD"))
    (settings,) = (line[1:] for line in words if line[0] == "ENV")
    check_settings([one.partition("=")[0] for one in settings if one.startswith("GOODSGATE_")])


def test_a_schema_names_its_source() -> None:
    """The README gives the version and licence of each schema."""
    readme = (SCHEMAS / "README.md").read_text("utf-8")
    for path in SCHEMAS.glob("*.json"):
        assert re.search(rf"^\| `{re.escape(path.name)}` \|.*\d+\.\d+\.\d+.*\| Apache-2\.0 \|$", readme, re.M)
