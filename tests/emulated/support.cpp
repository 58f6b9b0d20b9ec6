// The support kernels, loadable. Every reading of a clock takes long, so that a load ends soon.
#include <support.cu>

#include "hosted.h"

LOADABLE(fill_normal)
LOADABLE(fill_nan)
LOADABLE(count_non_finite)
LOADABLE(reference_entries)
LOADABLE(stamp_clock)
LOADABLE(spin_gemm)
LOADABLE(do_nothing)

static bool const is_slow = [] {
  host_cuda::clocks.read_ns = 20000;
  host_cuda::clocks.n_sms = 4;
  return true;
}();
