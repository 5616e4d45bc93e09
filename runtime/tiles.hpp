// Products on matrix tiles of 16 rows: weights in pairs, as bf16.hpp packs them, are tiles as they lie; rows
// are rounded into tiles of their own. Sums of 2 x 2 tiles are under way at once.
//
// Tiles multiply bfloat16 numbers. In single precision both sides are sums of three of those; of the nine
// products the six largest are taken, and the others are below the last bit of the largest (Henry, Tang,
// Heinecke: Leveraging the bfloat16 Artificial Intelligence Datatype For Higher-Precision Computations,
// 2019).
//
// Without tiles (or where the system refuses them) the same products are done on vectors. A row gives the
// same bits alone and in a batch.
#pragma once

#include "tile_step.hpp"

namespace seqc {

#if SEQC_TILES

// A product on tiles: `blocks` of units, of which `wide` pass at a time; rows are made `together`, `stride`
// numbers from one to the next and `plane` from part to part, and are cut into pieces of `deepest` tiles in
// depth, which stay in the first-level cache; `far`: weights come from beyond the second-level cache.
struct TileWork {
  int64_t blocks, wide, together, stride, plane, deepest, pieces;
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
          left > 1 && all * gates * lanes<float> * depth * right * 2 > 1 << 20};
}

// Part of a term: `steps` tiles in depth of rows that are made of `depth` values each. `first`: of those over
// which all columns of a panel pass together.
struct TilePiece {
  const float *from;
  int64_t from_stride, depth;
  uint16_t *rows;
  const uint32_t *pairs;
  int64_t apart, steps; // words from column to column
  bool first;
};

// tile_pieces<Right>(work, segments, count, rows, pieces): cuts terms into pieces, and gives their number.
template <int Right>
SEQC_KERNEL static int tile_pieces(const TileWork &work, const LowSegment *segments, int count,
                                   uint16_t *rows, TilePiece *pieces) {
  int made = 0;
  int64_t together = work.deepest;
  for (int s = 0; s < count; ++s) {
    const LowSegment &own = segments[s];
    const int64_t pairs = pair_count(own.depth), steps = pairs / 16;
    const uint32_t *const packed = static_cast<const uint32_t *>(own.packed);
    for (int64_t at = 0; at < steps; at += work.deepest, rows += 32 * pieces[made++].steps) {
      const int64_t many = min(steps - at, work.deepest);
      const bool first = together + many > work.deepest;
      together = (first ? 0 : together) + many;
      pieces[made] = {own.a + at * 32,
                      own.stride,
                      min(own.depth - at * 32, many * 32),
                      rows,
                      packed + at * Right * 256,
                      pairs * Right * 16,
                      many,
                      first};
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

// sum_on_vectors<Left, Right>(work, pieces, count, row, column): what tiles would give, where the system
// refuses them.
template <int Left, int Right>
SEQC_KERNEL static Vec<float> sum_on_vectors(const TileWork &work, const TilePiece *pieces, int count,
                                             int64_t row, int64_t column) {
  Vec<float> sum = {};
  for (int s = 0; s < count; ++s) {
    const uint16_t *a = pieces[s].rows + row * work.stride;
    const uint32_t *b = pieces[s].pairs + column * pieces[s].apart;
    for (int64_t step = 0; step < pieces[s].steps; ++step, a += 32, b += Right * 256)
      for (int k = 0; k < 32; ++k) {
        float value = 0.0f;
        for (int part = Left - 1; part >= 0; --part)
          value += bits_as<float>(static_cast<uint32_t>(a[part * work.plane + k]) << 16);
        Vec<float> weight = {};
        for (int part = Right - 1; part >= 0; --part) {
          const WordPairs words = load_words(b + part * 256 + k / 2 * 16);
          weight += bits_as<Vec<float>>(k % 2 == 0 ? words << 16 : words & 0xffff0000u);
        }
        sum = fma(broadcast(value), weight, sum);
      }
  }
  return sum;
}

// The sums of up to 32 rows, from `row` on, and one or two columns over the pieces begin … end, added to what
// stands at `to`, `line` values from row to row, or put there if they are the first.
template <int Left, int Right, class Beside>
SEQC_INLINE void tile_square(const TileWork &work, const TilePiece *pieces, int begin, int end, int64_t row,
                             int64_t column, bool low, bool right, float *to, int64_t line, bool idle,
                             Beside &&beside) {
  if (!idle && begin == 0)
    clear_sums();
  else if (!idle)
    load_sums(to, line, low, right);
  for (int s = begin; s < (idle ? begin + 1 : end); ++s) {
    const TileStep step = {2 * work.stride, 2 * work.plane, 64, 256, pieces[s].apart};
    const uint16_t *a = pieces[s].rows + row * work.stride;
    const uint32_t *b = pieces[s].pairs + column * step.apart;
    for (int64_t left = idle ? 1 : pieces[s].steps; left > 0; --left, a += 32, b += Right * 256)
      add_products<false, Left, Right>(step, reinterpret_cast<const char *>(a), b, low, right, work.far,
                                       beside, idle);
  }
  if (!idle)
    store_sums(to, line, low, right);
}

// group_end(pieces, begin, count): behind the pieces over which all columns pass together.
SEQC_INLINE int group_end(const TilePiece *pieces, int begin, int count) {
  int end = begin + 1;
  while (end < count && !pieces[end].first)
    ++end;
  return end;
}

// All panels of `height` rows in parts, 32 rows at a time. While tiles make the sums of one of these jobs,
// use(row, block, sums) runs on those of the job before, some rows after each step of k.
template <int Gates, int Most, int Left, int Right, class Use>
SEQC_INLINE void tile_panels(const TileWork &work, int64_t from, int64_t height, const TilePiece *pieces,
                             int count, Use &&use, bool descending) {
  alignas(64) Array<Array<float, 32 * Most * 16>, 2> sums;
  int64_t depth = 0;
  for (int s = 0; s < count; ++s)
    depth += pieces[s].steps;
  const bool tiles = tiles_allowed();
  const int64_t parted = parts(height, 32), jobs = parts(work.blocks, work.wide) * parted;
  int64_t block = 0, row = 0, rows = 0, columns = 0; // of the job whose sums are ready
  for (int64_t job = 0; job <= jobs; ++job) {
    const bool last = job == jobs, idle = last || !tiles; // of tiles; the sums before are used all the same
    const int64_t at = last ? job - 1 : job, next = at % parted * 32;
    const int64_t panel = descending ? jobs / parted - 1 - at / parted : at / parted;
    const int64_t width = min(work.wide, work.blocks - panel * work.wide) * Gates;
    const bool low = height - next > 16;
    const int64_t beats = idle ? 1 : depth * parts(width, 2) * tile_beats(Left, Right);
    const float *const ready = sums[(job + 1) % 2];
    int64_t r = 0, due = 0;
    const auto beside = [&]() SEQC_INLINED { // some rows of the job before
      for (due += rows; due >= beats; due -= beats, ++r)
        for (int64_t u = 0; u < (Most == Gates ? 1 : columns / Gates); ++u) {
          Array<Vec<float>, Gates> own;
          SEQC_UNROLL
          for (int g = 0; g < Gates; ++g)
            own[g] = load(ready + (r * (Most == Gates ? Gates : columns) + u * Gates + g) * 16);
          use(row + r, block + u, own);
        }
    };
    SEQC_TILE_FENCE;
    for (int begin = 0, end = 0; begin < (idle ? 1 : count); begin = end) {
      end = group_end(pieces, begin, count);
      for (int64_t vector = 0; vector < (idle ? 1 : width); vector += 2)
        tile_square<Left, Right>(work, pieces, begin, end, next, panel * work.wide * Gates + vector, low,
                                 vector + 1 < width, sums[job % 2] + vector * 16, 16 * width, idle, beside);
    }
    block = panel * work.wide;
    row = from + next;
    rows = min(height - next, int64_t(32));
    columns = width;
    if (idle && !last)
      for (r = 0; r < rows; ++r)
        for (int64_t vector = 0; vector < width; ++vector)
          store(
              sums[job % 2] + (r * width + vector) * 16,
              sum_on_vectors<Left, Right>(work, pieces, count, next + r, panel * work.wide * Gates + vector));
  }
}

// A product with equations, in `rows` and `pieces` on the stack.
template <int Gates, int Most, int Left, int Right, class Use>
SEQC_INLINE void tile_product(const TileWork &work, int64_t begin, int64_t end, const LowSegment *segments,
                              int count, uint16_t *rows, TilePiece *pieces, Use &&use, bool descending) {
  static const TileShape shape; // in memory, all of it: GCC takes the instruction to read eight bytes
  const bool tiles = tiles_allowed();
  if (tiles)
    _tile_loadconfig(&shape);
  const int made = tile_pieces<Right>(work, segments, count, rows, pieces);
  for (int64_t from = begin; from < end; from += work.together) {
    const int64_t height = min(end - from, work.together);
    for (Parting<Left> parting = {work, pieces, made, from, height}; parting.block < height;)
      parting.step(32);
    SEQC_TILE_FENCE;
    tile_panels<Gates, Most, Left, Right>(work, from, height, pieces, made, use, descending);
  }
  if (tiles)
    _tile_release();
}

// tile_sums(…): a product of one gate without equations, of any size: tiles are stored where the results
// belong. While they multiply some rows, later ones are divided into parts.
template <int Left, int Right>
SEQC_KERNEL static void tile_sums(const TileWork &work, int64_t begin, int64_t end,
                                  const LowSegment *segments, int count, uint16_t *rows, TilePiece *pieces,
                                  int64_t units, float *out, int64_t stride, bool descending) {
  alignas(64) Array<float, 32 * 8 * 16> edge; // where results are not whole tiles
  static const TileShape shape;
  const bool tiles = tiles_allowed();
  if (tiles)
    _tile_loadconfig(&shape);
  const int made = tile_pieces<Right>(work, segments, count, rows, pieces);
  const int64_t panels = parts(work.blocks, work.wide);
  for (int64_t from = begin; from < end; from += work.together) {
    const int64_t height = min(end - from, work.together);
    Parting<Left> parting = {work, pieces, made, from, height};
    for (int64_t i = 0; i < panels; ++i) {
      const int64_t panel = descending ? panels - 1 - i : i, unit = panel * work.wide * 16;
      const int64_t width = min(work.wide, work.blocks - panel * work.wide), pairs = parts(width, 2);
      for (int64_t next = 0; next < height; next += 32) {
        const int64_t valid = min(height - next, int64_t(32)), columns = min(width * 16, units - unit);
        const bool direct = tiles && valid % 16 == 0 && columns == width * 16, low = valid > 16;
        float *const own = out + (from + next) * stride + unit, *const to = direct ? own : edge;
        const int64_t line = direct ? stride : 16 * width;
        for (int first = 0, last = 0; first < made; first = last) {
          last = group_end(pieces, first, made);
          while (!parting.has(next, last - 1))
            parting.step(32);
          int64_t beats = 0, due = 0;
          for (int s = first; s < last; ++s)
            beats += pieces[s].steps * pairs * tile_beats(Left, Right);
          const auto beside = [&]() SEQC_INLINED {
            if (parting.block < height)
              for (due += 8 * (last - first); due >= beats; due -= beats)
                if (parting.block < height)
                  parting.step(4);
          };
          SEQC_TILE_FENCE;
          for (int64_t vector = 0; tiles && vector < width; vector += 2)
            tile_square<Left, Right>(work, pieces, first, last, next, panel * work.wide + vector, low,
                                     vector + 1 < width, to + vector * 16, line, false, beside);
          SEQC_TILE_FENCE;
        }
        for (int64_t r = 0; !tiles && r < valid; ++r)
          for (int64_t vector = 0; vector < width; ++vector)
            store(edge + (r * width + vector) * 16,
                  sum_on_vectors<Left, Right>(work, pieces, made, next + r, panel * work.wide + vector));
        for (int64_t r = 0; !direct && r < valid; ++r)
          __builtin_memcpy(own + r * stride, edge + r * line, static_cast<size_t>(columns) * sizeof(float));
      }
    }
  }
  if (tiles)
    _tile_release();
}

#endif

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end,
                              const PairSegment<Depth, Blocks, Left, Right> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES
  constexpr TileWork work = tile_work(Units, Gates, Depth, Blocks, Left, Right);
  alignas(64) uint16_t rows[static_cast<size_t>(Left * work.plane)];
  TilePiece pieces[static_cast<size_t>(work.pieces)];
  const auto use = [&](int64_t row, int64_t block, Vec<float> *sums)
                       SEQC_INLINED { finish<float, Gates, Units>(row, block, 1, sums, epilogue); };
  tile_product<Gates, static_cast<int>(work.wide) * Gates, Left, Right>(work, begin, end, segments, count,
                                                                        rows, pieces, use, descending);
#else
  pair_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
#endif
}

// product_segments<float, N> of gemm.hpp: without equations one function serves all sizes.
template <class R, int64_t N, bool MayBeDeep = false, int64_t Depth, int Blocks, int Left, int Right>
SEQC_INLINE void product_segments(int64_t begin, int64_t end,
                                  const PairSegment<Depth, Blocks, Left, Right> *segments, int count, R *C,
                                  int64_t ldc, bool descending = false) {
#if SEQC_TILES
  constexpr TileWork work = tile_work(N, 1, Depth, 1, Left, Right);
  alignas(64) uint16_t rows[static_cast<size_t>(Left * work.plane)];
  TilePiece pieces[static_cast<size_t>(work.pieces)];
  tile_sums<Left, Right>(work, begin, end, segments, count, rows, pieces, N, C, ldc, descending);
#else
  const auto put = [&](int64_t row, int64_t unit, auto which, const Vec<float> *sums) {
    store(C + row * ldc + unit, *sums, which);
  };
  pair_product<1, N>(begin, end, segments, count, put, descending);
#endif
}

// product_gates<float, Gates, Units> of blocks.hpp, column by column as they are packed, so that what two of
// them need stays near while all rows pass.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, int Left, int Right>
SEQC_INLINE void product_gates(int64_t begin, int64_t end,
                               const PairSegment<Depth, Blocks, Left, Right> *segments, int count, R *out,
                               int64_t stride, bool descending = false) {
  product_segments<R, blocks<float>(Units) * lanes<float> * Gates>(begin, end, segments, count, out, stride,
                                                                   descending);
}

} // namespace seqc
