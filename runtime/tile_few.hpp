// Products of a few rows in single precision with weights of 16 bits, on matrix tiles: what a tile holds of
// rows are the three parts of each row, one below the other, and the sums of the parts are added up.
//
// A row alone waits for its weights; tiles take them as fast as they come, and need no widening.
#pragma once

#include "tiles.hpp"

namespace seqc {

// One term of a product of rows as they are with weights in pairs. `many`: the call has more rows than
// few_rows.
template <int64_t Depth, int Blocks = 1> struct ExactSegment : LowSegment {
  bool many;
};

// few_rows: whose parts fill a tile.
constexpr int64_t few_rows = 5;

#if SEQC_TILES

// One term as tiles want it: rows in parts, and pairs of weights, so many in depth, whole tiles of them.
struct TileTerm {
  const uint16_t *rows;
  const uint32_t *pairs;
  int64_t count;
};

// A job is `wide` blocks of units: the sums of four columns at once.
template <int Gates, int64_t Units, int64_t Depth, class S, class Epilogue>
SEQC_INLINE void tile_few(int64_t begin, int64_t end, const S *segments, int count, Epilogue &epilogue,
                          bool descending) {
  constexpr int64_t stride = Depth + 32; // 32: rows are not pages apart
  constexpr int wide = Gates >= 4 ? 1 : 4 / Gates, most = wide * Gates;
  constexpr int64_t panels = parts(blocks<float>(Units), wide);
  alignas(64) uint16_t rows[static_cast<size_t>(3 * few_rows * stride)];
  alignas(64) Array<Array<float, most * 256>, 2> sums;
  const int64_t height = end - begin;
  TileShape shape; // tiles 0 … 3: sums, 4: rows, others: weights
  for (int i = 0; i < 5; ++i)
    shape.rows[i] = static_cast<uint8_t>(3 * height);
  SEQC_TILE_FENCE;
  _tile_loadconfig(&shape);
  TileTerm terms[8];
  uint16_t *to = rows;
  for (int s = 0; s < count; ++s) {
    const int64_t depth = segments[s].depth, padded = parts(depth, 32) * 32;
    for (int64_t r = 0; r < height; ++r)
      part_row<3>(depth, segments[s].a + (begin + r) * segments[s].stride, to + 3 * r * stride, stride,
                  padded);
    terms[s] = {to, static_cast<const uint32_t *>(segments[s].packed), pair_count(depth)};
    to += padded;
  }
  int64_t unit = 0, ready = 0; // of the job whose sums are ready
  for (int64_t job = 0; job <= panels; ++job) {
    const bool idle = job == panels; // for the tiles: only the last sums are left to be used
    const int64_t panel = descending ? panels - 1 - job : job;
    const int64_t width = idle ? 1 : min(int64_t(wide), blocks<float>(Units) - panel * wide) * Gates;
    const auto use = [&]() SEQC_INLINED {
      const float *const from = sums[(job + 1) % 2];
      for (int64_t u = 0; u < ready; ++u)
        for (int64_t r = 0; r < height; ++r) {
          Array<Vec<float>, Gates> own;
          SEQC_UNROLL
          for (int g = 0; g < Gates; ++g) {
            const float *const part = from + (u * Gates + g) * 256 + 3 * r * 16;
            own[g] = load(part) + (load(part + 16) + load(part + 32));
          }
          finish<float, Gates, Units>(begin + r, unit + u, 1, own, epilogue);
        }
      ready = 0;
    };
    SEQC_TILE_FENCE;
    for (int64_t vector = 0; vector < (idle ? 0 : width); vector += 4) {
      clear_sums();
      for (int s = 0; s < count; ++s) {
        const int64_t apart = terms[s].count * 16, left = width - vector;
        const uint16_t *a = terms[s].rows;
        const uint32_t *b = terms[s].pairs + (panel * most + vector) * apart;
        for (int64_t k = 0; k < terms[s].count; k += 16, a += 32, b += 256) {
          _tile_loadd(4, a, 2 * stride);
          _tile_loadd(5, b, 64);
          _tile_dpbf16ps(0, 4, 5);
          if (left > 1) {
            _tile_loadd(6, b + apart, 64);
            _tile_dpbf16ps(1, 4, 6);
          }
          if (left > 2) {
            _tile_loadd(7, b + 2 * apart, 64);
            _tile_dpbf16ps(2, 4, 7);
          }
          if (left > 3) {
            _tile_loadd(5, b + 3 * apart, 64);
            _tile_dpbf16ps(3, 4, 5);
          }
        }
      }
      use(); // while the tiles are at work
      float *const own = sums[job % 2] + vector * 256;
      _tile_stored(0, own, 64);
      if (vector + 1 < width)
        _tile_stored(1, own + 256, 64);
      if (vector + 2 < width)
        _tile_stored(2, own + 512, 64);
      if (vector + 3 < width)
        _tile_stored(3, own + 768, 64);
    }
    if (idle)
      use();
    unit = panel * wide;
    ready = width / Gates;
  }
  _tile_release();
}

#endif

// product_with<float, Gates, Units>(begin, end, segments, count, epilogue, descending), as in gemm.hpp, for
// at most eight terms. A row has the same bits alone and among few, and the same among many.
template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const ExactSegment<Depth, Blocks> *segments,
                              int count, Epilogue &&epilogue, bool descending = false) {
#if SEQC_TILES
  if (!segments[0].many && tiles_allowed()) {
    tile_few<Gates, Units, Depth>(begin, end, segments, count, epilogue, descending);
    return;
  }
#endif
  typedef PairSegment<Depth, Blocks, 3, 1> Pairs;
  Pairs pairs[8] = {};
  for (int s = 0; s < count; ++s)
    pairs[s] = {{segments[s].a, segments[s].stride, segments[s].packed, segments[s].depth}};
  product_with<R, Gates, Units>(begin, end, static_cast<const Pairs *>(pairs), count, epilogue, descending);
}

template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks>
SEQC_INLINE void product_gates(int64_t begin, int64_t end, const ExactSegment<Depth, Blocks> *segments,
                               int count, R *out, int64_t stride, bool descending = false) {
  product_segments<R, blocks<float>(Units) * lanes<float> * Gates>(begin, end, segments, count, out, stride,
                                                                   descending);
}

} // namespace seqc
