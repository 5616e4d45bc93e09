// Products over very many columns, as those that lead back from a large vocabulary: the sum over k is taken
// stretch by stretch, so that a stretch of a panel stays in the first-level cache while all rows pass over
// it.
#pragma once

#include "rank_one.hpp"

namespace seqc {

// near_steps<R>(vectors): how many steps of k of a panel of so many vectors stay in the first-level cache
// while rows pass over them. Narrow vectors take fewer bytes a step, and more rows stand beside them.
template <class R> constexpr int64_t near_steps(int vectors) {
  return (SEQC_VECTOR_BYTES > 32 ? 32768 : 8192) / (vectors * lanes<R> * static_cast<int64_t>(sizeof(R)));
}

// deep_stretch<R>(): how many steps of k are summed before the sums wait in C.
template <class R> constexpr int64_t deep_stretch() { return near_steps<R>(panel_blocks(1)); }

// Deep<S, R, N>: whether segments of type S and N columns can be summed so: plain weights in panels, and one
// sum a result.
template <class S, class R, int64_t N> struct Deep {
  static constexpr bool value = false;
};
template <class R, int64_t N> struct Deep<Segment<R>, R, N> {
  static constexpr bool value = !narrow<R>(N) && chains(blocks<R>(N)) == 1;
};

// is_deep<R>(rows, segments, count): whether stretches pay: more than one tile of rows passes over panels
// that fill the second-level cache.
template <class R> SEQC_INLINE bool is_deep(int64_t rows, const Segment<R> *segments, int count) {
  int64_t depth = 0;
  for (int s = 0; s < count; ++s)
    depth += segments[s].depth;
  return rows > row_limit(panel_blocks(1)) && depth >= 32 * deep_stretch<R>();
}

// One stretch of k for Height rows x Width vectors: goes on with the sums in C, or begins. A sum is the same
// as without stretches, bit for bit.
template <class R, int Height, int Width>
SEQC_KERNEL static void deep_tile(int64_t length, const Row<R> *a, int64_t stride, const R *b, Real<R> *c,
                                  int64_t ldc, int last, bool begin) {
  typedef Vec<Real<R>> Sum;
  Array<Array<Sum, Width>, Height> sum;
  const auto each_sum = [&](auto &&visit) SEQC_INLINED {
    SEQC_UNROLL
    for (int r = 0; r < Height; ++r) {
      SEQC_UNROLL
      for (int w = 0; w < Width; ++w) {
        if (w == Width - 1 && last < lanes<R>)
          visit(sum[r][w], c + r * ldc + w * lanes<R>, Part{last});
        else
          visit(sum[r][w], c + r * ldc + w * lanes<R>, Whole{});
      }
    }
  };
  if (begin)
    each_sum([](Sum &value, Real<R> *, auto) SEQC_INLINED { value = Sum{}; });
  else
    each_sum([](Sum &value, const Real<R> *from, auto which) SEQC_INLINED { value = load(from, which); });
  for (int64_t k = 0; k < length; ++k, ++a, b += Width * lanes<R>) {
    rank_one<R>(
        sum, [&](int r) SEQC_INLINED { return broadcast(a[r * stride]); },
        [&](int w) SEQC_INLINED { return load(b + w * lanes<R>); });
  }
  each_sum([](Sum value, Real<R> *to, auto which) SEQC_INLINED { store(to, value, which); });
}

template <class R, int Width, int Limit>
SEQC_INLINE void deep_tile_of(int64_t height, int64_t length, const Row<R> *a, int64_t stride, const R *b,
                              Real<R> *c, int64_t ldc, int last, bool begin) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      deep_tile_of<R, Width, Limit - 1>(height, length, a, stride, b, c, ldc, last, begin);
      return;
    }
  }
  if constexpr (!odd_height(Limit, Width))
    deep_tile<R, Limit, Width>(length, a, stride, b, c, ldc, last, begin);
}

// All rows over one stretch of one panel of Width vectors.
template <class R, int Width>
SEQC_INLINE void deep_rows(int64_t rows, int64_t length, const R *a, int64_t stride, const R *b, R *c,
                           int64_t ldc, int last, bool begin) {
  constexpr int limit = row_limit(Width);
  for (int64_t row = 0; row < rows;) {
    const int64_t height = tile_rows(rows - row, limit, Width), next = row + height;
    for (int64_t r = next; r < min(next + height, rows); ++r)
      for (int64_t k = 0; k < length; k += 64 / static_cast<int64_t>(sizeof(R)))
        __builtin_prefetch(a + r * stride + k);
    deep_tile_of<R, Width, limit>(height, length, a + row * stride, stride, b, c + row * ldc, ldc, last,
                                  begin);
    row = next;
  }
}

// product_deep<R, N>(begin, end, segments, count, C, ldc): as product_segments, for matrices with many rows.
template <class R, int64_t N>
SEQC_INLINE void product_deep(int64_t begin, int64_t end, const Segment<R> *segments, int count, R *C,
                              int64_t ldc) {
  constexpr int wide = panel_blocks(1), rest = static_cast<int>(blocks<R>(N) % wide);
  constexpr int64_t whole = blocks<R>(N) - rest;
  constexpr int last = N % lanes<R> == 0 ? lanes<R> : static_cast<int>(N % lanes<R>);
  R *const c = C + begin * ldc;
  for (int s = 0; s < count; ++s) {
    const Segment<R> segment = segments[s];
    const R *const a = segment.a + begin * segment.stride;
    for (int64_t k = 0; k < segment.depth; k += deep_stretch<R>()) {
      const int64_t length = min(deep_stretch<R>(), segment.depth - k);
      const bool first = s == 0 && k == 0;
      for (int64_t block = 0; block < whole; block += wide)
        deep_rows<R, wide>(end - begin, length, a + k, segment.stride,
                           segment.packed + (block * segment.depth + k * wide) * lanes<R>,
                           c + block * lanes<R>, ldc, block + wide == blocks<R>(N) ? last : lanes<R>, first);
      if constexpr (rest > 0)
        deep_rows<R, rest>(end - begin, length, a + k, segment.stride,
                           segment.packed + (whole * segment.depth + k * rest) * lanes<R>,
                           c + whole * lanes<R>, ldc, last, first);
    }
  }
}

} // namespace seqc
