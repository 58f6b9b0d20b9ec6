// Runs the tiled kernel of any side on the host. `sides.h`, which the test writes, defines TILE and
// includes one_side.h for each side.
#include <cuda_fp16.h>
#include <problem.h>

#include <map>

struct Sided {
  unsigned params_bytes, shared_bytes, threads;
  void (*make_params)(Problem*, Launch*, Problem const*, int);
  void (*run)(Problem);
};

static std::map<int, Sided>& sided() {
  static std::map<int, Sided> all;
  return all;
}

struct Entry {
  Entry(int side, Sided const& kernel) { sided()[side] = kernel; }
};

#include <sides.h>

extern "C" void constants(int side, unsigned* values) {
  Sided const& kernel = sided().at(side);
  values[0] = kernel.params_bytes;
  values[1] = kernel.shared_bytes;
  values[2] = kernel.threads;
}

extern "C" char const* make_params(host_cuda::Setup const* setup, int side, Problem* params,
                                   Launch* launches, Problem const* problems, int count) {
  Sided const& kernel = sided().at(side);
  return host_cuda::launch(*setup, [&] { kernel.make_params(params, launches, problems, count); });
}

// Runs one GEMM as the host of a GPU does. Grid and block of `setup` are not used.
extern "C" char const* run_gemm(host_cuda::Setup const* setup, int side, Problem const* problem) {
  Sided const& kernel = sided().at(side);
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
