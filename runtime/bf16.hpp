// Products in bfloat16: both operands are rounded to the nearest bfloat16, ties to even, and sums are taken
// in single precision. Weights are rounded when they are packed, rows when they enter a product.
//
// Rounded weights lie as reals in the panels of gemm.hpp, or in pairs as quant.hpp packs them, which matrix
// tiles read (tiles.hpp). The values that are multiplied are the same; sums differ in their order alone.
#pragma once

#include "outer.hpp"
#include "quant.hpp"

namespace seqc {

// rounded(x): the nearest bfloat16 of each lane, as a real; NaN stays NaN.
SEQC_INLINE Vec<float> rounded(Vec<float> x) {
  const auto bits = bits_as<WordPairs>(x);
  const auto near = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return select(x == x, bits_as<Vec<float>>(near), x);
}

// For outer(…): sums of products of rounded values.
struct Rounded {
  static constexpr bool same = false;
  SEQC_INLINED static Vec<float> of(Vec<float> x) { return rounded(x); }
};

// round_values(count, from, to): the nearest bfloat16 of each value, as reals.
SEQC_INLINE void round_values(int64_t count, const float *from, float *to) {
  sweep<float>(0, count,
               [&](int64_t i, auto which) { store(to + i, rounded(load(from + i, which)), which); });
}

// One term of a product in bfloat16: rows of `a`, to be rounded, times a matrix of rounded weights, packed as
// reals or in pairs. Depth is at least the depths of all terms, each rounded up to a multiple of 32.
template <int64_t Depth> struct RoundedSegment : Segment<float> {};
template <int64_t Depth> struct PairSegment : LowSegment {};

// rounded_rows(depth): how many rows are rounded at a time; all panels pass over them.
constexpr int64_t rounded_rows(int64_t depth) {
  return depth <= 2048 ? 64 : depth >= 16384 ? 8 : 131072 / depth;
}

// Rounds the rows of all terms, some at a time, and calls multiply(count of rows, terms, epilogue) on them.
template <class Term, int64_t Depth, class Given, class Epilogue, class Multiply>
SEQC_INLINE void on_rounded_rows(int64_t begin, int64_t end, const Given *segments, int count,
                                 Epilogue &epilogue, Multiply &&multiply) {
  constexpr int64_t together = rounded_rows(Depth), stride = Depth + 16; // 16: rows are not pages apart
  alignas(64) float rows[static_cast<size_t>(together * stride)];
  int64_t from = begin;
  for (int64_t part = 0; from < end; ++part) {
    const int64_t height = part_size(end - begin, together, part);
    Term terms[8] = {};
    float *to = rows;
    for (int s = 0; s < count; ++s) {
      const Given &segment = segments[s];
      for (int64_t r = 0; r < height; ++r)
        round_values(segment.depth, segment.a + (from + r) * segment.stride, to + r * stride);
      terms[s].a = to;
      terms[s].stride = stride;
      terms[s].packed = segment.packed;
      terms[s].depth = segment.depth;
      to += segment.depth;
    }
    multiply(height, terms, [&](int64_t row, int64_t unit, auto which, auto *sums) {
      epilogue(from + row, unit, which, sums);
    });
    from += height;
  }
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const RoundedSegment<Depth> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
  on_rounded_rows<Segment<float>, Depth>(
      begin, end, segments, count, epilogue, [&](int64_t rows, const Segment<float> *terms, auto &&then) {
        product_with<float, Gates, Units>(0, rows, terms, count, then, descending);
      });
}

// The same for weights in pairs, without tiles.
template <int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void pair_product(int64_t begin, int64_t end, const PairSegment<Depth> *segments, int count,
                              Epilogue &epilogue, bool descending) {
  on_rounded_rows<ExactBf16Segment, Depth>(
      begin, end, segments, count, epilogue, [&](int64_t rows, const ExactBf16Segment *terms, auto &&then) {
        bf16_product<Gates, Units>(0, rows, terms, count, then, descending);
      });
}

} // namespace seqc
