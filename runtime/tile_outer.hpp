// Weight gradients on matrix tiles: sums over k of the outer products of rounded rows, as outer(…) in
// outer.hpp takes them with Rounded, or in single precision of rows in three parts (see tiles.hpp).
#pragma once

#include "beside.hpp"
#include "tile_turn.hpp"

namespace seqc {

// Rows begin … end of a few matrices C, which are columns of A times a right side each; `total`: where the
// sums of the columns alone go, if anywhere.
template <int Rights> struct OuterRows {
  int64_t begin, end;
  Array<float *, Rights> C;
  float *total;
};

// A right side: `columns` of rows `stride` apart; rows of C are `ldc` apart.
struct OuterRight {
  const float *from;
  int64_t stride, columns, ldc;
};

#if SEQC_TILES

// Sums of 16 or 32 rows (Low) and 16 or 32 columns (Right) of C, `ldc` values from row to row. Those at
// `next` are asked for meanwhile, and `beside` is called after each step of tiles.
template <int Parts, bool Low, bool Right, class Beside>
SEQC_INLINE void outer_square(int64_t depth, const uint32_t *a, const uint32_t *b, float *C, int64_t ldc,
                              bool add, const float *next, Beside &&beside) {
  if (add)
    load_sums(C, ldc, Low, Right);
  else
    clear_sums();
  const TileStep step = {Turning<Parts>::line * 4, Turning<Parts>::plane * 4, tile_side * 4,
                         tile_steps(depth) * (tile_side / 2), 16};
  for (int64_t k = 0; k < depth; k += 32, a += 16, b += 16 * tile_side) {
    if (next && k < 256)
      for (int64_t r = k / 8; r < k / 8 + 4; ++r) {
        __builtin_prefetch(next + r * ldc, 1, 3);
        __builtin_prefetch(next + r * ldc + 16, 1, 3);
      }
    add_products<true, Parts, Parts>(step, reinterpret_cast<const char *>(a), b, Low, Right, false, beside);
  }
  store_sums(C, ldc, Low, Right);
}

// What is not made of whole tiles goes through a square of its own.
template <int Parts>
SEQC_KERNEL static void outer_edge(int64_t depth, const uint32_t *a, const uint32_t *b, float *C, int64_t ldc,
                                   int64_t rows, int64_t columns, bool add) {
  alignas(64) float square[tile_side * tile_side] = {};
  const auto nothing = [] {};
  if (add)
    for (int64_t r = 0; r < rows; ++r)
      __builtin_memcpy(square + r * tile_side, C + r * ldc, static_cast<size_t>(columns) * 4);
  SEQC_TILE_FENCE;
  if (rows > 16 && columns > 16)
    outer_square<Parts, true, true>(depth, a, b, square, tile_side, add, nullptr, nothing);
  else if (rows > 16)
    outer_square<Parts, true, false>(depth, a, b, square, tile_side, add, nullptr, nothing);
  else if (columns > 16)
    outer_square<Parts, false, true>(depth, a, b, square, tile_side, add, nullptr, nothing);
  else
    outer_square<Parts, false, false>(depth, a, b, square, tile_side, add, nullptr, nothing);
  SEQC_TILE_FENCE;
  for (int64_t r = 0; r < rows; ++r)
    __builtin_memcpy(C + r * ldc, square + r * tile_side, static_cast<size_t>(columns) * 4);
}

// outer_on_vectors<Parts>(…): the same square where the system refuses tiles.
template <int Parts>
SEQC_KERNEL static void outer_on_vectors(int64_t depth, const uint32_t *a, const uint32_t *b, float *C,
                                         int64_t ldc, int64_t rows, int64_t columns, bool add) {
  const int64_t steps = tile_steps(depth);
  for (int64_t r = 0; r < rows; ++r, a += Turning<Parts>::line)
    sweep<float>(0, columns, [&](int64_t n, auto which) {
      float *const to = C + r * ldc + n;
      Vec<float> sum = add ? load(static_cast<const float *>(to), which) : Vec<float>{};
      for (int64_t k = 0; k < steps; ++k) {
        Vec<float> left = {}, right = {};
        for (int part = Parts - 1; part >= 0; --part) {
          const WordPairs one = WordPairs{} + a[part * Turning<Parts>::plane + k / 2],
                          other = load_words(b + (part * steps + k / 2 * 2) * (tile_side / 2) + n);
          left += bits_as<Vec<float>>(k % 2 == 0 ? one << 16 : one & 0xffff0000u);
          right += bits_as<Vec<float>>(k % 2 == 0 ? other << 16 : other & 0xffff0000u);
        }
        sum = fma(left, right, sum);
      }
      store(to, sum, which);
    });
}

// Up to 32 columns of one C.
struct OuterColumns {
  int right;
  int64_t first, count;
};

// Up to 32 rows of all matrices C, so many columns of them as lie ready, one stretch of k; `then` is turned
// meanwhile.
template <int Parts, int Rights>
SEQC_INLINE void outer_squares(int64_t depth, const Turning<Parts> &ready, const uint32_t *pairs,
                               const OuterColumns *columns, int64_t count, const OuterRight *rights,
                               const OuterRows<Rights> &rows, int64_t row, bool add, Turning<Parts> &then) {
  const int64_t steps = parts(depth, 32), beats = count * steps * tile_beats(Parts, Parts),
                pieces = then.pieces();
  int64_t left = pieces, due = 0;
  const auto beside = [&]() SEQC_INLINED {
    for (due += pieces; due >= beats; due -= beats, --left)
      then.piece();
  };
  const auto place = [&](const OuterColumns &some) {
    return rows.C[some.right] + (row - rows.begin) * rights[some.right].ldc + some.first;
  };
  for (int64_t i = 0; i < count; ++i, pairs += steps * Parts * 16 * tile_side) {
    const OuterColumns some = columns[i];
    const int64_t ldc = rights[some.right].ldc;
    const bool more = i + 1 < count && columns[i + 1].right == some.right;
    if (!tiles_allowed())
      outer_on_vectors<Parts>(depth, ready.to, pairs, place(some), ldc, ready.count, some.count, add);
    else if (ready.count == tile_side && some.count == tile_side)
      outer_square<Parts, true, true>(depth, ready.to, pairs, place(some), ldc, add,
                                      more ? place(columns[i + 1]) : nullptr, beside);
    else
      outer_edge<Parts>(depth, ready.to, pairs, place(some), ldc, ready.count, some.count, add);
  }
  for (; left > 0; --left)
    then.piece();
}

// The sums of a few matrices C, one below the other in the columns of A, with each of the right sides.
template <int Parts, int Rights>
SEQC_KERNEL static void tile_outer(const OuterRows<Rights> *rows, int64_t count, int64_t K, const float *A,
                                   int64_t lda, const OuterRight *rights, bool accumulate) {
  constexpr int64_t most = tile_ready(Parts) / tile_side, deep = tile_depth;
  alignas(64) uint32_t pairs[static_cast<size_t>(Parts * deep / 2 * tile_ready(Parts))];
  alignas(64) Array<Array<uint32_t, Parts * Turning<Parts>::plane>, 2>
      turned; // stays in the first-level cache
  alignas(64) Array<Array<float, tile_side>, 2> total;
  Array<Vec<float>, 32> square;
  static const TileShape shape;
  const bool tiles = tiles_allowed();
  if (tiles)
    _tile_loadconfig(&shape);
  for (int64_t k = 0; k < K || k == 0; k += deep) {
    const int64_t depth = min(deep, K - k);
    const bool add = accumulate || k > 0;
    bool first = true;
    for (OuterColumns at = {0, 0, 0}; at.right < Rights; first = false) {
      OuterColumns columns[static_cast<size_t>(most)];
      int64_t wide = 0; // so many of them lie ready
      while (wide < most && at.right < Rights) {
        const OuterRight &right = rights[at.right];
        const int64_t end = min(right.columns, at.first + (most - wide) * tile_side);
        pair_rows<Parts>(depth, end - at.first, right.from + k * right.stride + at.first, right.stride,
                         pairs + wide * parts(depth, 32) * Parts * 16 * tile_side);
        for (; at.first < end; at.first += tile_side) {
          at.count = min(tile_side, end - at.first);
          columns[wide++] = at;
        }
        if (end == right.columns)
          at = {at.right + 1, 0, 0};
      }
      int64_t which = 0; // of the columns that are being turned
      const auto turning = [&](const OuterRows<Rights> *some, int64_t m) {
        for (float &each : total[which])
          each = 0.0f;
        const int64_t many = some < rows + count ? min(tile_side, some->end - m) : 0;
        return Turning<Parts>{many > 0 ? depth : 0, many,         A + k * lda + m, lda,
                              turned[which],        total[which], square};
      };
      const OuterRows<Rights> *some = rows;
      int64_t m = rows->begin;
      Turning<Parts> ready = turning(some, m);
      for (int64_t left = ready.pieces(); left > 0; --left)
        ready.piece();
      while (some < rows + count) {
        const OuterRows<Rights> *const then = m + tile_side < some->end ? some : some + 1;
        const int64_t from = then == some ? m + tile_side : then < rows + count ? then->begin : 0;
        which = 1 - which;
        Turning<Parts> next = turning(then, from);
        SEQC_TILE_FENCE;
        outer_squares(depth, ready, pairs, columns, wide, rights, *some, m, add, next);
        SEQC_TILE_FENCE;
        if (some->total && first)
          sweep<float>(0, ready.count, [&](int64_t i, auto part) {
            float *const to = some->total + m - some->begin + i;
            const Vec<float> sum = load(static_cast<const float *>(ready.total) + i);
            store(to, add ? sum + load(static_cast<const float *>(to), part) : sum, part);
          });
        ready = next;
        some = then;
        m = from;
      }
    }
  }
  if (tiles)
    _tile_release();
}

#endif

// What enters sums that are not made on tiles.
template <int Parts> struct Entering : Rounded {};
template <> struct Entering<3> : AsIs {};

// outer_tiles<Parts, N>(…): outer<float, N>(…), with Rounded for one part, on tiles where there are any; the
// numbers that are multiplied are the same, their sums are taken in another order.
template <int Parts, int64_t N>
SEQC_INLINE void outer_tiles(int64_t begin, int64_t end, int64_t K, const float *A, int64_t lda,
                             const float *B, int64_t ldb, float *C, int64_t ldc, bool accumulate) {
  if constexpr (SEQC_TILES && !narrow<float>(N)) {
#if SEQC_TILES
    if (begin == end)
      return;
    const OuterRows<1> rows = {begin, end, {C + begin * ldc}, nullptr};
    const OuterRight right = {B, ldb, N, ldc};
    tile_outer<Parts, 1>(&rows, 1, K, A, lda, &right, accumulate);
#endif
  } else {
    outer<float, N, Entering<Parts>>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate);
  }
}

// add_columns(begin, end, K, A, lda, to, accumulate): the sums over k of columns begin … end of A.
SEQC_INLINE void add_columns(int64_t begin, int64_t end, int64_t K, const float *A, int64_t lda, float *to,
                             bool accumulate) {
  sweep<float>(begin, end, [&](int64_t m, auto which) {
    Vec<float> sum[4] = {};
    int64_t k = 0;
    for (; k + 4 <= K; k += 4)
      for (int i = 0; i < 4; ++i)
        sum[i] += load(A + (k + i) * lda + m, which);
    for (; k < K; ++k)
      sum[0] += load(A + k * lda + m, which);
    sum[0] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
    float *const at = to + m - begin;
    store(at, accumulate ? sum[0] + load(static_cast<const float *>(at), which) : sum[0], which);
  });
}

// Constant<N>: a number as a type.
template <int64_t N> struct Constant {
  static constexpr int64_t value = N;
};

// The columns of slice s, of so many units, that are in a part.
SEQC_INLINE Range slice_of(Range part, int64_t s, int64_t units) {
  const int64_t begin = max(part.first, s * units), end = max(begin, min(part.end(), (s + 1) * units));
  return {begin, end - begin};
}

#if SEQC_TILES

// outers_tiles(…) where there are tiles: of the right sides `Wide` are not ones.
template <int Parts, int Wide, int Slices, int64_t Units, int64_t... N>
SEQC_INLINE void outers_on_tiles(Range part, int64_t K, const float *A, int64_t lda,
                                 const Beside<float, Slices> *rights, bool add) {
  OuterRight sides[static_cast<size_t>(Wide)] = {};
  OuterRows<Wide> rows[static_cast<size_t>(Slices)] = {};
  int64_t count = 0;
  for (int64_t s = 0; s < Slices; ++s) {
    const Range own = slice_of(part, s, Units);
    if (own.count == 0)
      continue;
    OuterRows<Wide> &some = rows[count++];
    some = {own.first, own.end(), {}, nullptr};
    const Beside<float, Slices> *each = rights;
    int number = 0;
    const auto take = [&](int64_t columns) {
      float *const to = each->to[s] + (own.first - s * Units) * max(columns, int64_t(1));
      if (columns > 0) {
        sides[number] = {each->from, each->stride, columns, columns};
        some.C[number++] = to;
      } else {
        some.total = to;
      }
      ++each;
    };
    (take(N), ...);
  }
  if (count > 0)
    tile_outer<Parts, Wide>(rows, count, K, A, lda, sides, add);
}

#endif

// outers_tiles<Parts, Slices, Units, N…>(part, K, A, lda, rights, add): outers<float, …> of beside.hpp in the
// same way; N is 0 for ones, whose sums are not rounded.
template <int Parts, int Slices, int64_t Units, int64_t... N>
SEQC_KERNEL static void outers_tiles(Range part, int64_t K, const float *A, int64_t lda,
                                     const Beside<float, Slices> *rights, bool add) {
  constexpr int wide = (0 + ... + (N > 0 ? 1 : 0));
  if constexpr (SEQC_TILES && wide > 0) {
#if SEQC_TILES
    outers_on_tiles<Parts, wide, Slices, Units, N...>(part, K, A, lda, rights, add);
#endif
  } else {
    for (int64_t s = 0; s < Slices; ++s) {
      const Range own = slice_of(part, s, Units);
      const Beside<float, Slices> *each = rights;
      const auto sum = [&](auto columns) {
        constexpr int64_t n = decltype(columns)::value;
        float *const to = each->to[s] + (own.first - s * Units) * max(n, int64_t(1));
        if constexpr (n == 0)
          add_columns(own.first, own.end(), K, A, lda, to, add);
        else
          outer<float, n, Entering<Parts>>(0, own.count, K, A + own.first, lda, each->from, each->stride, to,
                                           n, add);
        ++each;
      };
      (sum(Constant<N>{}), ...);
    }
  }
}

} // namespace seqc
