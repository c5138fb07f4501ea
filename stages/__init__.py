"""The pipeline's stages, a folder each. dvc.yaml starts them with `python -m stages.run STAGE`."""
