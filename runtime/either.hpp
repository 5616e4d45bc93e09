// Products in single precision whose weights lie ready for vectors and for matrix tiles: a few rows wait for
// their weights, of which panels of reals have fewer bytes; many are multiplied on tiles, if the system lets
// the process use them.
#pragma once

#include "rows.hpp"
#include "tiles.hpp"

namespace seqc {

// One term of a product in single precision whose weights are packed twice: as reals in panels, and in pairs
// of three parts behind those. `many`: the call has so many rows that tiles are quicker; a few wait for their
// weights, of which panels have fewer bytes.
template <int64_t Depth, int Blocks = 1> struct EitherSegment : LowSegment {
  bool many;
};

// reals_bytes(depth, units, gates): size of the panels in front of the pairs.
constexpr int64_t reals_bytes(int64_t depth, int64_t units, int gates) {
  return parts(packed_size<float>(depth, units, gates) * 4, 64) * 64;
}

// Calls on_tiles(terms) or on_vectors(terms).
template <int Gates, int64_t Units, int64_t Depth, int Blocks, class OnTiles, class OnVectors>
SEQC_INLINE void on_either(const EitherSegment<Depth, Blocks> *segments, int count, const Lot &lot,
                           OnTiles &&on_tiles, OnVectors &&on_vectors) {
#if SEQC_TILES
  typedef PairSegment<Depth, Blocks, 3> Pairs;
  if (segments[0].many && lot.members == 1 && tiles_allowed()) {
    Pairs pairs[8];
    for (int s = 0; s < count; ++s) {
      const EitherSegment<Depth, Blocks> &own = segments[s];
      const char *const packed = static_cast<const char *>(own.packed);
      pairs[s] = {{own.a, own.stride, packed + reals_bytes(own.depth, Units, Gates), own.depth}};
    }
    on_tiles(static_cast<const Pairs *>(pairs));
    return;
  }
#else
  (void)on_tiles;
  (void)lot;
#endif
  Segment<float> reals[8];
  for (int s = 0; s < count; ++s)
    reals[s] = {segments[s].a, segments[s].stride, static_cast<const float *>(segments[s].packed),
                segments[s].depth};
  on_vectors(static_cast<const Segment<float> *>(reals));
}

template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void product_with(int64_t begin, int64_t end, const EitherSegment<Depth, Blocks> *segments,
                              int count, Epilogue &&epilogue, bool descending = false,
                              const Lot &lot = {0, 0, 1}) {
  on_either<Gates, Units>(
      segments, count, lot,
      [&](const auto *terms)
          SEQC_INLINED { product_with<R, Gates, Units>(begin, end, terms, count, epilogue, descending); },
      [&](const auto *terms) SEQC_INLINED {
        product_with<R, Gates, Units, Depth>(begin, end, terms, count, epilogue, descending, lot);
      });
}

template <class R, int Gates, int64_t Units, int64_t Depth, int Blocks>
SEQC_INLINE void product_gates(int64_t begin, int64_t end, const EitherSegment<Depth, Blocks> *segments,
                               int count, R *out, int64_t stride, bool descending = false,
                               const Lot &lot = {0, 0, 1}) {
  on_either<Gates, Units>(
      segments, count, lot,
      [&](const auto *terms)
          SEQC_INLINED { product_gates<R, Gates, Units>(begin, end, terms, count, out, stride, descending); },
      [&](const auto *terms) SEQC_INLINED {
        product_gates<R, Gates, Units, Depth>(begin, end, terms, count, out, stride, descending, lot);
      });
}

// Parameters as those of gemm.hpp; nothing is added to results here, and there is no bias.
template <class R, int64_t N, bool MayBeDeep = false, int64_t Depth, int Blocks>
SEQC_INLINE void product_segments(int64_t begin, int64_t end, const EitherSegment<Depth, Blocks> *segments,
                                  int count, R *C, int64_t ldc, bool descending = false, bool = false,
                                  const R * = nullptr, const Lot &lot = {0, 0, 1}) {
  on_either<1, N>(
      segments, count, lot,
      [&](const auto *terms)
          SEQC_INLINED { product_segments<R, N>(begin, end, terms, count, C, ldc, descending); },
      [&](const auto *terms) SEQC_INLINED {
        product_segments<R, N, MayBeDeep, Depth>(begin, end, terms, count, C, ldc, descending, false,
                                                 static_cast<const R *>(nullptr), lot);
      });
}

// product_either_rows<float, Gates, Units, Depths…>(…): as product_with, where all sums of a row fit the
// registers: a few rows go as product_rows of rows.hpp has them.
template <class R, int Gates, int64_t Units, int64_t... Depths, int64_t Depth, int Blocks, class Epilogue>
SEQC_INLINE void product_either_rows(int64_t begin, int64_t end, const EitherSegment<Depth, Blocks> *segments,
                                     int count, Epilogue &&epilogue) {
  on_either<Gates, Units>(
      segments, count, {0, 0, 1},
      [&](const auto *terms)
          SEQC_INLINED { product_with<R, Gates, Units>(begin, end, terms, count, epilogue); },
      [&](const auto *terms)
          SEQC_INLINED { product_rows<R, Gates, Units, Depths...>(begin, end, terms, epilogue); });
}

} // namespace seqc
