"""What a deploy profile asks for, held against what this build can do: raised here, with the place of the wish."""

from __future__ import annotations

from collections.abc import Mapping

from seqc.driver.fault import UserFault
from seqc.driver.options import Options
from seqc.emit import EmitOptions, model_of
from seqc.emit.workspace import workspace_bytes
from seqc.flow.carried import carried_states
from seqc.lower.program import Deploy, Program
from seqc.plan.target import Target
from seqc.plan.types import Plan
from seqc.source.diagnostic import SeqError, fail
from seqc.source.span import Span


def check_profile(
    program: Program, profile: Deploy, plans: Mapping[str, Plan], target: Target, emits: tuple[str, ...] = ()
) -> None:
    """SeqError S0608 for what no build offers, S0609 where more memory is needed than `ram` grants."""
    if "exe" in emits and len(profile.batch) == 1 and profile.batch[0] != 1:
        raise fail(
            "S0608",
            f"a program of `batch = {profile.batch[0]}` could never run",
            _span(profile, "batch"),
            "the only size that this library takes",
            hint="a program has one row: write `batch = 1` or a list of sizes, or leave `exe` out",
        )
    if stored(profile) != "real" and profile.math == "f64":
        raise fail(
            "S0608",
            f"`weights = {profile.weights}` does not go with `math = f64`",
            _span(profile, "weights"),
            "asked for here",
            hint="write `math = f32`: sums of weights of fewer bits are taken in single precision",
        )
    if profile.weights == "int8(per = tensor)":
        raise _not_yet(profile, "weights", profile.weights, "write `int8(per = row)`: a scale for each row")
    if profile.math == "bf16" and stored(profile) == "int8":
        raise fail(
            "S0608",
            f"`weights = {profile.weights}` does not go with `math = bf16`",
            _span(profile, "math"),
            "asked for here",
            hint="write `math = f32`, or `weights = bf16`",
        )
    if profile.ram is not None:
        _check_ram(program, profile, plans, target)


def stored(profile: Deploy | None) -> str:
    """How inference stores the matrices of its products: "real", "bf16" or "int8"."""
    if profile is None:
        return "real"
    return {"bf16": "bf16", "int8": "int8", "int8(per = row)": "int8"}.get(profile.weights, "real")


def real_of(profile: Deploy | None, options: Options) -> str:
    """The type of reals: "f32" or "f64", as the profile says, else as asked for. UserFault S0906 where both speak and differ."""
    if profile is None:
        return options.real
    real = "f64" if profile.math == "f64" else "f32"
    if options.real_asked and options.real != real:
        raise UserFault(
            "S0906",
            f"`--real {options.real}` does not go with the profile `{profile.name}`",
            f"it says what its library computes in: {real}",
            f"write `math = {options.real}` in the profile, or leave `--real` out",
        )
    return real


def march_of(profile: Deploy | None, options: Options) -> str:
    """What the compiler's `-march` gets: what was asked for, else the profile's `cpu`."""
    asked = options.march_asked or options.march != "native"
    return options.march if profile is None or asked else profile.cpu


def math_of(program: Program, profile: Deploy | None) -> str:
    """What products are made of: "bf16" where the profile, or without one the train record, says so, else "real"."""
    said = profile.math if profile is not None else program.train.math if program.train is not None else ""
    return "bf16" if said == "bf16" else "real"


def _span(profile: Deploy, key: str) -> Span | None:
    return dict(profile.spans).get(key)


def _not_yet(profile: Deploy, key: str, found: str, hint: str) -> SeqError:
    title = f"`{key} = {found}` cannot be built yet"
    return fail("S0608", title, _span(profile, key), "asked for here", hint=hint)


def memory(program: Program, profile: Deploy, plans: Mapping[str, Plan], target: Target) -> dict[str, int]:
    """Bytes that the deployed model needs: its state and its workspace, for the largest batch of the profile."""
    streaming = profile.mode == "streaming"
    entry = "step" if streaming else "infer"
    real = "f64" if target.real_bytes == 8 else "f32"
    model = model_of(program, plans, target, EmitOptions(program.name, real))
    batch = max(profile.batch, default=1)
    steps = 1 if streaming else max(profile.steps, default=1)
    state = 8 * batch
    for each in carried_states(program.flow):
        state += batch * (each.type.size * (target.real_bytes if each.type.kind.is_real else 4) + 1)
    return {"state": state, "workspace": workspace_bytes(model, plans, entry, steps, batch)}


def _check_ram(program: Program, profile: Deploy, plans: Mapping[str, Plan], target: Target) -> None:
    parts = memory(program, profile, plans, target)
    total = sum(parts.values())
    if profile.ram is not None and total > profile.ram:
        notes = tuple(f"{name}: {size:,} bytes".replace(",", "_") for name, size in parts.items())
        raise fail(
            "S0609",
            f"the profile needs {total:_} bytes of RAM",
            _span(profile, "ram"),
            f"allows {profile.ram:_}",
            notes=notes,
            hint="use a smaller model or batch, or raise `ram`",
        )
