// Makes a kernel that cuda_on_host.h has compiled loadable by the emulated driver.
#pragma once

#include <utility>

#include "host_kernel.h"

constexpr int ILLEGAL_ADDRESS = 700;

template <class Kernel>
struct Hosted;

template <class... Arguments>
struct Hosted<void(Arguments...)> {
  template <void (*kernel)(Arguments...)>
  static int run(void** arguments, unsigned const grid[3], unsigned const block[3], unsigned) {
    host_cuda::Setup setup;
    setup.grid = {grid[0], grid[1], grid[2]};
    setup.block = {block[0], block[1], block[2]};
    auto body = [=] { call<kernel>(arguments, std::index_sequence_for<Arguments...>()); };
    return *host_cuda::launch(setup, body) ? ILLEGAL_ADDRESS : 0;
  }

  template <void (*kernel)(Arguments...)>
  static HostKernel described() {
    return {run<kernel>, sizeof...(Arguments), {sizeof(Arguments)...}, {alignof(Arguments)...}};
  }

 private:
  template <void (*kernel)(Arguments...), size_t... i>
  static void call(void** arguments, std::index_sequence<i...>) {
    kernel(*static_cast<std::remove_cv_t<Arguments>*>(arguments[i])...);
  }
};

#define LOADABLE(kernel)                                                                 \
  extern "C" {                                                                           \
  HostKernel kernel##__host = Hosted<decltype(kernel)>::described<kernel>();             \
  }
