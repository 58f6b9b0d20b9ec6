// A GEMM that asks for what few kernels do: a cluster, much dynamic shared memory, a TMA descriptor
// of A, and a workspace that is zero when it starts, which it leaves otherwise. Where it finds
// something else, it writes nothing, and the result stays NaN. Odd values of k are more than it
// can do; for 10 it asks for a grid beyond CUDA's limits.
#include "problem.h"

#include "hosted.h"

// What a block shares must have a beginning.
__shared__ __attribute__((used)) int nothing;

// As cuda/tma_record.h has it, which needs CUTLASS.
struct alignas(64) Record {
  unsigned long long mark, address, extents[5], strides_bytes[4];
  unsigned short box[5];
  unsigned char modes, bits, element, swizzle, swizzle_base;
};
static_assert(sizeof(Record) == 128, "a record takes the place of a descriptor");

struct Params {
  Problem problem;
  Record a;
  float filler[7];
};

static bool is_encoded(Params const& params) {
  auto const* words = reinterpret_cast<unsigned long long const*>(&params.a);
  unsigned long long const wanted[] = {'E', 7, reinterpret_cast<unsigned long long>(params.problem.a),
                                       8, 16, 32, 4, 2, 3, 2};
  for (int i = 0; i < 10; ++i)
    // The tensor is small, so a bit of the second word is cleared.
    if (words[i] != (i == 1 ? wanted[i] & ~(1ull << 21) : wanted[i])) return false;
  return true;
}

extern "C" const unsigned gemm_params_bytes = sizeof(Params);
extern "C" const unsigned gemm_shared_bytes = 100 * 1024;
extern "C" const unsigned gemm_threads = 32;

extern "C" void gemm_make_params(Params* params, Launch* launches, Problem const* problems, int count) {
  int const i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= count) return;
  params[i].problem = problems[i];
  params[i].a = {0x31434552414d5400ull, reinterpret_cast<unsigned long long>(problems[i].a), {8, 16},
                 {32}, {4, 2}, 2, 32, 2, 3, 0};
  unsigned const blocks = problems[i].k % 2 ? 0 : 2;
  unsigned const lines = problems[i].k == 10 ? 65536 : 1;
  launches[i] = {{blocks, lines, 1}, {gemm_threads, 1, 1}, {2, 1, 1}, gemm_shared_bytes, 1000};
}

extern "C" void gemm_run(Params params) {
  Problem const& p = params.problem;
  auto* flag = static_cast<int*>(p.workspace);
  if (blockIdx.x || threadIdx.x) return;
  if (*flag || !is_encoded(params)) return;
  *flag = 1;
  auto const* a = static_cast<float const*>(p.a);
  auto const* b = static_cast<float const*>(p.b);
  auto* d = static_cast<float*>(p.d);
  for (int row = 0; row < p.m; ++row)
    for (int column = 0; column < p.n; ++column) {
      double sum = 0;
      for (int k = 0; k < p.k; ++k) {
        float const left = p.a_is_row_major ? a[row * p.lda + k] : a[k * p.lda + row];
        float const right = p.b_is_row_major ? b[k * p.ldb + column] : b[column * p.ldb + k];
        sum += double(left) * right;
      }
      d[row * p.ldd + column] = float(p.alpha * sum);
    }
}

LOADABLE(gemm_make_params)
LOADABLE(gemm_run)
