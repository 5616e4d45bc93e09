// Weight gradients: sums over k of the outer products of rows, k running over time and batch. Takes both
// operands row-major as they lie in memory; copies a panel of one of them to the stack and keeps the sums in
// registers.
#pragma once

#include "outer_packed.hpp"

namespace seqc {

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

// outer_rows<R>(N): how many rows of C go through all of K before the next ones: 512 KB of sums, which stay
// in the second-level cache, or more where B would be copied or rounded anew for the next ones at a price.
template <class R> constexpr int64_t outer_rows(int64_t N) {
  constexpr int64_t bytes = Term<R>::held > 1 ? 2097152 : narrow_panels ? int64_t(1) << 40 : 524288;
  const int64_t fitting = bytes / (N * static_cast<int64_t>(sizeof(Real<R>))) / 48 * 48;
  return fitting < 48 ? 48 : fitting;
}

// outer<R, N>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate): rows begin … end of C[M, N] = or +=
// A'[M, K] B[K, N], with A[K, M] and B[K, N] row-major as they lie in memory: a weight gradient, k running
// over time and batch. Sums go by stretches of k from 0, in order, whose length depends on N and lda alone:
// the division of rows among threads changes nothing. `Taken` may round what enters the sums. Pieces of B are
// copied to the stack, and of A where its rows lie pages apart: they would push each other out of the
// first-level cache.
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
    constexpr int64_t stretch = outer_depth<E>() * Term<E>::held, group = group_blocks<R, E>(N);
    constexpr int64_t width = chunk_vectors<R>() * lanes<R>;
    if constexpr (narrow_panels && Taken::same)
      if (packs_tiles<R>(lda, N)) {
        outer_packed<R, N>(begin, end, K, A, lda, B, ldb, C, ldc, accumulate);
        return;
      }
    alignas(64) E columns[static_cast<size_t>(outer_depth<E>() * group * lanes<R>)];
    const bool far = !Taken::same || far_rows(lda * static_cast<int64_t>(sizeof(R)));
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
          copy_group<N, Taken, outer_depth<E>()>(first, last, length, B + k * ldb, ldb, columns);
          if constexpr (Taken::same)
            if (!far) {
              const auto factors = [&](int64_t, int64_t row) SEQC_INLINED { return A + k * lda + row; };
              outer_group<R, N, outer_depth<R>()>(top, bottom, first, last, depth, factors, lda, columns, C,
                                                  ldc, how);
              continue;
            }
          for (int64_t from = top; from < bottom; from += width) {
            const int64_t to = min(from + width, bottom);
            copy_panel<chunk_vectors<R>(), Taken>(length, to - from, A + k * lda + from, lda, chunk);
            if (to < bottom)
              fetch_panel(length, min(width, bottom - to), A + k * lda + to, lda);
            const auto factors = [&](int64_t, int64_t row) SEQC_INLINED { return chunk + (row - from); };
            outer_group<E, N, outer_depth<E>()>(from, to, first, last, depth, factors, width, columns, C, ldc,
                                                how);
          }
        }
      }
    }
  }
}

} // namespace seqc
