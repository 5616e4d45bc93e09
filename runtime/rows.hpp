// Products of small matrices, one row after the other: the sums of all units of a row lie in registers, the
// weights in the first-level cache, and every size is known to the compiler.
#pragma once

#include "gemm.hpp"

namespace seqc {

// The sums of Rows rows: for each stretch of k those of all vector columns.
template <class R, int Rows, int Chains, int Vectors>
using RowSums = Array<Array<Array<Vec<R>, Vectors>, Chains>, Rows>;

// Adds row k of a packed matrix, times one value of each row, to stretch q of the sums.
template <class R, int Wide, int Rows, int Chains, int Vectors, int64_t Depth>
SEQC_INLINE void add_column(const R *a, int64_t stride, const R *packed, int64_t k, int q,
                            RowSums<R, Rows, Chains, Vectors> &sum) {
  Array<Vec<R>, Rows> factor;
  SEQC_UNROLL
  for (int r = 0; r < Rows; ++r)
    factor[r] = broadcast(a[r * stride + k]);
  SEQC_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    const int first = v / Wide * Wide, width = Vectors - first < Wide ? Vectors - first : Wide;
    Vec<R> column = load(packed + (first * Depth + k * width + v - first) * lanes<R>);
    if constexpr (Rows > 1) {
      SEQC_PIN(column);
    }
    SEQC_UNROLL
    for (int r = 0; r < Rows; ++r)
      sum[r][q][v] = fma(factor[r], column, sum[r][q][v]);
  }
}

// Adds one segment to the sums of some rows, in as many stretches of k as `tile` takes: equal results.
template <class R, int Wide, int Rows, int Chains, int Vectors, int64_t Depth>
SEQC_INLINE void add_segment(const Segment<R> &segment, int64_t row, RowSums<R, Rows, Chains, Vectors> &sum) {
  constexpr int64_t length = Depth / Chains, turn = length * Chains * Vectors * Rows <= 160 ? 32 : 4;
  const R *const a = segment.a + row * segment.stride;
  const auto add = [&](int64_t k, int q) SEQC_INLINED {
    add_column<R, Wide, Rows, Chains, Vectors, Depth>(a, segment.stride, segment.packed, k, q, sum);
  };
  int64_t k = 0;
  for (; k + turn <= length; k += turn) {
    SEQC_UNROLL
    for (int64_t j = 0; j < turn; ++j) {
      SEQC_UNROLL
      for (int q = 0; q < Chains; ++q)
        add(q * length + k + j, q);
    }
  }
  SEQC_UNROLL
  for (int64_t j = length / turn * turn; j < length; ++j) {
    SEQC_UNROLL
    for (int q = 0; q < Chains; ++q)
      add(q * length + j, q);
  }
  SEQC_UNROLL
  for (int64_t j = Chains * length; j < Depth; ++j)
    add(j, Chains - 1);
}

// The sums of Rows rows from `row` on, each handed to the epilogue block by block.
template <class R, int Gates, int64_t Units, int Rows, int64_t... Depths, class Epilogue>
SEQC_INLINE void rows_together(int64_t row, const Segment<R> *segment, Epilogue &epilogue) {
  constexpr int vectors = static_cast<int>(blocks<R>(Units)) * Gates, streams = chains(vectors);
  constexpr int wide = panel_blocks(Gates) * Gates;
  RowSums<R, Rows, streams, vectors> sum = {};
  (add_segment<R, wide, Rows, streams, vectors, Depths>(*segment++, row, sum), ...);
  SEQC_UNROLL
  for (int r = 0; r < Rows; ++r) {
    add_up(sum[r]);
    const Vec<R> *const sums = sum[r][0];
    SEQC_UNROLL
    for (int64_t unit = 0; unit + lanes<R> <= Units; unit += lanes<R>)
      epilogue(row + r, unit, Whole{}, sums + unit / lanes<R> * Gates);
    if constexpr (Units % lanes<R> != 0)
      epilogue(row + r, Units / lanes<R> * lanes<R>, Part{static_cast<int>(Units % lanes<R>)},
               sums + Units / lanes<R> * Gates);
  }
}

// product_rows<R, Gates, Units, Depths…>(begin, end, segments, epilogue): what product_with does, with the
// depth of each segment as a template argument. All sums of a row are there before the epilogue runs. Two
// rows go together where registers hold their sums, and share the loads of the weights; of less depth one row
// after the other is as fast.
template <class R, int Gates, int64_t Units, int64_t... Depths, class Epilogue>
SEQC_INLINE void product_rows(int64_t begin, int64_t end, const Segment<R> *segments, Epilogue &&epilogue) {
  constexpr int vectors = static_cast<int>(blocks<R>(Units)) * Gates;
  constexpr int sums = vectors * chains(vectors);
  int64_t row = begin;
  if constexpr (2 * sums + 3 <= SEQC_VECTOR_REGISTERS && ((Depths >= 32) || ...))
    for (; row + 2 <= end; row += 2)
      rows_together<R, Gates, Units, 2, Depths...>(row, segments, epilogue);
  for (; row < end; ++row)
    rows_together<R, Gates, Units, 1, Depths...>(row, segments, epilogue);
}

// product_each_row<…>: the same row by row, for a caller who has one as a rule.
template <class R, int Gates, int64_t Units, int64_t... Depths, class Epilogue>
SEQC_INLINE void product_each_row(int64_t begin, int64_t end, const Segment<R> *segments,
                                  Epilogue &&epilogue) {
  for (int64_t row = begin; row < end; ++row)
    rows_together<R, Gates, Units, 1, Depths...>(row, segments, epilogue);
}

// sums_rows<R, Gates, Units, Depths…>(begin, end, segments, out, stride): the sums of all gates, block by
// block, as product_gates stores them; of one gate as product_segments does.
template <class R, int Gates, int64_t Units, int64_t... Depths>
SEQC_INLINE void sums_rows(int64_t begin, int64_t end, const Segment<R> *segments, R *out, int64_t stride) {
  const auto put = [&](int64_t row, int64_t unit, auto which, const Vec<R> *sums) SEQC_INLINED {
    R *const to = out + row * stride + unit * Gates;
    if constexpr (Gates == 1)
      store(to, sums[0], which);
    else
      for (int gate = 0; gate < Gates; ++gate)
        store(to + gate * lanes<R>, sums[gate]);
  };
  product_rows<R, Gates, Units, Depths...>(begin, end, segments, put);
}

} // namespace seqc
