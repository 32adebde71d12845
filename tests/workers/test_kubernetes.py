"""The manifest of `cnn help workers`: Kubernetes takes it, and its workers find each other."""

from __future__ import annotations

import copy
import json
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from cnncli.report.help_pages import written
from cnncli.workers.cluster import parse


def record(required: dict[str, Any], optional: dict[str, Any] | None = None) -> dict[str, Any]:
    """Return the schema of an object with these fields and no others."""
    properties = {**required, **(optional or {})}
    return {"type": "object", "required": [*required], "properties": properties, "additionalProperties": False}


def several(items: dict[str, Any]) -> dict[str, Any]:
    """Return the schema of a list that is not empty."""
    return {"type": "array", "minItems": 1, "items": items}


TEXT = {"type": "string", "minLength": 1}
COUNT = {"type": "integer", "minimum": 0, "maximum": 2**31 - 1}
LABEL = {"type": "string", "pattern": "^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$"}
LABELS = {"type": "object", "additionalProperties": {"type": "string", "maxLength": 63}}
METADATA = record({"name": LABEL}, {"labels": LABELS, "namespace": LABEL})
CONTAINER = record(
    {"name": LABEL, "image": TEXT},
    {
        "command": several(TEXT),
        "args": several(TEXT),
        "env": several(record({"name": TEXT}, {"value": {"type": "string"}})),
        "resources": record({}, {"limits": LABELS, "requests": LABELS}),
        "volumeMounts": several(record({"name": LABEL, "mountPath": TEXT}, {"readOnly": {"type": "boolean"}})),
    },
)
POD = record(
    {"containers": several(CONTAINER), "restartPolicy": {"enum": ["Never", "OnFailure"]}},
    {
        "subdomain": LABEL,
        "terminationGracePeriodSeconds": COUNT,
        "volumes": several(record({"name": LABEL, "persistentVolumeClaim": record({"claimName": LABEL})})),
    },
)
JOB = record(
    {
        "apiVersion": {"const": "batch/v1"},
        "kind": {"const": "Job"},
        "metadata": METADATA,
        "spec": record(
            {"template": record({"spec": POD}, {"metadata": record({}, {"labels": LABELS})})},
            {
                "completionMode": {"enum": ["NonIndexed", "Indexed"]},
                "completions": COUNT,
                "parallelism": COUNT,
                "backoffLimit": COUNT,
                "activeDeadlineSeconds": COUNT,
                "ttlSecondsAfterFinished": COUNT,
            },
        ),
    }
)
"""What a manifest of a Job may say, after the API reference of batch/v1 Job and v1 PodSpec; unknown fields are errors.

A Job's pods are restarted never or on failure, and their names are labels of DNS.
"""
SERVICE = record(
    {
        "apiVersion": {"const": "v1"},
        "kind": {"const": "Service"},
        "metadata": METADATA,
        "spec": record({"selector": LABELS}, {"clusterIP": TEXT, "publishNotReadyAddresses": {"type": "boolean"}}),
    }
)
"""What a manifest of a Service may say, after the API reference of v1 Service."""


@pytest.fixture(scope="module")
def manifest() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the Service and the Job that the manual shows."""
    (text,) = re.findall(r"```kubernetes\n(.*?)```", written()["workers"].body, re.DOTALL)
    service, job = yaml.safe_load_all(text)
    return service, job


def test_kubernetes_takes_the_manifest(manifest: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """Both have the published structure."""
    for document, schema in zip(manifest, (SERVICE, JOB), strict=True):
        jsonschema.validate(document, schema)


@pytest.mark.parametrize(
    "damage",
    [
        lambda job: job["spec"].update(completionmode="Indexed"),
        lambda job: job["spec"].update(completions="4"),
        lambda job: job["spec"]["template"]["spec"].update(restartPolicy="Always"),
        lambda job: job["spec"]["template"]["spec"]["containers"][0].update(command="sh"),
        lambda job: job["metadata"].update(name="Digits_1"),
        lambda job: job["spec"].pop("template"),
    ],
)
def test_the_schema_refuses_what_kubernetes_does(
    manifest: tuple[dict[str, Any], dict[str, Any]], damage: Callable[[dict[str, Any]], Any]
) -> None:
    """The test above can fail."""
    job = copy.deepcopy(manifest[1])
    damage(job)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(job, JOB)


def test_the_pods_have_names_and_run_at_once(manifest: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """As the documentation of Jobs with pod-to-pod communication asks; a worker alone would wait for the others."""
    service, job = manifest
    spec = job["spec"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    assert (spec["completionMode"], spec["parallelism"]) == ("Indexed", spec["completions"])
    pod = spec["template"]["spec"]
    assert {each["name"] for each in pod["containers"][0]["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


@pytest.mark.skipif(shutil.which("sh") is None, reason="there is no shell")
def test_every_pod_finds_its_place(manifest: tuple[dict[str, Any], dict[str, Any]], tmp_path: Path) -> None:
    """The container's own command, run by a shell, starts `cnn train` as the worker of its index."""
    service, job = manifest
    (container,) = job["spec"]["template"]["spec"]["containers"]
    cnn = tmp_path / "cnn"
    cnn.write_text('#!/bin/sh\nprintf "%s\\n" "$TF_CONFIG" > tf_config.json\nprintf "%s\\n" "$@"\n')
    cnn.chmod(0o755)
    hosts = [f"{job['metadata']['name']}-{i}.{service['metadata']['name']}" for i in range(job["spec"]["completions"])]
    for index in range(len(hosts)):
        done = subprocess.run(
            [*container["command"], *container["args"]],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin", "JOB_COMPLETION_INDEX": str(index)},
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        )
        words = done.stdout.splitlines()
        assert words[0] == "train"
        assert words[-2:] == ["--cluster", "tf_config"]
        assert f"train.shards={len(hosts)}" in words
        text = (tmp_path / "tf_config.json").read_text()
        assert json.loads(text)["task"] == {"type": "worker", "index": index}
        cluster = parse("tf_config", None, {"TF_CONFIG": text})
        assert cluster.rank == index
        assert [address.rsplit(":", 1)[0] for address in cluster.addresses] == hosts
