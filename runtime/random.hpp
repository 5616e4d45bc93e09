// Random numbers that depend on nothing but who asks: a number is a function of seed, call, site, step, row
// and element, so that any order of work, any number of threads, and a second drawing in the backward pass
// agree.
//
// The generator is Philox 4x32 with ten rounds (Salmon et al., 2011), used twice. With s = seed, c = call:
//   key     = the first two words of philox(counter = (c low, c high, site, 0x73657163), key = (s low, s
//   high)) number  = word (element mod 4) of philox(counter = (element div 4, row, step low, step high), key)
// and of that word the upper 24 bits, over 2^24: a real in [0, 1), exact in single precision. `low` and
// `high` are the halves of 64 bits; element, row and site count modulo 2^32. seqc/ops/random.py says the same
// in numpy.
#pragma once

#include "lanes.hpp"

namespace seqc {

struct Words {
  uint32_t word[4];
};

// philox(counter, key0, key1): four words of 32 random bits.
SEQC_INLINE Words philox(Words counter, uint32_t key0, uint32_t key1) {
  uint32_t a = counter.word[0], b = counter.word[1], c = counter.word[2], d = counter.word[3];
  for (int round = 0; round < 10; ++round) {
    const uint64_t first = uint64_t(0xD2511F53u) * a, second = uint64_t(0xCD9E8D57u) * c;
    a = static_cast<uint32_t>(second >> 32) ^ b ^ key0;
    c = static_cast<uint32_t>(first >> 32) ^ d ^ key1;
    b = static_cast<uint32_t>(second);
    d = static_cast<uint32_t>(first);
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return {{a, b, c, d}};
}

SEQC_INLINE uint32_t low_word(uint64_t x) { return static_cast<uint32_t>(x); }
SEQC_INLINE uint32_t high_word(uint64_t x) { return static_cast<uint32_t>(x >> 32); }

// Where the draws of one place in the model come from: seed, call and site, mixed to a key.
struct Stream {
  uint32_t key0, key1;
};
SEQC_INLINE Stream stream(uint64_t seed, uint64_t call, int64_t site) {
  const Words counter = {{low_word(call), high_word(call), static_cast<uint32_t>(site), 0x73657163u}};
  const Words key = philox(counter, low_word(seed), high_word(seed));
  return {key.word[0], key.word[1]};
}

// Four neighbouring elements, 4 * quarter … 4 * quarter + 3, of one row and step.
SEQC_INLINE Words draw_four(Stream from, int64_t step, int64_t row, int64_t quarter) {
  const auto bits = static_cast<uint64_t>(step);
  return philox(
      {{static_cast<uint32_t>(quarter), static_cast<uint32_t>(row), low_word(bits), high_word(bits)}},
      from.key0, from.key1);
}

// unit_interval<R>(word): k / 2^24 of the upper 24 bits k.
template <class R> SEQC_INLINE R unit_interval(uint32_t word) {
  return static_cast<R>(static_cast<int32_t>(word >> 8)) * static_cast<R>(1.0 / 16777216.0);
}

// draw_one<R>(stream, step, row, element): a real in [0, 1).
template <class R> SEQC_INLINE R draw_one(Stream from, int64_t step, int64_t row, int64_t element) {
  return unit_interval<R>(draw_four(from, step, row, static_cast<uint32_t>(element) >> 2).word[element & 3]);
}

// Groups of four elements side by side, one in each lane of 64 bits, for vectors of eight reals and more.
template <int Groups> struct Side {
  typedef uint64_t type __attribute__((vector_size(8 * Groups)));
};
template <int Groups> using Abreast = typename Side<Groups>::type;

// The products of the low 32 bits of each lane with m.
template <int Groups> SEQC_INLINE Abreast<Groups> multiply(Abreast<Groups> a, uint32_t m) {
  const Abreast<Groups> factor = static_cast<uint64_t>(m) - Abreast<Groups>{};
#if defined(__AVX2__) && !defined(__clang__)
  if constexpr (Groups == 4) {
    typedef int32_t Halves __attribute__((vector_size(32)));
    return (Abreast<Groups>)__builtin_ia32_pmuludq256((Halves)a, (Halves)factor);
  }
#endif
#if defined(__SSE2__) && !defined(__clang__)
  if constexpr (Groups == 2) {
    typedef int32_t Halves __attribute__((vector_size(16)));
    return (Abreast<Groups>)__builtin_ia32_pmuludq128((Halves)a, (Halves)factor);
  }
#endif
  return (a & 0xffffffffu) * factor;
}

// The words of `Groups` groups from `quarter` on, in the order of their elements.
template <int Groups> struct Sequence {
  uint64_t pair[static_cast<size_t>(2 * Groups)];
};
template <int Groups>
SEQC_INLINE Sequence<Groups> draw_groups(Stream from, int64_t step, int64_t row, int64_t quarter) {
  typedef Abreast<Groups> Lanes;
  const auto bits = static_cast<uint64_t>(step);
  Lanes a = {}, b = static_cast<uint64_t>(static_cast<uint32_t>(row)) - Lanes{};
  Lanes c = (bits & 0xffffffffu) - Lanes{}, d = (bits >> 32) - Lanes{};
  for (int group = 0; group < Groups; ++group)
    a[group] = static_cast<uint32_t>(quarter + group);
  uint32_t key0 = from.key0, key1 = from.key1;
  for (int round = 0; round < 10; ++round) {
    // The upper halves of b and d hold rubbish from here on; multiply and the last line look at the lower.
    const Lanes first = multiply<Groups>(a, 0xD2511F53u), second = multiply<Groups>(c, 0xCD9E8D57u);
    a = (second >> 32) ^ b ^ static_cast<uint64_t>(key0);
    c = (first >> 32) ^ d ^ static_cast<uint64_t>(key1);
    b = second;
    d = first;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  const Lanes low = (a & 0xffffffffu) | (b << 32), high = (c & 0xffffffffu) | (d << 32);
  Sequence<Groups> words;
  for (int group = 0; group < Groups; ++group) {
    words.pair[2 * group] = low[group];
    words.pair[2 * group + 1] = high[group];
  }
  return words;
}

// draw_lanes<R>(stream, step, row, element): lane i is draw_one(stream, step, row, element + i).
template <class R> SEQC_INLINE Vec<R> draw_lanes(Stream from, int64_t step, int64_t row, int64_t element) {
  constexpr int count = lanes<R>;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
  if constexpr (count >= 8)
    if ((element & 3) == 0) {
      typedef uint32_t Bits __attribute__((vector_size(4 * count)));
      typedef int32_t Numbers __attribute__((vector_size(4 * count)));
      const auto words = draw_groups<count / 4>(from, step, row, static_cast<uint32_t>(element) >> 2);
      return __builtin_convertvector((Numbers)(bits_as<Bits>(words) >> 8), Vec<R>) *
             static_cast<R>(1.0 / 16777216.0);
    }
#endif
  R lane[static_cast<size_t>(count)];
  for (int i = 0; i < count; ++i)
    lane[i] = draw_one<R>(from, step, row, element + i);
  return load(static_cast<const R *>(lane));
}

// Who draws in a kernel: seed and call of the call, the step at which each row started (null: all at 0), the
// step at hand, and the number of row 0.
struct DrawKey {
  uint64_t seed, call;
  const int64_t *started;
  int64_t step, first_row;
};

// draw<R>(key, site, row, element): a real in [0, 1) for one element of a row, at the row's own step;
// with `which` for the lanes from `element` on.
template <class R> SEQC_INLINE R draw(const DrawKey &key, int64_t site, int64_t row, int64_t element) {
  const int64_t step = key.step + (key.started ? key.started[row] : 0);
  return draw_one<R>(stream(key.seed, key.call, site), step, key.first_row + row, element);
}
template <class R, class Which>
SEQC_INLINE Vec<R> draw(const DrawKey &key, int64_t site, int64_t row, int64_t element, Which) {
  const int64_t step = key.step + (key.started ? key.started[row] : 0);
  return draw_lanes<R>(stream(key.seed, key.call, site), step, key.first_row + row, element);
}

} // namespace seqc
