// Stands for cuda/special_registers.h.
#pragma once

inline unsigned long long global_timer_ns() {
  double const tick_ns = host_cuda::clocks.tick_ns;
  return floor(host_cuda::time_of_reading() / tick_ns) * tick_ns;
}

inline unsigned sm_number() { return host_cuda::sm_of_block(); }
