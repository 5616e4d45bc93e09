// Weight gradients on narrow vectors where a matrix is wide: both operands are copied as tiles read them,
// some columns of A at a time and a group of panels of B, so that one panel of B and one tile's columns of A
// fill the first-level cache (Goto and van de Geijn 2008).
#pragma once

#include "outer_tile.hpp"

namespace seqc {

// far_rows(stride): rows of so many bytes share few places of the first-level cache, or lie pages apart.
constexpr bool far_rows(int64_t stride) { return stride > 0 && (stride % 4096 == 0 || stride > 16384); }

// packs_tiles<R>(lda, N): whether it pays to copy A as tiles read it: what lies far, and what lies wide where
// many panels use the copy.
template <class R> constexpr bool packs_tiles(int64_t lda, int64_t N) {
  return far_rows(lda * static_cast<int64_t>(sizeof(R))) || (lda >= 384 && N >= 96);
}

// Copied columns of A: tile after tile, `apart` values from one to the next, of each row of k as many as the
// highest tile takes. A line between them keeps tiles from sharing places of the cache.
template <class R> struct TileColumns {
  static constexpr int64_t steps = 1024 / static_cast<int64_t>(sizeof(R)), columns = 48;
  static constexpr int limit = row_limit(tile_vectors);
  static constexpr int64_t apart = steps * limit + 64 / static_cast<int64_t>(sizeof(R));
  static constexpr int64_t size = apart * (columns / limit + 1);
};

// Copies `depth` rows of `columns` columns of A, of which `room` may be read. Whole vectors are copied: what
// is too much of a row makes place for the next row or tile.
template <class R>
SEQC_INLINE void copy_tiles(int64_t columns, int64_t room, int64_t depth, const R *a, int64_t lda, R *to) {
  typedef TileColumns<R> Form;
  constexpr int64_t reach = (Form::limit + lanes<R> - 1) / lanes<R> * lanes<R>;
  const int64_t tiles = (columns + Form::limit - 1) / Form::limit;
  for (int64_t k = 0; k < depth; ++k, a += lda, to += Form::limit) {
    R *into = to;
    for (int64_t i = 0, at = 0; i < tiles; ++i, into += Form::apart) {
      const int64_t height = part_size(columns, Form::limit, i);
      if (at + reach <= room) {
        SEQC_UNROLL
        for (int64_t r = 0; r < reach; r += lanes<R>)
          store(into + r, load(a + at + r));
      } else {
        for (int64_t r = 0; r < height; ++r)
          into[r] = a[at + r];
      }
      at += height;
    }
  }
}

// What will be copied next, asked for a few rows at a time.
template <class R> struct Later {
  const R *at;
  int64_t lda, columns, rows, step;
  SEQC_INLINED void ask() {
    const int64_t many = min(step, rows);
    fetch_panel<R, 2>(many, columns, at, lda);
    at += many * lda;
    rows -= many;
  }
};

// outer_packed<R, N>(…): as outer in outer.hpp.
template <class R, int64_t N>
SEQC_INLINE void outer_packed(int64_t begin, int64_t end, int64_t K, const R *A, int64_t lda, const R *B,
                              int64_t ldb, R *C, int64_t ldc, bool accumulate) {
  typedef TileColumns<R> Form;
  constexpr int64_t group = group_blocks<R, R>(N);
  alignas(64) R panels[static_cast<size_t>(Form::steps * group * lanes<R>)];
  alignas(64) R tiles[static_cast<size_t>(Form::size)];
  for (int64_t k = 0; k < K; k += Form::steps) {
    const int64_t depth = min(Form::steps, K - k), after = min(Form::steps, K - k - depth);
    const Sums how = accumulate || k > 0 ? Sums::AddFar : Sums::Put;
    for (int64_t first = 0; first < blocks<R>(N); first += group) {
      const int64_t last = min(first + group, blocks<R>(N));
      copy_group<N, AsIs, Form::steps>(first, last, depth, B + k * ldb, ldb, panels);
      for (int64_t from = begin; from < end; from += Form::columns) {
        const int64_t to = min(from + Form::columns, end);
        copy_tiles(to - from, end - from, depth, A + k * lda + from, lda, tiles);
        Later<R> later = {A + k * lda + to, lda, min(Form::columns, end - to), depth, 0};
        if (to == end)
          later = {A + (k + depth) * lda + begin, lda, min(Form::columns, end - begin), after, 0};
        later.step = later.rows * tile_vectors / (last - first) * Form::limit / (to - from) + 1;
        const auto columns = [&](int64_t i, int64_t) SEQC_INLINED {
          later.ask();
          return static_cast<const R *>(tiles) + i * Form::apart;
        };
        outer_group<R, N, Form::steps, Form::limit>(from, to, first, last, depth, columns, Form::limit,
                                                    panels, C, ldc, how);
      }
    }
  }
}

} // namespace seqc
