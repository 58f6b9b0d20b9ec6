// Runs tiled kernels on the host, by number. `kernels.h`, which the test writes, defines KERNEL, TILE
// and SOURCE, and includes one_kernel.h, for each of them.
#include <cuda_fp16.h>
#include <problem.h>

#include <map>

struct Kernel {
  unsigned params_bytes, shared_bytes, threads;
  void (*make_params)(Problem*, Launch*, Problem const*, int);
  void (*run)(Problem);
};

static std::map<int, Kernel>& kernels() {
  static std::map<int, Kernel> all;
  return all;
}

struct Entry {
  Entry(int number, Kernel const& kernel) { kernels()[number] = kernel; }
};

#include <kernels.h>

extern "C" void constants(int number, unsigned* values) {
  Kernel const& kernel = kernels().at(number);
  values[0] = kernel.params_bytes;
  values[1] = kernel.shared_bytes;
  values[2] = kernel.threads;
}

extern "C" char const* make_params(host_cuda::Setup const* setup, int number, Problem* params,
                                   Launch* launches, Problem const* problems, int count) {
  Kernel const& kernel = kernels().at(number);
  return host_cuda::launch(*setup, [&] { kernel.make_params(params, launches, problems, count); });
}

// Runs one GEMM as the host of a GPU does. Grid and block of `setup` are not used.
extern "C" char const* run_gemm(host_cuda::Setup const* setup, int number, Problem const* problem) {
  Kernel const& kernel = kernels().at(number);
  Problem params;
  Launch launch;
  host_cuda::Setup one = *setup;
  one.grid = one.block = {};
  auto const make = [&] { kernel.make_params(&params, &launch, problem, 1); };
  if (char const* failure = host_cuda::launch(one, make); *failure) return failure;
  if (launch.shared_bytes || launch.workspace_bytes) return "memory that nobody gives";
  one.grid = {launch.grid[0], launch.grid[1], launch.grid[2]};
  one.block = {launch.block[0], launch.block[1], launch.block[2]};
  if (one.block.size() != kernel.threads) return "gemm_threads is not the block's size";
  return host_cuda::launch(one, [&] { kernel.run(params); });
}
