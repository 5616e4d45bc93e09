// Weight gradients: sums over k of the outer products of rows, k running over time and batch. Takes both
// operands row-major as they lie in memory; copies a panel of one of them to the stack and keeps the sums in
// registers.
#pragma once

#include "gemm.hpp"

namespace seqc {

// Sums over k of Height columns of A times Width vectors of B, both row-major, written to out.
template <class R, int Height, int Width>
SEQC_KERNEL static void outer_tile(int64_t depth, const R *a, int64_t lda, const R *b, int64_t ldb,
                                   Vec<Real<R>> *out) {
  Array<Array<Vec<Real<R>>, Width>, Height> sum = {};
  for (int64_t k = 0; k < depth; ++k, a += lda, b += ldb) {
    rank_one<R>(
        sum, [&](int r) SEQC_INLINED { return broadcast(a[r]); },
        [&](int w) SEQC_INLINED { return load(b + w * lanes<R>); });
  }
  SEQC_UNROLL
  for (int r = 0; r < Height; ++r) {
    SEQC_UNROLL
    for (int w = 0; w < Width; ++w)
      out[r * Width + w] = sum[r][w];
  }
}

template <class R, int Width, int Limit>
SEQC_INLINE void outer_tile_of(int64_t height, int64_t depth, const R *a, int64_t lda, const R *b,
                               int64_t ldb, Vec<Real<R>> *out) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      outer_tile_of<R, Width, Limit - 1>(height, depth, a, lda, b, ldb, out);
      return;
    }
  }
  outer_tile<R, Limit, Width>(depth, a, lda, b, ldb, out);
}

// What becomes of sums: they are put in their places, or added to what stands there, which may lie so far
// away that it is asked for while they are made.
enum class Sums { Put, Add, AddFar };

// Adds the sums of one panel and one stretch of k, `depth` elements, to C, or puts them there. `a` points to
// column `begin`.
template <class R, int64_t N, int Count>
SEQC_INLINE void outer_panel(int64_t begin, int64_t end, int64_t first, int64_t depth, const R *a,
                             int64_t lda, const R *b, int64_t ldb, Real<R> *C, int64_t ldc, Sums how) {
  constexpr int limit = row_limit(Count);
  Array<Vec<Real<R>>, limit * Count> sums;
  int64_t row = begin;
  for (int64_t i = 0; row < end; ++i) {
    const int64_t height = part_size(end - begin, limit, i);
    if (how == Sums::AddFar)
      for (int64_t r = 0; r < height; ++r)
        for (int w = 0; w < Count; ++w)
          __builtin_prefetch(C + (row + r) * ldc + (first + w) * lanes<R>, 1, 3);
    outer_tile_of<R, Count, limit>(height, depth, a + (row - begin), lda, b, ldb, sums);
    const auto put = [&](int64_t at, int64_t unit, auto which, const Vec<Real<R>> *sum) {
      Real<R> *to = C + at * ldc + unit;
      store(to, how != Sums::Put ? *sum + load(static_cast<const Real<R> *>(to), which) : *sum, which);
    };
    for (int64_t r = 0; r < height; ++r)
      finish<R, 1, N>(row + r, first, Count, sums + r * Count, put);
    row += height;
  }
}

// What enters a sum: each value as it is, as an element of its own. bf16.hpp has other ways.
struct AsIs {
  static constexpr bool same = true;
  template <class R> using Element = R;
  typedef AsIs Alone; // where sums go one by one
  template <class V> SEQC_INLINED static V of(V x) { return x; }
};

// Copies `depth` rows of up to Count vectors side by side, zeros behind column `valid`.
template <int Count, class Taken, class R>
SEQC_INLINE void copy_panel(int64_t depth, int64_t valid, const R *from, int64_t stride,
                            typename Taken::template Element<R> *to) {
  typedef typename Taken::template Element<R> E;
  for (int64_t k = 0; k < terms<E>(depth); ++k, to += Count * lanes<R>)
    for (int w = 0; w < Count; ++w)
      store(to + w * lanes<R>, Taken::of(crossed<E>(k, valid - w * lanes<R>, [&](int64_t index) SEQC_INLINED {
              return index < depth ? from + index * stride + w * lanes<R> : nullptr;
            })));
}

// Asks for `depth` rows of `valid` values that will be copied soon.
template <class R> SEQC_INLINE void fetch_panel(int64_t depth, int64_t valid, const R *from, int64_t stride) {
  for (int64_t k = 0; k < depth; ++k, from += stride)
    for (int64_t i = 0; i < valid; i += 64 / static_cast<int64_t>(sizeof(R)))
      __builtin_prefetch(from + i);
}

// narrow_panels: a panel takes a line or less of each row, so that copying it costs more of the time for
// which it serves. Then several are copied at once, and serve all rows of C before the next ones.
constexpr bool narrow_panels = tile_vectors * SEQC_VECTOR_BYTES <= 64;

// How many elements are summed before they go to C: a copied panel takes at most 16 KB of stack, a narrow one
// of several 8 KB.
template <class R> constexpr int64_t outer_depth() {
  constexpr int64_t bytes = narrow_panels ? 8192 : 16384;
  constexpr int64_t fitting = bytes / (tile_vectors * lanes<R> * static_cast<int64_t>(sizeof(R)));
  return fitting < 256 ? fitting : 256;
}

// N of a few columns: the vectors run along the columns of A, and the sums are stored one by one.
template <class R, int64_t N, class Taken>
SEQC_INLINE void outer_narrow(int64_t begin, int64_t end, int64_t K, const R *A, int64_t lda, const R *B,
                              int64_t ldb, R *C, int64_t ldc, bool accumulate) {
  constexpr int wide = tile_vectors;
  constexpr int64_t width = wide * lanes<R>;
  alignas(64) R panel[static_cast<size_t>(outer_depth<R>() * width)];
  Array<Vec<R>, static_cast<int>(N) * wide> sums;
  for (int64_t k = 0; k < K; k += outer_depth<R>()) {
    const int64_t length = min(outer_depth<R>(), K - k);
    const R *factors = B + k * ldb;
    int64_t step = ldb;
    Array<R, Taken::same ? 1 : outer_depth<R>() * N> taken;
    if constexpr (!Taken::same) {
      for (int64_t i = 0; i < length * N; ++i)
        taken[i] = Taken::of(broadcast(factors[i / N * ldb + i % N]))[0];
      factors = taken;
      step = N;
    }
    for (int64_t first = begin; first < end; first += width) {
      copy_panel<wide, Taken>(length, end - first, A + k * lda + first, lda, panel);
      outer_tile<R, static_cast<int>(N), wide>(length, factors, step, panel, width, sums);
      for (int64_t m = first; m < end && m < first + width; ++m)
        for (int64_t n = 0; n < N; ++n) {
          const R value = sums[n * wide + (m - first) / lanes<R>][(m - first) % lanes<R>];
          C[m * ldc + n] = accumulate || k > 0 ? value + C[m * ldc + n] : value;
        }
    }
  }
}

// chunk_vectors<R>(): how many vectors of columns of A are copied at a time, about 48 values.
template <class R> constexpr int chunk_vectors() { return lanes<R> > 48 ? 1 : 48 / lanes<R>; }

// group_panels<R>: panels of B that lie copied side by side while all of A passes over them. What holds
// several neighbours in k is copied at the cost of rounding, and what is narrow at the cost of a line each,
// so that it is done for more of them at once.
template <class R> constexpr int group_panels = Term<R>::held > 1 || narrow_panels ? 16 : 4;

// Copies one stretch of k of panels first … last - 1 (counted in blocks of lanes), each by itself, some rows
// of all panels after the other.
template <int64_t N, class Taken, class R>
SEQC_INLINE void copy_group(int64_t first, int64_t last, int64_t depth, const R *b, int64_t ldb,
                            typename Taken::template Element<R> *to) {
  typedef typename Taken::template Element<R> E;
  constexpr int wide = tile_vectors, rest = static_cast<int>(blocks<R>(N) % wide);
  constexpr int64_t held = Term<E>::held, rows = narrow_panels ? 16 * held : outer_depth<E>() * held;
  for (int64_t k = 0; k < depth; k += rows, b += rows * ldb) {
    const int64_t length = min(rows, depth - k);
    E *panel = to;
    for (int64_t block = first; block < last; block += wide, panel += outer_depth<E>() * wide * lanes<R>) {
      const R *const from = b + block * lanes<R>;
      if constexpr (rest != 0)
        if (blocks<R>(N) - block < wide) {
          copy_panel<rest, Taken>(length, N - block * lanes<R>, from, ldb,
                                  panel + k / held * rest * lanes<R>);
          continue;
        }
      copy_panel<wide, Taken>(length, N - block * lanes<R>, from, ldb, panel + k / held * wide * lanes<R>);
    }
  }
}

// All copied panels of a group times one copied chunk of A, columns begin … end.
template <class R, int64_t N>
SEQC_INLINE void outer_group(int64_t begin, int64_t end, int64_t first, int64_t last, int64_t depth,
                             const R *a, int64_t lda, const R *b, Real<R> *C, int64_t ldc, Sums how) {
  constexpr int wide = tile_vectors, rest = static_cast<int>(blocks<R>(N) % wide);
  for (int64_t block = first; block < last; block += wide, b += outer_depth<R>() * wide * lanes<R>) {
    if constexpr (rest != 0)
      if (blocks<R>(N) - block < wide) {
        outer_panel<R, N, rest>(begin, end, block, depth, a, lda, b, rest * lanes<R>, C, ldc, how);
        continue;
      }
    if constexpr (blocks<R>(N) >= wide)
      outer_panel<R, N, wide>(begin, end, block, depth, a, lda, b, wide * lanes<R>, C, ldc, how);
  }
}

// outer_rows<R>(N): how many rows of C go through all of K before the next ones: 512 KB of sums, which stay
// in the second-level cache, or more where B would be copied or rounded anew for the next ones at a price.
template <class R> constexpr int64_t outer_rows(int64_t N) {
  constexpr int64_t bytes = Term<R>::held > 1 ? 2097152 : narrow_panels ? int64_t(1) << 40 : 524288;
  const int64_t fitting = bytes / (N * static_cast<int64_t>(sizeof(Real<R>))) / 48 * 48;
  return fitting < 48 ? 48 : fitting;
}

// outer<R, N>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate): rows begin … end of C[M, N] = or +=
// A'[M, K] B[K, N], with A[K, M] and B[K, N] row-major as they lie in memory: a weight gradient, k running
// over time and batch. Sums go by stretches of outer_depth<…>() elements from k = 0, in order; the division
// of rows among threads changes nothing. `Taken` may round what enters the sums. Pieces of B are copied to
// the stack, and of A where its rows lie pages apart: they would push each other out of the first-level
// cache.
template <class R, int64_t N, class Taken = AsIs>
SEQC_INLINE void outer(int64_t begin, int64_t end, int64_t K, const R *A, int64_t lda, const R *B,
                       int64_t ldb, R *C, int64_t ldc, bool accumulate) {
  if (K < 1 && !accumulate) { // rows without steps
    for (int64_t row = begin; row < end; ++row)
      __builtin_memset(C + row * ldc, 0, static_cast<size_t>(N) * sizeof(R));
    return;
  }
  if constexpr (narrow<R>(N)) {
    outer_narrow<R, N, typename Taken::Alone>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate);
  } else {
    typedef typename Taken::template Element<R> E;
    constexpr int wide = tile_vectors;
    constexpr int64_t most = (blocks<R>(N) + wide - 1) / wide, stretch = outer_depth<E>() * Term<E>::held,
                      group = (most < group_panels<E> ? most : group_panels<E>)*wide;
    constexpr int64_t width = chunk_vectors<R>() * lanes<R>;
    alignas(64) E columns[static_cast<size_t>(outer_depth<E>() * group * lanes<R>)];
    const int64_t stride = lda * static_cast<int64_t>(sizeof(R));
    const bool far = !Taken::same || (stride > 0 && (stride % 4096 == 0 || stride > 16384));
    const int64_t together = far || narrow_panels ? group : wide;
    const bool far_sums = (end - begin) * N * static_cast<int64_t>(sizeof(R)) > 131072;
    alignas(64) E chunk[static_cast<size_t>(outer_depth<E>() * width)];
    for (int64_t top = begin; top < end; top += outer_rows<E>(N)) {
      const int64_t bottom = min(top + outer_rows<E>(N), end);
      for (int64_t k = 0; k < K; k += stretch) {
        const int64_t length = min(stretch, K - k), depth = terms<E>(length);
        const Sums how = !accumulate && k == 0 ? Sums::Put : far_sums ? Sums::AddFar : Sums::Add;
        for (int64_t first = 0; first < blocks<R>(N); first += together) {
          const int64_t last = min(first + together, blocks<R>(N));
          copy_group<N, Taken>(first, last, length, B + k * ldb, ldb, columns);
          if constexpr (Taken::same)
            if (!far) {
              outer_group<R, N>(top, bottom, first, last, depth, A + k * lda + top, lda, columns, C, ldc,
                                how);
              continue;
            }
          for (int64_t from = top; from < bottom; from += width) {
            const int64_t to = min(from + width, bottom);
            copy_panel<chunk_vectors<R>(), Taken>(length, to - from, A + k * lda + from, lda, chunk);
            if (to < bottom)
              fetch_panel(length, min(width, bottom - to), A + k * lda + to, lda);
            outer_group<E, N>(from, to, first, last, depth, static_cast<const E *>(chunk), width, columns, C,
                              ldc, how);
          }
        }
      }
    }
  }
}

} // namespace seqc
