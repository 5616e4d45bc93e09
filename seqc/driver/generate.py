"""`seqc generate`: a trained model of text goes on from a prompt; the loop runs in compiled code."""

from __future__ import annotations

from pathlib import Path

from seqc.driver import corpus
from seqc.driver.options import Options
from seqc.driver.runs import BUILD, remembered, weights_of
from seqc.driver.sources import Reader
from seqc.driver.train import Note, open_model, raised, symbols_in


def generate(
    path: Path,
    weights: Path,
    options: Options,
    prompt: str,
    count: int,
    temperature: float | None,
    seed: int,
    note: Note,
) -> str:
    """A text of `count` characters. `weights` is the folder of a run or a weights file; `path` a program or package."""
    run = weights if weights.is_dir() else weights.parent
    file = weights_of(weights)
    if not path.is_dir():
        remember = weights.is_dir() or (run / BUILD).is_file()
        options = remembered(run, options) if remember else _with_alphabet(path, file, options)
    model = open_model(path, options, 0, note)
    model.load(file)
    from seqc.run.generate import generate_text

    return generate_text(model, prompt, count, temperature, seed)


def _with_alphabet(path: Path, file: Path, options: Options) -> Options:
    """Weights alone: their symbol table says how large the alphabet is."""
    from seqc.syntax.parse import parse

    reader = Reader(path)
    found = corpus.text_model(parse(reader.first()), options.model)
    symbols = symbols_in(file)
    if found is None or found.dim is None or symbols is None or found.dim in dict(options.dims):
        return options
    return raised(options, found.dim, len(symbols), reader)
