// Work across the lanes of a vector: columns of matrices, answers about all lanes, loops by vectors.
#pragma once

#include "part.hpp"

namespace seqc {

// lane_numbers<R>(): 0, 1, 2, … one per lane.
template <class R> SEQC_INLINE Ints<R> lane_numbers() {
  Ints<R> number = {};
  for (int i = 0; i < lanes<R>; ++i)
    number[i] = i;
  return number;
}

// load_lanes(p, stride, which), store_lanes(p, stride, v, which): lane i is p[i * stride], a column of a
// row-major matrix.
template <class R> SEQC_INLINE Vec<R> load_lanes(const R *p, int64_t stride, Part part) {
  R lane[lanes<R>] = {};
  for (int i = 0; i < part.count; ++i)
    lane[i] = p[i * stride];
  return load(static_cast<const R *>(lane));
}
template <class R> SEQC_INLINE Vec<R> load_lanes(const R *p, int64_t stride, Whole) {
  Vec<R> v = {};
  SEQC_UNROLL
  for (int i = 0; i < lanes<R>; ++i)
    v[i] = p[i * stride];
  return v;
}
#if defined(__AVX512F__) && SEQC_VECTOR_BYTES == 64
SEQC_INLINE Vec<float> gather(const float *p, int64_t stride, LaneBits lanes_read) {
  const Ints<float> places = lane_numbers<float>() * static_cast<int32_t>(stride);
  return __builtin_ia32_gathersiv16sf(Vec<float>{}, p, places, lanes_read, 4);
}
template <>
inline __attribute__((always_inline)) Vec<float> load_lanes(const float *p, int64_t stride, Whole) {
  return gather(p, stride, static_cast<LaneBits>(-1));
}
template <>
inline __attribute__((always_inline)) Vec<float> load_lanes(const float *p, int64_t stride, Part part) {
  return gather(p, stride, static_cast<LaneBits>((1u << part.count) - 1u));
}
#endif
template <class R> SEQC_INLINE void store_lanes(R *p, int64_t stride, Vec<R> v, Part part) {
  R lane[lanes<R>];
  store(lane, v);
  for (int i = 0; i < part.count; ++i)
    p[i * stride] = lane[i];
}
template <class R> SEQC_INLINE void store_lanes(R *p, int64_t stride, Vec<R> v, Whole) {
  store_lanes(p, stride, v, Part{lanes<R>});
}

// pick(table, which): the number of a table of sixteen that the low four bits of each lane name.
#if SEQC_VECTOR_BYTES == 64 && defined(__AVX512F__)
#define SEQC_PICKS 1 // by an instruction
SEQC_INLINE Vec<float> pick(const float *table, VecOf<float>::words which) {
#if defined(__clang__)
  return __builtin_ia32_permvarsf512(load(table), bits_as<Ints<float>>(which));
#else
  return __builtin_shuffle(load(table), which);
#endif
}
SEQC_INLINE float pick(const float *table, uint32_t which) { return table[which % 16]; }
#else
#define SEQC_PICKS 0
#endif

// any(mask): whether it holds in a lane.
#if SEQC_VECTOR_BYTES == 64 && defined(__AVX512DQ__)
SEQC_INLINE bool any(Mask<float> mask) { return __builtin_ia32_cvtd2mask512(mask) != 0; }
#elif SEQC_VECTOR_BYTES == 32 && defined(__AVX__)
SEQC_INLINE bool any(Mask<float> mask) { return __builtin_ia32_movmskps256(bits_as<Vec<float>>(mask)) != 0; }
#else
SEQC_INLINE bool any(Mask<float> mask) {
  int32_t all = 0;
  for (int i = 0; i < lanes<float>; ++i)
    all |= mask[i];
  return all != 0;
}
#endif
SEQC_INLINE bool any(bool here) { return here; }

// keep(v, which, other): v in the lanes that hold data, `other` in the rest, for reductions over a tail.
SEQC_INLINE Vec<float> keep(Vec<float> v, Whole, float) { return v; }
SEQC_INLINE Vec<double> keep(Vec<double> v, Whole, double) { return v; }
SEQC_INLINE Vec<float> keep(Vec<float> v, Part part, float other) {
  return select(lane_numbers<float>() < part.count, v, other);
}
SEQC_INLINE Vec<double> keep(Vec<double> v, Part part, double other) {
  return select(lane_numbers<double>() < static_cast<int64_t>(part.count), v, other);
}

// Folds the lanes by halves: lane i with lane i + n/2, a fixed order.
#if defined(__clang__)
template <class R, int Half, class Fold> SEQC_INLINE void fold_halves(R *lane, Fold combine) {
  if constexpr (Half > 0) {
    for (int i = 0; i < Half; ++i)
      lane[i] = combine(lane[i], lane[i + Half]);
    fold_halves<R, Half / 2>(lane, combine);
  }
}
template <class R, class Fold> SEQC_INLINE R fold(Vec<R> v, Fold combine) {
  R lane[lanes<R>];
  store(lane, v);
  fold_halves<R, lanes<R> / 2>(lane, combine);
  return lane[0];
}
#else
template <class R, int Half, class Fold> SEQC_INLINE Vec<R> fold_halves(Vec<R> v, Fold combine) {
  if constexpr (Half > 0)
    return fold_halves<R, Half / 2>(combine(v, __builtin_shuffle(v, lane_numbers<R>() ^ Half)), combine);
  else
    return v;
}
template <class R, class Fold> SEQC_INLINE R fold(Vec<R> v, Fold combine) {
  return fold_halves<R, lanes<R> / 2>(v, combine)[0];
}
#endif

// sum_lanes, max_lanes: one value of all lanes; max is NaN if any lane is.
SEQC_INLINE float sum_lanes(Vec<float> v) {
  return fold<float>(v, [](auto a, auto b) { return a + b; });
}
SEQC_INLINE double sum_lanes(Vec<double> v) {
  return fold<double>(v, [](auto a, auto b) { return a + b; });
}
SEQC_INLINE float max_lanes(Vec<float> v) {
  return fold<float>(v, [](auto a, auto b) { return max(a, b); });
}
SEQC_INLINE double max_lanes(Vec<double> v) {
  return fold<double>(v, [](auto a, auto b) { return max(a, b); });
}
SEQC_INLINE float min_lanes(Vec<float> v) {
  return fold<float>(v, [](auto a, auto b) { return min(a, b); });
}
SEQC_INLINE double min_lanes(Vec<double> v) {
  return fold<double>(v, [](auto a, auto b) { return min(a, b); });
}

// sums_of_lanes<R>(v): lane i is the sum of all lanes of v[i], in the order of sum_lanes. Halves what is left
// of the vectors: what stands in the lanes of one bit of their number, beside what stands in the others.
#if defined(__clang__) || SEQC_VECTOR_BYTES < 16
template <class R> SEQC_INLINE Vec<R> sums_of_lanes(Vec<R> (&v)[static_cast<size_t>(lanes<R>)]) {
  Vec<R> sums = {};
  SEQC_UNROLL
  for (int i = 0; i < lanes<R>; ++i)
    sums[i] = sum_lanes(v[i]);
  return sums;
}
#else
template <class R, int Half = lanes<R> / 2>
SEQC_INLINE Vec<R> sums_of_lanes(Vec<R> (&v)[static_cast<size_t>(lanes<R>)]) {
  if constexpr (Half > 0) {
    typedef Ints<R> Which;
    const Which at = lane_numbers<R>(), upper = -((at & Half) != 0); // 1 where the bit of Half is set
    const Which first = (at ^ (upper * Half)) + upper * lanes<R>,
                second = (at ^ (Half - upper * Half)) + upper * lanes<R>;
    SEQC_UNROLL
    for (int i = 0; i < Half; ++i)
      v[i] = __builtin_shuffle(v[i], v[i + Half], first) + __builtin_shuffle(v[i], v[i + Half], second);
    return sums_of_lanes<R, Half / 2>(v);
  } else {
    return v[0];
  }
}
#endif

// sweep<R>(begin, end, body): body(i, Whole{}) for whole vectors, then body(i, Part{n}) for the rest.
// The body is a generic lambda [&](int64_t i, auto which) that uses load(p + i, which), store(…, which).
template <class R, class Body> SEQC_INLINE void sweep(int64_t begin, int64_t end, Body &&body) {
  int64_t i = begin;
  for (; i + lanes<R> <= end; i += lanes<R>)
    body(i, Whole{});
  if (i < end)
    body(i, Part{static_cast<int>(end - i)});
}

} // namespace seqc
