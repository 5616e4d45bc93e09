// Weights in pairs as matrix tiles read them: one vector column after the other, two neighbours in k in a
// word, so that 16 words of one are a tile as it lies (tiles.hpp); and their products on vectors, where there
// are no tiles.
#pragma once

#include "bf16.hpp"

namespace seqc {

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

// ---- products without tiles

// One term of a product in bfloat16 with weights in pairs. Depth is as in RoundedSegment. Blocks: of units,
// whose sums are made on tiles before the equations run on them. Left, Right: bfloat16 numbers for each value
// and each weight; with three nothing is rounded.
template <int64_t Depth, int Blocks = 1, int Left = 1, int Right = Left> struct PairSegment : LowSegment {};

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
