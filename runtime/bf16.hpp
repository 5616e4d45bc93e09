// Products in bfloat16: both operands are rounded to the nearest bfloat16, ties to even, and sums are taken
// in single precision. Weights are rounded when they are packed, rows when they enter a product.
//
// Rounded weights lie in panels, as reals or as pairs, two neighbours in k in a word, or as tiles read them
// (pairs.hpp). The values that are multiplied are the same; sums differ in their order alone.
#pragma once

#include "outer.hpp"
#include "quant.hpp"

// Numbers are rounded, and pairs of them multiplied, by an instruction.
#if defined(__AVX512BF16__) && SEQC_VECTOR_BYTES == 64
#include <immintrin.h>
#define SEQC_ROUNDS 1
#define SEQC_DOTS 1
#else
#define SEQC_ROUNDS 0
#define SEQC_DOTS 0
#endif

namespace seqc {

#if SEQC_ROUNDS
typedef uint16_t Halves32 __attribute__((vector_size(64)));
#endif

// rounded(x): the nearest bfloat16 of each lane, as a real; NaN stays NaN.
SEQC_INLINE Vec<float> rounded(Vec<float> x) {
  const auto bits = bits_as<WordPairs>(x);
  const auto near = (bits + 0x7fffu + ((bits >> 16) & 1u)) & 0xffff0000u;
  return select(x == x, bits_as<Vec<float>>(near), x);
}

// Halves: the nearest bfloat16 of each lane; halved(v) rounds, ties to even, widened(halves) gives reals
// again.
typedef uint16_t Halves __attribute__((vector_size(sizeof(uint16_t) * lanes<float>)));
SEQC_INLINE Halves halved(Vec<float> v) {
#if SEQC_ROUNDS
  return bits_as<Halves>(_mm512_cvtneps_pbh(bits_as<__m512>(v)));
#else
  return __builtin_convertvector(bits_as<WordPairs>(rounded(v)) >> 16, Halves);
#endif
}
SEQC_INLINE Vec<float> widened(Halves halves) {
  return bits_as<Vec<float>>(__builtin_convertvector(halves, WordPairs) << 16);
}

// round_two(low, high): the nearest bfloat16 of each lane, those of `low` first, two in a word.
SEQC_INLINE WordPairs round_two(Vec<float> low, Vec<float> high) {
#if SEQC_ROUNDS
  return bits_as<WordPairs>(_mm512_cvtne2ps_pbh(bits_as<__m512>(high), bits_as<__m512>(low)));
#else
  const Halves both[2] = {halved(low), halved(high)};
  WordPairs words;
  __builtin_memcpy(&words, both, sizeof words);
  return words;
#endif
}

// pair_words(even, odd): the nearest bfloat16 of each lane, as pairs of the lanes of two rows.
SEQC_INLINE WordPairs pair_words(Vec<float> even, Vec<float> odd) {
#if SEQC_ROUNDS
  constexpr Halves32 order = {0, 16, 1, 17, 2,  18, 3,  19, 4,  20, 5,  21, 6,  22, 7,  23,
                              8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31};
  return bits_as<WordPairs>(
      _mm512_permutexvar_epi16(bits_as<__m512i>(order), bits_as<__m512i>(round_two(even, odd))));
#else
  return (bits_as<WordPairs>(rounded(even)) >> 16) | (bits_as<WordPairs>(rounded(odd)) & 0xffff0000u);
#endif
}

// ---- products of pairs

// Pair: two neighbours in k as bfloat16 numbers, the even one below. A product of pairs is the sum of two.
struct Pair {
  uint32_t bits;
};
template <> struct VecOf<Pair> {
  typedef WordPairs type;
};
SEQC_INLINE Vec<Pair> broadcast(Pair x) { return x.bits - Vec<Pair>{}; }

template <> struct Term<Pair> {
  typedef float real;
  typedef Pair row;
  static constexpr int64_t held = 2;
  static constexpr int waits = 2;
  SEQC_INLINED static Vec<float> add(Vec<Pair> a, Vec<Pair> b, Vec<float> sum) {
#if SEQC_DOTS
    return bits_as<Vec<float>>(
        _mm512_dpbf16_ps(bits_as<__m512>(sum), bits_as<__m512bh>(a), bits_as<__m512bh>(b)));
#else
    const auto even = [](Vec<Pair> x) SEQC_INLINED { return bits_as<Vec<float>>(x << 16); };
    const auto odd = [](Vec<Pair> x) SEQC_INLINED { return bits_as<Vec<float>>(x & 0xffff0000u); };
    return fma(even(a), even(b), fma(odd(a), odd(b), sum));
#endif
  }
  SEQC_INLINED static Vec<Pair> along(const float *row, int64_t k) {
    return round_two(load(row + 2 * k), load(row + 2 * k + lanes<float>));
  }
  SEQC_INLINED static Pair at(const float *row, int64_t k, int64_t depth) {
    return {bf16_bits(row[2 * k]) | (2 * k + 1 < depth ? bf16_bits(row[2 * k + 1]) << 16 : 0)};
  }
  template <class Of> SEQC_INLINED static Vec<Pair> across(Of &&of, int64_t k) {
    return pair_words(of(2 * k), of(2 * k + 1));
  }
};

// Twin: a pair of weights for rows that are not rounded: their values are sums of two bfloat16 numbers, the
// nearest and what it leaves, rounded, and so lose no more than 2^-17 of themselves.
struct Twin : Pair {};
struct TwinRow {
  Pair near, rest;
};
struct TwinVectors {
  Vec<Pair> near, rest;
};
template <> struct VecOf<Twin> {
  typedef WordPairs type;
};
SEQC_INLINE TwinVectors broadcast(TwinRow x) { return {broadcast(x.near), broadcast(x.rest)}; }
template <> struct Term<Twin> : Term<Pair> {
  typedef TwinRow row;
  SEQC_INLINED static Vec<float> add(const TwinVectors &a, Vec<Pair> b, Vec<float> sum) {
    return Term<Pair>::add(a.rest, b, Term<Pair>::add(a.near, b, sum));
  }
  SEQC_INLINED static Twin at(const float *row, int64_t k, int64_t depth) {
    return {Term<Pair>::at(row, k, depth)};
  }
};

// ---- vectors kept in bfloat16

// Half: a real of which the upper 16 bits are kept, the nearest bfloat16.
struct Half {
  uint16_t bits;
  Half() = default;
  SEQC_INLINED explicit Half(float x) : bits(static_cast<uint16_t>(bf16_bits(x))) {}
  SEQC_INLINED explicit operator float() const { return bits_as<float>(static_cast<uint32_t>(bits) << 16); }
};
// load(p, which), store(p, v, which) as for reals: widened, and rounded to the nearest, ties to even.
SEQC_INLINE Vec<float> load(const Half *p, Whole) {
  Halves halves;
  __builtin_memcpy(&halves, p, sizeof halves);
  return widened(halves);
}
SEQC_INLINE Vec<float> load(const Half *p, Part part) {
  const auto bits = first_lanes<uint16_t, lanes<float>>(reinterpret_cast<const uint16_t *>(p), part.count);
  return widened(bits_as<Halves>(bits));
}
SEQC_INLINE void store(Half *p, Vec<float> v, Whole) {
  const Halves halves = halved(v);
  __builtin_memcpy(p, &halves, sizeof halves);
}
SEQC_INLINE void store(Half *p, Vec<float> v, Part part) {
  uint16_t lane[lanes<float>];
  const Halves halves = halved(v);
  __builtin_memcpy(lane, &halves, sizeof halves);
  copy_part<lanes<float> / 2>(reinterpret_cast<uint16_t *>(p), static_cast<const uint16_t *>(lane),
                              part.count);
}

// store_late(far, p, v, which), as for reals. Two that fill a line must follow each other.
SEQC_INLINE void store_late(bool far, Half *p, Vec<float> v, Whole which) {
#if SEQC_ROUNDS
  if (far && reinterpret_cast<uintptr_t>(p) % sizeof(Halves) == 0) {
    _mm256_stream_si256(reinterpret_cast<__m256i *>(p), bits_as<__m256i>(halved(v)));
    return;
  }
#endif
  (void)far;
  store(p, v, which);
}
SEQC_INLINE void store_late(bool, Half *p, Vec<float> v, Part which) { store(p, v, which); }

// For outer(…): sums of products of rounded values, each by itself or with its neighbour in k.
struct Rounded {
  static constexpr bool same = false;
  template <class R> using Element = R;
  typedef Rounded Alone;
  SEQC_INLINED static Vec<float> of(Vec<float> x) { return rounded(x); }
};
struct Paired {
  static constexpr bool same = false;
  template <class R> using Element = Pair;
  typedef Rounded Alone;
  SEQC_INLINED static Vec<Pair> of(Vec<Pair> x) { return x; }
};

// round_values(count, from, to): the nearest bfloat16 of each value, as reals.
SEQC_INLINE void round_values(int64_t count, const float *from, float *to) {
  sweep<float>(0, count,
               [&](int64_t i, auto which) { store(to + i, rounded(load(from + i, which)), which); });
}

// One term of a product in bfloat16: rows of `a`, to be rounded, times a matrix of rounded weights, packed in
// panels of elements R: reals, pairs or twins. Depth is at least the depths of all terms, each rounded up to
// a multiple of 32.
template <class R, int64_t Depth> struct RoundedSegment {
  const float *a;
  int64_t stride;
  const R *packed;
  int64_t depth;
};

// rounded_rows(depth): how many rows are rounded at a time; all panels pass over them.
constexpr int64_t rounded_rows(int64_t depth) {
  return depth <= 2048 ? 64 : depth >= 16384 ? 8 : 131072 / depth;
}

// round_row(count, from, to): the nearest bfloat16 of each value, as elements; those of pairs fill whole
// vectors.
SEQC_INLINE void round_row(int64_t count, const float *from, float *to) { round_values(count, from, to); }
template <class Put> SEQC_INLINE void by_pairs(int64_t count, const float *from, Put &&put) {
  int64_t i = 0;
  for (; i + 2 * lanes<float> <= count; i += 2 * lanes<float>)
    put(i / 2, load(from + i), load(from + i + lanes<float>));
  if (i < count) {
    const int64_t rest = count - i, low = min(rest, int64_t(lanes<float>));
    const auto part = [&](int64_t at, int64_t many)
                          SEQC_INLINED { return load_part(from + at, static_cast<int>(many)); };
    const Vec<float> first = low < lanes<float> ? part(i, low) : load(from + i);
    put(i / 2, first, rest > low ? part(i + low, rest - low) : Vec<float>{});
  }
}
SEQC_INLINE void round_row(int64_t count, const float *from, Pair *to) {
  by_pairs(count, from, [&](int64_t p, Vec<float> low, Vec<float> high) SEQC_INLINED {
    store(to + p, round_two(low, high));
  });
}
SEQC_INLINE void round_row(int64_t count, const float *from, TwinRow *to) {
  typedef uint64_t Twins __attribute__((vector_size(sizeof(uint64_t) * lanes<float>)));
  const auto rest = [](Vec<float> x) SEQC_INLINED { // nothing of what is not finite
    const Vec<float> left = x - widened(halved(x));
    return select(left - left == Vec<float>{}, left, 0.0f);
  };
  by_pairs(count, from, [&](int64_t p, Vec<float> low, Vec<float> high) SEQC_INLINED {
    const Twins both = __builtin_convertvector(round_two(low, high), Twins) |
                       __builtin_convertvector(round_two(rest(low), rest(high)), Twins) << 32;
    __builtin_memcpy(to + p, &both, sizeof both);
  });
}

// Rounds the rows of all terms, some at a time, to elements E, and calls multiply(count of rows, terms,
// epilogue) on them.
template <class E, class Made, int64_t Depth, class Given, class Epilogue, class Multiply>
SEQC_INLINE void on_rounded_rows(int64_t begin, int64_t end, const Given *segments, int count,
                                 Epilogue &epilogue, Multiply &&multiply) {
  constexpr int64_t together = rounded_rows(Depth), stride = terms<E>(Depth) + 16; // not pages apart
  alignas(64) Row<E> rows[static_cast<size_t>(together * stride)];
  int64_t from = begin;
  for (int64_t part = 0; from < end; ++part) {
    const int64_t height = part_size(end - begin, together, part);
    Made made[8] = {};
    Row<E> *to = rows;
    for (int s = 0; s < count; ++s) {
      const Given &segment = segments[s];
      for (int64_t r = 0; r < height; ++r)
        round_row(segment.depth, segment.a + (from + r) * segment.stride, to + r * stride);
      made[s].a = to;
      made[s].stride = stride;
      made[s].packed = segment.packed;
      made[s].depth = terms<E>(segment.depth);
      to += parts(segment.depth, 32) * terms<E>(32);
    }
    multiply(height, made, [&](int64_t row, int64_t unit, auto which, auto *sums) {
      epilogue(from + row, unit, which, sums);
    });
    from += height;
  }
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class, int Gates, int64_t Units, class R, int64_t Depth, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const RoundedSegment<R, Depth> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
  on_rounded_rows<R, Segment<R>, Depth>(
      begin, end, segments, count, epilogue, [&](int64_t rows, const Segment<R> *made, auto &&then) {
        product_with<R, Gates, Units, terms<R>(Depth)>(0, rows, made, count, then, descending);
      });
}

} // namespace seqc
