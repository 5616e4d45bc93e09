// How a product on matrix tiles is cut: how many columns and rows pass together, pieces of its depth, and
// rows on their way into tiles.
#pragma once

#include "tile_step.hpp"

namespace seqc {

#if SEQC_TILES

// A product on tiles: `blocks` of units, of which `wide` pass at a time; rows are made `together`, `stride`
// numbers from one to the next and `plane` from part to part, and are cut into pieces of `deepest` tiles in
// depth, which stay in the first-level cache. `stretch`: tiles in depth over which all rows pass before the
// next ones; `far`: weights come from beyond the second-level cache.
struct TileWork {
  int64_t blocks, wide, together, stride, plane, deepest, pieces, stretch;
  bool far;
};

// tile_rows_at_once(numbers): how many rows of so many bfloat16 numbers are made before all panels pass over
// them: 768 KB at most.
constexpr int64_t tile_rows_at_once(int64_t numbers) {
  return numbers <= 1536 ? 256 : numbers >= 12288 ? 32 : 393216 / numbers / 32 * 32;
}

// tile_work(…): that of a product of `depth` numbers in whole tiles, with so many parts of rows and weights.
// Of one gate more blocks pass at a time where a row of results is long; all pass over one piece of the rows
// together if there is more than one pair of columns.
constexpr TileWork tile_work(int64_t units, int gates, int64_t depth, int together, int left, int right) {
  const int64_t all = blocks<float>(units), rows = tile_rows_at_once(depth * left),
                wide = gates > 1                   ? together * low_blocks(gates)
                       : units >= 1024 || left > 1 ? 8
                                                   : 2,
                deepest = wide * gates > 2 ? (left == 1 ? 16 : 4) : int64_t(1) << 30,
                stride = depth + 32; // rows are not pages apart
  return {all,
          wide,
          rows,
          stride,
          rows * stride,
          deepest,
          8 + parts(depth, 32 * deepest),
          int64_t(1) << 30,
          left > 1 && all * gates * lanes<float> * depth * right * 2 > 1 << 20};
}

// stretched(work, depth, left): the same product stretch by stretch of its depth, with as many rows together
// as may lie ready of one: they share what is read of the weights, and sums wait where results belong.
constexpr TileWork stretched(TileWork work, int64_t depth, int left) {
  const int64_t steps = left == 1 ? 48 : 16, own = min(depth, 32 * steps);
  work.stretch = steps;
  work.deepest = min(work.deepest, steps);
  work.pieces = 8 + parts(depth, 32 * work.deepest);
  work.together = tile_rows_at_once(own * left);
  work.stride = own + 32;
  work.plane = work.together * work.stride;
  return work;
}

// Part of a term: `steps` tiles in depth of rows that are made of `depth` values each. `first`: of those over
// which all columns of a panel pass together. `anew`: of a stretch.
struct TilePiece {
  const float *from;
  int64_t from_stride, depth;
  uint16_t *rows;
  const uint32_t *pairs;
  int64_t apart, steps; // words from column to column
  bool first, anew;
};

// tile_pieces<Right>(work, segments, count, rows, pieces): cuts terms into pieces, and gives their number.
template <int Right>
SEQC_KERNEL static int tile_pieces(const TileWork &work, const LowSegment *segments, int count,
                                   uint16_t *rows, TilePiece *pieces) {
  int made = 0;
  int64_t together = work.deepest, ready = work.stretch;
  uint16_t *to = rows;
  for (int s = 0; s < count; ++s) {
    const LowSegment &own = segments[s];
    const int64_t pairs = pair_count(own.depth), steps = pairs / 16;
    const uint32_t *const packed = static_cast<const uint32_t *>(own.packed);
    for (int64_t at = 0; at < steps; at += pieces[made++].steps) {
      const int64_t many = min(steps - at, work.deepest);
      const bool anew = ready + many > work.stretch, first = anew || together + many > work.deepest;
      together = (first ? 0 : together) + many;
      ready = (anew ? 0 : ready) + many;
      to = anew ? rows : to;
      pieces[made] = {own.a + at * 32,
                      own.stride,
                      min(own.depth - at * 32, many * 32),
                      to,
                      packed + at * Right * 256,
                      pairs * Right * 16,
                      many,
                      first,
                      anew};
      to += 32 * many;
    }
  }
  return made;
}

// Rows on their way to tiles: each is divided into parts piece by piece, 32 rows of one piece after those of
// the piece before, with the rows up to whole tiles as zeros.
template <int Left> struct Parting {
  const TileWork &work;
  const TilePiece *pieces;
  int count;
  int64_t from, height;
  int64_t block = 0, row = 0; // the next one
  int piece = 0;

  // Some rows of one piece.
  SEQC_KERNEL void step(int64_t most) {
    const TilePiece &own = pieces[piece];
    const int64_t end = min(row + most, rows());
    for (; row < end; ++row) {
      const int64_t at = block + row;
      part_row<Left>(at < height ? own.depth : 0, own.from + (from + min(at, height - 1)) * own.from_stride,
                     own.rows + at * work.stride, work.plane, own.steps * 32);
    }
    if (row < rows())
      return;
    row = 0;
    if (++piece < count)
      return;
    piece = 0;
    block += 32;
  }

  int64_t rows() const { return height - block > 16 ? 32 : 16; }

  // Whether the pieces up to `last` of the 32 rows from `first` on are there.
  bool has(int64_t first, int last) const {
    return block > first || block >= height || (block == first && piece > last);
  }
};

#endif

} // namespace seqc
