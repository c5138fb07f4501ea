"""What two stages use, one thing a file: dvc.yaml names each file for the stages that use it."""
