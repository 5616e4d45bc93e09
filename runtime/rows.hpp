// Products of small matrices, one row after the other: the sums of all units of a row lie in registers, the
// weights in the first-level cache, and every size is known to the compiler.
#pragma once

#include "gemm.hpp"

namespace seqc {

// Adds factor times row k of a packed matrix to the sums of all its vector columns.
template <class R, int Wide, int Vectors, int64_t Depth>
SEQC_INLINE void add_column(R factor, const R *packed, int64_t k, Array<Vec<R>, Vectors> &sum) {
  const Vec<R> all = broadcast(factor);
  SEQC_UNROLL
  for (int v = 0; v < Vectors; ++v) {
    const int first = v / Wide * Wide, width = Vectors - first < Wide ? Vectors - first : Wide;
    sum[v] = fma(all, load(packed + (first * Depth + k * width + v - first) * lanes<R>), sum[v]);
  }
}

// Adds one segment to the sums of a row, in as many stretches of k as `tile` takes: equal results.
template <class R, int Wide, int Vectors, int Chains, int64_t Depth>
SEQC_INLINE void add_segment(const Segment<R> &segment, int64_t row,
                             Array<Array<Vec<R>, Vectors>, Chains> &sum) {
  constexpr int64_t length = Depth / Chains, turn = length * Chains * Vectors <= 160 ? 32 : 4;
  const R *const a = segment.a + row * segment.stride;
  int64_t k = 0;
  for (; k + turn <= length; k += turn) {
    SEQC_UNROLL
    for (int64_t j = 0; j < turn; ++j) {
      SEQC_UNROLL
      for (int q = 0; q < Chains; ++q)
        add_column<R, Wide, Vectors, Depth>(a[q * length + k + j], segment.packed, q * length + k + j,
                                            sum[q]);
    }
  }
  SEQC_UNROLL
  for (int64_t j = length / turn * turn; j < length; ++j) {
    SEQC_UNROLL
    for (int q = 0; q < Chains; ++q)
      add_column<R, Wide, Vectors, Depth>(a[q * length + j], segment.packed, q * length + j, sum[q]);
  }
  SEQC_UNROLL
  for (int64_t j = Chains * length; j < Depth; ++j)
    add_column<R, Wide, Vectors, Depth>(a[j], segment.packed, j, sum[Chains - 1]);
}

// product_rows<R, Gates, Units, Depths…>(begin, end, segments, epilogue): what product_with does, with the
// depth of each segment as a template argument. All sums of a row are there before the epilogue runs.
template <class R, int Gates, int64_t Units, int64_t... Depths, class Epilogue>
SEQC_INLINE void product_rows(int64_t begin, int64_t end, const Segment<R> *segments, Epilogue &&epilogue) {
  constexpr int vectors = static_cast<int>(blocks<R>(Units)) * Gates, streams = chains(vectors);
  constexpr int wide = panel_blocks(Gates) * Gates;
  for (int64_t row = begin; row < end; ++row) {
    Array<Array<Vec<R>, vectors>, streams> sum = {};
    const Segment<R> *segment = segments;
    (add_segment<R, wide, vectors, streams, Depths>(*segment++, row, sum), ...);
    SEQC_UNROLL
    for (int half = streams / 2; half > 0; half /= 2) {
      SEQC_UNROLL
      for (int q = 0; q < half; ++q) {
        SEQC_UNROLL
        for (int v = 0; v < vectors; ++v)
          sum[q][v] += sum[q + half][v];
      }
    }
    SEQC_UNROLL
    for (int64_t unit = 0; unit + lanes<R> <= Units; unit += lanes<R>)
      epilogue(row, unit, Whole{}, static_cast<const Vec<R> *>(sum[0]) + unit / lanes<R> * Gates);
    if constexpr (Units % lanes<R> != 0)
      epilogue(row, Units / lanes<R> * lanes<R>, Part{static_cast<int>(Units % lanes<R>)},
               static_cast<const Vec<R> *>(sum[0]) + Units / lanes<R> * Gates);
  }
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
