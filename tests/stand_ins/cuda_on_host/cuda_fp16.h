// Stands for CUDA's header: what tiled_gemm.cu uses of `half`.
#pragma once

#include "element.h"

struct half {
  unsigned short bits;

  half() = default;
  half(float value)
      : bits(fabsf(value) < 65520.0f ? element::bits_of(value, element::F16)
                                     : (value < 0 ? 0xfc00 : value > 0 ? 0x7c00 : 0x7fff)) {}
  operator float() const { return element::value_of(bits, element::F16); }
};
