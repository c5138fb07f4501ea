"""What KServe and Triton get, held against the schemas that these two publish."""

import json
import re
from pathlib import Path

import jsonschema
import onnx
import pytest
import yaml
from classifiers import classifier_folder
from conftest import ROOT
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from serving.limits import Limits
from serving.protocol import MODEL_NAME

__all__ = ["classifier_folder"]  # a fixture

MANIFESTS = list(yaml.safe_load_all((ROOT / "serving/kserve.yaml").read_text(encoding="utf-8")))
SCHEMA = json.loads(Path(__file__).with_name("kserve_schema.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("manifest", MANIFESTS, ids=lambda each: each["metadata"]["name"])
def test_a_manifest_is_an_inference_service(manifest: dict) -> None:
    assert (manifest["apiVersion"], manifest["kind"]) == (
        "serving.kserve.io/v1beta1", "InferenceService"
    )  # fmt: skip
    jsonschema.validate(manifest, SCHEMA)


def test_the_schema_sees_what_is_wrong() -> None:
    manifest = json.loads(json.dumps(MANIFESTS[0]))
    manifest["spec"]["predictor"]["minReplica"] = 2
    with pytest.raises(jsonschema.ValidationError, match="minReplica"):
        jsonschema.validate(manifest, SCHEMA)
    manifest = json.loads(json.dumps(MANIFESTS[1]))
    del manifest["spec"]["predictor"]["model"]["modelFormat"]["name"]
    with pytest.raises(jsonschema.ValidationError, match="name"):
        jsonschema.validate(manifest, SCHEMA)


def test_the_manifest_runs_the_image_within_its_limits() -> None:
    """Port, probes and user are those of serving/Dockerfile; it ends before it is killed."""
    predictor = MANIFESTS[0]["spec"]["predictor"]
    (container,) = predictor["containers"]
    (port,) = (each["containerPort"] for each in container["ports"])
    assert container["args"] == ["--port", str(port)]
    for probe, path in (("readinessProbe", "ready"), ("livenessProbe", "live")):
        assert container[probe]["httpGet"] == {"path": f"/v2/health/{path}", "port": port}
    pause = int(container["lifecycle"]["preStop"]["exec"]["command"][1])
    assert predictor["terminationGracePeriodSeconds"] > pause + Limits.stop_seconds
    assert predictor["timeout"] >= Limits.reply_seconds
    assert container["securityContext"]["readOnlyRootFilesystem"]
    assert [mount["mountPath"] for mount in container["volumeMounts"]] == ["/tmp"]  # noqa: S108


def test_triton_s_configuration_takes_the_model_as_it_is(classifier_folder: Path) -> None:
    """It names the file and leaves shapes to it: the first axis of input and output is free."""
    folder = ROOT / "serving/triton" / MODEL_NAME
    text = (folder / "config.pbtxt").read_text(encoding="utf-8")
    config = text_format.Parse(text, ModelConfig())
    assert (config.name, config.backend) == (MODEL_NAME, "onnxruntime")
    assert config.default_model_filename == "model.onnx"
    assert config.max_batch_size > 1
    assert not config.input
    assert not config.output
    graph = onnx.load(classifier_folder / "model.onnx").graph
    for value in (*graph.input, *graph.output):
        first, *others = value.type.tensor_type.shape.dim
        assert first.dim_param
        assert all(size.dim_value for size in others)
    with pytest.raises(text_format.ParseError):
        text_format.Parse(text + "max_batch: 1", ModelConfig())


def test_the_model_s_folder_is_what_the_document_makes() -> None:
    document = (ROOT / "docs/serving.md").read_text(encoding="utf-8")
    assert re.search(r"cp models/classifier/model\.onnx serving/triton/classifier/1/", document)
