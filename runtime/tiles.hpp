// Products on matrix tiles of 16 rows: weights in pairs, as pairs.hpp packs them, are tiles as they lie; rows
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

#include "tile_work.hpp"

namespace seqc {

#if SEQC_TILES

// sum_on_vectors<Left, Right>(work, pieces, count, row, column, sum): what tiles would add to a sum, where
// the system refuses them.
template <int Left, int Right>
SEQC_KERNEL static Vec<float> sum_on_vectors(const TileWork &work, const TilePiece *pieces, int count,
                                             int64_t row, int64_t column, Vec<float> sum) {
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
// stands at `to`, `line` values from row to row, or put there.
template <int Left, int Right, class Beside>
SEQC_INLINE void tile_square(const TileWork &work, const TilePiece *pieces, int begin, int end, int64_t row,
                             int64_t column, bool low, bool right, float *to, int64_t line, bool add,
                             bool idle, Beside &&beside) {
  if (!idle && !add)
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
                                 vector + 1 < width, sums[job % 2] + vector * 16, 16 * width, begin > 0, idle,
                                 beside);
    }
    block = panel * work.wide;
    row = from + next;
    rows = min(height - next, int64_t(32));
    columns = width;
    if (idle && !last)
      for (r = 0; r < rows; ++r)
        for (int64_t vector = 0; vector < width; ++vector)
          store(sums[job % 2] + (r * width + vector) * 16,
                sum_on_vectors<Left, Right>(work, pieces, count, next + r, panel * work.wide * Gates + vector,
                                            Vec<float>{}));
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

// The results of a product of one gate without equations: `units` wide, rows `stride` values apart.
struct TileOut {
  float *to;
  int64_t units, stride;
};

// One stretch of such a product for `height` rows from `from` on: tiles are stored where the results belong,
// or added to them. While they multiply some rows, later ones are divided into parts.
template <int Left, int Right>
SEQC_KERNEL static void tile_stretch(const TileWork &work, int64_t from, int64_t height,
                                     const TilePiece *pieces, int count, const TileOut &out, bool add,
                                     bool descending) {
  alignas(64) Array<float, 32 * 8 * 16> edge; // where results are not whole tiles
  const bool tiles = tiles_allowed();
  const int64_t panels = parts(work.blocks, work.wide);
  Parting<Left> parting = {work, pieces, count, from, height};
  for (int64_t i = 0; i < panels; ++i) {
    const int64_t panel = descending ? panels - 1 - i : i, unit = panel * work.wide * 16;
    const int64_t width = min(work.wide, work.blocks - panel * work.wide), pairs = parts(width, 2);
    for (int64_t next = 0; next < height; next += 32) {
      const int64_t valid = min(height - next, int64_t(32)), columns = min(width * 16, out.units - unit);
      const bool direct = tiles && valid % 16 == 0 && columns == width * 16, low = valid > 16;
      float *const own = out.to + (from + next) * out.stride + unit, *const to = direct ? own : edge;
      const int64_t line = direct ? out.stride : 16 * width;
      for (int64_t r = 0; !direct && add && r < valid; ++r)
        __builtin_memcpy(edge + r * line, own + r * out.stride, static_cast<size_t>(columns) * sizeof(float));
      for (int first = 0, last = 0; first < count; first = last) {
        last = group_end(pieces, first, count);
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
                                   vector + 1 < width, to + vector * 16, line, add || first > 0, false,
                                   beside);
        SEQC_TILE_FENCE;
      }
      for (int64_t r = 0; !tiles && r < valid; ++r)
        for (int64_t vector = 0; vector < width; ++vector) {
          float *const sum = edge + (r * width + vector) * 16;
          const Vec<float> before = add ? load(static_cast<const float *>(sum)) : Vec<float>{};
          store(sum, sum_on_vectors<Left, Right>(work, pieces, count, next + r, panel * work.wide + vector,
                                                 before));
        }
      for (int64_t r = 0; !direct && r < valid; ++r)
        __builtin_memcpy(own + r * out.stride, edge + r * line, static_cast<size_t>(columns) * sizeof(float));
    }
  }
}

// The whole of it, for products of all sizes.
template <int Left, int Right>
SEQC_KERNEL static void tile_sums(const TileWork &work, int64_t begin, int64_t end,
                                  const LowSegment *segments, int count, uint16_t *rows, TilePiece *pieces,
                                  const TileOut &out, bool descending) {
  static const TileShape shape;
  const bool tiles = tiles_allowed();
  if (tiles)
    _tile_loadconfig(&shape);
  const int made = tile_pieces<Right>(work, segments, count, rows, pieces);
  for (int first = 0, last = 0; first < made; first = last) {
    for (last = first + 1; last < made && !pieces[last].anew;)
      ++last;
    for (int64_t from = begin; from < end; from += work.together)
      tile_stretch<Left, Right>(work, from, min(end - from, work.together), pieces + first, last - first, out,
                                first > 0, descending);
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
  constexpr TileWork whole = tile_work(N, 1, Depth, 1, Left, Right), deep = stretched(whole, Depth, Left);
  constexpr bool too_deep = Depth * Left > 12288; // rows of the whole depth would not fit the stack
  alignas(64) uint16_t rows[static_cast<size_t>(Left * max(too_deep ? 0 : whole.plane, deep.plane))];
  TilePiece pieces[static_cast<size_t>(deep.pieces)];
  const TileWork &work = too_deep || end - begin > whole.together ? deep : whole;
  tile_sums<Left, Right>(work, begin, end, segments, count, rows, pieces, {C, N, ldc}, descending);
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
