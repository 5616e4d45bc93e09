// One step of k of a tile of sums: a rank-one update of Height rows by Width vectors, in the order that
// leaves every operand in a register if any order does.
#pragma once

#include "pack.hpp"

namespace seqc {

// pinned(operands, others, sums): several sums share each of so many operands, and registers are left for
// these beside the sums and one of the others.
constexpr bool pinned(int operands, int others, int sums) {
  return others > 1 && sums + operands + 1 <= SEQC_VECTOR_REGISTERS;
}

// rank_one<R, Streams>(sum, factor, column): sum[r][w] += factor(r) * column(w). Either all columns are
// loaded and each factor meets them, or all factors and each column: where registers hold the factors only,
// or would be full with the columns, which are more. A row alone multiplies its columns as it reads them.
// Streams: how many tiles like this one are summed at once.
template <class R, int Streams = 1, class V, size_t Height, size_t Width, class Factor, class Column>
SEQC_INLINE void rank_one(V (&sum)[Height][Width], Factor &&factor, Column &&column) {
  constexpr int height = static_cast<int>(Height), width = static_cast<int>(Width);
  constexpr int sums = Streams * height * width;
  constexpr bool columns_fit = pinned(width + (height < width ? 1 : 0), height, sums);
  if constexpr (Term<R>::held == 1 && height > 1 && !columns_fit && pinned(height, width, sums)) {
    Array<Vec<R>, height> factors;
    SEQC_UNROLL
    for (int r = 0; r < height; ++r) {
      factors[r] = factor(r);
      SEQC_PIN(factors[r]);
    }
    SEQC_UNROLL
    for (int w = 0; w < width; ++w) {
      Vec<R> shared = column(w);
      SEQC_PIN(shared);
      SEQC_UNROLL
      for (int r = 0; r < height; ++r)
        sum[r][w] = Term<R>::add(factors[r], shared, sum[r][w]);
    }
  } else {
    Array<Vec<R>, width> columns;
    SEQC_UNROLL
    for (int w = 0; w < width; ++w) {
      columns[w] = column(w);
      if constexpr (pinned(width, height, sums)) {
        SEQC_PIN(columns[w]);
      }
    }
    SEQC_UNROLL
    for (int r = 0; r < height; ++r) {
      const auto shared = factor(r);
      SEQC_UNROLL
      for (int w = 0; w < width; ++w)
        sum[r][w] = Term<R>::add(shared, columns[w], sum[r][w]);
    }
  }
}

} // namespace seqc
