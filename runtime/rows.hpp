// Products of small matrices, one row or a few after the other: the sums of all units of a row lie in
// registers, the weights in the first-level cache, and every size is known to the compiler.
#pragma once

#include "gemm.hpp"

namespace seqc {

// The sums of Rows rows: for some of the stretches of k those of all vector columns.
template <class R, int Chains, int Rows, int Vectors>
using RowSums = Array<Array<Array<Vec<R>, Vectors>, Rows>, Chains>;

// Adds row k of a packed matrix, times one value of each row, to the sums of one of Chains stretches.
template <class R, int Wide, int Chains, int64_t Depth, int Rows, int Vectors>
SEQC_INLINE void add_column(const R *a, int64_t stride, const R *packed, int64_t k,
                            Array<Array<Vec<R>, Vectors>, Rows> &sum) {
  const auto column = [&](int v) SEQC_INLINED {
    const int first = v / Wide * Wide, width = Vectors - first < Wide ? Vectors - first : Wide;
    return load(packed + (first * Depth + k * width + v - first) * lanes<R>);
  };
  rank_one<R, Chains>(sum, [&](int r) SEQC_INLINED { return broadcast(a[r * stride + k]); }, column);
}

// Adds one segment to the sums of some rows: of all stretches of k, as many as `tile` takes, those that one
// pass adds up: every so manieth from `pass` on.
template <class R, int Wide, int Passes, int64_t Depth, int Chains, int Rows, int Vectors>
SEQC_INLINE void add_segment(const Segment<R> &segment, int64_t row, int pass,
                             RowSums<R, Chains, Rows, Vectors> &sum) {
  constexpr int64_t length = Depth / (Chains * Passes);
  constexpr int64_t turn = length * Chains * Vectors * Rows <= 160 ? 32 : 4;
  const R *const a = segment.a + row * segment.stride;
  const auto add = [&](int64_t k, int q) SEQC_INLINED {
    add_column<R, Wide, Chains, Depth, Rows, Vectors>(a, segment.stride, segment.packed, k, sum[q]);
  };
  const auto place = [&](int q) SEQC_INLINED { return (q * Passes + pass) * length; };
  int64_t k = 0;
  for (; k + turn <= length; k += turn) {
    SEQC_UNROLL
    for (int64_t j = 0; j < turn; ++j) {
      SEQC_UNROLL
      for (int q = 0; q < Chains; ++q)
        add(place(q) + k + j, q);
    }
  }
  SEQC_UNROLL
  for (int64_t j = length / turn * turn; j < length; ++j) {
    SEQC_UNROLL
    for (int q = 0; q < Chains; ++q)
      add(place(q) + j, q);
  }
  if (pass == Passes - 1) {
    SEQC_UNROLL
    for (int64_t j = Chains * Passes * length; j < Depth; ++j)
      add(j, Chains - 1);
  }
}

// The sums of Rows rows from `row` on, each handed to the epilogue block by block.
template <class R, int Gates, int64_t Units, int Rows, int Passes, int64_t... Depths, class Epilogue>
SEQC_INLINE void rows_together(int64_t row, const Segment<R> *segments, Epilogue &epilogue) {
  constexpr int vectors = static_cast<int>(blocks<R>(Units)) * Gates, streams = chains(vectors) / Passes;
  constexpr int wide = panel_blocks(Gates) * Gates;
  RowSums<R, Passes, Rows, vectors> sums;
  for (int pass = 0; pass < Passes; ++pass) {
    RowSums<R, streams, Rows, vectors> sum = {};
    const Segment<R> *segment = segments;
    (add_segment<R, wide, Passes, Depths, streams, Rows, vectors>(*segment++, row, pass, sum), ...);
    add_up(sum);
    SEQC_UNROLL
    for (int r = 0; r < Rows; ++r) {
      SEQC_UNROLL
      for (int v = 0; v < vectors; ++v)
        sums[pass][r][v] = sum[0][r][v];
    }
  }
  add_up(sums);
  for (int r = 0; r < Rows; ++r) {
    SEQC_UNROLL
    for (int64_t unit = 0; unit + lanes<R> <= Units; unit += lanes<R>)
      epilogue(row + r, unit, Whole{}, sums[0][r] + unit / lanes<R> * Gates);
    if constexpr (Units % lanes<R> != 0)
      epilogue(row + r, Units / lanes<R> * lanes<R>, Part{static_cast<int>(Units % lanes<R>)},
               sums[0][r] + Units / lanes<R> * Gates);
  }
}

// How many rows go together, and in how many passes over the stretches of k.
struct RowsTogether {
  int rows, passes;
};

// rows_at_once(vectors, depths): rows share the loads of the weights, since a core multiplies as often as it
// loads. With many registers these are two whose sums fit them; with few of them some rows sum a part of
// their stretches in each pass. Of less depth one row after the other is as fast.
template <size_t Count> constexpr RowsTogether rows_at_once(int vectors, const int64_t (&depths)[Count]) {
  constexpr bool many = SEQC_VECTOR_REGISTERS == 32;
  bool deep = false;
  for (const int64_t depth : depths)
    deep = deep || depth >= (many ? 32 : 16);
  if (!deep)
    return {1, 1};
  if (many)
    return 2 * vectors * chains(vectors) + 3 <= 32 ? RowsTogether{2, 1} : RowsTogether{1, 1};
  if (vectors == 5 || vectors > 6)
    return {1, 1};
  return vectors == 1 ? RowsTogether{4, 4} : RowsTogether{2, 2};
}

// product_rows<R, Gates, Units, Depths…>(begin, end, segments, epilogue): what product_with does, with the
// depth of each segment as a template argument. All sums of a row are there before the epilogue runs.
template <class R, int Gates, int64_t Units, int64_t... Depths, class Epilogue>
SEQC_INLINE void product_rows(int64_t begin, int64_t end, const Segment<R> *segments, Epilogue &&epilogue) {
  constexpr int vectors = static_cast<int>(blocks<R>(Units)) * Gates;
  constexpr RowsTogether at_once = rows_at_once(vectors, {Depths...});
  int64_t row = begin;
  if constexpr (at_once.rows > 1)
    for (; row + at_once.rows <= end; row += at_once.rows)
      rows_together<R, Gates, Units, at_once.rows, at_once.passes, Depths...>(row, segments, epilogue);
  for (; row < end; ++row)
    rows_together<R, Gates, Units, 1, 1, Depths...>(row, segments, epilogue);
}

// product_each_row<…>: the same row by row, for a caller who has one as a rule.
template <class R, int Gates, int64_t Units, int64_t... Depths, class Epilogue>
SEQC_INLINE void product_each_row(int64_t begin, int64_t end, const Segment<R> *segments,
                                  Epilogue &&epilogue) {
  for (int64_t row = begin; row < end; ++row)
    rows_together<R, Gates, Units, 1, 1, Depths...>(row, segments, epilogue);
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
