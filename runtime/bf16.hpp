// Products in bfloat16: both operands are rounded to the nearest bfloat16, ties to even, and sums are taken
// in single precision. Weights are rounded when they are packed, rows when they enter a product.
//
// Rounded weights lie as reals in the panels of gemm.hpp, or in pairs, two neighbours in k in a word, one
// vector column after the other: 16 words of one are a matrix tile as it is read (tiles.hpp). The values that
// are multiplied are the same; sums differ in their order alone.
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
  static constexpr int64_t held = 2;
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

// ---- reals as sums of bfloat16 numbers

// parted<Parts>(x): x itself, which is rounded where it goes; or three bfloat16 numbers, as reals, whose sum
// it is: the nearest one, eight more bits, and what is left. What is not finite gives NaN, and so does what
// lies beyond the largest bfloat16.
template <int Parts> struct Parted {
  Vec<float> part[static_cast<size_t>(Parts)];
};
template <int Parts> SEQC_INLINE Parted<Parts> parted(Vec<float> x) {
  static_assert(Parts == 1 || Parts == 3, "rounded, or whole");
  if constexpr (Parts == 1) {
    return {{x}};
  } else {
    const auto upper = [](WordPairs bits) SEQC_INLINED { return bits_as<Vec<float>>(bits & 0xffff0000u); };
    const Vec<float> first = upper(bits_as<WordPairs>(x) + 0x8000u), rest = x - first,
                     second = upper(bits_as<WordPairs>(rest));
    return {{first, second, rest - second}};
  }
}

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
  uint16_t lane[lanes<float>] = {};
  copy_part<lanes<float> / 2>(lane, reinterpret_cast<const uint16_t *>(p), part.count);
  Halves halves;
  __builtin_memcpy(&halves, lane, sizeof halves);
  return widened(halves);
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

// ---- weights in pairs

// Pairs of several parts: 16 pairs of the first one, the same 16 of the next, and so on.
//
// pairs_bytes<Parts>(depth, units, gates): size of the packed form.
template <int Parts = 1> constexpr int64_t pairs_bytes(int64_t depth, int64_t units, int gates = 1) {
  return vectors_of(units, gates) * pair_count(depth) * Parts * lanes<float> * 4;
}

// pair_place<Parts>(p): words in front of the first part of a column's pair p.
template <int Parts> constexpr int64_t pair_place(int64_t p) {
  return (p / 16 * Parts * 16 + p % 16) * lanes<float>;
}

// put_words<Far>(to, words): a vector of pairs, with Far past the caches (see store_past).
template <bool Far> SEQC_INLINE void put_words(uint32_t *to, WordPairs words) {
  if constexpr (Far)
    store_past<true>(reinterpret_cast<float *>(to), bits_as<Vec<float>>(words));
  else
    __builtin_memcpy(to, &words, sizeof words);
}

// put_pair<Parts, Far>(column, p, even, odd): pair p of a vector column.
template <int Parts, bool Far = false>
SEQC_INLINE void put_pair(uint32_t *column, int64_t p, Vec<float> even, Vec<float> odd) {
  const Parted<Parts> low = parted<Parts>(even), high = parted<Parts>(odd);
  SEQC_UNROLL
  for (int i = 0; i < Parts; ++i)
    put_words<Far>(column + pair_place<Parts>(p) + i * 16 * lanes<float>,
                   pair_words(low.part[i], high.part[i]));
}

// transpose_pairs<Parts, Far>(column, depth, rows): writes up to lanes<float> matrix rows as one vector
// column of pairs; missing rows (null) become zeros.
template <int Parts, bool Far = false>
SEQC_KERNEL static void transpose_pairs(uint32_t *column, int64_t depth,
                                        const float *const (&rows)[lanes<float>]) {
  int64_t p = 0;
#if !defined(__clang__)
  for (; 2 * (p + lanes<float>) <= depth; p += lanes<float>) {
    Vec<float> square[static_cast<size_t>(Parts)][lanes<float>] = {};
    SEQC_UNROLL
    for (int lane = 0; lane < lanes<float>; ++lane)
      if (const float *const row = rows[lane]) {
        const Parted<Parts> low = parted<Parts>(load(row + 2 * p)),
                            high = parted<Parts>(load(row + 2 * p + lanes<float>));
        SEQC_UNROLL
        for (int i = 0; i < Parts; ++i)
          square[i][lane] = bits_as<Vec<float>>(round_two(low.part[i], high.part[i]));
      }
    SEQC_UNROLL
    for (int i = 0; i < Parts; ++i) {
      turn_square<float, lanes<float> / 2>(square[i]);
      uint32_t *const to = column + pair_place<Parts>(p) + i * 16 * lanes<float>;
      SEQC_UNROLL
      for (int lane = 0; lane < lanes<float>; ++lane)
        put_words<Far>(to + lane * lanes<float>, bits_as<WordPairs>(square[i][lane]));
    }
  }
#endif
  for (; p < pair_count(depth); ++p) {
    Vec<float> even = {}, odd = {};
    for (int lane = 0; lane < lanes<float>; ++lane)
      if (const float *const row = rows[lane]) {
        even[lane] = 2 * p < depth ? row[2 * p] : 0.0f;
        odd[lane] = 2 * p + 1 < depth ? row[2 * p + 1] : 0.0f;
      }
    put_pair<Parts, Far>(column, p, even, odd);
  }
}

// renew_pair_rows<Parts, Far>(packed, depth, units, gates, gate, matrix, begin, end): rows begin … end of one
// matrix [units, depth] changed; writes them where pack_pair_gates has put them. `begin` is a multiple of
// lanes<float>, and `end` one or `units`.
template <int Parts, bool Far>
SEQC_KERNEL static void renew_pair_rows(void *packed, int64_t depth, int64_t units, int gates, int gate,
                                        const float *matrix, int64_t begin, int64_t end) {
  for (int64_t first = begin; first < end; first += lanes<float>) {
    const float *rows[lanes<float>];
    for (int lane = 0; lane < lanes<float>; ++lane)
      rows[lane] = first + lane < units ? matrix + (first + lane) * depth : nullptr;
    const int64_t column = first / lanes<float> * gates + gate;
    transpose_pairs<Parts, Far>(
        static_cast<uint32_t *>(packed) + column * pair_count(depth) * Parts * lanes<float>, depth, rows);
  }
}

// pack_pair_gates<Parts>(packed, depth, units, gates, count): for y_g = W_g x of `count` gates
// [units, depth]; the gates of a block of units become neighbours.
template <int Parts = 1>
SEQC_KERNEL static void pack_pair_gates(void *packed, int64_t depth, int64_t units, const float *const *gates,
                                        int count) {
  for (int64_t first = 0; first < units; first += lanes<float>)
    for (int gate = 0; gate < count; ++gate)
      renew_pair_rows<Parts, false>(packed, depth, units, count, gate, gates[gate], first,
                                    min(first + lanes<float>, units));
}

// renew_pair_columns<Parts, Far>(packed, units, depth, at, matrix, begin, end): rows begin … end of one
// matrix, `units` wide, changed; writes them where pack_pair_columns has put them. `depth` rows are stacked,
// and those of this matrix begin at row `at`; both begin at a pair, and only the last row of all may be alone
// in one.
template <int Parts, bool Far>
SEQC_KERNEL static void renew_pair_columns(void *packed, int64_t units, int64_t depth, int64_t at,
                                           const float *matrix, int64_t begin, int64_t end) {
  for (int64_t from = begin; from < end; from += 32) // rows that stay near while all columns take their part
    for (int64_t block = 0; block < blocks<float>(units); ++block) {
      uint32_t *const column =
          static_cast<uint32_t *>(packed) + block * pair_count(depth) * Parts * lanes<float>;
      const int64_t valid = units - block * lanes<float>;
      const auto part = [&](int64_t k) SEQC_INLINED {
        const float *const row = matrix + k * units + block * lanes<float>;
        return k >= end                ? Vec<float>{}
               : valid >= lanes<float> ? load(row)
                                       : load_part(row, static_cast<int>(valid));
      };
      for (int64_t k = from; k < min(from + 32, end); k += 2)
        put_pair<Parts, Far>(column, (at + k) / 2, part(k), part(k + 1));
    }
}

// pack_pair_columns<Parts>(packed, units, sources, count): for dx = W' dy with W the sources stacked, `units`
// columns wide.
template <int Parts = 1>
SEQC_KERNEL static void pack_pair_columns(void *packed, int64_t units, const Rows<float> *sources,
                                          int count) {
  const int64_t depth = stacked_rows(sources, count), pairs = pair_count(depth);
  for (int64_t begin = 0; begin < pairs; begin += 16) // rows that stay near while all columns take their part
    for (int64_t block = 0; block < blocks<float>(units); ++block) {
      uint32_t *const column = static_cast<uint32_t *>(packed) + block * pairs * Parts * lanes<float>;
      const int64_t valid = units - block * lanes<float>;
      const auto part = [&](int64_t k) {
        const float *const row = stacked_row(sources, count, k);
        if (!row)
          return Vec<float>{};
        const float *const from = row + block * lanes<float>;
        return valid >= lanes<float> ? load(from) : load_part(from, static_cast<int>(valid));
      };
      for (int64_t p = begin; p < begin + 16; ++p)
        put_pair<Parts>(column, p, part(2 * p), part(2 * p + 1));
    }
}

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
// panels of elements R, reals or pairs. Depth is at least the depths of all terms, each rounded up to a
// multiple of 32.
template <class R, int64_t Depth> struct RoundedSegment {
  const float *a;
  int64_t stride;
  const R *packed;
  int64_t depth;
};
// The same with weights in pairs, column by column as tiles read them. Blocks: of units, whose sums are made
// on tiles before the equations run on them. Left, Right: bfloat16 numbers for each value and each weight;
// with three nothing is rounded.
template <int64_t Depth, int Blocks = 1, int Left = 1, int Right = Left> struct PairSegment : LowSegment {};

// rounded_rows(depth): how many rows are rounded at a time; all panels pass over them.
constexpr int64_t rounded_rows(int64_t depth) {
  return depth <= 2048 ? 64 : depth >= 16384 ? 8 : 131072 / depth;
}

// round_row(count, from, to): the nearest bfloat16 of each value, as elements; those of pairs fill whole
// vectors.
SEQC_INLINE void round_row(int64_t count, const float *from, float *to) { round_values(count, from, to); }
SEQC_INLINE void round_row(int64_t count, const float *from, Pair *to) {
  int64_t i = 0;
  for (; i + 2 * lanes<float> <= count; i += 2 * lanes<float>)
    store(to + i / 2, Term<Pair>::along(from, i / 2));
  if (i < count) {
    const int64_t rest = count - i, low = min(rest, int64_t(lanes<float>));
    const auto part = [&](int64_t at, int64_t many)
                          SEQC_INLINED { return load_part(from + at, static_cast<int>(many)); };
    const Vec<float> first = low < lanes<float> ? part(i, low) : load(from + i);
    store(to + i / 2, round_two(first, rest > low ? part(i + low, rest - low) : Vec<float>{}));
  }
}

// Rounds the rows of all terms, some at a time, to elements E, and calls multiply(count of rows, terms,
// epilogue) on them.
template <class E, class Made, int64_t Depth, class Given, class Epilogue, class Multiply>
SEQC_INLINE void on_rounded_rows(int64_t begin, int64_t end, const Given *segments, int count,
                                 Epilogue &epilogue, Multiply &&multiply) {
  constexpr int64_t together = rounded_rows(Depth), stride = terms<E>(Depth) + 16; // not pages apart
  alignas(64) E rows[static_cast<size_t>(together * stride)];
  int64_t from = begin;
  for (int64_t part = 0; from < end; ++part) {
    const int64_t height = part_size(end - begin, together, part);
    Made made[8] = {};
    E *to = rows;
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

// epilogue_apart(…): an epilogue as a function of its own, where it would be copied into many places.
template <class Which, class Sums, class Epilogue>
SEQC_KERNEL static void epilogue_apart(int64_t row, int64_t unit, Which which, Sums *sums,
                                       Epilogue &epilogue) {
  epilogue(row, unit, which, sums);
}

// The same for weights in pairs, without tiles.
template <int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right, class Epilogue>
SEQC_INLINE void pair_product(int64_t begin, int64_t end,
                              const PairSegment<Depth, Blocks, Left, Right> *segments, int count,
                              Epilogue &epilogue, bool descending) {
  typedef ExactBf16Segment<Right> Exact;
  const auto apart = [&](int64_t row, int64_t unit, auto which, auto *sums) {
    epilogue_apart(row, unit, which, sums, epilogue);
  };
  if constexpr (Left == 1) {
    on_rounded_rows<float, Exact, Depth>(begin, end, segments, count, apart,
                                         [&](int64_t rows, const Exact *made, auto &&then) {
                                           bf16_product<Gates, Units>(0, rows, made, count, then, descending);
                                         });
  } else {
    Exact terms[8] = {};
    for (int s = 0; s < count; ++s)
      terms[s] = {{segments[s].a, segments[s].stride, segments[s].packed, segments[s].depth}};
    bf16_product<Gates, Units, true>(begin, end, static_cast<const Exact *>(terms), count, apart, descending);
  }
}

} // namespace seqc
