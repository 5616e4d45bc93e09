// Weight gradients on matrix tiles: sums over k of the outer products of rounded rows, as outer(…) in
// outer.hpp takes them with Rounded, or in single precision of rows in three parts (see tiles.hpp).
#pragma once

#include "beside.hpp"
#include "tiles.hpp"

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

// Rows and columns of C whose sums are under way at once; the most steps of k that pass over them before the
// next ones; the most columns of C that lie ready meanwhile.
constexpr int64_t tile_side = 32, tile_depth = 256;
constexpr int64_t tile_ready(int parts) { return parts == 1 ? 512 : 256; }

// tile_steps(depth): steps of k up to whole tiles.
constexpr int64_t tile_steps(int64_t depth) { return parts(depth, 32) * 32; }

// tile_row(k, depth, valid, from, stride): 16 columns of row k, zeros where there is nothing.
SEQC_INLINE Vec<float> tile_row(int64_t k, int64_t depth, int64_t valid, const float *from, int64_t stride) {
  if (k >= depth || valid <= 0)
    return Vec<float>{};
  return valid >= 16 ? load(from + k * stride) : load_part(from + k * stride, static_cast<int>(valid));
}

// turn_sixteen(square): rows become columns.
SEQC_INLINE void turn_sixteen(Vec<float> (&square)[16]) {
#if defined(__clang__)
  Vec<float> turned[16];
  for (int i = 0; i < 16; ++i)
    for (int p = 0; p < 16; ++p)
      turned[i][p] = square[p][i];
  for (int i = 0; i < 16; ++i)
    square[i] = turned[i];
#else
  turn_square<float, 8>(square);
#endif
}

// turned_stride: words from row to row of turned columns; rows are not half a page apart.
constexpr int64_t turned_stride = tile_depth / 2 + 16;

// Columns of A, 32 at most, on their way to rows of tiles, two steps of k in a word: done in small pieces, so
// that tiles may be at work in between. Their sums, not rounded, come along.
template <int Parts> struct Turning {
  static constexpr int64_t line = turned_stride, plane = tile_side * line;
  static constexpr int stages = Parts == 1 ? 1 : 6;
  int64_t depth = 0, count = 0;
  const float *from = nullptr;
  int64_t stride = 0;
  uint32_t *to = nullptr;
  float *total = nullptr;       // [32]
  Vec<float> *square = nullptr; // [2][16]: what is turned, before it is divided into parts
  int64_t k = 0, m = 0;
  int stage = 0;

  int64_t pieces() const { return parts(depth, 32) * parts(count, 16) * stages; }

  // Calls put(p, even, odd) for pairs p of steps of k, first … first + Pairs, of sixteen columns; adds them
  // up.
  template <int Pairs, class Put> SEQC_INLINED void take(int first, Put &&put) {
    Vec<float> sums[2] = {load(static_cast<const float *>(total) + m), {}};
    const float *const at = from + m;
    const auto one = [&](int p, Vec<float> even, Vec<float> odd) SEQC_INLINED {
      sums[0] += even;
      sums[1] += odd;
      put(p, even, odd);
    };
    const int64_t begin = k + 2 * first;
    if (begin + 2 * Pairs <= depth && m + 16 <= count) {
      SEQC_UNROLL
      for (int p = 0; p < Pairs; ++p)
        one(p, load(at + (begin + 2 * p) * stride), load(at + (begin + 2 * p + 1) * stride));
    } else {
      for (int p = 0; p < Pairs; ++p)
        one(p, tile_row(begin + 2 * p, depth, count - m, at, stride),
            tile_row(begin + 2 * p + 1, depth, count - m, at, stride));
    }
    store(total + m, sums[0] + sums[1]);
  }

  // Sixteen columns and 32 steps of k: rounded pairs are turned.
  SEQC_INLINED void rounded_piece() {
    Vec<float> own[16];
    take<16>(0, [&](int p, Vec<float> even, Vec<float> odd)
                    SEQC_INLINED { own[p] = bits_as<Vec<float>>(pair_words(even, odd)); });
    turn_sixteen(own);
    uint32_t *const first = to + m * line + k / 2;
    SEQC_UNROLL
    for (int i = 0; i < 16; ++i)
      __builtin_memcpy(first + i * line, &own[i], sizeof own[i]);
  }

  // The same in six stages: 16 steps of k are turned, 16 more, and what was turned is divided into parts,
  // four columns at a time.
  SEQC_INLINED void parted_piece() {
    if (stage < 2) {
      Vec<float> *const own = square + 16 * stage;
      Vec<float> some[16];
      take<8>(8 * stage, [&](int p, Vec<float> even, Vec<float> odd) SEQC_INLINED {
        some[2 * p] = even;
        some[2 * p + 1] = odd;
      });
      turn_sixteen(some);
      SEQC_UNROLL
      for (int i = 0; i < 16; ++i)
        own[i] = some[i];
    } else {
      const int64_t own = 4 * (stage - 2);
      uint32_t *const first = to + (m + own) * line + k / 2;
      SEQC_UNROLL
      for (int i = 0; i < 4; ++i) {
        const Parted<Parts> low = parted<Parts>(square[own + i]), high = parted<Parts>(square[16 + own + i]);
        SEQC_UNROLL
        for (int part = 0; part < Parts; ++part) {
          const WordPairs words = round_two(low.part[part], high.part[part]);
          __builtin_memcpy(first + part * plane + i * line, &words, sizeof words);
        }
      }
    }
  }

  SEQC_INLINED void piece() {
    if constexpr (Parts == 1)
      rounded_piece();
    else
      parted_piece();
    if (++stage < stages)
      return;
    stage = 0;
    m += 16;
    if (m >= count) {
      m = 0;
      k += 32;
    }
  }
};

// pair_rows<Parts>(depth, count, from, stride, to): `count` columns of `depth` rows of B, two rows in a word,
// in panels of 32 columns, part by part.
template <int Parts>
SEQC_INLINE void pair_rows(int64_t depth, int64_t count, const float *from, int64_t stride, uint32_t *to) {
  const int64_t steps = tile_steps(depth), whole = count / 16 * 16;
  const auto put = [&](int64_t k, int64_t n, Vec<float> even, Vec<float> odd) SEQC_INLINED {
    const Parted<Parts> low = parted<Parts>(even), high = parted<Parts>(odd);
    SEQC_UNROLL
    for (int i = 0; i < Parts; ++i) {
      const WordPairs words = pair_words(low.part[i], high.part[i]);
      __builtin_memcpy(to + ((n / tile_side * Parts + i) * steps + k) * (tile_side / 2) + n % tile_side,
                       &words, sizeof words);
    }
  };
  int64_t k = 0;
  for (; k + 2 <= depth; k += 2) {
    const float *const row = from + k * stride;
    for (int64_t n = 0; n < whole; n += 16)
      put(k, n, load(row + n), load(row + stride + n));
    if (whole < count)
      put(k, whole, load_part(row + whole, static_cast<int>(count - whole)),
          load_part(row + stride + whole, static_cast<int>(count - whole)));
  }
  for (; k < steps; k += 2)
    for (int64_t n = 0; n < count; n += 16)
      put(k, n, tile_row(k, depth, count - n, from + n, stride), Vec<float>{});
}

// Sums of 16 or 32 rows (Low) and 16 or 32 columns (Right) of C, `ldc` values from row to row. Those at
// `next` are asked for meanwhile, and `beside` is called after each step of tiles.
template <int Parts, bool Low, bool Right, class Beside>
SEQC_INLINE void outer_square(int64_t depth, const uint32_t *a, const uint32_t *b, float *C, int64_t ldc,
                              bool add, const float *next, Beside &&beside) {
  const int64_t line = ldc * 4;
  if (add) {
    _tile_loadd(0, C, line);
    if constexpr (Right)
      _tile_loadd(1, C + 16, line);
    if constexpr (Low) {
      _tile_loadd(2, C + 16 * ldc, line);
      if constexpr (Right)
        _tile_loadd(3, C + 16 * ldc + 16, line);
    }
  } else {
    clear_sums();
  }
  const TileStep step = {Turning<Parts>::line * 4, Turning<Parts>::plane * 4, tile_side * 4,
                         tile_steps(depth) * (tile_side / 2), 16};
  for (int64_t k = 0; k < depth; k += 32, a += 16, b += 16 * tile_side) {
    if (next && k < 256)
      for (int64_t r = k / 8; r < k / 8 + 4; ++r) {
        __builtin_prefetch(next + r * ldc, 1, 3);
        __builtin_prefetch(next + r * ldc + 16, 1, 3);
      }
    add_products<Columns::Near, Parts, Parts>(step, reinterpret_cast<const char *>(a), b, Low, Right, beside);
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
    if (ready.count == tile_side && some.count == tile_side)
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
  _tile_loadconfig(&shape);
  for (int64_t k = 0; k < K; k += deep) {
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
#if SEQC_TILES
  if constexpr (!narrow<float>(N))
    if (K > 0 && begin < end && tiles_allowed()) {
      const OuterRows<1> rows = {begin, end, {C + begin * ldc}, nullptr};
      const OuterRight right = {B, ldb, N, ldc};
      tile_outer<Parts, 1>(&rows, 1, K, A, lda, &right, accumulate);
      return;
    }
#endif
  outer<float, N, Entering<Parts>>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate);
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

// outers_tiles<Parts, Slices, Units, N…>(part, K, A, lda, rights, add): outers<float, …> of beside.hpp in the
// same way; N is 0 for ones, whose sums are not rounded.
template <int Parts, int Slices, int64_t Units, int64_t... N>
SEQC_KERNEL static void outers_tiles(Range part, int64_t K, const float *A, int64_t lda,
                                     const Beside<float, Slices> *rights, bool add) {
  const auto slice = [&](int64_t s) { // the columns of a slice that are in the part
    const int64_t begin = max(part.first, s * Units), end = max(begin, min(part.end(), (s + 1) * Units));
    return Range{begin, end - begin};
  };
#if SEQC_TILES
  constexpr int wide = (0 + ... + (N > 0 ? 1 : 0));
  if constexpr (wide > 0)
    if (K > 0 && part.count > 0 && tiles_allowed()) {
      OuterRight sides[static_cast<size_t>(wide)] = {};
      OuterRows<wide> rows[static_cast<size_t>(Slices)] = {};
      int64_t count = 0;
      for (int64_t s = 0; s < Slices; ++s) {
        const Range own = slice(s);
        if (own.count == 0)
          continue;
        OuterRows<wide> &some = rows[count++];
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
      tile_outer<Parts, wide>(rows, count, K, A, lda, sides, add);
      return;
    }
#endif
  for (int64_t s = 0; s < Slices; ++s) {
    const Range own = slice(s);
    const Beside<float, Slices> *each = rights;
    const auto sum = [&](auto columns) {
      constexpr int64_t n = decltype(columns)::value;
      float *const to = each->to[s] + (own.first - s * Units) * max(n, int64_t(1));
      if constexpr (n == 0)
        add_columns(own.first, own.end(), K, A, lda, to, add);
      else
        outer<float, n, Entering<Parts>>(0, own.count, K, A + own.first, lda, each->from, each->stride, to, n,
                                         add);
      ++each;
    };
    (sum(Constant<N>{}), ...);
  }
}

} // namespace seqc
