"""The files around a compiled model: importable package, standalone program, CMake package, embedded weights.

Takes a `Model`; gives texts. The driver puts them where they belong.
"""

from __future__ import annotations

import json
import keyword
import sys
from collections.abc import Sequence

from seqc.emit.contexts import CMakePackage, Executable, Package, PythonArgument, Stub, StubMethod, StubResult
from seqc.emit.layout import commented
from seqc.emit.model import Model, only_sizes
from seqc.emit.render import render
from seqc.flow.types import Axis, Kind, Type
from seqc.lower.program import Hyper, Input

OPTIONS = frozenset({"state", "out", "seed", "steps", "batch", "accumulate", "wrt", "self"})

_TYPES = "Any ArrayLike Callable Gradients Mapping ModelError MutableMapping NDArray NamedTuple Path Score Sequence State"
NAMED = frozenset(f"{_TYPES} float int list model_class np str tuple".split())
"""Names that mean something else in `__init__.py` and `__init__.pyi`."""


def quoted(text: str) -> str:
    """Text that may stand inside a Python docstring."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"').strip()


def python_name(name: str) -> str:
    """A parameter's name: an underscore keeps it apart from options and words of Python."""
    return f"{name}_" if name in OPTIONS or keyword.iskeyword(name) else name


def field_name(name: str) -> str:
    """A field of the tuple of all results (`run.results` names them so, too): a word of Python gets an underscore, and one in
    front stands behind."""
    bare = name.lstrip("_")
    return f"{bare}_" if bare != name or keyword.iskeyword(name) else name


def class_name(name: str) -> str:
    """The class of a model: an underscore keeps it apart from words of Python and from what a package and its types name."""
    return f"{name}_" if name in NAMED or keyword.iskeyword(name) else name


def shape(kind: Type, dtype: str) -> str:
    """`float32[T, B, 4]`."""
    lead = [letter for axis, letter in ((Axis.TIME, "T"), (Axis.BATCH, "B")) if axis in kind.axes]
    sizes = ", ".join([*lead, *map(str, kind.dims)])
    bound = f", below {kind.bound}" if kind.bound is not None else ""
    return f"{dtype}[{sizes}]{bound}"


def dtype_name(kind: Kind, model: Model) -> str:
    real = "float64" if model.options.real == "f64" else "float32"
    names = {Kind.REAL: real, Kind.F32: "float32", Kind.F64: "float64", Kind.BOOL: "bool_"}
    return names.get(kind, "int32")


def _input(each: Input, model: Model, optional: bool) -> PythonArgument:
    about = shape(each.type, dtype_name(each.type.kind, model))
    if each.length:
        about += ", steps of each row; left out: all"
    doc = " ".join(each.doc.split())
    annotation = "ArrayLike | None = None" if optional else "ArrayLike"
    return PythonArgument(python_name(each.name), annotation, f"{about}. {quoted(doc)}" if doc else about)


def _inputs(model: Model, target: bool) -> tuple[PythonArgument, ...]:
    """In manifest order; once one may be left out, all that follow may by name only, so they get a default too."""
    found = []
    optional = False
    for each in model.inputs:
        if each.target == target:
            optional = optional or each.length or each.default
            found.append(_input(each, model, optional))
    return tuple(found)


def _outputs(model: Model) -> tuple[PythonArgument, ...]:
    found = []
    for each in model.outputs:
        dtype = dtype_name(each.type.kind, model)
        found.append(PythonArgument(field_name(each.name), f"NDArray[np.{dtype}]", shape(each.type, dtype)))
    return tuple(found)


def package_init(model: Model) -> str:
    """`__init__.py` of the importable package."""
    real = dtype_name(Kind.REAL, model)
    parameters = tuple(PythonArgument(p.name, "", shape(p.type, real)) for p in model.parameters)
    hypers = tuple(PythonArgument(h.name, "", f"{h.value!r} in the source") for h in model.hypers)
    doc = quoted(model.program.doc) or f"The model {model.program.name}."
    inputs, targets = _inputs(model, False), _inputs(model, True)
    context = Package(
        class_name(model.program.name),
        model.options.name,
        doc,
        inputs,
        targets,
        _outputs(model),
        parameters,
        hypers,
    )
    return render("python/init.py.jinja", context)


METHODS = {
    "infer": ("Outputs of whole sequences.", ("out: Any = None", "steps: int | None = None")),
    "step": (
        "Outputs of one instant: the arrays of `infer` without `T`; `state` goes on.",
        ("out: Any = None",),
    ),
    "generate": ("Goes on where the given steps end; outputs from the last given step on.", ("steps: int",)),
    "evaluate": ("Loss and metrics.", ("steps: int | None = None",)),
    "gradients": (
        "Loss, metrics and their gradients; `accumulate` adds to those of an earlier call.",
        ("steps: int | None = None", "accumulate: Gradients | None = None", "wrt: Sequence[str] = ..."),
    ),
    "update": (
        "Forward, backward and optimizer in one call; loss and metrics are those before.",
        ("steps: int | None = None",),
    ),
}
"""What each method does, and the options that not all have."""


def package_stub(model: Model) -> str:
    """`__init__.pyi`."""
    name, outputs = model.program.name, _outputs(model)
    results = []
    if len(outputs) > 1:
        results.append(StubResult(f"{name}Outputs", outputs))
    if "generate" in model.entries:
        lengths = PythonArgument("lengths", "NDArray[np.int32]", "int32[B]")
        results.append(StubResult(f"{name}Generated", (*outputs, lengths)))
    context = Stub(
        class_name(name),
        quoted(model.program.doc) or f"The model {name}.",
        dtype_name(Kind.REAL, model),
        tuple(results),
        tuple(_method(model, entry, outputs) for entry in METHODS if entry in model.entries),
        "update" in model.entries,
        "step" in model.entries,
    )
    return render("python/init.pyi.jinja", context)


def _method(model: Model, entry: str, outputs: tuple[PythonArgument, ...]) -> StubMethod:
    """Inputs, targets where the entry reads them, then options by name."""
    about, options = METHODS[entry]
    name, scores = model.program.name, entry in ("evaluate", "gradients", "update")
    taken = [*_inputs(model, False), *(_inputs(model, True) if scores else ())]
    arguments = []
    optional = False
    for each in taken:
        optional = optional or "=" in each.annotation
        annotation = "ArrayLike | None = None" if optional else each.annotation
        arguments.append(f"{each.name}: {annotation}")
    result = f"{name}Outputs" if len(outputs) > 1 else (outputs[0].annotation if outputs else "tuple[()]")
    results = {
        "generate": f"{name}Generated",
        "gradients": "Gradients",
        "evaluate": "Score",
        "update": "Score",
    }
    shared = ("state: State | None = None", "seed: int = 0", "batch: int | None = None")
    lines = [f"{each.name}: {each.about}" for each in taken]
    lines += [] if scores else [f"gives {each.name}: {each.about}" for each in outputs]
    return StubMethod(
        entry, tuple([*arguments, "*", *options, *shared]), results.get(entry, result), about, tuple(lines)
    )


# ---- the standalone program ---------------------------------------------------------------------------------------


def column(name: str, kind: Type, model: Model, flags: Sequence[bool]) -> str:
    """A row of a table of `seqc_aot::Column`."""
    letter = {"float32": "f", "float64": "d", "bool_": "b"}.get(dtype_name(kind.kind, model), "i")
    words = ", ".join("true" if flag else "false" for flag in flags)
    return f"{{{json.dumps(name)}, '{letter}', {max(1, kind.size)}, {words}}}"


def setting(hyper: Hyper) -> str:
    """A row of a table of `seqc_aot::Setting`: what Python takes for the same hyper."""
    whole = not hyper.type.kind.is_real
    low, high = hyper.low, hyper.high
    if hyper.type.bound is not None:
        low, high = 0, hyper.type.bound - 1
    most = float(2**31 - 1) if whole else sys.float_info.max
    limits = f"{-most if low is None else float(low)!r}, {most if high is None else float(high)!r}"
    return f"{{{json.dumps(hyper.name)}, '{'i' if whole else 'd'}', {limits}}}"


def executable(model: Model) -> str:
    """The `main` of the standalone program."""
    tables: list[tuple[str, ...]] = []
    present: list[str] = []
    tensors = []
    for number, each in enumerate(model.parameters):
        dims = ", ".join(map(str, each.type.dims))
        rank = len(each.type.dims)
        if rank:
            tables.append((f"static const int64_t dims_{number}[] = {{{dims}}};",))
        size = max(1, each.type.size)
        tensors.append(
            f"{{{json.dumps(each.name)}, {each.offset}, {size}, {rank}, {f'dims_{number}' if rank else 'nullptr'}}}"
        )
    inputs = [
        column(i.name, i.type, model, (Axis.TIME in i.type.axes, i.target, i.length)) for i in model.inputs
    ]
    outputs = [column(o.name, o.type, model, (Axis.TIME in o.type.axes, False, False)) for o in model.outputs]
    states = [column(s.name, s.type, model, (False, False, False)) for s in model.states]
    hypers = [setting(each) for each in model.hypers]
    for name, kind, rows in (
        ("tensors", "Tensor", tensors),
        ("inputs", "Column", inputs),
        ("outputs", "Column", outputs),
        ("states", "Column", states),
        ("hypers", "Setting", hypers),
    ):
        if rows:
            numbered = [(row, str(number)) for number, row in enumerate(rows)]
            tables.append((f"static const {kind} {name}[] = {{", *commented(numbered, 4), "};"))
            present.append(name)
    steps = 0 if "step" in model.entries else only_sizes(model, "infer")[0]
    context = Executable(
        model.program.name, f"{model.options.name}.h", model.symbol, tuple(tables), tuple(present), steps
    )
    return render("aot/main.cpp.jinja", context)


def cmake_package(model: Model) -> str:
    """`lib/cmake/<name>/<name>-config.cmake`."""
    name = model.options.name
    return render("aot/config.cmake.jinja", CMakePackage(name, f"lib{name}.a", f"${{{name}_folder}}"))


def embedded(model: Model) -> str:
    """The plain weights as a C source of their own: 64-bit words, so that it compiles fast and needs no tool."""
    data = model.options.embedded or b""
    data += b"\0" * (-len(data) % 8)
    words = [int.from_bytes(data[k : k + 8], "little") for k in range(0, len(data), 8)]
    lines = [
        f"/* The weights of {model.program.name}, built in. Generated by seqc. */",
        "#include <stdint.h>",
        "",
    ]
    lines.append("#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__")
    lines += ['#error "built-in weights need a little-endian machine"', "#endif", ""]
    lines.append(f"extern const uint64_t {model.symbol}_embedded[{max(1, len(words))}];")
    lines.append(
        f"__attribute__((aligned(64))) const uint64_t {model.symbol}_embedded[{max(1, len(words))}] = {{"
    )
    for start in range(0, max(1, len(words)), 5):
        row = words[start : start + 5] or [0]
        lines.append("    " + " ".join(f"0x{word:016x}u," for word in row))
    return "\n".join([*lines, "};"]) + "\n"
