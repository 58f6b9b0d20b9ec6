// Stands in for CUTLASS's header of this name, which asks the CUDA runtime when there is a host.
//
// CUTLASS 3.x computes a kernel's parameters from this structure. The caller sets sm_count, so
// that nothing is ever asked; under NVRTC the function to ask with is missing, but is named.
#pragma once

#include <cutlass/device_kernel.h>

namespace cutlass {

struct KernelHardwareInfo {
  int device_id = 0;
  int sm_count = 0;
  int max_active_clusters = 0;  // 0: estimated from sm_count
  dim3 cluster_shape = {0, 0, 0};
  dim3 cluster_shape_fallback = {0, 0, 0};

  static int query_device_multiprocessor_count(int = 0) { return 0; }
};

}  // namespace cutlass
