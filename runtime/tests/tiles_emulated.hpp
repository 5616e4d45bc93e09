// The few functions of matrix tiles that the runtime calls, in plain C++: eight tiles of up to 16 rows of 64
// bytes, with the sums taken as the instructions take them, bfloat16 pair by pair.
#pragma once

#include <stdint.h>
#include <string.h>

#define SEQC_EMULATED __attribute__((noinline, unused)) static

namespace emulated {

struct Tile {
  unsigned char byte[16][64];
};
static Tile tiles[8];
static unsigned char rows[8];
static bool ready = false;
static bool refused = false; // as if the system did not let the process use tiles

static float widened(const unsigned char *two) {
  uint16_t half;
  memcpy(&half, two, 2);
  const uint32_t bits = static_cast<uint32_t>(half) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

} // namespace emulated

SEQC_EMULATED void _tile_loadconfig(const void *shape) {
  if (emulated::refused)
    __builtin_trap();
  const unsigned char *byte = static_cast<const unsigned char *>(shape);
  emulated::ready = byte[0] == 1 && byte[16] == 64 && byte[48] <= 16;
  memcpy(emulated::rows, byte + 48, 8);
  memset(emulated::tiles, 0, sizeof emulated::tiles);
}
SEQC_EMULATED void _tile_release() { emulated::ready = false; }
SEQC_EMULATED void _tile_zero(int tile) { memset(&emulated::tiles[tile], 0, sizeof(emulated::Tile)); }
SEQC_EMULATED void _tile_loadd(int tile, const void *from, int64_t stride) {
  memset(&emulated::tiles[tile], 0, sizeof(emulated::Tile));
  for (int row = 0; row < emulated::rows[tile]; ++row)
    memcpy(emulated::tiles[tile].byte[row], static_cast<const char *>(from) + row * stride, 64);
}
SEQC_EMULATED void _tile_stream_loadd(int tile, const void *from, int64_t stride) {
  _tile_loadd(tile, from, stride);
}
SEQC_EMULATED void _tile_stored(int tile, void *to, int64_t stride) {
  for (int row = 0; row < emulated::rows[tile]; ++row)
    memcpy(static_cast<char *>(to) + row * stride, emulated::tiles[tile].byte[row], 64);
}
SEQC_EMULATED void _tile_dpbf16ps(int sum, int left, int right) {
  if (!emulated::ready || emulated::rows[sum] != emulated::rows[left] || emulated::rows[right] != 16)
    __builtin_trap();
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      float even = 0.0f, odd = 0.0f, value;
      for (int k = 0; k < 16; ++k) {
        const unsigned char *a = emulated::tiles[left].byte[m] + 4 * k;
        const unsigned char *b = emulated::tiles[right].byte[k] + 4 * n;
        even += emulated::widened(a) * emulated::widened(b);
        odd += emulated::widened(a + 2) * emulated::widened(b + 2);
      }
      memcpy(&value, emulated::tiles[sum].byte[m] + 4 * n, 4);
      value += even + odd;
      memcpy(emulated::tiles[sum].byte[m] + 4 * n, &value, 4);
    }
}
SEQC_EMULATED void _tile_dpbusd(int sum, int left, int right) {
  if (!emulated::ready)
    __builtin_trap();
  for (int m = 0; m < 16; ++m)
    for (int n = 0; n < 16; ++n) {
      uint32_t value;
      memcpy(&value, emulated::tiles[sum].byte[m] + 4 * n, 4);
      for (int k = 0; k < 64; ++k) {
        const unsigned char weight = emulated::tiles[right].byte[k / 4][4 * n + k % 4];
        value += static_cast<uint32_t>(emulated::tiles[left].byte[m][k] * static_cast<int8_t>(weight));
      }
      memcpy(emulated::tiles[sum].byte[m] + 4 * n, &value, 4);
    }
}
