"""The pipeline's stages. dvc.yaml starts each as `python -m stages.run STAGE PATH ...`."""


class StageError(Exception):
    """A mistake that the user can mend: shown as its message alone, without a traceback."""
