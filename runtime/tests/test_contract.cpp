// Contractions against loops: tiles of columns and of sums along both operands, of sizes round those of
// vectors.
#include "check.hpp"
#include "naive.hpp"

#include "../contract.hpp"

using seqc::lanes;

// out[n, m] or out[m, n] = sum over `cells` of left[cell, m, k] right[cell, k, n] or right[cell, n, k], by
// tiles of all kinds; of no cells it is 0.
template <class R, int64_t M, int64_t N, int64_t K, bool Along, bool Turned>
static void check_contraction(int64_t cells) {
  Data<R> left(cells * M * K, 3), right(cells * K * N, 5), out(M * N, 7), other(M * N, 9);
  const seqc::Loop one[] = {{1, 0, 0, 0}}, sums[] = {{cells, M * K, K * N, 0}};
  const seqc::Innermost<M, N, K, K, 1, Along ? K : 1, Along ? 1 : N, Turned ? 1 : N, Turned ? M : 1>
      innermost;
  seqc::contract(one, 1, sums, 1, left + 0, right + 0, out + 0, innermost);
  seqc::contract(one, 1, sums, 1, left + 0, right + 0, other + 0, innermost);
  for (int64_t m = 0; m < M; ++m)
    for (int64_t n = 0; n < N; ++n) {
      double value = 0.0, size = 0.0;
      for (int64_t cell = 0; cell < cells; ++cell) {
        const R *const along = right + cell * K * N + n * (Along ? K : 1);
        const naive::Sum sum = naive::dot<R>(K, left + (cell * M + m) * K, 1, along, Along ? 1 : N);
        value += sum.value;
        size += sum.size;
      }
      const int64_t at = Turned ? n * M + m : m * N + n;
      CHECK(close<R>(static_cast<double>(out[at]), value, size, 32) && out[at] == other[at],
            "contraction %ld x %ld x %ld of %ld cells", long(M), long(N), long(K), long(cells));
    }
}

template <class R> static void check_contractions() {
  for (const int64_t cells : {0, 1, 3}) {
    check_contraction<R, 1, 33, 17, false, false>(cells);
    check_contraction<R, 5, 2 * lanes<R> + 1, 3, false, false>(cells);
    check_contraction<R, 7, 6 * lanes<R>, 1, false, false>(cells);
    check_contraction<R, 3, 11, 4, false, true>(cells);
    check_contraction<R, 1, 2 * lanes<R> + 3, 19, true, false>(cells);
    check_contraction<R, 3, lanes<R>, 2 * lanes<R>, true, false>(cells);
  }
}

int main() {
  check_contractions<float>();
  check_contractions<double>();
  return finish_tests("contract");
}
