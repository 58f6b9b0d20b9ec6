// Writes records of TMA descriptors (tma_record.h) into the parameters of CUTLASS 3.x.
#pragma once

#include <cute/tensor.hpp>

#include "tma_record.h"

template <class T>
constexpr TmaElement tma_element() {
  if (cute::is_same_v<T, cutlass::tfloat32_t>) return TmaElement::TFLOAT;
  if (cute::is_same_v<T, cutlass::bfloat16_t>) return TmaElement::BFLOAT;
  if (cute::is_same_v<T, double> || cute::is_same_v<T, float> ||
      cute::is_same_v<T, cutlass::half_t>) {
    return TmaElement::FLOAT;
  }
  return cute::is_same_v<T, int> || cute::is_same_v<T, long long> ? TmaElement::SIGNED
                                                                  : TmaElement::UNSIGNED;
}

// Leave a record in `copy`, a TiledCopy of the parameters that was made for the tensor of this
// shape and stride at `address`. `n_parts`: blocks of a cluster that load a box together.
// Follows cute::detail::make_tma_copy_desc (cute/atom/copy_traits_sm90_tma.hpp).
template <class Copy, class Shape, class Stride>
CUTE_HOST_DEVICE void record_tma(Copy& copy, void const* address, Shape const& shape,
                                 Stride const& stride, unsigned n_parts) {
  using Element = typename Copy::ValType;
  using Aux = typename Copy::AuxParams;
  using Swizzle = typename Aux::TmaSwizzle;
  using Modes = typename Aux::TmaGmemBasis;
  constexpr int modes = decltype(cute::rank(Modes{}))::value;
  constexpr int bits = cute::sizeof_bits_v<Element>;

  auto const tensor =
      cute::make_tensor(static_cast<Element const*>(address), cute::make_layout(shape, stride));
  cute::array<uint64_t, TMA_MOST_MODES> extents = {1, 1, 1, 1, 1};
  cute::array<uint64_t, TMA_MOST_MODES> strides = {0, 0, 0, 0, 0};
  cute::detail::fill_tma_gmem_shape_stride(tensor, cute::stride(Modes{}), extents, strides);

  unsigned box[TMA_MOST_MODES] = {1, 1, 1, 1, 1};
  cute::for_each(cute::make_seq<modes>{}, [&](auto i) { box[i] = cute::size<i>(Modes{}); });
  // Each block loads a part of the box: the last mode is cut first.
  for (int i = modes - 1; n_parts > 1; --i) {
    unsigned const whole = box[i];
    box[i] = cute::ceil_div(whole, n_parts);
    n_parts = cute::ceil_div(n_parts, whole);
  }

  TmaRecord record{};
  record.mark = TMA_RECORD_MARK;
  record.address = reinterpret_cast<unsigned long long>(address);
  for (int i = 0; i < TMA_MOST_MODES; ++i) {
    record.extents[i] = extents[i];
    record.box[i] = box[i];
    if (i > 0) record.strides_bytes[i - 1] = strides[i] * bits / 8;
  }
  record.modes = modes;
  record.element_bits = bits;
  record.element = tma_element<Element>();
  record.swizzle = static_cast<unsigned char>(cute::detail::get_tma_swizzle_bits(Swizzle{}));
  record.swizzle_base = static_cast<unsigned char>(cute::detail::get_tma_swizzle_base(Swizzle{}));
  static_assert(sizeof(copy.tma_desc_) == sizeof(record), "a record takes the descriptor's place");
  memcpy(&copy.tma_desc_, &record, sizeof(record));
}
