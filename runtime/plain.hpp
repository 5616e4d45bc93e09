// Products as plain loops, one multiplication after the other: what the fast forms of gemm.hpp and rows.hpp
// are held against, and what a reader may begin with. The weights are packed as for those.
#pragma once

#include "gemm.hpp"

namespace seqc {

// The place in a packed matrix of row k of a unit and a gate.
template <class R, int Gates, int64_t Units>
SEQC_INLINE int64_t packed_place(int64_t depth, int64_t k, int64_t unit, int gate) {
  if constexpr (narrow<R>(Units, Gates))
    return unit * blocks<R>(depth) * lanes<R> + k;
  constexpr int64_t count = blocks<R>(Units), wide = panel_blocks(Gates);
  const int64_t block = unit / lanes<R>, first = block / wide * wide;
  const int64_t width = (count - first < wide ? count - first : wide) * Gates * lanes<R>;
  return first * Gates * lanes<R> * depth + k * width + ((block - first) * Gates + gate) * lanes<R> +
         unit % lanes<R>;
}

// product_plain<R, Gates, Units>(begin, end, segments, count, epilogue): what product_with does.
template <class R, int Gates, int64_t Units, class Epilogue>
SEQC_INLINE void product_plain(int64_t begin, int64_t end, const Segment<R> *segments, int count,
                               Epilogue &&epilogue) {
  for (int64_t row = begin; row < end; ++row)
    for (int64_t first = 0; first < Units; first += lanes<R>) {
      const int here = Units - first < lanes<R> ? static_cast<int>(Units - first) : lanes<R>;
      Array<Vec<R>, Gates> sums;
      for (int gate = 0; gate < Gates; ++gate) {
        R lane[lanes<R>] = {};
        for (int i = 0; i < here; ++i)
          for (int s = 0; s < count; ++s)
            for (int64_t k = 0; k < segments[s].depth; ++k)
              lane[i] +=
                  segments[s].a[row * segments[s].stride + k] *
                  segments[s].packed[packed_place<R, Gates, Units>(segments[s].depth, k, first + i, gate)];
        sums[gate] = load(static_cast<const R *>(lane));
      }
      if (here < lanes<R>)
        epilogue(row, first, Part{here}, sums);
      else
        epilogue(row, first, Whole{}, sums);
    }
}

// The sums of all gates, block by block, as product_gates stores them; of one gate as product_segments does.
template <class R, int Gates, int64_t Units>
SEQC_INLINE void plain_sums(int64_t begin, int64_t end, const Segment<R> *segments, int count, R *out,
                            int64_t stride) {
  product_plain<R, Gates, Units>(begin, end, segments, count,
                                 [&](int64_t row, int64_t unit, auto which, const Vec<R> *sums) {
                                   if constexpr (Gates == 1)
                                     store(out + row * stride + unit, sums[0], which);
                                   else
                                     for (int gate = 0; gate < Gates; ++gate)
                                       store(out + row * stride + unit * Gates + gate * lanes<R>, sums[gate]);
                                 });
}

} // namespace seqc
