// Weight gradients in bfloat16 on matrix tiles: sums over k of the outer products of rounded rows, as
// outer(…) in outer.hpp takes them with Rounded.
#pragma once

#include "beside.hpp"
#include "tiles.hpp"

namespace seqc {

// Where the sums of outer products go: rows begin … end of C, which are columns of A.
struct OuterRows {
  int64_t begin, end;
  float *C;
  int64_t ldc;
};

#if SEQC_TILES

// Rows and columns of C whose sums are under way at once; the most steps of k that pass over them before the
// next ones; the most rows and columns of C that lie ready meanwhile.
constexpr int64_t tile_side = 32, tile_depth = 256, tile_ready = 512;

// tile_steps(depth): steps of k up to whole tiles.
constexpr int64_t tile_steps(int64_t depth) { return parts(depth, 32) * 32; }

// tile_row(k, depth, valid, from, stride): 16 columns of row k, zeros where there is nothing.
SEQC_INLINE Vec<float> tile_row(int64_t k, int64_t depth, int64_t valid, const float *from, int64_t stride) {
  if (k >= depth || valid <= 0)
    return Vec<float>{};
  return valid >= 16 ? load(from + k * stride) : load_part(from + k * stride, static_cast<int>(valid));
}

// turned_stride: words from row to row of turned columns; rows are not half a page apart.
constexpr int64_t turned_stride = tile_depth / 2 + 16;

// turn_rows(depth, count, from, stride, to): `count` columns of `depth` rows of A as rows of tiles, two steps
// of k in a word.
SEQC_INLINE void turn_rows(int64_t depth, int64_t count, const float *from, int64_t stride, uint32_t *to) {
  for (int64_t k = 0; k < depth; k += 32)
    for (int64_t m = 0; m < count; m += 16) {
      Vec<float> square[16];
      const float *const at = from + m;
      if (k + 32 <= depth && m + 16 <= count) {
        SEQC_UNROLL
        for (int p = 0; p < 16; ++p)
          square[p] = bits_as<Vec<float>>(
              pair_words(load(at + (k + 2 * p) * stride), load(at + (k + 2 * p + 1) * stride)));
      } else {
        for (int p = 0; p < 16; ++p)
          square[p] = bits_as<Vec<float>>(pair_words(tile_row(k + 2 * p, depth, count - m, at, stride),
                                                     tile_row(k + 2 * p + 1, depth, count - m, at, stride)));
      }
      uint32_t *const first = to + m * turned_stride + k / 2;
#if defined(__clang__)
      for (int i = 0; i < 16; ++i)
        for (int p = 0; p < 16; ++p)
          first[i * turned_stride + p] = bits_as<WordPairs>(square[p])[i];
#else
      turn_square<float, 8>(square);
      SEQC_UNROLL
      for (int i = 0; i < 16; ++i)
        __builtin_memcpy(first + i * turned_stride, &square[i], sizeof square[i]);
#endif
    }
}

// pair_rows(depth, count, from, stride, to): `count` columns of `depth` rows of B, two rows in a word, in
// panels of 32 columns.
SEQC_INLINE void pair_rows(int64_t depth, int64_t count, const float *from, int64_t stride, uint32_t *to) {
  const int64_t steps = tile_steps(depth), whole = count / 16 * 16;
  const auto put = [&](int64_t k, int64_t n, Vec<float> even, Vec<float> odd) SEQC_INLINED {
    const WordPairs words = pair_words(even, odd);
    __builtin_memcpy(to + (n / tile_side * steps + k) * (tile_side / 2) + n % tile_side, &words,
                     sizeof words);
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
// `next` are asked for meanwhile.
template <bool Low, bool Right>
SEQC_INLINE void outer_square(int64_t depth, const uint32_t *a, const uint32_t *b, float *C, int64_t ldc,
                              bool add, const float *next) {
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
  for (int64_t k = 0; k < depth; k += 32, a += 16, b += 16 * tile_side) {
    if (next && k < 256)
      for (int64_t r = k / 8; r < k / 8 + 4; ++r) {
        __builtin_prefetch(next + r * ldc, 1, 3);
        __builtin_prefetch(next + r * ldc + 16, 1, 3);
      }
    add_products<false>(reinterpret_cast<const char *>(a), turned_stride * 4, b, 16, tile_side * 4, Low,
                        Right);
  }
  store_sums(C, ldc, Low, Right);
}

// One square of C, of `rows` x `columns`; what is not made of whole tiles goes through a square of its own.
SEQC_INLINE void outer_block(int64_t depth, const uint32_t *a, const uint32_t *b, float *C, int64_t ldc,
                             int64_t rows, int64_t columns, bool add, const float *next) {
  if (rows == tile_side && columns == tile_side) {
    outer_square<true, true>(depth, a, b, C, ldc, add, next);
    return;
  }
  alignas(64) float square[tile_side * tile_side] = {};
  if (add)
    for (int64_t r = 0; r < rows; ++r)
      __builtin_memcpy(square + r * tile_side, C + r * ldc, static_cast<size_t>(columns) * 4);
  SEQC_TILE_FENCE;
  if (rows > 16 && columns > 16)
    outer_square<true, true>(depth, a, b, square, tile_side, add, nullptr);
  else if (rows > 16)
    outer_square<true, false>(depth, a, b, square, tile_side, add, nullptr);
  else if (columns > 16)
    outer_square<false, true>(depth, a, b, square, tile_side, add, nullptr);
  else
    outer_square<false, false>(depth, a, b, square, tile_side, add, nullptr);
  SEQC_TILE_FENCE;
  for (int64_t r = 0; r < rows; ++r)
    __builtin_memcpy(C + r * ldc, square + r * tile_side, static_cast<size_t>(columns) * 4);
}

// All squares of `rows` x `columns` of C, one stretch of k.
SEQC_INLINE void outer_squares(int64_t depth, const uint32_t *turned, const uint32_t *pairs, float *C,
                               int64_t ldc, int64_t rows, int64_t columns, bool add) {
  const int64_t panel = tile_steps(depth) * (tile_side / 2);
  for (int64_t m = 0; m < rows; m += tile_side)
    for (int64_t n = 0; n < columns; n += tile_side) {
      const bool more = m + tile_side <= rows && n + 2 * tile_side <= columns;
      outer_block(depth, turned + m * turned_stride, pairs + n / tile_side * panel, C + m * ldc + n, ldc,
                  min(tile_side, rows - m), min(tile_side, columns - n), add,
                  more ? C + m * ldc + n + tile_side : nullptr);
    }
}

// The sums of a few matrices C, one below the other in the columns of A, with one right side.
template <int64_t N>
SEQC_INLINE void tile_outer(const OuterRows *rows, int64_t count, int64_t K, const float *A, int64_t lda,
                            const float *B, int64_t ldb, bool accumulate) {
  constexpr int64_t columns = N < tile_ready ? parts(N, tile_side) * tile_side : tile_ready;
  alignas(64) uint32_t pairs[static_cast<size_t>(tile_depth / 2 * columns)];
  alignas(64) uint32_t turned[static_cast<size_t>(tile_ready * turned_stride)];
  static const TileShape shape;
  _tile_loadconfig(&shape);
  for (int64_t k = 0; k < K; k += tile_depth) {
    const int64_t depth = min(tile_depth, K - k);
    for (int64_t n = 0; n < N; n += columns) {
      const int64_t width = min(columns, N - n);
      pair_rows(depth, width, B + k * ldb + n, ldb, pairs);
      for (const OuterRows *some = rows; some < rows + count; ++some)
        for (int64_t m = some->begin; m < some->end; m += tile_ready) {
          const int64_t height = min(tile_ready, some->end - m);
          turn_rows(depth, height, A + k * lda + m, lda, turned);
          SEQC_TILE_FENCE;
          outer_squares(depth, turned, pairs, some->C + (m - some->begin) * some->ldc + n, some->ldc, height,
                        width, accumulate || k > 0);
          SEQC_TILE_FENCE;
        }
    }
  }
  _tile_release();
}

#endif

// outer_rounded<N>(…): outer<float, N, Rounded>(…), on tiles where there are any; the numbers that are
// multiplied are the same, their sums are taken in another order.
template <int64_t N>
SEQC_INLINE void outer_rounded(int64_t begin, int64_t end, int64_t K, const float *A, int64_t lda,
                               const float *B, int64_t ldb, float *C, int64_t ldc, bool accumulate) {
#if SEQC_TILES
  if constexpr (!narrow<float>(N))
    if (K > 0 && tiles_allowed()) {
      const OuterRows rows = {begin, end, C + begin * ldc, ldc};
      tile_outer<N>(&rows, 1, K, A, lda, B, ldb, accumulate);
      return;
    }
#endif
  outer<float, N, Rounded>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate);
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

// What outers_rounded does for one right side: N columns, or 0 for ones, whose sums are not rounded.
template <int Slices, int64_t Units, int64_t N>
SEQC_INLINE void outers_right(Range part, int64_t K, const float *A, int64_t lda,
                              const Beside<float, Slices> &right, bool add) {
  OuterRows rows[static_cast<size_t>(Slices)];
  int64_t count = 0;
  for (int64_t s = 0; s < Slices; ++s) {
    const int64_t begin = max(part.first, s * Units), end = min(part.end(), (s + 1) * Units);
    if (begin < end)
      rows[count++] = {begin, end, right.to[s] + (begin - s * Units) * (N > 0 ? N : 1), N};
  }
  if constexpr (N == 0) {
    for (int64_t i = 0; i < count; ++i)
      add_columns(rows[i].begin, rows[i].end, K, A, lda, rows[i].C, add);
  } else {
#if SEQC_TILES
    if (K > 0 && tiles_allowed()) {
      tile_outer<N>(rows, count, K, A, lda, right.from, right.stride, add);
      return;
    }
#endif
    for (int64_t i = 0; i < count; ++i)
      outer<float, N, Rounded>(0, rows[i].end - rows[i].begin, K, A + rows[i].begin, lda, right.from,
                               right.stride, rows[i].C, N, add);
  }
}

// outers_rounded<Slices, Units, N…>(part, K, A, lda, rights, add): outers<float, …> of beside.hpp with
// rounded operands.
template <int Slices, int64_t Units, int64_t... N>
SEQC_KERNEL static void outers_rounded(Range part, int64_t K, const float *A, int64_t lda,
                                       const Beside<float, Slices> *rights, bool add) {
  (outers_right<Slices, Units, N>(part, K, A, lda, *rights++, add), ...);
}

} // namespace seqc
