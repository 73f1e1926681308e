"""The manifests for Kubernetes: rendered by Kustomize, judged by the published schemas."""

import base64
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from source_tree import ROOT

from antiphon.keys import secrets
from antiphon_gateway.drain import CLOSE_TIMEOUT_S
from antiphon_proto import curve
from antiphon_proto.addresses import ports, process_names
from antiphon_proto.bus import open_bus
from antiphon_proto.config import Config, as_gateway, load

MANIFESTS = ROOT / "deploy" / "kubernetes"
OURS = {"gateway", "dispatcher", "stt", "llm", "tts"}
WORKERS = {"stt", "llm", "tts"}
CUSTOM = {"ScaledObject", "PodMonitor"}
"""Resources of KEDA and of the Prometheus Operator, whose schemas are none of Kubernetes's."""
VERSIONS = ("1.32", "1.37")
COMPONENT = "app.kubernetes.io/component"
JOB_PORT = 45_678
WORKER_STOP_S = 15
Resource = dict[str, Any]

pytestmark = pytest.mark.skipif(
    shutil.which("kubectl") is None, reason="kubectl, which has Kustomize in it, is not installed"
)


def rendered(name: str) -> list[Resource]:
    command = ["kubectl", "kustomize", str(MANIFESTS / name)]
    result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
    assert result.returncode == 0, result.stderr
    return [resource for resource in yaml.safe_load_all(result.stdout) if resource]


@pytest.fixture(scope="module")
def base() -> list[Resource]:
    return rendered("base")


@pytest.fixture(scope="module")
def example() -> list[Resource]:
    return rendered("example")


def of_kind(resources: list[Resource], *kinds: str) -> dict[str, Resource]:
    return {each["metadata"]["name"]: each for each in resources if each["kind"] in kinds}


def pods(resources: list[Resource]) -> dict[str, Resource]:
    """Return the pod template of each workload."""
    workloads = of_kind(resources, "StatefulSet", "Deployment")
    return {name: workload["spec"]["template"] for name, workload in workloads.items()}


def container(pod: Resource) -> Resource:
    [only] = pod["spec"]["containers"]
    found: Resource = only
    return found


def config_of(resources: list[Resource], name: str, index: int = 0) -> Config:
    """Return the configuration that a pod's process reads."""
    variables: dict[str, str] = dict(of_kind(resources, "ConfigMap")["antiphon"]["data"])
    for variable in container(pods(resources)[name]).get("env", []):
        if variable["name"].startswith("ANTIPHON_"):
            variables[variable["name"]] = variable.get("value", "from-a-secret")
    config = load(environment=variables)
    return as_gateway(config, index) if name == "gateway" else config


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", ["base", "example"])
def test_the_published_schemas_accept_every_resource(name: str, version: str) -> None:
    judged = 0
    for resource in rendered(name):
        if resource["kind"] not in CUSTOM:
            kubernetes_validate.validate(resource, version, strict=True)
            judged += 1
    assert judged >= 16


def test_the_schemas_refuse_what_they_should(base: list[Resource]) -> None:
    wrong = of_kind(base, "StatefulSet")["stt"] | {"spec": {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_every_process_runs_confined(example: list[Resource]) -> None:
    for name, pod in pods(example).items():
        assert pod["spec"]["automountServiceAccountToken"] is False, name
        security = container(pod)["securityContext"]
        assert security["allowPrivilegeEscalation"] is False, name
        assert security["capabilities"] == {"drop": ["ALL"]}, name
        if name in OURS:
            assert security["readOnlyRootFilesystem"] is True, name
            assert pod["spec"]["enableServiceLinks"] is False, name
            assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
            assert pod["spec"]["securityContext"]["runAsUser"] == 10001, name
        assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container(pod).keys(), name


def test_there_is_time_to_finish(base: list[Resource]) -> None:
    gateway = pods(base)["gateway"]
    [_, pause_s] = container(gateway)["lifecycle"]["preStop"]["exec"]["command"]
    needed_s = float(pause_s) + config_of(base, "gateway").gateway.drain_s + CLOSE_TIMEOUT_S
    assert gateway["spec"]["terminationGracePeriodSeconds"] >= needed_s + 5
    for stage in WORKERS:
        assert pods(base)[stage]["spec"]["terminationGracePeriodSeconds"] >= WORKER_STOP_S + 5


def test_workers_answer_as_many_gateways_as_there_are(base: list[Resource]) -> None:
    gateways = of_kind(base, "StatefulSet")["gateway"]
    assert gateways["spec"]["replicas"] == config_of(base, "stt").gateway.processes
    assert gateways["spec"]["serviceName"] == "antiphon"


def test_every_workload_but_the_dispatcher_has_a_disruption_budget(base: list[Resource]) -> None:
    assert of_kind(base, "PodDisruptionBudget").keys() == OURS - {"dispatcher"}


def test_the_card_and_vllm_are_asked_for(example: list[Resource]) -> None:
    stt, llm = config_of(example, "stt"), config_of(example, "llm")
    assert (stt.stt.device, stt.stt.batch) == ("cuda", 16)
    assert container(pods(example)["stt"])["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert llm.llm.engine == "openai"
    port = of_kind(example, "Service")["vllm"]["spec"]["ports"][0]["port"]
    assert llm.llm.url == f"http://vllm:{port}/v1"


def test_stages_scale_on_the_wait_that_the_gateway_tells(example: list[Resource]) -> None:
    scaled = of_kind(example, "ScaledObject")
    assert scaled.keys() == WORKERS
    metrics = (ROOT / "gateway" / "antiphon_gateway" / "metrics.py").read_text()
    for name, resource in scaled.items():
        spec = resource["spec"]
        assert spec["scaleTargetRef"] == {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "name": name,
        }
        [trigger] = spec["triggers"]
        assert trigger["type"] == "prometheus"
        assert {"serverAddress", "query", "threshold"} == trigger["metadata"].keys()
        [series] = re.findall(r"antiphon_(\w+)_bucket", trigger["metadata"]["query"])
        assert f'"{series}"' in metrics
        assert f'stage="{name}"' in trigger["metadata"]["query"]


# --- who may talk to whom ----------------------------------------------------------------------


def selects(selector: Resource, labels: dict[str, str]) -> bool:
    if any(labels.get(key) != value for key, value in selector.get("matchLabels", {}).items()):
        return False
    expressions = selector.get("matchExpressions", [])
    assert all(expression["operator"] == "In" for expression in expressions)
    return all(labels.get(each["key"]) in each["values"] for each in expressions)


def lets_through(rules: list[Resource], side: str, other: dict[str, str] | None, port: int) -> bool:
    """Tell whether rules of one direction allow a peer, None for one outside, on a port."""
    for rule in rules:
        peers = rule.get(side)
        known = peers is None or any(
            other is not None and "podSelector" in peer and selects(peer["podSelector"], other)
            for peer in peers
        )
        wanted = rule.get("ports")
        open_ports = wanted is None or any(
            each["port"] <= port <= each.get("endPort", each["port"]) for each in wanted
        )
        if known and open_ports:
            return True
    return False


def may_talk(resources: list[Resource], source: str, target: str, port: int) -> bool:
    """Tell whether the policies let pods of `source` (empty: anybody) connect to `target`."""
    found = pods(resources)
    labels = {name: pod["metadata"]["labels"] for name, pod in found.items()}
    policies = [each["spec"] for each in of_kind(resources, "NetworkPolicy").values()]

    def rules(name: str, direction: str) -> Iterator[Resource]:
        chosen = [each for each in policies if selects(each["podSelector"], labels[name])]
        chosen = [each for each in chosen if direction in each["policyTypes"]]
        assert chosen, f"nothing restricts {direction} of {name}"
        for each in chosen:
            yield from each.get(direction.lower(), [])

    inward = lets_through(
        list(rules(target, "Ingress")), "from", labels[source] if source else None, port
    )
    return inward and (
        not source or lets_through(list(rules(source, "Egress")), "to", labels[target], port)
    )


def test_only_what_must_talk_may(example: list[Resource]) -> None:
    config = config_of(example, "stt")
    at = {name: port for name, port in ports(config, 7400).items()}
    needed = {
        (stage, "dispatcher", at[f"dispatcher.{channel}"])
        for stage in WORKERS
        for channel in ("status", "control")
    }
    needed |= {("gateway", "dispatcher", at["dispatcher.requests"])}
    for gateway in config.gateways:
        needed |= {(stage, "gateway", at[f"{gateway}.results"]) for stage in WORKERS}
        needed |= {("dispatcher", "gateway", at[f"{gateway}.notices"])}
    needed |= {("dispatcher", stage, JOB_PORT) for stage in WORKERS}
    needed |= {("", "gateway", 8080), ("llm", "vllm", 8000)}
    allowed = {
        (source, target, port)
        for source in ("", *pods(example))
        for target in pods(example)
        for port in (*at.values(), 8080, 8000, JOB_PORT)
        if source != target and may_talk(example, source, target, port)
    }
    assert needed - allowed == set()
    # The gateway's ports are open to workers and dispatcher alike, and a worker's are any.
    more = {
        (source, target)
        for source, target, port in allowed - needed
        if not (target == "gateway" and source in {"dispatcher", *WORKERS} and port in at.values())
        and not (source == "dispatcher" and target in WORKERS)
    }
    assert more == set()


# --- keys --------------------------------------------------------------------------------------


def test_a_pod_can_open_its_bus_with_its_mounted_keys(base: list[Resource], tmp_path: Path) -> None:
    made = load(
        environment={},
        settings=[
            "stt.processes=2",
            "llm.processes=2",
            "tts.processes=2",
            "gateway.processes=2",
            "bus.dispatcher=process",
        ],
    )
    for name in process_names(made):
        curve.make(tmp_path / "all", name)
    printed = secrets(tmp_path / "all")
    items: list[Resource] = printed["items"]  # type: ignore[assignment]
    for secret in items:
        kubernetes_validate.validate(secret, VERSIONS[-1], strict=True)
    stored = {secret["metadata"]["name"]: secret["data"] for secret in items}
    for workload, pod in pods(base).items():
        for index in range(2 if workload != "dispatcher" else 1):
            name = workload if workload == "dispatcher" else f"{workload}-{index}"
            place = tmp_path / name
            for mount in container(pod)["volumeMounts"]:
                lay_out(pod, mount, name, place, stored)
            read = config_of(base, workload, index)
            here = load(
                environment={},
                settings=[
                    f"bus.address={read.bus.address}",
                    "bus.listen_host=127.0.0.1",
                    f"bus.key_dir={place}{read.bus.key_dir}",
                    f"bus.key_file={place}{read.bus.key_file}",
                    f"bus.runtime_dir={place}/run",
                    "gateway.processes=2",
                    "bus.dispatcher=process",
                ],
            )
            with open_bus(here, name) as bus:
                assert bus.networked
            secret_files = [path for path in place.rglob("*") if "secret-key" in read_text(path)]
            assert [path.name for path in secret_files] == ["own.key_secret"]


def read_text(path: Path) -> str:
    return path.read_text() if path.is_file() else ""


def lay_out(
    pod: Resource, mount: Resource, name: str, place: Path, stored: dict[str, dict[str, str]]
) -> None:
    """Put a mounted secret where the kubelet would."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    source = volumes[mount["name"]].get("secret")
    if source is None:
        return
    files = stored[source["secretName"]]
    target = Path(f"{place}{mount['mountPath']}")
    part = mount.get("subPath") or mount.get("subPathExpr", "").replace("$(POD_NAME)", name)
    for file, content in files.items():
        path = target if part else target / file
        if not part or file == part:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(base64.b64decode(content))
            path.chmod(0o600)


def test_names_in_commands_are_those_of_pods(base: list[Resource]) -> None:
    for name, pod in pods(base).items():
        only = container(pod)
        assert only["command"][-1 if name in WORKERS else 0].removeprefix("antiphon-") == name
        if name != "dispatcher":
            assert only["args"] == ["--index", "$(POD_INDEX)"]
    assert pods(base)["dispatcher"]["spec"]["hostname"] == "dispatcher"
    assert pods(base)["dispatcher"]["spec"]["subdomain"] == "antiphon"
    assert os.path.basename(config_of(base, "stt").bus.address).startswith("{name}.antiphon:")
