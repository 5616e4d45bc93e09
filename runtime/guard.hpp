// Flushes subnormal numbers to zero while it lives, and restores the caller's mode in the end: tails that die
// away would otherwise slow a step down many times over. Does nothing where the machine has no such mode.
#pragma once

#include <stdint.h>

namespace seqc {

class FlushToZero {
#if defined(__SSE__)
  unsigned saved;

public:
  FlushToZero() : saved(__builtin_ia32_stmxcsr()) {
    if ((saved & 0x8040u) != 0x8040u)          // to change nothing is quicker
      __builtin_ia32_ldmxcsr(saved | 0x8040u); // results to zero, operands as zero
  }
  ~FlushToZero() {
    if ((saved & 0x8040u) != 0x8040u)
      __builtin_ia32_ldmxcsr((__builtin_ia32_stmxcsr() & ~0x8040u) | (saved & 0x8040u));
  }
#elif defined(__aarch64__)
  uint64_t saved;

public:
  FlushToZero() : saved(0) {
    asm volatile("mrs %0, fpcr" : "=r"(saved));
    asm volatile("msr fpcr, %0" ::"r"(saved | (uint64_t(1) << 24)) : "memory");
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
