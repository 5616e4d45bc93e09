"""The functions that a model shows: the entries of `seqc_model`, its getter, and the typed functions of the C header."""

from __future__ import annotations

from collections.abc import Mapping

from seqc.emit.layout import call, commented
from seqc.emit.memory import read_inputs, written_buffers
from seqc.emit.model import ENTRIES, Model, only_sizes
from seqc.emit.packing import needs_others
from seqc.plan.types import Plan

FORWARD = "const seqc_call *call, const seqc_weights *weights, const double *hyper, void *const *state"
PARAMETERS = {
    "infer": [*FORWARD.split(", "), "const void *const *inputs", "void *const *outputs"],
    "evaluate": [*FORWARD.split(", "), "const void *const *inputs", "double *scores"],
    "gradients": [
        *FORWARD.split(", "),
        "const void *const *inputs",
        "void *const *grads",
        "int accumulate",
        "double *scores",
    ],
    "apply": ["const seqc_call *call", "const seqc_trainer *trainer", "const void *grads"],
    "update": [
        "const seqc_call *call",
        "const seqc_trainer *trainer",
        "void *const *state",
        "const void *const *inputs",
        "double *scores",
    ],
}
PARAMETERS["step"] = PARAMETERS["generate"] = PARAMETERS["infer"]


def hyper_values(model: Model) -> list[str]:
    """The values of the hypers in the source."""
    if not model.hypers:
        return []
    rows = [(repr(float(each.value)), each.name) for each in model.hypers]
    return ["const double hyper_values[] = {", *commented(rows, 4), "};"]


def interface(model: Model, plans: Mapping[str, Plan]) -> list[str]:
    """One function for each entry point, then the sizes of workspaces."""
    lines: list[str] = []
    pack = "pack_others" if needs_others(model, plans) else "nullptr"
    for entry in ENTRIES:
        if entry in plans:
            lines += call(0, f"SEQC_KERNEL int run_{entry}", PARAMETERS[entry], ") {")
            if entry == "step" and steps_quickly(model, plans[entry]):
                lines += _quick_step(model)
            lines += [*_body(entry, pack), "}", ""]
    return [*lines, *_workspace(plans)]


def steps_quickly(model: Model, plan: Plan) -> bool:
    """Whether a step needs nothing but pointers: no index or length to check, no input with a value of its own, every
    state advanced, and kernels that take one row."""
    buffers = [plan.buffers[number].home for number in written_buffers(plan)]
    advanced = {home.name for home in buffers if home.role == "carried"}
    roles = {buffer.home.role for buffer in plan.buffers}
    read = read_inputs(plan)
    plain = all(
        not (each.length or each.default or each.type.bound) for each in model.inputs if each.name in read
    )
    written = {home.name for home in buffers if home.role == "output"}
    return (
        plain
        and only_sizes(model, "step")[1] in (0, 1)
        and all(each.name in advanced for each in model.states)
        and all(each.name in written for each in model.outputs)
        and not roles & {"active", "stop", "given", "lengths", "score"}
    )


def _quick_step(model: Model) -> list[str]:
    """One row of a caller who gave everything."""
    sizes = f"{len(model.inputs)}, {len(model.outputs)}, {len(model.states)}"
    arguments = ["model_info", "step_info", "call", "weights", "hyper", "state", "inputs", "outputs"]
    nodes = "[](const Frame &frame) { step_nodes(frame, alone); }"
    return [*call(2, f"if (quick_step<{sizes}>", [*arguments, nodes], "))"), "    return SEQC_OK;"]


def _body(entry: str, pack: str) -> list[str]:
    """The body of an entry; `pack` is the function for weights that rules leave unpacked."""
    if entry == "apply":
        return [f"  return apply(model_info, apply_info, call, trainer, grads, {pack});"]
    if entry == "update":
        arguments = [
            "model_info",
            "update_info",
            "apply_info",
            "call",
            "trainer",
            "state",
            "inputs",
            "scores",
            pack,
        ]
        return call(2, "return update", arguments)
    fields = {"infer": ["outputs"], "step": ["outputs"], "generate": ["outputs"], "evaluate": ["scores"]}
    lines = [
        "  Given given = {};",
        "  given.weights = weights;",
        "  given.hyper = hyper;",
        "  given.state = state;",
    ]
    lines.append("  given.inputs = inputs;")
    for name in fields.get(entry, ["grads", "scores"]):
        lines.append(f"  given.{name} = {name};")
    if entry == "gradients":
        lines.append("  given.accumulate = accumulate != 0;")
    if entry == "generate":
        return [*lines, "  return generate(model_info, generate_info, call, given);"]
    return [
        *lines,
        f"  return run<real>(model_info, {entry}_info, call, given, {'true' if entry == 'step' else 'false'});",
    ]


def _workspace(plans: Mapping[str, Plan]) -> list[str]:
    lines = ["int64_t workspace_bytes(int entry, int64_t steps, int64_t batch) {", "  switch (entry) {"]
    for entry in ENTRIES:
        if entry in plans:
            sizes = {"apply": "1, 1", "step": "1, batch"}.get(entry, "steps, batch")
            text = f"workspace(model_info, {entry}_info, {sizes})"
            if entry == "generate":
                text = "generate_workspace(model_info, generate_info, batch)"
            lines += [f"  case SEQC_{entry.upper()}:", f"    return {text};"]
    return [*lines, "  default:", "    return 0;", "  }", "}"]


def getter(model: Model, variant: str = "") -> str:
    """The name of the function that gives the model, or one of its variants for an instruction set."""
    return f"{model.symbol}_{variant}_get" if variant else f"{model.symbol}_get"


def exported(model: Model, plans: Mapping[str, Plan], variant: str = "") -> list[str]:
    """The getter, and the typed functions of the header; a variant has only its getter, which another unit calls."""
    symbol = model.symbol
    counts = {"parameters": model.parameters, "inputs": model.inputs, "outputs": model.outputs}
    counts |= {"states": model.states, "hypers": model.hypers, "metrics": model.metrics}
    rows = [("SEQC_ABI_VERSION", "version"), ("sizeof(seqc_model)", "size")]
    rows += [(f'"{model.options.name}"', "name"), (f'"{model.options.source_hash}"', "source")]
    rows += [(str(model.real_bytes), "bytes of a real")]
    rows += [(str(len(found)), name) for name, found in counts.items()]
    rows += [(str(len(model.optimizer)), "optimizer states")]
    rows += [(str(model.plain_bytes), "bytes of weights"), (str(model.packed_bytes), "of packed weights")]
    rows += [(str(model.optimizer_bytes), "of optimizer states")]
    rows += [("hyper_values" if model.hypers else "nullptr", "hypers"), ("pack_weights", "pack")]
    rows += [
        ("workspace_bytes", "workspace"),
        ("first_optimizer_states" if "initial" in plans else "nullptr", "optimizer"),
    ]
    for entry in ("infer", "step", "generate", "evaluate", "gradients", "apply", "update"):
        rows.append((f"run_{entry}" if entry in plans else "nullptr", entry))
    embedded = model.options.embedded is not None
    rows.append((f"{symbol}_embedded" if embedded else "nullptr", "weights built in"))
    lines = [f'extern "C" const uint64_t {symbol}_embedded[];', ""] if embedded else []
    name = getter(model, variant)
    if variant:
        lines += [f'extern "C" const seqc_model *{name}(void);', ""]
    lines += [f"const seqc_model *{name}(void) {{", "  static const seqc_model model = {"]
    lines += commented(rows, 6)
    lines += ["  };", "  return &model;", "}"]
    return lines if variant else [*lines, *_functions(model, plans)]


def _functions(model: Model, plans: Mapping[str, Plan]) -> list[str]:
    """The typed functions of the header."""
    symbol = model.symbol
    lines: list[str] = []
    lines += ["", f"int64_t {symbol}_workspace_bytes(int entry, int64_t steps, int64_t batch) {{"]
    lines += ["  return workspace_bytes(entry, steps, batch);", "}"]
    lines += [
        "",
        f"int {symbol}_pack(const ::{symbol}_weights *plain, void *packed) {{ return pack_weights(plain, packed); }}",
    ]
    if "initial" in plans:
        lines += [
            "",
            f"int {symbol}_initial_optimizer(void *optimizer) {{ return first_optimizer_states(optimizer); }}",
        ]
    for entry in ENTRIES:
        if entry in plans:
            lines += ["", *typed(model, entry)]
    return lines


TYPED = {
    "void *const *state": ("const {0}_state *state", "reinterpret_cast<void *const *>(state)"),
    "const void *const *inputs": (
        "const {0}_inputs *inputs",
        "reinterpret_cast<const void *const *>(inputs)",
    ),
    "void *const *outputs": ("const {0}_outputs *outputs", "reinterpret_cast<void *const *>(outputs)"),
    "void *const *grads": ("const {0}_grads *grads", "reinterpret_cast<void *const *>(grads)"),
    "const void *grads": ("const {0}_weights *grads", "grads"),
}


def typed_parameters(model: Model, entry: str, outermost: str = "") -> list[tuple[str, str]]:
    """Parameters of a typed function, and what each becomes for the untyped one.

    In C++ structures have their full names, with `outermost` before them: `own.seq` has an `own_state`, and so has the runtime.
    """
    pairs = []
    for parameter in PARAMETERS[entry]:
        kind, text = TYPED.get(parameter, (parameter, parameter.split(" ")[-1].lstrip("*")))
        pairs.append((kind.format(outermost + model.symbol), text))
    return pairs


def typed(model: Model, entry: str, untyped: str = "") -> list[str]:
    """The function of the header, in terms of the untyped one."""
    pairs = typed_parameters(model, entry, "::")
    lines = call(0, f"int {model.symbol}_{entry}", [kind for kind, _ in pairs], ") {")
    return [*lines, *call(2, f"return {untyped or f'run_{entry}'}", [text for _, text in pairs]), "}"]
