// Vectors of which only the first lanes are real data: loads and stores that touch no further memory.
#pragma once

#include "vector.hpp"

namespace seqc {

// Whole and Part say how many lanes of a vector are real data: all of them, or the first `count`.
struct Whole {};
struct Part {
  int count;
};

// Copies the first `count` < 2 * Half values by halves, so that no call of memcpy is left.
template <int Half, class R> SEQC_INLINE void copy_part(R *to, const R *from, int count) {
  if constexpr (Half > 0) {
    if (count & Half) {
      __builtin_memcpy(to, from, sizeof(R) * Half);
      to += Half;
      from += Half;
    }
    copy_part<Half / 2>(to, from, count);
  }
}

// LanesOf<R, N>: a vector of N lanes.
template <class R, int N> struct LanesOf {
  typedef R type __attribute__((vector_size(sizeof(R) * static_cast<size_t>(N))));
};

// SEQC_JOINS: whether the compiler joins two vectors to one in registers.
#if defined(__clang__) || __GNUC__ >= 12
#define SEQC_JOINS 1
#else
#define SEQC_JOINS 0
#endif

// joined<R, N>(p, count): N lanes, the first `count` > 0 from p, the others 0, put together in registers.
template <class R, int N> SEQC_INLINE typename LanesOf<R, N>::type joined(const R *p, int count) {
  if constexpr (N == 2) {
    return typename LanesOf<R, 2>::type{p[0], count > 1 ? p[1] : R(0)};
  } else {
    constexpr int half = N / 2;
    typename LanesOf<R, half>::type low, high = {};
    if (count < half) {
      low = joined<R, half>(p, count);
    } else {
      __builtin_memcpy(&low, p, sizeof low);
      if (count > half)
        high = joined<R, half>(p + half, count - half);
    }
    if constexpr (N == 4)
      return __builtin_shufflevector(low, high, 0, 1, 2, 3);
    else if constexpr (N == 8)
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
    else
      return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  }
}

// first_lanes<R, N>(p, count): N lanes, the first `count` from p, the others 0. Put together in memory they
// could be loaded only when all pieces had reached the cache: a number that the compiler knows is joined.
template <class R, int N> SEQC_INLINE typename LanesOf<R, N>::type first_lanes(const R *p, int count) {
  if constexpr (SEQC_JOINS && N >= 4 && N <= 8)
    if (__builtin_constant_p(count) && count > 0 && count < N)
      return joined<R, N>(p, count);
  R lane[static_cast<size_t>(N)] = {};
  copy_part<N / 2>(lane, p, count);
  typename LanesOf<R, N>::type v;
  __builtin_memcpy(&v, lane, sizeof v);
  return v;
}

// load_part(p, count): the first `count` lanes from p, the others 0; touches no further memory.
template <class R> SEQC_INLINE Vec<R> load_part(const R *p, int count) {
  return first_lanes<R, lanes<R>>(p, count);
}

// store_part(p, v, count): the first `count` lanes to p; touches no further memory.
template <class R> SEQC_INLINE void store_part(R *p, Vec<R> v, int count) {
  if (__builtin_constant_p(count)) {
    copy_part<lanes<R> / 2>(p, reinterpret_cast<const R *>(&v), count);
    return;
  }
  R lane[lanes<R>];
  store(lane, v);
  copy_part<lanes<R> / 2>(p, static_cast<const R *>(lane), count);
}

#if defined(__AVX512F__) && SEQC_VECTOR_BYTES == 64
// What fills half a vector is moved as one: after a masked store the loads of it would wait.
#define SEQC_HALF(count) (__builtin_constant_p(count) && (count) == 8)
template <> inline __attribute__((always_inline)) Vec<float> load_part(const float *p, int count) {
  if constexpr (SEQC_JOINS)
    if (SEQC_HALF(count))
      return joined<float, 16>(p, 8);
  const auto keep = static_cast<unsigned short>((1u << count) - 1u);
  return __builtin_ia32_loadups512_mask(p, Vec<float>{}, keep);
}
template <> inline __attribute__((always_inline)) Vec<double> load_part(const double *p, int count) {
  const auto keep = static_cast<unsigned char>((1u << count) - 1u);
  return __builtin_ia32_loadupd512_mask(p, Vec<double>{}, keep);
}
template <> inline __attribute__((always_inline)) void store_part(float *p, Vec<float> v, int count) {
  if (SEQC_HALF(count)) {
    __builtin_memcpy(p, &v, sizeof v / 2);
    return;
  }
  __builtin_ia32_storeups512_mask(p, v, static_cast<unsigned short>((1u << count) - 1u));
}
template <> inline __attribute__((always_inline)) void store_part(double *p, Vec<double> v, int count) {
  __builtin_ia32_storeupd512_mask(p, v, static_cast<unsigned char>((1u << count) - 1u));
}
#endif

// load(p, which), store(p, v, which): whole vectors or the first lanes only, chosen at compile time.
template <class R> SEQC_INLINE Vec<R> load(const R *p, Whole) { return load(p); }
template <class R> SEQC_INLINE Vec<R> load(const R *p, Part part) { return load_part(p, part.count); }
template <class R> SEQC_INLINE void store(R *p, Vec<R> v, Whole) { store(p, v); }
template <class R> SEQC_INLINE void store(R *p, Vec<R> v, Part part) { store_part(p, v, part.count); }

} // namespace seqc
