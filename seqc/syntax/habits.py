"""Mistakes in declarations: misspelt and reserved words, missing parts, and the words of other languages."""

from __future__ import annotations

from seqc.source.diagnostic import Diagnostic
from seqc.source.suggest import nearest
from seqc.syntax.stuck import ITEMS, STATEMENTS, Question, Stuck

_OTHER_LANGUAGES = {
    "import": "parts of other files are taken in by `use std.cells: LSTM`",
    "from": "parts of other files are taken in by `use std.cells: LSTM`",
    "include": "parts of other files are taken in by `use std.cells: LSTM`",
    "def": "a function is written `fn f(x: real) -> y: real { y = … }`",
    "function": "a function is written `fn f(x: real) -> y: real { y = … }`",
    "func": "a function is written `fn f(x: real) -> y: real { y = … }`",
    "lambda": "a function is written `fn f(x: real) = …`, beside the model",
    "class": "a layer of one's own is a `cell`, the whole is a `model`",
    "struct": "a layer of one's own is a `cell`, the whole is a `model`",
    "module": "a layer of one's own is a `cell`, the whole is a `model`",
    "for": "there are no loops: equations hold at every step; the last step is `prev h`",
    "while": "there are no loops: equations hold at every step; `until` ends a generated row",
    "return": "results have names: `-> y: real` and an equation `y = …`",
    "let": "an equation needs no word before it: `y = …`",
    "var": "an equation needs no word before it: `y = …`; what has a past is a `state`",
    "val": "an equation needs no word before it: `y = …`",
    "auto": "an equation needs no word before it: `y = …`",
    "print": "what is to be seen is an `output` or a `metric`",
    "assert": "what is to be watched is a `metric`",
    "is": "a comparison is `a == b`",
    "in": "an index below V has the type `index(V)`",
    "xor": "of two bools it is `a != b`",
    "begin": "bodies stand in braces",
    "end": "bodies stand in braces",
}
_TYPES = {"real", "int", "bool", "float", "double", "f32", "f64", "tensor", "vector", "index"}
_PARTS = {
    "INPUT": ("an input has a type", "`input x: real[4]`"),
    "TARGET": ("a target has a type", "`target y: real`"),
    "PARAM": ("a parameter has a type and a first value", "`param W: real[H, D] = glorot`"),
    "STATE": ("a state has a value before the first step", "`state h = 0`"),
    "LAYER": ("a layer is bound to a cell", "`layer g = Gate(H)`"),
    "OUTPUT": ("an output is a name, or a name and its value", "`output y` or `output p = softmax(z)`"),
    "METRIC": ("a metric has a name and a value", "`metric wrong = mean(e over time, batch)`"),
    "LOSS": ("the loss has a value and no name", "`loss = mean(e over time, batch)`"),
    "DIM": ("a size has a number", "`dim H = 128`"),
    "HYPER": ("a hyper has a value", "`hyper drop = 0.3`"),
    "CONST": ("a constant has a value", "`const G = 9.81`"),
    "USE": ("a `use` names a file and what is taken from it", "`use std.cells: Dense, LSTM`"),
    "MODEL": ("a model has a name and a body", "`model Name { … }`"),
    "TRAIN": ("a train record names its model", "`train Name { update = Adam() }`"),
    "DEPLOY": ("a deploy record has a name and names its model", "`deploy pedal of Name { … }`"),
    "FN": (
        "a function has ports and a value or results",
        "`fn f(x: real) = x ^ 2` or `fn f(x: real) -> y: real { y = x ^ 2 }`",
    ),
    "CELL": (
        "a cell has arguments, ports, results and a body",
        "`cell C(H)(x: real[D]) -> y: real[H] { … }`",
    ),
    "OPTIMIZER": (
        "an optimizer has arguments, two ports and a body",
        "`optimizer O(lr: real = 0.1)(w, g) { … }`",
    ),
}

_SHELVES = {"CELL": "cells", "LOSS": "losses", "OPTIMIZER": "optim"}


def _misspelt(stuck: Stuck) -> Diagnostic | None:
    """`inptu x: real` — the parser stops one token behind the wrong word, at the top of a file at the word itself."""
    words = [word.lower() for word in (ITEMS if stuck.item in ("",) else STATEMENTS)]
    if stuck.top and stuck.token.kind == "NAME":
        word, candidates = stuck.token, words
    elif stuck.back().kind == "NAME" and stuck.token.kind in ("NAME", "STRING") and not stuck.word:
        word, candidates = stuck.back(), words
    else:
        return None
    if word.text.lower() in _OTHER_LANGUAGES:
        title = f"`{word.text}` is not a word of the language"
        return stuck.say("S0114", title, word, hint=_OTHER_LANGUAGES[word.text.lower()])
    meant = nearest(word.text, candidates)
    if meant is not None:
        return stuck.say("S0111", f"unknown word `{word.text}`", word, hint=f"did you mean `{meant}`?")
    if word.text in _TYPES and stuck.token.kind == "NAME" and not stuck.top:
        hint = f"a type stands behind its name: `input {stuck.token.text}: {word.text}`"
        return stuck.say("S0117", "a type before a name", word, hint=hint)
    return None


def _misspelt_inside(stuck: Stuck) -> Diagnostic | None:
    """A word inside a declaration or an expression: `mean(e ovr time)`, `if c thn a`, `deploy a off M`."""
    token = stuck.token
    if token.kind != "NAME":
        return None
    inner = [
        kind
        for kind in ("OVER", "WHERE", "THEN", "ELSE", "OF", "ONCE", "AND", "OR")
        if kind in stuck.expected
    ]
    meant = nearest(token.text, [kind.lower() for kind in inner])
    if meant is None or (len(token.text) < 3 and meant != "of"):
        return None
    return stuck.say("S0111", f"unknown word `{token.text}`", token, hint=f"did you mean `{meant}`?")


def _foreign_word(stuck: Stuck) -> Diagnostic | None:
    for word in (stuck.token, stuck.back()):
        if word.kind == "NAME" and word.text in _OTHER_LANGUAGES and (stuck.top or stuck.item):
            title = f"`{word.text}` is not a word of the language"
            return stuck.say("S0114", title, word, hint=_OTHER_LANGUAGES[word.text])
    return None


def _wrong_place(stuck: Stuck) -> Diagnostic | None:
    """A statement outside a body, an item inside one, or one of another kind of body."""
    token = stuck.token
    if stuck.top and token.kind in STATEMENTS:
        hint = "put it between the braces of a `model` or `cell`"
        return stuck.say("S0101", f"`{token.text}` outside a model or cell", token, hint=hint)
    if stuck.top and token.kind == "NAME":
        hint = "a file holds `use`, `const`, `fn`, `cell`, `optimizer`, `model`, `train` and `deploy`"
        if stuck.ahead().kind == "EQUAL":
            hint = "equations stand in a `model`, `cell` or `fn`; a number of the whole file is a `const`"
        return stuck.say("S0101", f"`{token.text}` does not begin an item", token, hint=hint)
    if not stuck.body:
        return None
    if stuck.item in ("TRAIN", "DEPLOY") and token.kind in STATEMENTS:
        if stuck.ahead().kind == "EQUAL":
            title = f"`{token.text}` is no key of `{stuck.item.lower()}`"
            hint = (
                "the processor is `cpu`" if token.kind == "TARGET" else f"a `{token.text}` stands in a model"
            )
            return stuck.say("S0110", title, token, hint=hint)
        title = f"`{token.text}` inside `{stuck.item.lower()}`"
        return stuck.say("S0101", title, token, "stands in a model", hint="here stand lines `key = value`")
    if stuck.item == "FN" and token.kind in STATEMENTS:
        hint = "a function holds equations only; what has parameters or memory is a `cell`"
        return stuck.say("S0101", f"`{token.text}` inside a function", token, hint=hint)
    if token.kind in ITEMS:
        hint = f"put it before the `{stuck.item.lower()}`, or close that with `}}` first"
        return stuck.say("S0101", f"`{token.text}` inside a `{stuck.item.lower()}`", token, hint=hint)
    return None


def _reserved_name(stuck: Stuck) -> Diagnostic | None:
    token = stuck.token
    if not stuck.reserved or "NAME" not in stuck.expected or token.kind in ("IF", "PREV", "NOT"):
        return None
    following = stuck.ahead().kind
    declares = token.kind in STATEMENTS + ITEMS and following in ("NAME", "STRING") and stuck.first_on_line
    if declares or (stuck.first_on_line and token.kind == "LOSS" and following == "EQUAL"):
        return None
    if stuck.body and token.kind not in STATEMENTS and following not in ("EQUAL", "COMMA"):
        return None
    if token.kind == "WHERE" and following == "LPAR":
        hint = "write `if c then a else b`; inside a reducer `where` selects: `mean(e over time where c)`"
        return stuck.say("S0114", "`where` is no function", token, hint=hint)
    hint = f"choose another, such as `{token.text}_`"
    if token.kind == "TARGET" and stuck.item == "DEPLOY":
        hint = "the processor is `cpu`"
    if token.kind in _SHELVES and stuck.item == "USE" and stuck.back().kind == "DOT":
        hint = f"write `std.{_SHELVES[token.kind]}`"
    return stuck.say("S0110", f"`{token.text}` is a reserved word", token, "not a name", hint=hint)


def _imports(stuck: Stuck) -> Diagnostic | None:
    if stuck.item != "USE":
        return None
    token, example = stuck.token, _PARTS["USE"][1]
    if token.kind == "STAR":
        return stuck.say("S0117", "names are taken one by one", token, hint=f"list them: {example}")
    if stuck.back().kind == "COMMA":
        return stuck.say("S0101", "nothing follows this comma", stuck.back(), hint="leave it out")
    if "COLON" in stuck.expected:
        return stuck.say("S0117", "a `:` is missing before the names", token, hint=f"write {example}")
    return None


def _type_in_equation(stuck: Stuck) -> Diagnostic | None:
    word = stuck.back(2)
    if stuck.token.kind == "COLON" and word.text in ("lambda", "fun") and stuck.back(3).kind == "EQUAL":
        title = f"`{word.text}` is not a word of the language"
        return stuck.say("S0114", title, word, hint=_OTHER_LANGUAGES["lambda"])
    if (
        stuck.token.kind != "COLON"
        or stuck.back().kind != "NAME"
        or stuck.word
        or "EQUAL" not in stuck.expected
    ):
        return None
    if stuck.item in ("TRAIN", "DEPLOY"):
        return stuck.say(
            "S0117", "a key and its value are joined by `=`", stuck.token, hint="write `key = value`"
        )
    hint = "types of equations are found; only inputs, parameters, states and ports have one"
    return stuck.say("S0117", "an equation has no type", stuck.token, hint=hint)


def _comparison_as_equation(stuck: Stuck) -> Diagnostic | None:
    if stuck.token.kind == "COMPARE" and stuck.token.text == "==" and "EQUAL" in stuck.expected:
        return stuck.say("S0114", "`==` compares", stuck.token, "here something is defined", hint="write `=`")
    return None


def _separator(stuck: Stuck) -> Diagnostic | None:
    """A comma between statements."""
    if stuck.token.kind == "COMMA" and stuck.unclosed is not None and stuck.unclosed.kind == "LBRACE":
        if stuck.word in ("INPUT", "TARGET", "OUTPUT", "METRIC", "LOSS", "UNTIL"):
            word = stuck.word.lower()
            title = f"one `{word}` at a time"
            return stuck.say("S0117", title, stuck.token, hint=f"write `{word}` again before the next")
        if stuck.item in ("TRAIN", "DEPLOY") or "PLUS" in stuck.expected:
            return stuck.say("S0101", "no comma between statements", stuck.token, hint="leave it out")
    return None


def _headers(stuck: Stuck) -> Diagnostic | None:
    """Parts of the first line of an item in the wrong place."""
    token, item = stuck.token, stuck.item
    if stuck.unclosed is not None and stuck.unclosed.kind == "LBRACE":
        return None
    if item == "MODEL" and token.kind == "LPAR":
        hint = "its sizes are `dim`s and its settings `hyper`s, in its body"
        return stuck.say("S0117", "a model has no arguments", token, hint=hint)
    if item == "OPTIMIZER" and token.kind == "ARROW":
        hint = "it defines the new `w`: `w = prev w - lr * g`"
        return stuck.say("S0117", "an optimizer has no results", token, hint=hint)
    if item == "CELL" and token.kind == "LSQB" and stuck.unclosed is not None:
        hint = (
            "a cell has two lists, first arguments, then ports: `cell C(H)(x: real[D]) -> y: real[H] { … }`"
        )
        return stuck.say("S0117", "a shape among the arguments of a cell", token, hint=hint)
    if item in ("CELL", "OPTIMIZER") and "LPAR" in stuck.expected and stuck.back().kind == "RPAR":
        hint = f"behind the arguments stand the ports: {_PARTS[item][1]}"
        return stuck.say("S0117", "the list of ports is missing", token, "before this", hint=hint)
    if item in ("CELL", "FN") and "ARROW" in stuck.expected:
        hint = f"name the results: {_PARTS[item][1]}"
        return stuck.say("S0117", "the results are missing", token, "before this", hint=hint)
    if item == "DEPLOY" and "OF" in stuck.expected:
        return stuck.say("S0117", "a deploy record names its model", token, hint=f"write {_PARTS[item][1]}")
    return None


def _incomplete(stuck: Stuck) -> Diagnostic | None:
    """A declaration that lacks a part."""
    word = stuck.word
    if word not in _PARTS or stuck.open_word("EQUAL") is not None or "PLUS" in stuck.expected:
        return None
    what, example = _PARTS[word]
    if word == "TARGET" and stuck.token.kind == "EQUAL":
        hint = "a target is always given; an `input` may have a value for when it is not"
        return stuck.say("S0117", "a target has no default", stuck.token, hint=hint)
    if stuck.unclosed is not None and stuck.unclosed.kind != "LBRACE":
        return None
    return stuck.say("S0117", what, stuck.token, "something is missing before this", hint=f"write {example}")


QUESTIONS: tuple[Question, ...] = (
    _misspelt,
    _misspelt_inside,
    _imports,
    _comparison_as_equation,
    _type_in_equation,
    _separator,
    _wrong_place,
    _reserved_name,
    _headers,
    _foreign_word,
    _incomplete,
)
