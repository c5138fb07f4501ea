"""Where tools find what the stages make: dvc.yaml tells the stages, this module tells the tools."""

from pathlib import Path

LOCK = Path("dvc.lock")
PIPELINE = Path("dvc.yaml")
REQUIREMENTS = Path("requirements/pipeline.txt")
STAGES = Path("stages")

AUDIT = Path("audit")  # what tools.audit finds; Git ignores it

CLASSIFIER = Path("models/classifier")  # what leaves the project
MODEL = CLASSIFIER / "model.onnx"
KERAS_MODEL = Path("models/model.keras")
LAYERS = Path("models/layers.txt")

REPORTS = Path("reports")
FIGURES = REPORTS / "figures"
COUNTS = REPORTS / "data.json"
CONFUSION = REPORTS / "confusion.json"
METRIC_FILES = {split: REPORTS / f"{split}.json" for split in ("validation", "test")}
PROBABILITIES = {split: REPORTS / f"probabilities_{split}.npy" for split in METRIC_FILES}

PROCESSED = Path("data/processed")
SPLITS = ("train", "validation", "test")
IMAGES = {split: PROCESSED / f"x_{split}.npy" for split in SPLITS}
LABELS = {split: PROCESSED / f"y_{split}.npy" for split in SPLITS}
ARRAYS = [str(arrays[split]) for split in SPLITS for arrays in (IMAGES, LABELS)]
