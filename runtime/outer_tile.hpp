// What weight gradients are made of: tiles of sums over k of outer products, and panels of columns copied for
// them.
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

// Adds the sums of one panel and one stretch of k, `depth` elements, to C, or puts them there, by tiles of up
// to Limit rows, or what registers hold. factors(i, row): where tile i, which begins at row `row` of C, finds
// its columns of A.
template <class R, int64_t N, int Count, int Limit, class Factors>
SEQC_INLINE void outer_panel(int64_t begin, int64_t end, int64_t first, int64_t depth, Factors &&factors,
                             int64_t lda, const R *b, int64_t ldb, Real<R> *C, int64_t ldc, Sums how) {
  constexpr int limit = Limit > 0 ? Limit : row_limit(Count);
  Array<Vec<Real<R>>, limit * Count> sums;
  int64_t row = begin;
  for (int64_t i = 0; row < end; ++i) {
    const int64_t height = part_size(end - begin, limit, i);
    if (how == Sums::AddFar)
      for (int64_t r = 0; r < height; ++r)
        for (int w = 0; w < Count; ++w)
          __builtin_prefetch(C + (row + r) * ldc + (first + w) * lanes<R>, 1, 3);
    outer_tile_of<R, Count, limit>(height, depth, factors(i, row), lda, b, ldb, sums);
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

// Asks for `depth` rows of `valid` values that will be copied soon, or, with Near 2 instead of 3, somewhat
// later.
template <class R, int Near = 3>
SEQC_INLINE void fetch_panel(int64_t depth, int64_t valid, const R *from, int64_t stride) {
  for (int64_t k = 0; k < depth; ++k, from += stride)
    for (int64_t i = 0; i < valid; i += 64 / static_cast<int64_t>(sizeof(R)))
      __builtin_prefetch(from + i, 0, Near);
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

// group_panels<R>: panels of B that lie copied side by side while all of A passes over them. What holds
// several neighbours in k is copied at the cost of rounding, and what is narrow at the cost of a line each,
// so that it is done for more of them at once.
template <class R> constexpr int group_panels = Term<R>::held > 1 || narrow_panels ? 16 : 4;

// group_blocks<R, E>(N): so many panels, or all that there are, in blocks of columns; E is what is copied.
template <class R, class E> constexpr int64_t group_blocks(int64_t N) {
  return min((blocks<R>(N) + tile_vectors - 1) / tile_vectors, int64_t(group_panels<E>)) * tile_vectors;
}

// Copies one stretch of k of panels first … last - 1 (counted in blocks of lanes), each by itself and with
// place for Steps elements, some rows of all panels after the other.
template <int64_t N, class Taken, int64_t Steps, class R>
SEQC_INLINE void copy_group(int64_t first, int64_t last, int64_t depth, const R *b, int64_t ldb,
                            typename Taken::template Element<R> *to) {
  typedef typename Taken::template Element<R> E;
  constexpr int wide = tile_vectors, rest = static_cast<int>(blocks<R>(N) % wide);
  constexpr int64_t held = Term<E>::held, rows = narrow_panels ? 16 * held : Steps * held;
  for (int64_t k = 0; k < depth; k += rows, b += rows * ldb) {
    const int64_t length = min(rows, depth - k);
    if constexpr (narrow_panels)
      fetch_panel(min(rows, depth - k - rows), min(last * lanes<R>, N) - first * lanes<R>,
                  b + rows * ldb + first * lanes<R>, ldb);
    E *panel = to;
    for (int64_t block = first; block < last; block += wide, panel += Steps * wide * lanes<R>) {
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

// All copied panels of a group, with place for Steps elements each, times some columns of A: see outer_panel.
template <class R, int64_t N, int64_t Steps, int Limit = 0, class Factors>
SEQC_INLINE void outer_group(int64_t begin, int64_t end, int64_t first, int64_t last, int64_t depth,
                             Factors &&factors, int64_t lda, const R *b, Real<R> *C, int64_t ldc, Sums how) {
  constexpr int wide = tile_vectors, rest = static_cast<int>(blocks<R>(N) % wide);
  for (int64_t block = first; block < last; block += wide, b += Steps * wide * lanes<R>) {
    if constexpr (rest != 0)
      if (blocks<R>(N) - block < wide) {
        outer_panel<R, N, rest, Limit>(begin, end, block, depth, factors, lda, b, rest * lanes<R>, C, ldc,
                                       how);
        continue;
      }
    if constexpr (blocks<R>(N) >= wide)
      outer_panel<R, N, wide, Limit>(begin, end, block, depth, factors, lda, b, wide * lanes<R>, C, ldc, how);
  }
}

} // namespace seqc
