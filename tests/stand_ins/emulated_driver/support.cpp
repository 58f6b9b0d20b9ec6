// The support kernels, loadable: the fills and the count as they are. Stand-ins take the places of
// those that wait at barriers or keep time; tests/builder/device/cuda/test_device_code.py runs the
// real ones.
#include <support.cu>

#include <time.h>

#include "hosted.h"

LOADABLE(fill_normal)
LOADABLE(fill_nan)
LOADABLE(count_non_finite)
LOADABLE(do_nothing)

// The parts of a block's threads are added up without barriers.
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

static unsigned long long steady_ns() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000000000ull + now.tv_nsec;
}

// Every SM runs at 1.5 GHz.
static int stamp(void** arguments, unsigned const grid[3], unsigned const[3], unsigned) {
  auto* stamps = *static_cast<Stamp**>(arguments[0]);
  for (unsigned i = 0; i < grid[0]; ++i) {
    unsigned long long const now = steady_ns();
    stamps[i] = {static_cast<long long>(now + now / 2), now, i, 0};
  }
  return 0;
}

static int spin(void** arguments, unsigned const[3], unsigned const[3], unsigned) {
  unsigned long long const duration_ns = *static_cast<unsigned long long*>(arguments[3]);
  timespec const rest = {static_cast<time_t>(duration_ns / 1000000000),
                         static_cast<long>(duration_ns % 1000000000)};
  nanosleep(&rest, nullptr);
  return 0;
}

extern "C" {
HostKernel reference_entries__host = {add_references,
                                      11,
                                      {sizeof(Problem), 4, 4, 4, 4, 4, 8, 8, 4, 8, 8},
                                      {8, 4, 4, 4, 4, 4, 8, 8, 4, 8, 8}};
HostKernel stamp_clock__host = {stamp, 1, {8}, {8}};
HostKernel spin_gemm__host = {spin, 4, {8, 8, 8, 8}, {8, 8, 8, 8}};
}
