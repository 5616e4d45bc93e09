"""From a `.seq` file to the files of a build: text by `emit`, then compiler, archiver and linker on it.

`translate` gives a `Translation`: everything decided, nothing compiled. Its `make` fills a folder with the files.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from seqc.driver import pipeline, rates, resources, toolchain, tuned
from seqc.driver.cache import digest
from seqc.driver.fault import ToolFault, UserFault
from seqc.driver.naming import name_of
from seqc.driver.options import Options
from seqc.driver.profile import check_profile, march_of, math_of, real_of, stored
from seqc.driver.sources import Reader
from seqc.driver.toolchain import Toolchain
from seqc.emit import EmitOptions, Variant, emit, emit_fat, model_of
from seqc.emit import manifest as emit_manifest
from seqc.emit.model import describe
from seqc.lower.program import Program
from seqc.plan.target import Target


@dataclass(frozen=True, slots=True)
class Translation:
    """A model as text. `files` are the sources read, with digests; `key` is a hash of all that shapes the result.

    `units` are the C++ files of the library, each with the toolchain that compiles it.
    """

    name: str
    texts: Mapping[str, str]
    files: Mapping[str, str]
    key: str
    tools: Toolchain
    emit: tuple[str, ...]
    embedded: bool
    low: bool = False
    units: tuple[tuple[str, Toolchain], ...] = ()

    def make(self, folder: Path) -> None:
        """Compiles what `emit` lists into `folder`."""
        with tempfile.TemporaryDirectory(prefix="seqc-") as scratch:
            Maker(self, folder, Path(scratch)).make()


def translate(
    path: Path, options: Options, emits: tuple[str, ...], note: Callable[[str], None], divided: bool = True
) -> Translation:
    """Everything up to the text of the generated files; not `divided`, each library is one file, to be read."""
    reader = Reader(path)
    program = pipeline.program(reader, options)
    profile = pipeline.profile(program, options)
    real = real_of(profile, options)
    march = march_of(profile, options)
    fat = march == toolchain.FAT
    levels = toolchain.levels(options.compiler) if fat else (toolchain.probe(options.compiler, march),)
    if "py" in emits:
        toolchain.check_package(levels[0])
    name = name_of(program.name, options.name, path)
    chosen = _emit_options(program, options, name, real, reader)
    wanted = pipeline.entries_of(program, profile, options.part)
    told = pipeline.chosen_for(program, profile, tuned.choices_of(options))
    planned = []
    for tools in levels:
        own, math = rates.of_build(options.compiler, march), math_of(program, profile)
        target = pipeline.target_of(tools, real, stored(profile), program, math, own)
        plans = pipeline.plans(program, target, wanted, told)
        if profile is not None:
            check_profile(program, profile, plans, target, emits)
        planned.append((tools, target, plans))
    tools, target, plans = planned[-1]
    embedded = _embedded(program, plans, target, chosen, options.embed, reader)
    chosen = EmitOptions(
        name,
        real,
        chosen.source_hash,
        chosen.version,
        f"lib{name}.so",
        embedded,
        True if profile is None else profile.heap,
        () if profile is None else profile.batch,
        () if profile is None else profile.steps,
    )
    if fat:
        variants = [
            Variant(march, features, model_of(program, plans, target, chosen), plans)
            for (march, features), (_, target, plans) in zip(toolchain.LEVELS, planned, strict=True)
        ]
        texts = emit_fat(variants, path.name, divided)
        units = [(f"{name}.cpp", levels[0])]
        for each, level in zip(variants, levels, strict=True):
            units += [(file, level) for file in texts if _is_unit(file, f"{name}_{each.suffix}")]
    else:
        texts = emit(program, plans, target, chosen, path.name, divided)
        units = [(file, tools) for file in texts if _is_unit(file, name)]
    low = profile is not None and (target.weights, target.math) != ("real", "real") and march == "native"
    shown = sorted((Path(file).name, value) for file, value in reader.files.items())
    marks = [mark for level in levels for mark in (level.march, *level.features)]
    written = [part for pair in sorted(texts.items()) for part in pair]  # what rates and timings decided
    key = digest(repr(shown), options.key(), repr(emits), tools.version, *marks, *written)
    files = dict(reader.files)
    return Translation(name, texts, files, key, levels[0], emits, embedded is not None, low, tuple(units))


def _is_unit(file: str, stem: str) -> bool:
    """Whether a file is that of a library, or a part of it."""
    return file == f"{stem}.cpp" or (file.startswith(f"{stem}_part_") and file.endswith(".cpp"))


def _emit_options(program: Program, options: Options, name: str, real: str, reader: Reader) -> EmitOptions:
    from seqc import __version__

    names = sorted((Path(file).name, value) for file, value in reader.files.items())
    source = hashlib.sha256(repr((names, options.dims, program.name, real)).encode()).hexdigest()
    return EmitOptions(name, real, source[:16], __version__, f"lib{name}.so")


def _embedded(
    program: Program, plans: Any, target: Target, chosen: EmitOptions, weights: str | None, reader: Reader
) -> bytes | None:
    """The plain arena with the weights of a file, None where none is asked for."""
    if weights is None:
        return None
    import numpy as np

    from seqc.run.weights import load_weights

    manifest = emit_manifest(model_of(program, plans, target, chosen))
    path = Path(weights)
    if not path.is_file():
        raise UserFault("S0801", f"there is no weights file `{weights}`")
    parsed = json.loads(json.dumps(manifest))
    plain = np.zeros(parsed["plain_bytes"], np.uint8)
    load_weights(path, parsed, plain)
    data = plain.tobytes()
    reader.files[str(path.resolve())] = hashlib.sha256(path.read_bytes()).hexdigest()
    return data


def manifest_of(program: Program, options: Options, name: str, reader: Reader) -> Mapping[str, Any]:
    """The manifest without a compiler, for the evaluator: a portable target."""
    target = Target(real_bytes=8 if options.real == "f64" else 4)
    chosen = replace(_emit_options(program, options, name, options.real, reader), library="")
    manifest = emit_manifest(model_of(program, pipeline.plans(program, target), target, chosen))
    parsed: Mapping[str, Any] = json.loads(json.dumps(manifest))
    return parsed


def border_of(program: Program, options: Options, name: str, reader: Reader) -> Mapping[str, Any]:
    """The manifest as far as data, hypers and files of weights meet it: nothing is planned, so there is no optimizer in it."""
    chosen = replace(_emit_options(program, options, name, options.real, reader), library="")
    described = describe(program, pipeline.entries(program), (), Target(), chosen)
    parsed: Mapping[str, Any] = json.loads(json.dumps(emit_manifest(described)))
    return parsed


@dataclass(frozen=True, slots=True)
class Maker:
    """Compiles one translation: objects in `scratch`, finished files in `folder`."""

    translation: Translation
    folder: Path
    scratch: Path

    def make(self) -> None:
        """Writes the texts, compiles each once, links what is wanted."""
        name = self.translation.name
        for file, text in self.translation.texts.items():
            (self.scratch / file).write_text(text, encoding="utf-8")
        wanted = self.translation.emit
        objects = self._objects() if set(wanted) - {"header"} else []
        if {"shared", "py"} & set(wanted):
            library = self._link(objects, f"lib{name}.so", shared=True)
        if "shared" in wanted:
            self._place(library, f"lib{name}.so")
        if "header" in wanted or "shared" in wanted or "static" in wanted:
            self._place(self.scratch / f"{name}.h", f"{name}.h")
            for shared in ("seqc_abi.h", "seqc_team.h"):
                self._place(resources.runtime() / shared, shared)
            self._place(self.scratch / f"{name}.json", f"{name}.json")
        if "static" in wanted:
            self._archive(objects, f"lib{name}.a")
            self._place(self.scratch / f"{name}-config.cmake", f"lib/cmake/{name}/{name}-config.cmake")
        if "exe" in wanted:
            main = self._object(f"{name}_main.cpp")
            self._place(self._link([main, *objects], name, shared=False), f"bin/{name}")
        if "py" in wanted:
            self._package(library)

    def _objects(self) -> list[Path]:
        with ThreadPoolExecutor(max_workers=os.cpu_count() or 1) as pool:
            objects = list(pool.map(lambda unit: self._object(*unit), self.translation.units))
        if self.translation.embedded:
            objects.append(self._object(f"{self.translation.name}_weights.c"))
        return objects

    def _object(self, source: str, tools: Toolchain | None = None) -> Path:
        target = self.scratch / (source.rsplit(".", 1)[0] + ".o")
        arguments = (tools or self.translation.tools).arguments()
        if source.endswith(".c"):
            arguments = [each for each in arguments if each not in toolchain.CXX_ONLY]
            arguments += ["-x", "c", "-std=c11"]
        include = [f"-I{resources.runtime()}", f"-I{resources.runtime() / 'aot'}", "-I."]
        maps = [f"-ffile-prefix-map={resources.runtime()}=runtime", f"-ffile-prefix-map={self.scratch}=."]
        command = [*arguments, *include, *maps, "-c", source, "-o", target.name]
        toolchain.run(command, f"compiling {source}", cwd=self.scratch)
        return target

    def _link(self, objects: list[Path], name: str, *, shared: bool) -> Path:
        kind = ["-shared", *toolchain.soname(name)] if shared else []
        names = [each.name for each in objects]
        tools = self.translation.tools
        command = [*tools.command(), *kind, "-o", f"{name}.linked", *names, *toolchain.LINK]
        toolchain.run(command, f"linking {name}", cwd=self.scratch)
        return self.scratch / f"{name}.linked"

    def _archive(self, objects: list[Path], name: str) -> None:
        archiver = shutil.which("ar")
        if archiver is None:
            raise ToolFault("S0901", "`ar` was not found", "a static library needs it", "install binutils")
        names = [each.name for each in objects]
        toolchain.run([archiver, *toolchain.ARCHIVE, name, *names], f"archiving {name}", cwd=self.scratch)
        self._place(self.scratch / name, name)

    def _place(self, source: Path, name: str) -> None:
        target = self.folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        target.chmod(0o755 if source.suffix == ".linked" else 0o644)

    def _package(self, library: Path) -> None:
        """The importable package: it carries the host and the numpy part of `run`, so it needs no seqc."""
        from seqc.run.package import RUN_FILES

        name = self.translation.name
        self._place(library, f"{name}/lib{name}.so")
        self._place(self.scratch / f"{name}.json", f"{name}/model.json")
        for file in ("__init__.py", "__init__.pyi"):
            self._place(self.scratch / file, f"{name}/{file}")
        (self.folder / name / "py.typed").touch()
        room = resources.run_room()
        for file in RUN_FILES:
            self._place(room / file, f"{name}/_run/{file}")
        hosts = sorted(room.glob("_host*.so")) + sorted(room.glob("_host*.pyd"))
        if not hosts:
            raise ToolFault("S0912", "the host extension is missing", "install seqc again: `pip install .`")
        for host in hosts:
            self._place(host, f"{name}/_run/{host.name}")
