"""The C99 header of a model: typed structs over the arrays of pointers of `seqc_abi.h`, sizes, functions.

Takes a `Model`; gives the text of `<name>.h`. The structs hold the same pointers in the same order as the binary
interface wants them, so that both views are one.
"""

from __future__ import annotations

from collections.abc import Sequence

from seqc.emit.contexts import Header, HeaderField, HeaderFunction, HeaderStruct
from seqc.emit.interface import typed_parameters
from seqc.emit.layout import call
from seqc.emit.model import Model, Placed, aligned, bytes_of
from seqc.emit.names import Namer, mangle
from seqc.emit.render import render
from seqc.flow.types import Axis, Kind, Type

ABOUT = {
    "infer": "Outputs of whole sequences.",
    "evaluate": "Loss, then metrics, into scores[1 + metrics].",
    "gradients": "Loss and metrics, and gradients into every array of `grads` that is not NULL; accumulate != 0 adds.",
    "apply": "Changes weights and optimizer states by gradients, then packs the weights anew.",
    "update": "Gradients and apply in one call; nothing changes if loss or gradients are not finite.",
    "step": "One instant: call->steps is ignored; an input that is NULL is fed back where the model says how.",
    "generate": "call->given steps of the caller, then steps that feed themselves; outputs from the last given step on.",
}


def header(model: Model) -> str:
    """The text of `<name>.h`."""
    prefix = model.symbol.upper()
    context = Header(
        model.program.name,
        tuple(_safe(line) for line in model.program.doc.splitlines()),
        f"{prefix}_H",
        prefix,
        tuple(_macros(model, prefix)),
        tuple(_structs(model)),
        tuple(_functions(model)),
    )
    return render("cpp/header.h.jinja", context)


def _safe(text: str) -> str:
    """Text that cannot end the comment that it stands in."""
    return text.replace("*/", "* /").replace("/*", "/ *").replace("\\", "/").replace("??/", "?/")


def _macros(model: Model, prefix: str) -> list[tuple[str, str, str]]:
    found = [
        (f"{prefix}_REAL_BYTES", str(model.real_bytes), ""),
        (f"{prefix}_PLAIN_BYTES", str(model.plain_bytes), "weights as files and optimizers see them"),
        (f"{prefix}_PACKED_BYTES", str(model.packed_bytes), "weights as kernels read them"),
        (f"{prefix}_OPTIMIZER_BYTES", str(model.optimizer_bytes), ""),
        (f"{prefix}_HYPERS", str(len(model.hypers)), ""),
        (f"{prefix}_METRICS", str(len(model.metrics)), ""),
    ]
    namer = Namer()
    for number, each in enumerate(model.hypers):
        name = namer.name(f"hyper.{each.name}").upper()
        found.append((f"{prefix}_{name}", str(number), f"number in the array of hypers; {each.value!r} in the source"))
    namer = Namer()
    for dim, size in model.program.dims:
        found.append((f"{prefix}_DIM_{namer.name(dim).upper().rstrip('_')}", str(size), ""))
    return found


def c_type(kind: Kind, model: Model) -> str:
    """The type of one element at the border."""
    real = "double" if model.options.real == "f64" else "float"
    names = {Kind.REAL: real, Kind.F32: "float", Kind.F64: "double", Kind.BOOL: "uint8_t"}
    return names.get(kind, "int32_t")


def shape_of(kind: Type) -> str:
    """`[steps][batch][512]`."""
    lead = [name for axis, name in ((Axis.TIME, "steps"), (Axis.BATCH, "batch")) if axis in kind.axes]
    text = "".join(f"[{part}]" for part in (*lead, *kind.dims))
    bound = f", indices below {kind.bound}" if kind.bound is not None else ""
    return (text or "[1]") + bound


def _structs(model: Model) -> list[HeaderStruct]:
    symbol = model.symbol
    found = [_weights(model)]
    namer = Namer()
    fields = []
    for each in model.states:
        name = namer.name(each.name)
        fields.append(HeaderField(f"{c_type(each.type.kind, model)} *{name}", shape_of(each.type)))
        fields.append(HeaderField(f"uint8_t *{namer.name(each.name + '.fresh')}", "[batch], 1: takes its first value"))
    fields.append(HeaderField(f"int64_t *{namer.name('started')}", "[batch], steps seen so far"))
    found.append(HeaderStruct(f"{symbol}_state", "What lives on between calls; NULL instead: all rows begin anew.", tuple(fields)))
    found.append(HeaderStruct(f"{symbol}_inputs", "Inputs, then targets (NULL where an entry point does not read them).", tuple(_inputs(model))))
    namer = Namer()
    fields = [HeaderField(f"{c_type(e.type.kind, model)} *{namer.name(e.name)}", shape_of(e.type)) for e in model.outputs]
    if "generate" in model.entries:
        fields.append(HeaderField(f"int32_t *{namer.name('lengths')}", "[batch], generate only: results of each row"))
    found.append(HeaderStruct(f"{symbol}_outputs", "Outputs; NULL: not wanted.", tuple(fields) or _nothing()))
    if "gradients" in model.entries:
        found.append(_grads(model))
    return found


def _nothing() -> tuple[HeaderField, ...]:
    return (HeaderField("void *nothing", ""),)


def _inputs(model: Model) -> Sequence[HeaderField]:
    namer = Namer()
    fields = []
    for each in model.inputs:
        about = shape_of(each.type) + (", steps of each row; NULL: all" if each.length else "")
        about += ", -1: no label" if each.target and each.type.bound is not None else ""
        fields.append(HeaderField(f"const {c_type(each.type.kind, model)} *{namer.name(each.name)}", about))
    return fields or _nothing()


def _weights(model: Model) -> HeaderStruct:
    """The plain weights as one struct: its members lie where the manifest says, gaps are filled up."""
    namer = Namer()
    fields = []
    for number, each in enumerate(model.parameters):
        name = namer.name(each.name)
        dims = "".join(f"[{dim}]" for dim in each.type.dims)
        fields.append(HeaderField(f"{c_type(each.type.kind, model)} {name}{dims}", _safe(_doc(model, each))))
        size = max(1, each.type.size) * bytes_of(each.type.kind, model.real_bytes)
        if aligned(size) != size:
            fields.append(HeaderField(f"unsigned char pad_{number + 1}[{aligned(size) - size}]", ""))
    about = "The plain weights: cast the arena, aligned to 64 bytes, to this."
    return HeaderStruct(f"{model.symbol}_weights", about, tuple(fields) or _nothing())


def _doc(model: Model, placed: Placed) -> str:
    doc = next((each.doc for each in model.program.parameters if each.name == placed.name), "")
    return " ".join([placed.name, *doc.split()])


def _grads(model: Model) -> HeaderStruct:
    namer = Namer()
    symbol = model.symbol
    fields = [
        HeaderField(f"{symbol}_weights *{namer.name('parameters')}", "gradients of all parameters, like the weights"),
        HeaderField(f"double *{namer.name('hypers')}", f"[{len(model.hypers)}]"),
    ]
    for each in model.inputs:
        real = each.type.kind.is_real
        kind = c_type(each.type.kind, model) if real else "void"
        fields.append(HeaderField(f"{kind} *{namer.name(each.name)}", shape_of(each.type) if real else "NULL: no gradient"))
    for port in model.states:
        real = port.type.kind.is_real
        kind = c_type(port.type.kind, model) if real else "void"
        about = f"{shape_of(port.type)}, of the state handed in" if real else "NULL: no gradient"
        fields.append(HeaderField(f"{kind} *{namer.name(port.name)}", about))
    return HeaderStruct(f"{symbol}_grads", "Gradients; NULL: not wanted.", tuple(fields))


def _functions(model: Model) -> list[HeaderFunction]:
    symbol = model.symbol
    api = f"{symbol.upper()}_API"
    found = [
        HeaderFunction("The model for programs that know models only when they run.", (f"{api} const seqc_model *{symbol}_get(void);",)),
        HeaderFunction(
            "Bytes of workspace that an entry point (SEQC_INFER, ...) needs; align it to 64.",
            tuple(call(0, f"{api} int64_t {symbol}_workspace_bytes", ["int entry", "int64_t steps", "int64_t batch"])),
        ),
        HeaderFunction(
            "Makes the packed weights from the plain ones, once and after every change.",
            tuple(call(0, f"{api} int {symbol}_pack", [f"const {symbol}_weights *plain", "void *packed"])),
        ),
    ]
    if "apply" in model.entries:
        line = f"{api} int {symbol}_initial_optimizer(void *optimizer);"
        found.append(HeaderFunction("First values of the optimizer states.", (line,)))
    for entry in model.entries:
        kinds = [kind for kind, _ in typed_parameters(model, entry)]
        found.append(HeaderFunction(ABOUT[entry], tuple(call(0, f"{api} int {symbol}_{entry}", kinds))))
    return found


__all__ = ["c_type", "header", "mangle", "shape_of"]
