"""Starts a stage. Nothing in this folder can change an output, so no stage has it as a dep."""
