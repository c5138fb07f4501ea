"""The precision of a training's arithmetic, and what users hear of a CPU that is slow at it."""

import keras
import pytest

from stages.train.precision import use_precision, warn_of_slow_arithmetic


@pytest.mark.parametrize("fails", [False, True])
def test_layers_made_within_compute_in_the_precision(fails):
    try:
        with use_precision("mixed_bfloat16"):
            policy = keras.layers.Dense(1).dtype_policy
            if fails:
                raise KeyboardInterrupt
    except KeyboardInterrupt:
        pass
    assert (policy.compute_dtype, policy.variable_dtype) == ("bfloat16", "float32")
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize(
    ("cpu", "warning"),
    [
        ("flags : fpu sse2 avx2 avx512f\n", "this CPU has no arithmetic for bfloat16"),
        ("flags : fpu avx512f avx512_bf16\n", ""),
        ("flags : fpu amx_bf16 amx_tile\n", ""),
        ("Features : fp asimd bf16\n", ""),
        (None, "this CPU may have no (this system does not tell) arithmetic for bfloat16"),
    ],
    ids=["without", "AVX-512", "AMX", "ARM", "macOS"],
)
def test_a_cpu_without_bfloat16_is_named(tmp_path, capsys, monkeypatch, cpu, warning):
    monkeypatch.setattr("stages.train.precision.CPU", tmp_path / "cpuinfo")
    if cpu:
        (tmp_path / "cpuinfo").write_text(cpu, encoding="utf-8")
    warn_of_slow_arithmetic("mixed_bfloat16")
    expected = f"train.precision: {warning}: a training may take" if warning else ""
    said = capsys.readouterr().out
    assert said.startswith(expected)
    assert bool(said) == bool(warning)


def test_float32_needs_no_warning(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("stages.train.precision.CPU", tmp_path / "none")
    warn_of_slow_arithmetic("float32")
    assert capsys.readouterr().out == ""
