// The support kernels, loadable. Every reading of a clock takes long, so that a load ends soon.
#include <support.cu>

#include "hosted.h"

LOADABLE(fill_normal)
LOADABLE(fill_nan)
LOADABLE(count_non_finite)
LOADABLE(stamp_clock)
LOADABLE(spin_gemm)
LOADABLE(do_nothing)

// The kernel has a test of its own. Here its barriers would take most of the time, so the parts of
// its threads are added up without any.
static int add_references(void** arguments, unsigned const[3], unsigned const[3], unsigned) {
  auto const number = [=](int i) { return *static_cast<int*>(arguments[i]); };
  auto const rows = *static_cast<long long const**>(arguments[6]);
  auto const columns = *static_cast<long long const**>(arguments[7]);
  auto const got = *static_cast<double**>(arguments[9]);
  auto const wanted = *static_cast<double**>(arguments[10]);
  Problem const& problem = *static_cast<Problem*>(arguments[0]);
  long long const gemm = number(5);
  for (int i = 0; i < number(8); ++i) {
    double sum = 0;
    for (unsigned thread = 0; thread < REFERENCE_THREADS; ++thread) {
      host_cuda::thread_index.x = thread;
      sum += part_of_product(problem, number(1), number(2), gemm, rows[i], columns[i]);
    }
    double result = problem.alpha * sum;
    if (problem.beta != 0) {
      long long const at = gemm * problem.stride_c + rows[i] * problem.ldc + columns[i];
      result += problem.beta * element::read(problem.c, at, number(3));
    }
    long long const at = gemm * problem.stride_d + rows[i] * problem.ldd + columns[i];
    wanted[i] = element::limited(result, number(4));
    got[i] = element::read(problem.d, at, number(4));
  }
  return 0;
}

extern "C" {
HostKernel reference_entries__host = {
    add_references, 11, {sizeof(Problem), 4, 4, 4, 4, 4, 8, 8, 4, 8, 8}, {8, 4, 4, 4, 4, 4, 8, 8, 4, 8, 8}};
}

static bool const is_slow = [] {
  host_cuda::clocks.read_ns = 1e6;
  host_cuda::clocks.n_sms = 4;
  return true;
}();
