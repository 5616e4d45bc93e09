// Weight gradients of small matrices side by side: the outer products of one left side, the slopes of all
// gates, with everything that they were multiplied by, and their plain sums. Vectors run along the left side,
// which is several gates long, so that matrices of few columns waste no lanes, and it is read once for all.
#pragma once

#include "gemm.hpp"

namespace seqc {

// One right side, `stride` apart for each k; to[s] is the gradient [Units, N] of slice s of the left side.
template <class R, int Slices> struct Beside {
  const R *from;
  int64_t stride;
  R *to[static_cast<size_t>(Slices)];
};

// beside(from, stride, to…), ones(to…): a right side, and one that is 1 for each k, which makes sums of the
// left side.
template <class R, class... Rest>
SEQC_INLINE Beside<R, int(1 + sizeof...(Rest))> beside(const R *from, int64_t stride, R *first,
                                                       Rest *...rest) {
  return {from, stride, {first, rest...}};
}
template <class R, class... Rest>
SEQC_INLINE Beside<R, int(1 + sizeof...(Rest))> ones(R *first, Rest *...rest) {
  return {nullptr, 0, {first, rest...}};
}

// beside_depth<R>(width): how many k are summed before they are put by: 16 KB of the left side.
template <class R> constexpr int64_t beside_depth(int64_t width) {
  const int64_t fitting = 16384 / (width * static_cast<int64_t>(sizeof(R))) / 8 * 8;
  return fitting < 8 ? 8 : fitting > 256 ? 256 : fitting;
}

// Adds Height columns of b times Width vectors of a, over `depth` k, to `to` [Height, to_row]. Of the last
// vector of a there are `Valid` lanes (0: all).
template <class R, int Height, int Width, int Valid>
SEQC_KERNEL static void beside_tile(int64_t depth, const R *a, int64_t lda, const R *b, int64_t ldb, R *to,
                                    int64_t to_row) {
  Array<Array<Vec<R>, Width>, Height> sum;
  SEQC_UNROLL
  for (int r = 0; r < Height; ++r) {
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w)
      sum[r][w] = load(static_cast<const R *>(to + r * to_row + w * lanes<R>));
  }
  for (int64_t k = 0; k < depth; ++k, a += lda, b += ldb) {
    rank_one<R>(
        sum, [&](int r) SEQC_INLINED { return broadcast(b[r]); },
        [&](int w) SEQC_INLINED {
          return Valid > 0 && w == Width - 1 ? load_part(a + w * lanes<R>, Valid) : load(a + w * lanes<R>);
        });
  }
  SEQC_UNROLL
  for (int r = 0; r < Height; ++r) {
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w)
      store(to + r * to_row + w * lanes<R>, sum[r][w]);
  }
}

template <class R, int Width, int Valid, int Limit>
SEQC_INLINE void beside_tile_of(int64_t height, int64_t depth, const R *a, int64_t lda, const R *b,
                                int64_t ldb, R *to, int64_t to_row) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      beside_tile_of<R, Width, Valid, Limit - 1>(height, depth, a, lda, b, ldb, to, to_row);
      return;
    }
  }
  if constexpr (!odd_height(Limit, Width))
    beside_tile<R, Limit, Width, Valid>(depth, a, lda, b, ldb, to, to_row);
}

// One panel of Width vectors of the left side with all N columns of one right side.
template <class R, int64_t N, int Width, int Valid>
SEQC_INLINE void beside_panel(int64_t depth, const R *a, int64_t lda, const R *b, int64_t ldb, R *to,
                              int64_t to_row) {
  constexpr int limit = row_limit(Width);
  for (int64_t n = 0; n < N;) {
    const int64_t height = tile_rows(N - n, limit, Width);
    beside_tile_of<R, Width, Valid, limit>(height, depth, a, lda, b + n, ldb, to + n * to_row, to_row);
    n += height;
  }
}

// Adds the columns of `depth` rows of the left side to `to`.
template <class R, int Width, int Valid>
SEQC_INLINE void beside_sums(int64_t depth, const R *a, int64_t lda, R *to) {
  Array<Vec<R>, Width> sum;
  for (int w = 0; w < Width; ++w)
    sum[w] = load(static_cast<const R *>(to + w * lanes<R>));
  for (int64_t k = 0; k < depth; ++k, a += lda) {
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w)
      sum[w] += Valid > 0 && w == Width - 1 ? load_part(a + w * lanes<R>, Valid) : load(a + w * lanes<R>);
  }
  for (int w = 0; w < Width; ++w)
    store(to + w * lanes<R>, sum[w]);
}

// Vectors of a panel of the left side: all where registers hold enough rows of sums beside them.
constexpr int beside_width(int64_t vectors) {
  return static_cast<int>(vectors <= 6 ? vectors : tile_vectors);
}

// One panel with one right side, from step `k` on; N = 0 stands for ones.
template <class R, int64_t N, int Width, int Valid, int Slices>
SEQC_INLINE void beside_right(int64_t k, int64_t depth, const R *a, int64_t lda,
                              const Beside<R, Slices> &right, R *to, int64_t to_row) {
  if constexpr (N > 0)
    beside_panel<R, N, Width, Valid>(depth, a, lda, right.from + k * right.stride, right.stride, to, to_row);
  else
    beside_sums<R, Width, Valid>(depth, a, lda, to);
}

// Columns of one right side.
constexpr int64_t beside_columns(int64_t n) { return n > 0 ? n : 1; }

// outers<R, Slices, Units, N…>(part, K, A, lda, rights, add): for each slice s, Units columns of A[K, Slices
// Units], and each right side: to[s] [Units, N] = or += the sum over k of A' from. N = 0 stands for ones. Of
// the columns of A those of `part`, which begins with a panel. Sums go by stretches of beside_depth<R>()
// steps, in order.
template <class R, int Slices, int64_t Units, int64_t... N>
SEQC_KERNEL static void outers(Range part, int64_t K, const R *A, int64_t lda,
                               const Beside<R, Slices> *rights, bool add) {
  constexpr int64_t columns = Slices * Units, vectors = blocks<R>(columns), row = vectors * lanes<R>;
  constexpr int64_t depth = beside_depth<R>(row), all = (beside_columns(N) + ...);
  constexpr int wide = beside_width(vectors), rest = static_cast<int>(vectors % wide);
  constexpr int valid = static_cast<int>(columns % lanes<R>);
  alignas(64) R held[static_cast<size_t>(all * row)];
  __builtin_memset(held, 0, sizeof(held));
  for (int64_t k = 0; k < K; k += depth) {
    const int64_t length = min(depth, K - k);
    for (int64_t first = part.first; first < part.end(); first += wide * lanes<R>) {
      const R *const a = A + k * lda + first;
      R *to = held + first;
      const Beside<R, Slices> *right = rights;
      if ((rest > 0 || valid > 0) && first + wide * lanes<R> >= row)
        ((beside_right<R, N, rest == 0 ? wide : rest, valid>(k, length, a, lda, *right++, to, row),
          to += beside_columns(N) * row),
         ...);
      else
        ((beside_right<R, N, wide, 0>(k, length, a, lda, *right++, to, row), to += beside_columns(N) * row),
         ...);
    }
  }
  const R *from = held;
  constexpr int64_t counts[] = {beside_columns(N)...};
  for (const int64_t count : counts) {
    for (int64_t m = part.first; m < part.end(); ++m) {
      R *const to = rights->to[m / Units] + m % Units * count;
      for (int64_t n = 0; n < count; ++n)
        to[n] = add ? to[n] + from[n * row + m] : from[n * row + m];
    }
    from += count * row;
    ++rights;
  }
}

} // namespace seqc
