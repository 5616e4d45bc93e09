// Flushes subnormal numbers to zero while it lives, and restores the caller's mode in the end: tails that die
// away would otherwise slow a step down many times over. So that a caller of any mode gets the same numbers,
// they are rounded to the nearest, and nothing traps: vectors compute on both sides of a condition, and in
// lanes that nobody reads. Does nothing where the machine has no such mode.
#pragma once

#include <stdint.h>

namespace seqc {

class FlushToZero {
#if defined(__SSE__)
  static constexpr unsigned kept = 0x003fu;   // what has happened so far
  static constexpr unsigned wanted = 0x9fc0u; // results to zero, operands as zero, no traps
  unsigned saved;
  bool other() const { return (saved & ~kept) != wanted; } // to change nothing is quicker

public:
  FlushToZero() : saved(__builtin_ia32_stmxcsr()) {
    if (other())
      __builtin_ia32_ldmxcsr((saved & kept) | wanted);
  }
  ~FlushToZero() {
    if (other())
      __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & kept) | (saved & ~kept));
  }
#elif defined(__aarch64__)
  static constexpr uint64_t flush = uint64_t(1) << 24, rounding = uint64_t(3) << 22, traps = 0x9f00;
  uint64_t saved;

public:
  FlushToZero() : saved(0) {
    asm volatile("mrs %0, fpcr" : "=r"(saved));
    asm volatile("msr fpcr, %0" ::"r"((saved & ~(rounding | traps)) | flush) : "memory");
  }
  ~FlushToZero() { asm volatile("msr fpcr, %0" ::"r"(saved) : "memory"); }
#else
public:
  FlushToZero() {}
  ~FlushToZero() {}
#endif
  FlushToZero(const FlushToZero &) = delete;
  FlushToZero &operator=(const FlushToZero &) = delete;
};

} // namespace seqc
