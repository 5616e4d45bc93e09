// The matrix tiles of a CPU (AMX): whether there are any, their shape, and the leave of the system.
#pragma once

#include "vector.hpp"

#if defined(SEQC_EMULATED_TILES) // the tests bring functions of their own
#define SEQC_TILES 1
#elif defined(__AMX_TILE__) && defined(__AMX_BF16__) && SEQC_VECTOR_BYTES == 64
#include <immintrin.h>
#define SEQC_TILES 1
#else
#define SEQC_TILES 0
#endif

// Tiles that multiply whole numbers of 8 bits, too.
#if SEQC_TILES && (defined(SEQC_EMULATED_TILES) || defined(__AMX_INT8__))
#define SEQC_TILES8 1
#else
#define SEQC_TILES8 0
#endif

namespace seqc {

#if SEQC_TILES

// Tiles 0 … 3 hold sums, 4 and 5 rows, 6 and 7 weights: 16 rows of 64 bytes each.
struct TileShape {
  uint8_t palette = 1, start = 0, nothing[14] = {};
  uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// tiles_allowed(): whether the system lets this process use tiles; it is asked once.
SEQC_INLINE bool tiles_allowed() {
#if defined(__linux__) && defined(__x86_64__) && !defined(SEQC_EMULATED_TILES)
  static int known = 0; // 0: not asked yet, 1: yes, 2: no; every thread finds the same
  int answer = __atomic_load_n(&known, __ATOMIC_RELAXED);
  if (answer == 0) {
    int64_t result = 158; // arch_prctl(ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA)
    asm volatile("syscall" : "+a"(result) : "D"(int64_t{0x1023}), "S"(int64_t{18}) : "rcx", "r11", "memory");
    answer = result == 0 ? 1 : 2;
    __atomic_store_n(&known, answer, __ATOMIC_RELAXED);
  }
  return answer == 1;
#elif defined(SEQC_EMULATED_TILES)
  return !emulated::refused;
#else
  return true;
#endif
}

// What was stored before is in memory before a tile is loaded: compilers do not know that tiles read memory.
#define SEQC_TILE_FENCE asm volatile("" ::: "memory")

// Two by two sums in tiles 0 … 3: of 16 rows, or 32 (low), and 16 columns, or 32 (right).
SEQC_INLINE void clear_sums() {
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
}

// store_sums(to, stride, low, right): the sums, `stride` values from row to row.
template <class Word> SEQC_INLINE void store_sums(Word *to, int64_t stride, bool low, bool right) {
  _tile_stored(0, to, stride * 4);
  if (right)
    _tile_stored(1, to + 16, stride * 4);
  if (low) {
    _tile_stored(2, to + 16 * stride, stride * 4);
    if (right)
      _tile_stored(3, to + 16 * stride + 16, stride * 4);
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

#endif

} // namespace seqc
