// Products in bfloat16 on matrix tiles of 16 rows: weights in pairs, as quant.hpp packs them, are tiles as
// they lie; rows are rounded into tiles of their own. Sums of 2 x 2 tiles are under way at once.
//
// Without tiles (or where the system refuses them) the same products are done on vectors. A row gives the
// same bits alone and in a batch.
#pragma once

#include "bf16.hpp"
#include "tile.hpp"

namespace seqc {

#if SEQC_TILES

// round_row(count, from, to, padded): the nearest bfloat16 of each value, zeros behind them, up to `padded`,
// a multiple of 32.
SEQC_INLINE void round_row(int64_t count, const float *from, uint16_t *to, int64_t padded) {
  int64_t i = 0;
  for (; i + 2 * lanes<float> <= count; i += 2 * lanes<float>) {
    const WordPairs words = round_two(load(from + i), load(from + i + lanes<float>));
    __builtin_memcpy(to + i, &words, sizeof words);
  }
  for (; i < padded; i += 2 * lanes<float>) {
    const auto part = [&](int64_t at) {
      const int64_t left = count - at;
      return left >= lanes<float> ? load(from + at)
             : left > 0           ? load_part(from + at, static_cast<int>(left))
                                  : Vec<float>{};
    };
    const WordPairs words = round_two(part(i), part(i + lanes<float>));
    __builtin_memcpy(to + i, &words, sizeof words);
  }
}

// load_sums(from, stride, low, right): what was stored so.
SEQC_INLINE void load_sums(const float *from, int64_t stride, bool low, bool right) {
  _tile_loadd(0, from, stride * 4);
  if (right)
    _tile_loadd(1, from + 16, stride * 4);
  if (low) {
    _tile_loadd(2, from + 16 * stride, stride * 4);
    if (right)
      _tile_loadd(3, from + 16 * stride + 16, stride * 4);
  }
}

// add_products<Passing>(a, a_line, b, apart, b_line, low, right): one tile of k more: rows from a on, a_line
// bytes apart, times 16 columns at b and, if `right`, those `apart` words behind, b_line bytes from pair to
// pair. Passing: columns that are not read again soon leave the first-level cache to the rows.
template <bool Passing>
SEQC_INLINE void add_products(const char *a, int64_t a_line, const uint32_t *b, int64_t apart, int64_t b_line,
                              bool low, bool right) {
  _tile_loadd(4, a, a_line);
  if constexpr (Passing)
    _tile_stream_loadd(6, b, b_line);
  else
    _tile_loadd(6, b, b_line);
  _tile_dpbf16ps(0, 4, 6);
  if (right) {
    if constexpr (Passing)
      _tile_stream_loadd(7, b + apart, b_line);
    else
      _tile_loadd(7, b + apart, b_line);
    _tile_dpbf16ps(1, 4, 7);
  }
  if (low) {
    _tile_loadd(5, a + 16 * a_line, a_line);
    _tile_dpbf16ps(2, 5, 6);
    if (right)
      _tile_dpbf16ps(3, 5, 7);
  }
}

// One term as tiles want it: `rows` are `stride` values apart and padded to whole tiles, weights are pairs.
struct TileTerm {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t count; // pairs in depth, whole tiles of them
};

// Part of a term: `steps` tiles in depth. `first`: of those over which all columns of a panel pass together,
// so that their part of the rows stays in the first-level cache.
struct TilePart {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t apart, steps; // words from column to column
  bool first;
};

// tile_parts<Cut>(terms, count, parts): cuts terms by 16 tiles in depth, or not at all, and gives the number
// of parts.
template <bool Cut> SEQC_INLINE int tile_parts(const TileTerm *terms, int count, TilePart *parts) {
  constexpr int64_t most = Cut ? 16 : 1 << 30;
  int made = 0;
  int64_t together = most;
  for (int s = 0; s < count; ++s) {
    const int64_t steps = terms[s].count / 16;
    for (int64_t at = 0; at < steps; at += most) {
      const int64_t own = min(steps - at, most);
      const bool first = together + own > most;
      together = (first ? 0 : together) + own;
      parts[made++] = {terms[s].rows + at * 32, terms[s].pairs + at * 256, terms[s].count * 16, own, first};
    }
  }
  return made;
}

// All panels of `height` rounded rows, 32 rows at a time. While tiles make the sums of one of these jobs, the
// epilogue runs on those of the job before, some rows after each step of k.
template <int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void tile_panels(int64_t from, int64_t height, const TileTerm *terms, int count, int64_t stride,
                             Epilogue &epilogue, bool descending) {
  constexpr int64_t plain = Units >= 1024 ? 8 : 2; // more where a row of results is long
  constexpr int64_t wide = Gates == 1 ? plain : Blocks * low_blocks(Gates),
                    panels = parts(blocks<float>(Units), wide);
  constexpr int most = static_cast<int>(wide * Gates);
  alignas(64) Array<Array<float, 32 * most * 16>, 2> sums;
  TilePart pieces[static_cast<size_t>(8 + parts(Depth, 512))];
  const int all = tile_parts<(most > 2)>(terms, count, pieces);
  int64_t depth = 0;
  for (int s = 0; s < all; ++s)
    depth += pieces[s].steps;
  const int64_t parted = parts(height, 32), jobs = panels * parted;
  int64_t unit = 0, row = 0, rows = 0, columns = 0; // of the job whose sums are ready
  for (int64_t job = 0; job <= jobs; ++job) {
    const bool idle = job == jobs; // for the tiles: only the last sums are left to be used
    const int64_t at = idle ? job - 1 : job, next = at % parted * 32;
    const int64_t panel = descending ? panels - 1 - at / parted : at / parted;
    const int64_t width = min(wide, blocks<float>(Units) - panel * wide) * Gates;
    const bool low = height - next > 16;
    const int64_t beats = idle ? 1 : depth * parts(width, 2);
    const float *const ready = sums[(job + 1) % 2];
    int64_t r = 0, due = 0;
    SEQC_TILE_FENCE;
    for (int begin = 0, end = 1; begin < (idle ? 1 : all); begin = end++) {
      while (end < all && !pieces[end].first)
        ++end;
      for (int64_t vector = 0; vector < (idle ? 1 : width); vector += 2) {
        const bool right = vector + 1 < width;
        float *const to = sums[job % 2] + vector * 16;
        if (!idle && begin == 0)
          clear_sums();
        else if (!idle)
          load_sums(to, 16 * width, low, right);
        for (int s = begin; s < (idle ? 1 : end); ++s) {
          const int64_t apart = pieces[s].apart;
          const uint16_t *a = pieces[s].rows + next * stride;
          const uint32_t *b = pieces[s].pairs + (panel * most + vector) * apart;
          for (int64_t left = idle ? 1 : pieces[s].steps; left > 0; --left, a += 32, b += 256) {
            if (!idle)
              add_products<true>(reinterpret_cast<const char *>(a), 2 * stride, b, apart, 64, low, right);
            for (due += rows; due >= beats; due -= beats, ++r)
              for (int64_t u = 0; u < (wide == 1 ? 1 : columns / Gates); ++u) {
                Array<Vec<float>, Gates> own;
                SEQC_UNROLL
                for (int g = 0; g < Gates; ++g)
                  own[g] = load(ready + (r * (wide == 1 ? Gates : columns) + u * Gates + g) * 16);
                finish<float, Gates, Units>(row + r, unit + u, 1, own, epilogue);
              }
          }
        }
        if (!idle)
          store_sums(to, 16 * width, low, right);
      }
    }
    unit = panel * wide;
    row = from + next;
    rows = min(height - next, int64_t(32));
    columns = width;
  }
}

// tile_rows_at_once(depth): how many rows are rounded before all panels pass over them: 512 KB of them.
constexpr int64_t tile_rows_at_once(int64_t depth) {
  return depth <= 1024 ? 256 : depth >= 8192 ? 32 : 262144 / depth / 32 * 32;
}

template <int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void tile_product(int64_t begin, int64_t end, const PairSegment<Depth, Blocks> *segments,
                              int count, Epilogue &epilogue, bool descending) {
  constexpr int64_t together = tile_rows_at_once(Depth), stride = Depth + 32; // 32: rows are not pages apart
  alignas(64) uint16_t rows[static_cast<size_t>(together * stride)];
  static const TileShape shape; // in memory, all of it: GCC takes the instruction to read eight bytes
  _tile_loadconfig(&shape);
  int64_t from = begin;
  while (from < end) {
    const int64_t height = min(end - from, together);
    TileTerm terms[8];
    uint16_t *to = rows;
    for (int s = 0; s < count; ++s) {
      const int64_t depth = segments[s].depth, padded = parts(depth, 32) * 32;
      for (int64_t r = 0; r < parts(height, 16) * 16; ++r)
        round_row(r < height ? depth : 0, segments[s].a + (from + min(r, height - 1)) * segments[s].stride,
                  to + r * stride, padded);
      terms[s] = {to, static_cast<const uint32_t *>(segments[s].packed), pair_count(depth)};
      to += padded;
    }
    SEQC_TILE_FENCE;
    tile_panels<Gates, Units, Depth, Blocks>(from, height, terms, count, stride, epilogue, descending);
    from += height;
  }
  _tile_release();
}

#endif

// epilogue_apart(…): an epilogue as a function of its own, where it would be copied into many places.
template <class Which, class Sums, class Epilogue>
SEQC_KERNEL static void epilogue_apart(int64_t row, int64_t unit, Which which, Sums *sums,
                                       Epilogue &epilogue) {
  epilogue(row, unit, which, sums);
}

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const PairSegment<Depth, Blocks> *segments,
                              int count, Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES
  if (tiles_allowed()) {
    tile_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
    return;
  }
#endif
  const auto apart = [&](int64_t row, int64_t unit, auto which, auto *sums) {
    epilogue_apart(row, unit, which, sums, epilogue);
  };
  pair_product<Gates, Units>(begin, end, segments, count, apart, descending);
}

// product_gates<float, Gates, Units>(…), as in blocks.hpp: column by column as they are packed, so that what
// two of them need stays near while all rows pass.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks>
SEQC_INLINE void product_gates(int64_t begin, int64_t end, const PairSegment<Depth, Blocks> *segments,
                               int count, R *out, int64_t stride, bool descending = false) {
  const auto put = [&](int64_t row, int64_t column, auto, const Vec<R> *sums)
                       SEQC_INLINED { store(out + row * stride + column, *sums); };
  product_with<R, 1, blocks<R>(Units) * lanes<R> * Gates>(begin, end, segments, count, put, descending);
}

} // namespace seqc
