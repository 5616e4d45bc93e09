"""Names in generated text: from the names that a user gave to identifiers that no target language claims.

`mangle` turns one dotted name into an identifier; `Namer` hands out identifiers that differ from each other, also
where case is ignored, in the order in which they are asked for, so that equal input gives equal text.
"""

from __future__ import annotations

import re

_C = """alignas alignof auto bool break case char const constexpr continue default do double else enum extern false float
for goto if inline int long nullptr register restrict return short signed sizeof static static_assert struct switch
thread_local true typedef typeof typeof_unqual union unsigned void volatile while int32_t int64_t uint8_t uint32_t uint64_t"""

_CPP = """and and_eq asm atomic_cancel atomic_commit atomic_noexcept bitand bitor catch char16_t char32_t char8_t class co_await
co_return co_yield compl concept const_cast consteval constinit decltype delete dynamic_cast explicit export friend
import module mutable namespace new noexcept not not_eq operator or or_eq private protected public reflexpr
reinterpret_cast requires static_cast synchronized template this throw try typeid typename using virtual wchar_t xor
xor_eq override final"""

_CUDA = (
    """blockDim blockIdx gridDim threadIdx warpSize dim3 uint3 float2 float3 float4 double2 int2 int3 int4"""
)

_PYTHON = """and as assert async await class def del elif except finally from global import in is lambda None nonlocal
not or pass raise try with yield True False print self type match case"""

_MACROS = """linux unix i386 vax sun near far small assert errno stdin stdout stderr signbit isnan isinf isfinite isnormal
I complex imaginary min max NULL EOF INFINITY NAN HUGE_VAL M_PI major minor main offsetof"""

_LIBM = """acos acosh asin asinh atan atan2 atanh cbrt ceil copysign cos cosh erf erfc exp exp2 expm1 fabs fdim floor fma fmax
fmin fmod frexp gamma hypot ilogb j0 j1 jn ldexp lgamma log log10 log1p log2 logb lrint lround modf nan nearbyint nextafter
pow remainder remquo rint round scalbn sin sinh sqrt tan tanh tgamma trunc y0 y1 yn abs labs div index rindex time clock
signal select read write open close link remove rename stat read exit abort free malloc system sleep pause"""

# What generated functions call their own things, and what the runtime calls its functions.
_OWN = """seqc real row rows i t steps batch frame which call key where size lanes load store sweep broadcast both either
opposite number whole Vec Mask sigmoid quick_tanh quick_sigmoid coarse_tanh coarse_sigmoid softplus root0 magnitude sign divide_floor modulo_floor smaller larger keep fold less greater
equal unequal segments segment later block width draw packed sum_rows sums then back min max pack step infer evaluate gradients apply update generate get weights state inputs outputs grads scores"""

# What kernels and entry points take from the runtime or declare for themselves, beside that. The header is free of it.
_TEXT = """Alive Beside Bf16Segment Column DrawKey EitherSegment ExactSegment Folded Half Innermost Int8Segment Largest Loop Lot
Pair PairSegment Paired R Range Rounded RoundedSegment Run Sequence Share Smallest Sum Turn Twin alone beside clear_ended
find_largest folded_across gate gates kernels load_lanes ones outer outer_tiles outers outers_tiles pack_bf16 pack_columns
pack_gates pack_int8 pack_others pack_pair_columns pack_pair_gates pack_weights pick_index picked product_each_row
product_either_rows product_gates product_plain product_rows product_segments product_with quick_step renew_columns
renew_pair_columns renew_pair_rows renew_rows rights round_values row_of runs settle slot sources spot store_lanes store_late
sums_rows sweep_in_turn tile_few tile_outer turns unit weight"""

MACROS = "SEQC_"
"""What the macros of the runtime begin with, and no other name in generated text."""

RESERVED: frozenset[str] = frozenset(
    word.lower() for text in (_C, _CPP, _CUDA, _PYTHON, _MACROS, _LIBM, _OWN) for word in text.split()
)

TEXT: frozenset[str] = frozenset(_TEXT.lower().split())
"""Names that no kernel and no operand gets, in small letters."""


def mangle(name: str) -> str:
    """`d logits.lstm1.f.U` -> `d_logits_lstm1_f_U`: an identifier of C, C++, CUDA and Python."""
    word = re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_")
    if not word:
        word = "value"
    if word[0].isdigit() or word.startswith(MACROS):
        word = f"v{word}"
    return word + "_" if word.lower() in RESERVED else word


class Namer:
    """Hands out identifiers; the second `x` becomes `x_2`. Names that differ only in case count as equal."""

    def __init__(self, taken: frozenset[str] = frozenset()) -> None:
        self._taken: set[str] = {word.lower() for word in taken}

    def name(self, wanted: str) -> str:
        """A free identifier close to `wanted`; it is taken from now on."""
        word = mangle(wanted)
        free, number = word, 2
        while free.lower() in self._taken:
            free, number = f"{word.rstrip('_')}_{number}", number + 1
        self._taken.add(free.lower())
        return free
