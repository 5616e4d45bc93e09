// Products with weights of 8 bits on matrix tiles: sixteen groups of four weights of a vector column are a
// tile as int8.hpp packs them, and quantised rows are tiles of 16 rows. Sums of 2 x 2 tiles are under way at
// once.
//
// Sums are the same exact integers as on vectors, which products of few rows take, and all products where
// there are no tiles or the system refuses them: a row gives the same bits everywhere.
#pragma once

#include "int8.hpp"
#include "tile.hpp"

namespace seqc {

#if SEQC_TILES8

// tiles8_pay(rows, segments, count): whether tiles are quicker than vectors. A tile takes as long whether its
// groups and rows are there or not, and few rows wait for their weights, which vectors read faster.
template <int64_t Depth>
SEQC_INLINE bool tiles8_pay(int64_t rows, const Int8Segment<Depth> *segments, int count) {
  int64_t quads = 0, tiles = 0;
  for (int s = 0; s < count; ++s) {
    quads += parts(segments[s].depth, 4);
    tiles += parts(segments[s].depth, 64);
  }
  return quads > 9 * tiles && rows * quads >= 64 * (tiles + 1);
}

// tile8_rows_at_once(depth): how many rows are quantised before all panels pass over them: 32 KB of them.
constexpr int64_t tile8_rows_at_once(int64_t depth) {
  return depth <= 256 ? 128 : depth >= 1024 ? 32 : 32768 / depth / 32 * 32;
}

// quads_row(depth, from, to): a row as tiles want it: as quantise gives it, with the groups beyond whole
// tiles at the end of a tile of their own, behind zeros, for which it does not matter what lies in memory
// before the last groups of weights. Reads 64 bytes before `to`. Gives the scale.
SEQC_INLINE float quads_row(int64_t depth, const float *from, uint8_t *to) {
  const float scale = quantise(depth, from, to);
  const int64_t quads = parts(depth, 4), left = quads % 16;
  if (left > 0) {
    Ints<float> end;
    __builtin_memcpy(&end, to + 4 * quads - 64, sizeof end);
    end &= lane_numbers<float>() >= static_cast<int32_t>(16 - left);
    __builtin_memcpy(to + 4 * (quads - left), &end, sizeof end);
  }
  return scale;
}

// One term as tiles want it: rows, and the packed matrix, with its scales and corrections.
struct Tile8Term {
  const uint8_t *rows;
  const int8_t *packed;
  const float *scales;
  const int32_t *corrections;
  int64_t quads;
};

// One tile of k more: rows from a on, `stride` bytes apart, times 16 columns at b and, if `right`, the 16
// behind them, `line` bytes from group to group.
SEQC_INLINE void add_products8(const uint8_t *a, int64_t stride, const int8_t *b, int64_t line, bool low,
                               bool right) {
  _tile_loadd(4, a, stride);
  _tile_loadd(6, b, line);
  _tile_dpbusd(0, 4, 6);
  if (right) {
    _tile_loadd(7, b + 64, line);
    _tile_dpbusd(1, 4, 7);
  }
  if (low) {
    _tile_loadd(5, a + 16 * stride, stride);
    _tile_dpbusd(2, 5, 6);
    if (right)
      _tile_dpbusd(3, 5, 7);
  }
}

// One panel and up to 32 rows: its first vector column and how many it has, the first of the rows and how
// many.
struct Tile8Job {
  int64_t first, width, row, rows;
};

// All panels of `height` quantised rows, 32 rows at a time; `scales` are those of the rows, eight for each.
// While tiles make the sums of one of these jobs, the epilogue runs on those of the job before, some rows
// after each step of k.
template <int Gates, int64_t Units, class Epilogue>
SEQC_INLINE void tile8_panels(int64_t from, int64_t height, const Tile8Term *terms, int count, int64_t stride,
                              const float *scales, Epilogue &epilogue, bool descending) {
  constexpr int wide = low_blocks(Gates), most = wide * Gates, size = 32 * most * 16;
  constexpr int64_t panels = parts(blocks<float>(Units), wide);
  constexpr int64_t columns = vectors_of(Units, Gates) * lanes<float>;
  alignas(64) Array<int32_t, 8 * 2 * size> sums; // of each term, for this job and the one before
  alignas(64) Array<int8_t, 16 * most * 64> few; // a tile that would begin before its matrix
  int64_t steps = 0;
  for (int s = 0; s < count; ++s)
    steps += parts(terms[s].quads, 16);
  const int64_t parted = parts(height, 32), jobs = panels * parted;
  Tile8Job ready = {0, 0, 0, 0}; // that whose sums are ready
  for (int64_t job = 0; job <= jobs; ++job) {
    int64_t r = 0, due = 0;
    const auto finish_row = [&]() SEQC_INLINED {
      for (int64_t u = 0; u < (wide == 1 ? 1 : ready.width / Gates); ++u) {
        Array<Vec<float>, Gates> total = {};
        for (int s = 0; s < count; ++s) {
          const Vec<float> factor = broadcast(scales[8 * (ready.row + r) + s]);
          const int32_t *const from_row = sums + (2 * s + (job + 1) % 2) * size + r * ready.width * 16;
          SEQC_UNROLL
          for (int g = 0; g < Gates; ++g) {
            const int64_t at = (u * Gates + g) * 16, column = ready.first * 16 + at;
            Ints<float> sum, correction;
            __builtin_memcpy(&sum, from_row + at, sizeof sum);
            __builtin_memcpy(&correction, terms[s].corrections + column, sizeof correction);
            total[g] = fma(__builtin_convertvector(sum - correction, Vec<float>),
                           load(terms[s].scales + column) * factor, total[g]);
          }
        }
        finish<float, Gates, Units>(from + ready.row + r, ready.first / Gates + u, 1, total, epilogue);
      }
      ++r;
    };
    if (job == jobs) { // only the last sums are left to be used
      while (r < ready.rows)
        finish_row();
      break;
    }
    const int64_t panel = descending ? panels - 1 - job / parted : job / parted, row = job % parted * 32;
    const int64_t width = min(int64_t(wide), blocks<float>(Units) - panel * wide) * Gates;
    const Tile8Job own = {panel * most, width, row, min(height - row, int64_t(32))};
    const bool low = own.rows > 16;
    const int64_t line = width * 64, beats = steps * parts(width, 2);
    for (int s = 0; s < count; ++s) {
      const int64_t quads = terms[s].quads;
      const int64_t before = 8 * columns + own.first * quads * 64;
      const int8_t *const numbers = terms[s].packed + before, *last = few;
      if (before >= (16 - quads) * line) {
        last = numbers + (quads - 16) * line;
      } else {
        __builtin_memset(few, 0, static_cast<size_t>((16 - quads) * line));
        __builtin_memcpy(few + (16 - quads) * line, numbers, static_cast<size_t>(quads * line));
      }
      SEQC_TILE_FENCE;
      for (int64_t w = 0; w < width; w += 2) {
        const bool right = w + 1 < width;
        const uint8_t *a = terms[s].rows + row * stride;
        clear_sums();
        for (int64_t quad = 0; quad < quads; quad += 16, a += 64) {
          const int8_t *const b = quad + 16 <= quads ? numbers + quad * line : last;
          add_products8(a, stride, b + w * 64, line, low, right);
          for (due += ready.rows; due >= beats; due -= beats)
            finish_row();
        }
        store_sums(sums + (2 * s + job % 2) * size + w * 16, width * 16, low, right);
      }
      SEQC_TILE_FENCE;
    }
    ready = own;
  }
}

template <int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void tile8_product(int64_t begin, int64_t end, const Int8Segment<Depth> *segments, int count,
                               Epilogue &epilogue, bool descending) {
  constexpr int64_t together = tile8_rows_at_once(Depth), columns = vectors_of(Units, Gates) * lanes<float>;
  alignas(64) uint8_t numbers[static_cast<size_t>(64 + together * (Depth + 9 * 64))];
  Array<float, 8 * static_cast<int>(together)> scales;
  static const TileShape shape; // in memory, all of it: GCC takes the instruction to read eight bytes
  _tile_loadconfig(&shape);
  int64_t tiles = 0; // each term has whole ones
  for (int s = 0; s < count; ++s)
    tiles += parts(segments[s].depth, 64);
  const int64_t stride = (tiles | 1) * 64; // odd: rows are not pages apart
  for (int64_t from = begin; from < end; from += together) {
    const int64_t height = min(end - from, together), padded = parts(height, 16) * 16;
    Tile8Term terms[8];
    uint8_t *to = numbers + 64;
    for (int s = 0; s < count; ++s) {
      const int64_t depth = segments[s].depth, quads = parts(depth, 4), size = parts(quads, 16) * 64;
      for (int64_t r = 0; r < height; ++r)
        scales[8 * r + s] =
            quads_row(depth, segments[s].a + (from + r) * segments[s].stride, to + r * stride);
      for (int64_t r = height; r < padded; ++r)
        __builtin_memset(to + r * stride, 0, static_cast<size_t>(size));
      const float *const packed = static_cast<const float *>(segments[s].packed);
      const int32_t *const corrections = static_cast<const int32_t *>(segments[s].packed) + columns;
      terms[s] = {to, static_cast<const int8_t *>(segments[s].packed), packed, corrections, quads};
      to += size;
    }
    tile8_panels<Gates, Units>(from, height, terms, count, stride, scales, epilogue, descending);
  }
  _tile_release();
}

#endif

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms.
template <class R, int Gates, int64_t Units, int64_t Depth, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const Int8Segment<Depth> *segments, int count,
                              Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES8
  if (tiles8_pay(end - begin, segments, count) && tiles_allowed()) {
    tile8_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
    return;
  }
#endif
  int8_product<Gates, Units>(begin, end, segments, count, epilogue, descending);
}

} // namespace seqc
