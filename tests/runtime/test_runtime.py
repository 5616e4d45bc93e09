"""The C++ tests of `runtime/`, compiled and run for several compilers, instruction sets and vector widths.

Each program prints what differs and ends with a code other than 0 on failure; see `runtime/tests/check.hpp`.
Set SEQC_SWEEP_BITS (up to 32) to sweep the elementary functions over more than 2^22 numbers.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from seqc.driver.toolchain import FLAGS
from seqc.ops.random import draw

ROOT = Path(__file__).resolve().parents[2]
WARNINGS = (
    "-Wall",
    "-Wextra",
    "-Wconversion",
    "-Wshadow",
    "-Wsign-conversion",
    "-Wdouble-promotion",
    "-Werror",
)
COMPILERS = [name for name in ("g++", "clang++") if shutil.which(name)]
X86 = platform.machine() in ("x86_64", "AMD64")

WIDTHS: dict[str, tuple[str, ...]] = {
    "native": ("-O2", "-march=native"),
    "plain": ("-O2",),
    "avx2": ("-O2", "-mavx2", "-mfma"),
    "scalar": ("-O1", "-DSEQC_VECTOR_BYTES=0"),
    "half": ("-O1", "-march=native", "-DSEQC_VECTOR_BYTES=32"),
    "sanitized": (
        "-O0",
        "-march=native",
        "-fsanitize=address,undefined",
        "-fno-sanitize=null,object-size",  # the address sanitizer finds these, too, and compiles sooner alone
        "-fno-sanitize-recover=all",
    ),
}
CALLS = ("--param", "asan-instrumentation-with-call-threshold=100")
"""For large programs under the sanitizers: checks are calls, which run longer, but are compiled in half of the time."""


def usable(width: str) -> bool:
    """Whether this machine runs what is compiled for `width`, and that is not what `native` is."""
    needs = {"avx2": {"avx2", "fma", "avx512f"}, "half": {"avx512f"}}.get(width, set())
    cpu = Path("/proc/cpuinfo")
    return not needs or (X86 and cpu.exists() and needs <= set(cpu.read_text().split()))


def build(compiler: str, source: str, out: Path, *flags: str) -> Path:
    """The program made of one file of `runtime/tests`; what the compiler says is the failure."""
    base = [flag for flag in FLAGS if flag not in ("-O3", "-fvisibility=hidden")]
    command = [
        compiler,
        *base,
        *WARNINGS,
        *flags,
        str(ROOT / "runtime/tests" / source),
        "-o",
        str(out),
        "-lm",
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out


def run(program: Path, *arguments: str) -> str:
    """What the program prints; a code other than 0 fails with it."""
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(params=COMPILERS or [pytest.param("", marks=pytest.mark.skip("no C++ compiler"))])
def compiler(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=[name for name in WIDTHS if usable(name)])
def width(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_functions_are_accurate_and_equal_in_vectors(compiler: str, width: str, tmp_path: Path) -> None:
    program = build(compiler, "test_math.cpp", tmp_path / "math", *WIDTHS[width])
    few = "22" if width == "native" else "18" if width == "plain" else "16"
    run(program, os.environ.get("SEQC_SWEEP_BITS", few))


def test_products_agree_with_the_plain_form(compiler: str, width: str, tmp_path: Path) -> None:
    if width != "native" and compiler != "g++":
        pytest.skip("one compiler is enough for this width")
    run(build(compiler, "test_gemm.cpp", tmp_path / "gemm", *WIDTHS[width], *many_sizes(compiler, width)))


def many_sizes(compiler: str, width: str) -> tuple[str, ...]:
    """Flags for a program of many sizes: all of them once, and what takes minutes to compile in less."""
    if compiler == "clang++":
        return ("-O1", "-DSEQC_TEST_LEAST")
    if width == "sanitized":
        return ("-DSEQC_TEST_LEAST", *CALLS)
    if width in ("plain", "scalar"):
        return ("-DSEQC_TEST_FEW",) if width == "plain" else ("-DSEQC_TEST_LEAST",)
    return ("-O1", "-DSEQC_TEST_ALL") if width == "native" else ()


def test_sums_draws_and_guard(compiler: str, width: str, tmp_path: Path) -> None:
    program = build(compiler, "test_sums.cpp", tmp_path / "sums", *WIDTHS[width])
    run(program)


def test_contractions(compiler: str, width: str, tmp_path: Path) -> None:
    if width == "sanitized" and compiler != "g++":
        pytest.skip("one compiler is enough for this width")
    run(build(compiler, "test_contract.cpp", tmp_path / "contract", *WIDTHS[width]))


def test_products_with_weights_of_fewer_bits(compiler: str, width: str, tmp_path: Path) -> None:
    if width != "native" and compiler != "g++":
        pytest.skip("one compiler is enough for this width")
    run(build(compiler, "test_quant.cpp", tmp_path / "quant", *WIDTHS[width], *many_sizes(compiler, width)))


def test_products_of_rounded_operands(compiler: str, width: str, tmp_path: Path) -> None:
    if width == "half" or (width != "native" and compiler != "g++"):
        pytest.skip("one compiler is enough for this width")
    run(build(compiler, "test_bf16.cpp", tmp_path / "bf16", *WIDTHS[width], *many_sizes(compiler, width)))


@pytest.mark.skipif(not COMPILERS, reason="no C++ compiler")
@pytest.mark.parametrize("source", ["test_bf16.cpp", "test_quant.cpp"])
def test_matrix_tiles_in_emulation(source: str, tmp_path: Path) -> None:
    flags = ("-O0", "-DSEQC_VECTOR_BYTES=64", "-DSEQC_EMULATED_TILES", "-DSEQC_TEST_LEAST", "-Wno-psabi")
    run(build(COMPILERS[0], source, tmp_path / source, *flags))


def test_matrix_tiles_compile(tmp_path: Path) -> None:
    if not X86 or "g++" not in COMPILERS:
        pytest.skip("for x86 only")
    for source in ("test_bf16.cpp", "test_quant.cpp"):
        build("g++", source, tmp_path / source, "-O0", "-march=sapphirerapids")
    for source in ("rates.cpp", "bench.cpp"):  # what doctor --measure and bench compile on such a machine
        build("g++", f"../bench/{source}", tmp_path / source, "-O0", "-march=sapphirerapids", "-shared")


def test_dot_products_of_bytes_compile(tmp_path: Path) -> None:
    if not X86 or "g++" not in COMPILERS:
        pytest.skip("for x86 only")
    build("g++", "test_quant.cpp", tmp_path / "quant", "-O0", "-march=alderlake")


@pytest.mark.parametrize(
    ("source", "march"),
    [
        ("test_math.cpp", "armv8-a"),
        ("test_gemm.cpp", "armv8-a"),
        ("test_sums.cpp", "armv8-a"),
        ("test_contract.cpp", "armv8-a"),
        ("test_quant.cpp", "armv8-a"),
        ("test_quant.cpp", "armv8.2-a+dotprod"),
        ("test_bf16.cpp", "armv8-a"),
    ],
)
def test_arm_under_an_emulator(source: str, march: str, tmp_path: Path) -> None:
    cross, emulator = shutil.which("aarch64-linux-gnu-g++"), shutil.which("qemu-aarch64")
    if cross is None or emulator is None:
        pytest.skip("no cross compiler and emulator for 64-bit Arm")
    flags = ("-O1", "-static", "-DSEQC_TEST_LEAST", f"-march={march}")
    program = build(cross, source, tmp_path / "arm", *flags)
    done = subprocess.run([emulator, str(program), "12"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_draws_have_the_bits_of_numpy(compiler: str, tmp_path: Path) -> None:
    program = build(compiler, "test_sums.cpp", tmp_path / "draws", "-O1")
    for seed, call, site, step, row in (
        (0, 0, 0, 0, 0),
        (1, 2, 3, 4, 5),
        (2**63 - 1, 2**40, 7, 2**35, 2**31),
    ):
        printed = run(program, *(str(number) for number in (seed, call, site, step, row, 23)))
        ours = draw(seed, call, site, step, row, np.arange(23)) * 2.0**24
        assert [float(line) for line in printed.split()] == list(ours)


def test_draws_broadcast_and_spread_evenly() -> None:
    numbers = draw(5, 6, 7, np.arange(8)[:, None, None], np.arange(16)[None, :, None], np.arange(64))
    assert numbers.shape == (8, 16, 64)
    assert np.array_equal(numbers[3, 4], draw(5, 6, 7, 3, 4, np.arange(64)))
    assert numbers.min() >= 0.0 and numbers.max() < 1.0
    counts, _ = np.histogram(numbers, bins=32, range=(0.0, 1.0))
    assert np.abs(counts - numbers.size / 32).max() < 6 * np.sqrt(numbers.size / 32)
    assert np.unique(numbers).size > 0.99 * numbers.size


def test_headers_need_nothing_but_the_c_library(compiler: str, tmp_path: Path) -> None:
    if shutil.which("nm") is None:
        pytest.skip("no nm")
    source, object_file = tmp_path / "all.cpp", tmp_path / "all.o"
    source.write_text(ALL_HEADERS, encoding="utf-8")
    command = [compiler, *FLAGS, *WARNINGS, "-march=native", f"-I{ROOT / 'runtime'}", "-c", str(source)]
    done = subprocess.run([*command, "-o", str(object_file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    listed = subprocess.run(["nm", "-u", str(object_file)], capture_output=True, text=True, check=True).stdout
    assert set(listed.split()) - {"U"} <= {"memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}


ALL_HEADERS = """
#include "outer.hpp"
#include "guard.hpp"
#include "tiles8.hpp"
#include "math.hpp"
#include "random.hpp"
#include "reduce.hpp"
using namespace seqc;
extern "C" bool all(int64_t rows, const float *h, const float *packed, float *out) {
  const FlushToZero flush;
  const Segment<float> segment = {h, 40, packed, 40};
  product_with<float, 4, 40>(0, rows, &segment, 1, [&](int64_t row, int64_t unit, auto which, Vec<float> *sums) {
    const Vec<float> keep = draw<float>(DrawKey{1, 2, nullptr, 3, 4}, 5, row, unit, which);
    store(out + row * 40 + unit, tanh(sums[0]) * sigmoid(sums[1]) + exp(sums[2]) * log(sums[3]) * keep, which);
  });
  outer<float, 40>(0, 40, rows, h, 40, h, 40, out, 40, true);
  return all_finite(rows * 40, out);
}
"""
