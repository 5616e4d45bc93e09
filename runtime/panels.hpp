// Rows times panels of packed weights, with the sums in registers, handed to the equations that follow: tiles
// of rows by vectors, all rows of a panel, and one row alone with several panels at once. gemm.hpp makes
// products of them.
#pragma once

#include "deep.hpp"
#include "team.hpp"

namespace seqc {

// Which weights are wanted next: the panel that starts at this vector column, cut into parts of one cache
// line a step of k. Fetched while this panel is multiplied, they hide the way from the third-level cache.
struct Ahead {
  int64_t vector, part;
};

// Sums of Height rows x Width vectors over all segments, in `Streams` independent streams. With Chains a
// stream is a stretch of k, and the streams are added in the end; otherwise (one row) it is a panel of its
// own. Far: the weights come from beyond the second-level cache, and are asked for a page ahead.
template <class R, int Height, int Width, int Streams, bool Chains, bool Far = false>
SEQC_INLINE void add_tile(const Segment<R> *segments, int count, int64_t row, int64_t first_vector,
                          Ahead ahead, Vec<Real<R>> *out) {
  Array<Array<Array<Vec<Real<R>>, Width>, Height>, Streams> sum = {};
  for (int s = 0; s < count; ++s) {
    const Segment<R> segment = segments[s];
    const int64_t length = Chains ? segment.depth / Streams : segment.depth;
    const int64_t b_jump = length * Width * lanes<R>, a_jump = Chains ? length : 0;
    const Row<R> *a = segment.a + row * segment.stride;
    const R *b = segment.packed + first_vector * segment.depth * lanes<R>;
    auto line = reinterpret_cast<uintptr_t>(segment.packed + ahead.vector * segment.depth * lanes<R>) +
                static_cast<uintptr_t>(ahead.part * segment.depth * 64);
    for (int64_t k = 0; k < length; ++k, ++a, b += Width * lanes<R>) {
      if constexpr (Chains && Streams == 1 && Height >= 4) {
        __builtin_prefetch(reinterpret_cast<const void *>(line), 0, 2);
        line += 64;
      }
      SEQC_UNROLL
      for (int q = 0; q < Streams; ++q) {
        const auto column = [&](int w) SEQC_INLINED {
          const R *const at = b + q * b_jump + w * lanes<R>;
          if constexpr (Far)
            __builtin_prefetch(reinterpret_cast<const char *>(at) + 4096, 0, 3);
          return load(at);
        };
        rank_one<R, Streams>(
            sum[q], [&](int r) SEQC_INLINED { return broadcast(a[q * a_jump + r * segment.stride]); },
            column);
      }
    }
    if (Chains && Streams > 1) { // what the equal stretches leave over belongs to the last
      a += (Streams - 1) * a_jump;
      b += (Streams - 1) * b_jump;
      for (int64_t k = Streams * length; k < segment.depth; ++k, ++a, b += Width * lanes<R>) {
        SEQC_UNROLL
        for (int r = 0; r < Height; ++r) {
          SEQC_UNROLL
          for (int w = 0; w < Width; ++w)
            sum[Streams - 1][r][w] = Term<R>::add(broadcast(a[r * segment.stride]), load(b + w * lanes<R>),
                                                  sum[Streams - 1][r][w]);
        }
      }
    }
  }
  if constexpr (Chains)
    add_up(sum);
  SEQC_UNROLL
  for (int q = 0; q < (Chains ? 1 : Streams); ++q) {
    SEQC_UNROLL
    for (int r = 0; r < Height; ++r) {
      SEQC_UNROLL
      for (int w = 0; w < Width; ++w)
        out[(q * Height + r) * Width + w] = sum[q][r][w];
    }
  }
}

// The same as a function of its own, for several rows: one row has so little to do that a call counts.
template <class R, int Height, int Width, int Chains>
SEQC_KERNEL static void tile(const Segment<R> *segments, int count, int64_t row, int64_t first_vector,
                             Ahead ahead, Vec<Real<R>> *out) {
  add_tile<R, Height, Width, Chains, true>(segments, count, row, first_vector, ahead, out);
}

// Calls the tile for `height` rows, 1 … Limit.
template <class R, int Width, int Chains, int Limit>
SEQC_INLINE void tile_of(int64_t height, const Segment<R> *segments, int count, int64_t row,
                         int64_t first_vector, Ahead ahead, Vec<Real<R>> *out) {
  if constexpr (Limit > 1) {
    if (height < Limit) {
      tile_of<R, Width, Chains, Limit - 1>(height, segments, count, row, first_vector, ahead, out);
      return;
    }
  }
  if constexpr (!odd_height(Limit, Width))
    tile<R, Limit, Width, Chains>(segments, count, row, first_vector, ahead, out);
}

// Hands the sums of one row and panel to the epilogue, block by block.
template <class R, int Gates, int64_t Units, class Epilogue>
SEQC_INLINE void finish(int64_t row, int64_t first, int count, Vec<Real<R>> *sums, Epilogue &epilogue) {
  for (int u = 0; u < count; ++u) {
    const int64_t unit = (first + u) * lanes<R>;
    if constexpr (Units % lanes<R> != 0)
      if (unit + lanes<R> > Units) {
        epilogue(row, unit, Part{static_cast<int>(Units - unit)}, sums + u * Gates);
        continue;
      }
    epilogue(row, unit, Whole{}, sums + u * Gates);
  }
}

// The same where results are cut into Streams stretches of k, for many rows: more of them at a time, one
// stretch after another, which are added up in the order of `tile`.
template <class R, int Gates, int64_t Units, int Count, int Streams, class Epilogue>
SEQC_INLINE void stretched_rows(int64_t begin, int64_t end, int64_t first, const Segment<R> *segments,
                                int count, Epilogue &epilogue) {
  constexpr int width = Gates * Count, limit = row_limit(width);
  alignas(64) Array<Array<Real<R>, limit * width * lanes<R>>, Streams> part;
  for (int64_t row = begin; row < end;) {
    const int64_t height = tile_rows(end - row, limit, width);
    for (int q = 0; q < Streams; ++q)
      for (int s = 0; s < count; ++s) {
        const Segment<R> &segment = segments[s];
        const int64_t length = segment.depth / Streams, at = q * length;
        deep_tile_of<R, width, limit>(
            height, q + 1 < Streams ? length : segment.depth - at, segment.a + row * segment.stride + at,
            segment.stride, segment.packed + (first * Gates * segment.depth + at * width) * lanes<R>, part[q],
            width * lanes<R>, lanes<R>, s == 0);
      }
    for (int64_t r = 0; r < height; ++r) {
      Array<Array<Vec<Real<R>>, width>, Streams> sum;
      SEQC_UNROLL
      for (int q = 0; q < Streams; ++q) {
        SEQC_UNROLL
        for (int w = 0; w < width; ++w)
          sum[q][w] = load(static_cast<const Real<R> *>(part[q]) + (r * width + w) * lanes<R>);
      }
      add_up(sum);
      finish<R, Gates, Units>(row + r, first, Count, sum[0], epilogue);
    }
    row += height;
  }
}

// is_large(bytes): whether a panel of so many bytes is read sooner stretch by stretch of k, as was measured
// with vectors of 32 bytes.
constexpr bool is_large(int64_t bytes) { return SEQC_VECTOR_BYTES <= 32 && bytes >= 131072; }

// All rows of a large panel: one stretch of k after the other stays in the first-level cache while the rows
// pass over it; their sums wait on the stack.
template <class R, int Gates, int64_t Units, int Count, class Epilogue>
SEQC_INLINE void near_rows(int64_t begin, int64_t end, int64_t first, int64_t next,
                           const Segment<R> *segments, int count, Epilogue &epilogue) {
  constexpr int width = Gates * Count, limit = row_limit(width);
  constexpr int64_t most = 64, steps = near_steps<R>(width), line = width * lanes<R>;
  alignas(64) Array<Real<R>, most * line> sums;
  for (int64_t from = begin; from < end; from += most) {
    const int64_t rows = min(most, end - from);
    for (int s = 0; s < count; ++s) {
      const Segment<R> &segment = segments[s];
      const R *panel = segment.packed + first * Gates * segment.depth * lanes<R>;
      const R *then = segment.packed + next * Gates * segment.depth * lanes<R>;
      for (int64_t k = 0; k < segment.depth; k += steps, panel += steps * line, then += steps * line) {
        const int64_t length = min(steps, segment.depth - k), share = (length * line + rows - 1) / rows;
        for (int64_t row = 0; row < rows;) {
          const int64_t height = tile_rows(rows - row, limit, width);
          for (int64_t i = row * share; i < (row + height) * share; i += 64 / static_cast<int64_t>(sizeof(R)))
            __builtin_prefetch(then + i, 0, 2);
          deep_tile_of<R, width, limit>(height, length, segment.a + (from + row) * segment.stride + k,
                                        segment.stride, panel, sums + row * line, line, lanes<R>,
                                        s == 0 && k == 0);
          row += height;
        }
      }
    }
    for (int64_t r = 0; r < rows; ++r) {
      Array<Vec<Real<R>>, width> sum;
      SEQC_UNROLL
      for (int w = 0; w < width; ++w)
        sum[w] = load(static_cast<const Real<R> *>(sums) + r * line + w * lanes<R>);
      finish<R, Gates, Units>(from + r, first, Count, sum, epilogue);
    }
  }
}

// All rows of one panel that holds Count blocks. Depth: of all terms together, where it is known.
template <class R, int Gates, int64_t Units, int Count, int64_t Depth, class Epilogue>
SEQC_INLINE void panel_rows(int64_t begin, int64_t end, int64_t first, int64_t next,
                            const Segment<R> *segments, int count, Epilogue &epilogue) {
  constexpr int width = Gates * Count, streams = chains(blocks<R>(Units) * Gates);
  constexpr int limit = row_limit(width * streams);
  if constexpr (streams > 2 || (streams > 1 && limit < 2))
    if (end - begin > 2 * row_limit(width)) {
      stretched_rows<R, Gates, Units, Count, streams>(begin, end, first, segments, count, epilogue);
      return;
    }
  constexpr int64_t step = width * lanes<R> * static_cast<int64_t>(sizeof(R));
  if constexpr (streams == 1 && is_large(Depth > 0 ? Depth * step : int64_t(1) << 40)) {
    int64_t depth = 0;
    for (int s = 0; s < count; ++s)
      depth += segments[s].depth;
    if (end - begin > 2 * limit && is_large(depth * step)) {
      near_rows<R, Gates, Units, Count>(begin, end, first, next, segments, count, epilogue);
      return;
    }
  }
  Array<Vec<Real<R>>, limit * width> sums;
  int64_t row = begin;
  for (int64_t i = 0; row < end; ++i) {
    const int64_t height = tile_rows(end - row, limit, width);
    constexpr int64_t lines = SEQC_VECTOR_BYTES > 0 ? (width * SEQC_VECTOR_BYTES + 63) / 64 : 1;
    tile_of<R, width, streams, limit>(height, segments, count, row, first * Gates,
                                      Ahead{next * Gates, i % lines}, sums);
    for (int64_t r = 0; r < height; ++r)
      finish<R, Gates, Units>(row + r, first, Count, sums + r * width, epilogue);
    row += height;
  }
}

// All rows of the panel that starts at block `first`, whole or the narrower last one.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void any_panel(int64_t begin, int64_t end, int64_t first, int64_t next,
                           const Segment<R> *segments, int count, Epilogue &epilogue) {
  constexpr int wide = panel_blocks(Gates), last = static_cast<int>(blocks<R>(Units) % wide);
  if constexpr (last != 0)
    if (blocks<R>(Units) - first < wide) {
      panel_rows<R, Gates, Units, last, Depth>(begin, end, first, next, segments, count, epilogue);
      return;
    }
  if constexpr (blocks<R>(Units) >= wide)
    panel_rows<R, Gates, Units, wide, Depth>(begin, end, first, next, segments, count, epilogue);
}

// One row of one panel that holds Count blocks.
template <class R, int Gates, int64_t Units, int Count, class Epilogue>
SEQC_INLINE void panel_row(int64_t row, int64_t first, const Segment<R> *segments, int count,
                           Epilogue &epilogue) {
  Array<Vec<Real<R>>, Gates * Count> sums;
  add_tile<R, 1, Gates * Count, 1, true>(segments, count, row, first * Gates, Ahead{first * Gates, 0}, sums);
  finish<R, Gates, Units>(row, first, Count, sums, epilogue);
}

// One row, Streams whole panels at once, then those left over one by one.
template <class R, int Gates, int64_t Units, int Streams, bool Far, class Epilogue>
SEQC_INLINE void one_row_by(int64_t row, const Segment<R> *segments, int count, Epilogue &epilogue,
                            bool descending, const Lot &lot) {
  constexpr int wide = panel_blocks(Gates), width = Gates * wide;
  constexpr int last = static_cast<int>(blocks<R>(Units) % wide);
  constexpr int64_t panels = (blocks<R>(Units) + wide - 1) / wide;
  constexpr int64_t groups = Streams > 1 ? blocks<R>(Units) / (wide * Streams) : 0, left = groups * Streams;
  const Range own = lot.of(groups + panels - left);
  for (int64_t i = 0; i < own.count; ++i) {
    const int64_t at = descending ? own.end() - 1 - i : own.first + i;
    if constexpr (groups > 0)
      if (at < groups) {
        Array<Vec<Real<R>>, Streams * width> sums;
        const int64_t first = at * Streams * wide;
        add_tile<R, 1, width, Streams, false, Far>(segments, count, row, first * Gates, Ahead{0, 0}, sums);
        finish<R, Gates, Units>(row, first, Streams * wide, sums, epilogue);
        continue;
      }
    const int64_t first = (left + at - groups) * wide;
    if constexpr (last > 0)
      if (first + wide > blocks<R>(Units)) {
        panel_row<R, Gates, Units, last>(row, first, segments, count, epilogue);
        continue;
      }
    if constexpr (panels - left > (last > 0 ? 1 : 0))
      panel_row<R, Gates, Units, wide>(row, first, segments, count, epilogue);
  }
}

// asks_ahead: whether a row asks for weights from beyond the second-level cache before they are read: cores
// of the Zen family bring a stream sooner by themselves.
#if defined(__znver1__) || defined(__znver2__) || defined(__znver3__) || defined(__znver4__) ||              \
    defined(__znver5__)
constexpr bool asks_ahead = false;
#else
constexpr bool asks_ahead = true;
#endif

// How many panels a row takes at once, so that the multipliers are busy. Where weights come out of the
// second-level cache, fewer of them at once are read faster.
struct RowWay {
  int streams;
  bool far;
};
constexpr RowWay row_way(int width, int64_t bytes, int waits) {
  constexpr int64_t first_level = 49152;
  const int streams = (8 * waits + width - 1) / width;
  if (bytes > 32 * first_level)
    return {streams, asks_ahead};
  if (waits == 1 && (tile_vectors > 2 || width >= 3) && bytes > 2 * first_level)
    return {(streams + 1) / 2, false};
  return {streams, false};
}

// even_streams(most, panels): as many panels at once, at least half of `most`, as leave none over, or `most`.
constexpr int even_streams(int most, int64_t panels) {
  for (int streams = most; 2 * streams >= most; --streams)
    if (panels % streams == 0)
      return streams;
  return most;
}

// One row. Depth: of all terms together, where it is known; else all ways are there.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void one_row(int64_t row, const Segment<R> *segments, int count, Epilogue &epilogue,
                         bool descending, const Lot &lot) {
  constexpr int width = Gates * panel_blocks(Gates);
  constexpr int64_t line = Units * Gates * static_cast<int64_t>(sizeof(R));
  constexpr int waits = Term<R>::waits;
  constexpr RowWay known = row_way(width, Depth * line, waits), far = row_way(width, int64_t(1) << 40, waits);
  constexpr int64_t whole = blocks<R>(Units) / panel_blocks(Gates);
  constexpr int streams = waits > 1 ? even_streams(known.streams, whole) : known.streams;
  if constexpr (Depth > 0) {
    one_row_by<R, Gates, Units, streams, known.far>(row, segments, count, epilogue, descending, lot);
  } else {
    int64_t depth = 0;
    for (int s = 0; s < count; ++s)
      depth += segments[s].depth;
    const RowWay way = row_way(width, depth * line, waits);
    if (way.far)
      one_row_by<R, Gates, Units, far.streams, true>(row, segments, count, epilogue, descending, lot);
    else if (way.streams < far.streams)
      one_row_by<R, Gates, Units, (far.streams + 1) / 2, false>(row, segments, count, epilogue, descending,
                                                                lot);
    else
      one_row_by<R, Gates, Units, far.streams, false>(row, segments, count, epilogue, descending, lot);
  }
}

} // namespace seqc
