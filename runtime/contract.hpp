// Contractions: sums over any letters of the products of two arrays. Loops over rows and over most letters
// are read from tables; the three innermost, whose sizes and steps the compiler knows, are tiles in
// registers.
#pragma once

#include "rank_one.hpp"

namespace seqc {

// One loop of a contraction: how often, and how far each operand moves on.
struct Loop {
  int64_t count, left, right, out;
};

// The three innermost loops, with their sizes and the steps of left, right and out:
//   out[m * OM + n * ON] = sum over k of left[m * LM + k * LK] times right[n * RN + k * RK]
// Either neighbours in n are neighbours in `right` (RN is 1), or both operands lie in the order in which they
// are summed (LK and RK are 1) and the results beside each other (ON is 1).
template <int64_t M, int64_t N, int64_t K, int64_t LM, int64_t LK, int64_t RN, int64_t RK, int64_t OM,
          int64_t ON>
struct Innermost {
  static constexpr int64_t rows = M, columns = N, depth = K;
  static constexpr int64_t left_row = LM, left_sum = LK, right_column = RN, right_sum = RK;
  static constexpr int64_t out_row = OM, out_column = ON;
};

// Height rows of Width vectors; `Whole` or, in the last of them, `Part`: the columns that there are.
template <class At, class R, int Height, int Width, class Last>
SEQC_INLINE void contract_tile(const R *left, const R *right, R *out, bool add, Last last) {
  constexpr int streams = Height * Width <= 4 && At::depth >= 16 ? 2 : 1; // to keep the multipliers busy
  Array<Array<Array<Vec<R>, Width>, Height>, streams> sum = {};
  const auto each = [&](auto &&visit) SEQC_INLINED {
    SEQC_UNROLL
    for (int r = 0; r < Height; ++r) {
      SEQC_UNROLL
      for (int w = 0; w < Width; ++w) {
        R *const at = out + r * At::out_row + w * lanes<R> * At::out_column;
        if (w == Width - 1)
          visit(sum[0][r][w], at, last);
        else
          visit(sum[0][r][w], at, Whole{});
      }
    }
  };
  constexpr int64_t apart = At::out_column;
  if (add)
    each([](Vec<R> &value, const R *from, auto which) SEQC_INLINED {
      if constexpr (apart == 1)
        value = load(from, which);
      else
        value = load_lanes(from, apart, which);
    });
  const auto step = [&](int64_t k, int q) SEQC_INLINED {
    rank_one<R, streams>(
        sum[q], [&](int r) SEQC_INLINED { return broadcast(left[r * At::left_row + k * At::left_sum]); },
        [&](int w) SEQC_INLINED {
          const R *const from = right + k * At::right_sum + w * lanes<R>;
          return w == Width - 1 ? load(from, last) : load(from);
        });
  };
  int64_t k = 0;
  for (; k + streams <= At::depth; k += streams) {
    SEQC_UNROLL
    for (int q = 0; q < streams; ++q)
      step(k + q, q);
  }
  if constexpr (At::depth % streams != 0)
    step(k, 0);
  add_up(sum);
  each([](Vec<R> value, R *to, auto which) SEQC_INLINED {
    if constexpr (apart == 1)
      store(to, value, which);
    else
      store_lanes(to, apart, value, which);
  });
}

// All rows of Width vectors of columns.
template <class At, class R, int Width, class Last>
SEQC_INLINE void contract_columns(const R *left, const R *right, R *out, bool add, Last last) {
  constexpr int64_t limit = row_limit(Width) < 4 ? row_limit(Width) : 4;
  constexpr int height = static_cast<int>(At::rows < limit ? At::rows : limit);
  constexpr int rest = static_cast<int>(At::rows % height);
  int64_t m = 0;
  for (; m + height <= At::rows; m += height)
    contract_tile<At, R, height, Width>(left + m * At::left_row, right, out + m * At::out_row, add, last);
  if constexpr (rest > 0)
    contract_tile<At, R, rest, Width>(left + m * At::left_row, right, out + m * At::out_row, add, last);
}

// Sums along both operands, for as many columns as a vector has lanes, or the Count that are left.
template <class At, class R, int Count>
SEQC_INLINE void contract_dots(const R *left, const R *right, R *out, bool add) {
  constexpr int rest = static_cast<int>(At::depth % lanes<R>);
  Array<Vec<R>, lanes<R>> sum = {};
  const auto step = [&](int64_t k, auto which) SEQC_INLINED {
    const Vec<R> factor = load(left + k, which);
    SEQC_UNROLL
    for (int i = 0; i < Count; ++i)
      sum[i] = fma(factor, load(right + i * At::right_column + k, which), sum[i]);
  };
  for (int64_t k = 0; k + lanes<R> <= At::depth; k += lanes<R>)
    step(k, Whole{});
  if constexpr (rest > 0)
    step(At::depth - rest, Part{rest});
  Vec<R> sums = sums_of_lanes<R>(sum);
  const auto put = [&](auto which) SEQC_INLINED {
    store(out, add ? load(static_cast<const R *>(out), which) + sums : sums, which);
  };
  if constexpr (Count == lanes<R>)
    put(Whole{});
  else
    put(Part{Count});
}

// The innermost loops of one place in all others.
template <class At, class R>
SEQC_KERNEL static void contract_innermost(const R *left, const R *right, R *out, bool add) {
  constexpr int wide = 4, odd = static_cast<int>(At::columns % lanes<R>);
  if constexpr (At::right_column == 1) {
    constexpr int64_t whole = At::columns / lanes<R> / wide * wide * lanes<R>;
    constexpr int rest = static_cast<int>(blocks<R>(At::columns - whole));
    for (int64_t n = 0; n < whole; n += wide * lanes<R>)
      contract_columns<At, R, wide>(left, right + n, out + n * At::out_column, add, Whole{});
    if constexpr (rest > 0 && odd == 0)
      contract_columns<At, R, rest>(left, right + whole, out + whole * At::out_column, add, Whole{});
    else if constexpr (rest > 0)
      contract_columns<At, R, rest>(left, right + whole, out + whole * At::out_column, add, Part{odd});
  } else {
    for (int64_t m = 0; m < At::rows; ++m) {
      const R *const from = left + m * At::left_row;
      R *const to = out + m * At::out_row;
      int64_t n = 0;
      for (; n + lanes<R> <= At::columns; n += lanes<R>)
        contract_dots<At, R, lanes<R>>(from, right + n * At::right_column, to + n, add);
      if constexpr (odd > 0)
        contract_dots<At, R, odd>(from, right + n * At::right_column, to + n, add);
    }
  }
}

// A sum of nothing.
template <class At, class R> SEQC_INLINE void contract_nothing(R *out) {
  for (int64_t m = 0; m < At::rows; ++m)
    for (int64_t n = 0; n < At::columns; ++n)
      out[m * At::out_row + n * At::out_column] = R(0);
}

// contract(outer, outers, inner, inners, left, right, out, Innermost<…>{}): out = sum over the inner loops
// and K of left times right, for every turn of the outer loops, M and N. A loop of no turns, as where all
// rows have ended, sums nothing.
template <class R, int64_t... Sizes>
SEQC_KERNEL static void contract(const Loop *outer, int outers, const Loop *inner, int inners, const R *left,
                                 const R *right, R *out, Innermost<Sizes...> innermost, bool add = false) {
  const Loop *const loop = outers > 0 ? outer : inner;
  if (outers + inners == 0) {
    contract_innermost<Innermost<Sizes...>>(left, right, out, add);
    return;
  }
  for (int64_t k = 0; k < loop->count; ++k)
    contract(outers > 0 ? outer + 1 : outer, outers > 0 ? outers - 1 : 0, outers > 0 ? inner : inner + 1,
             outers > 0 ? inners : inners - 1, left + k * loop->left, right + k * loop->right,
             out + k * loop->out, innermost, add || (outers == 0 && k > 0));
  if (outers == 0 && loop->count == 0 && !add)
    contract_nothing<Innermost<Sizes...>>(out);
}

// The same where the innermost loops are read from the tables, too: for steps and types of any kind. Each
// list holds at least one loop.
template <class R, class O>
SEQC_KERNEL static void contract(const Loop *outer, int outers, const Loop *inner, int inners, const R *left,
                                 const R *right, O *out) {
  if (outers > 0) {
    for (int64_t k = 0; k < outer->count; ++k)
      contract(outer + 1, outers - 1, inner, inners, left + k * outer->left, right + k * outer->right,
               out + k * outer->out);
    return;
  }
  if (inners > 1) {
    O total = O(0);
    for (int64_t k = 0; k < inner->count; ++k) {
      O part = O(0);
      contract(outer, 0, inner + 1, inners - 1, left + k * inner->left, right + k * inner->right, &part);
      total += part;
    }
    *out = total;
    return;
  }
  R sum = R(0);
  for (int64_t k = 0; k < inner->count; ++k)
    sum = fma(left[k * inner->left], right[k * inner->right], sum);
  *out = static_cast<O>(sum);
}

} // namespace seqc
