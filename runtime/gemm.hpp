// Products with packed weights, fused with what follows them.
//
// Each result is one sum over k in an order that depends on the sizes of the matrix alone, never on the
// number of rows, on the row, or on how rows and panels are divided among threads: a row alone and a row of a
// batch give the same bits.
#pragma once

#include "deep.hpp"
#include "panels.hpp"

namespace seqc {

// Same<A, B>: whether two types are one.
template <class A, class B> struct Same {
  static constexpr bool value = false;
};
template <class A> struct Same<A, A> {
  static constexpr bool value = true;
};

// Few columns: each result is a dot product in two or four vector sums; the columns share the loads of a.
template <class R, int64_t Units, class Epilogue>
SEQC_INLINE void narrow_rows(int64_t begin, int64_t end, const Segment<R> *segments, int count,
                             Epilogue &epilogue) {
  constexpr int units = static_cast<int>(Units), streams = units <= 2 ? 4 : 2;
  for (int64_t row = begin; row < end; ++row) {
    Array<Array<Vec<R>, streams>, units> sum = {};
    for (int s = 0; s < count; ++s) {
      const int64_t depth = segments[s].depth, padded = blocks<R>(depth) * lanes<R>;
      const R *a = segments[s].a + row * segments[s].stride;
      const R *b = segments[s].packed;
      int64_t k = 0;
      for (; k + streams * lanes<R> <= depth; k += streams * lanes<R>) {
        SEQC_UNROLL
        for (int i = 0; i < streams; ++i) {
          const Vec<R> factor = load(a + k + i * lanes<R>);
          SEQC_UNROLL
          for (int u = 0; u < units; ++u)
            sum[u][i] = fma(factor, load(b + u * padded + k + i * lanes<R>), sum[u][i]);
        }
      }
      const auto add = [&](int64_t at, Vec<R> factor) SEQC_INLINED {
        SEQC_UNROLL
        for (int u = 0; u < units; ++u)
          sum[u][0] = fma(factor, load(b + u * padded + at), sum[u][0]);
      };
      for (; k + lanes<R> <= depth; k += lanes<R>)
        add(k, load(a + k));
      const auto left = static_cast<int>(depth % lanes<R>); // of a depth that the compiler knows a number
      if (left > 0)
        add(depth - left, load_part(a + depth - left, left));
    }
    Vec<R> sums = {}; // in a register: a vector loaded from lanes just stored would wait for them
    SEQC_UNROLL
    for (int u = 0; u < units; ++u) {
      Vec<R> all = sum[u][0] + sum[u][1];
      if constexpr (streams == 4)
        all += sum[u][2] + sum[u][3];
      sums[u] = sum_lanes(all);
    }
    epilogue(row, int64_t(0), Part{units}, &sums);
  }
}

// product_with<R, Gates, Units>(begin, end, segments, count, epilogue): for each row in begin … end and each
// block of units calls epilogue(row, unit, which, sums): `sums` are Gates vectors, gate g of the units from
// `unit` on; `which` is Whole{} or Part{n}, for load, store and keep. `sums` may be changed.
//   product_with<float, 4, H>(0, rows, &segment, 1,
//                             [&](int64_t row, int64_t unit, auto which, Vec<float> *sums) { … });
// The epilogue runs before later panels are multiplied: it must not write what the segments read.
// Depth: of all segments together, where it is known when this is compiled.
// `descending` takes the panels from the last to the first: done on every other step, it finds weights
// larger than the cache half in place. Results are the same. `lot`: of the panels those of one member.
template <class R, int Gates, int64_t Units, int64_t Depth = 0, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const Segment<R> *segments, int count,
                              Epilogue &&epilogue, bool descending = false, const Lot &lot = {0, 0, 1}) {
  constexpr int wide = panel_blocks(Gates);
  constexpr int64_t panels = (blocks<R>(Units) + wide - 1) / wide;
  if constexpr (narrow<R>(Units, Gates)) {
    narrow_rows<R, Units>(begin, end, segments, count, epilogue);
    return;
  } else {
    if constexpr (chains(blocks<R>(Units) * Gates) == 1)
      if (end - begin == 1) {
        one_row<R, Gates, Units, Depth>(begin, segments, count, epilogue, descending, lot);
        return;
      }
    int64_t depth = 1;
    for (int s = 0; s < count; ++s)
      depth += segments[s].depth;
    // Rows that stay in the second-level cache while all panels pass over them.
    const Range own = lot.of(panels);
    const int64_t limit = max(int64_t(48), int64_t(65536) / depth);
    int64_t from = begin;
    for (int64_t part = 0; from < end; ++part) {
      const int64_t to = from + part_size(end - begin, limit, part);
      for (int64_t i = 0; i < own.count; ++i) {
        const int64_t then = min(i + 1, own.count - 1);
        any_panel<R, Gates, Units, Depth>(from, to, (descending ? own.end() - 1 - i : own.first + i) * wide,
                                          (descending ? own.end() - 1 - then : own.first + then) * wide,
                                          segments, count, epilogue);
      }
      from = to;
    }
  }
}

// TakesLots<S>: whether members of a team may share the units of a product.
template <class S> struct TakesLots {
  static constexpr bool value = false;
};
template <class R> struct TakesLots<Segment<R>> {
  static constexpr bool value = true;
};

// product_segments<R, N>(begin, end, segments, count, C, ldc, descending, accumulate, bias): rows begin … end
// of C[rows, N] = or += sum of the segments (+ bias[N], if not null). MayBeDeep: see deep.hpp.
template <class R, int64_t N, bool MayBeDeep = false, int64_t Depth = 0, class S>
SEQC_INLINE void product_segments(int64_t begin, int64_t end, const S *segments, int count, R *C, int64_t ldc,
                                  bool descending = false, bool accumulate = false, const R *bias = nullptr,
                                  const Lot &lot = {0, 0, 1}) {
  if constexpr (MayBeDeep && Deep<S, R, N>::value)
    if (!accumulate && !bias && lot.members == 1 && is_deep<R>(end - begin, segments, count)) {
      product_deep<R, N>(begin, end, segments, count, C, ldc);
      return;
    }
  const auto store_row = [&](int64_t row, int64_t unit, auto which, const Vec<R> *sums) SEQC_INLINED {
    Vec<R> value = sums[0];
    if (bias)
      value += load(bias + unit, which);
    R *to = C + row * ldc + unit;
    if (accumulate)
      value += load(static_cast<const R *>(to), which);
    store(to, value, which);
  };
  if constexpr (TakesLots<S>::value)
    product_with<R, 1, N, Depth>(begin, end, segments, count, store_row, descending, lot);
  else
    product_with<R, 1, N>(begin, end, segments, count, store_row, descending);
}

// product<R, N>(begin, end, K, A, lda, packed, C, ldc, accumulate, bias): rows begin … end of
// C[rows, N] = or += A[rows, K] times the packed matrix (+ bias[N], if not null).
template <class R, int64_t N>
SEQC_INLINE void product(int64_t begin, int64_t end, int64_t K, const R *A, int64_t lda, const R *packed,
                         R *C, int64_t ldc, bool accumulate = false, const R *bias = nullptr) {
  const Segment<R> segment = {A, lda, packed, K};
  product_segments<R, N>(begin, end, &segment, 1, C, ldc, false, accumulate, bias);
}

} // namespace seqc
