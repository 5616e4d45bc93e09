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
#else
  return true;
#endif
}

// What was stored before is in memory before a tile is loaded: compilers do not know that tiles read memory.
#define SEQC_TILE_FENCE asm volatile("" ::: "memory")

#endif

} // namespace seqc
