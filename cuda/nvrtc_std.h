// Names of namespace std that the headers of CUTLASS 3.x use, and for which NVRTC has no header.
#pragma once

#include <cuda/std/__algorithm/max.h>
#include <cuda/std/__algorithm/min.h>
#include <cuda/std/type_traits>
#include <cuda/std/utility>

namespace std {

using cuda::std::is_const_v;
using cuda::std::is_pointer_v;
using cuda::std::max;
using cuda::std::min;
using cuda::std::void_t;

}  // namespace std
