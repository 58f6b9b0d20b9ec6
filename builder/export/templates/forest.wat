;; SPDX-License-Identifier: Apache-2.0
;;
;; The bins of columns and the sum of a forest, with vectors of 16 bytes: whole numbers and comparisons
;; alone, so that they are the same as without. forest.wasm is this file, as wasmtime.wat2wasm(text) assembles it.
;;
;; Memory: at 0 the features of a question, at 512 the bins of columns, at 768 the leaves of 16 trees;
;; behind them tables, which builder/export/forests.py describes.
(module
  (import "gpperf" "memory" (memory 1))

  ;; Bins: how many thresholds of each column its feature is above.
  (func (export "bins") (param $feature i32) (param $count i32) (param $threshold i32) (param $n_columns i32)
    (local $bin i32) (local $last i32) (local $n i32) (local $from i32) (local $at i32)
    (local $value v128)
    (local.set $bin (i32.const 512))
    (local.set $last (i32.add (i32.const 512) (local.get $n_columns)))
    (loop $column
      (local.set $n (i32.load8_u (local.get $count)))
      (local.set $value (v128.load32_splat (i32.shl (i32.load8_u (local.get $feature)) (i32.const 2))))
      ;; Of more than 16, pivots come first: the last threshold of each block of 16 but the last.
      (local.set $from (i32.const -16))
      (local.set $at (local.get $threshold))
      (if (i32.gt_u (local.get $n) (i32.const 16))
        (then (local.set $threshold (i32.add (local.get $threshold) (i32.const 64))))
        (else (local.set $from (i32.const 0))))
      (loop $block
        (local.set $from
          (i32.add (local.get $from)
            (i32.popcnt (i8x16.bitmask (i8x16.narrow_i16x8_s
              (i16x8.narrow_i32x4_s
                (f32x4.gt (local.get $value) (v128.load (local.get $at)))
                (f32x4.gt (local.get $value) (v128.load offset=16 (local.get $at))))
              (i16x8.narrow_i32x4_s
                (f32x4.gt (local.get $value) (v128.load offset=32 (local.get $at)))
                (f32x4.gt (local.get $value) (v128.load offset=48 (local.get $at)))))))))
        (if (i32.lt_s (local.get $from) (i32.const 0))
          (then
            (local.set $from (i32.shl (i32.add (local.get $from) (i32.const 16)) (i32.const 4)))
            (local.set $at
              (i32.add (local.get $threshold) (i32.shl (local.get $from) (i32.const 2))))
            (br $block))))
      (i32.store8 (local.get $bin) (local.get $from))
      (local.set $threshold ;; of the next column: thresholds are padded to blocks of 64 bytes
        (i32.add (local.get $threshold)
          (i32.and (i32.shl (i32.add (local.get $n) (i32.const 15)) (i32.const 2)) (i32.const -64))))
      (local.set $feature (i32.add (local.get $feature) (i32.const 1)))
      (local.set $count (i32.add (local.get $count) (i32.const 1)))
      (br_if $column
        (i32.lt_u (local.tee $bin (i32.add (local.get $bin) (i32.const 1))) (local.get $last)))))

  ;; The sum of the leaves of all trees, of which there are a multiple of 16.
  (func (export "sum")
    (param $n_columns i32)
    (param $column i32) (param $rank i32) (param $leaves i32)
    (param $n_trees i32) (param $n_padded i32) (param $depth i32)
    (result i32)
    (local $tree i32) (local $level i32) (local $start i32) (local $i i32) (local $stride i32)
    (local $sum i32) (local $question i32)
    (local $asked v128) (local $bin v128) (local $leaf v128) (local $bins0 v128) (local $bins1 v128)
    (local $bins2 v128)
    (local.set $bins0 (v128.load offset=512 (i32.const 0)))
    (local.set $bins1 (v128.load offset=528 (i32.const 0)))
    (local.set $bins2 (v128.load offset=544 (i32.const 0)))
    (local.set $stride (i32.shl (i32.const 2) (local.get $depth)))
    (loop $trees
      (local.set $leaf (v128.const i8x16 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0))
      (local.set $question (local.get $tree))
      (local.set $level (local.get $depth))
      (loop $levels
        ;; The bins of 16 columns: looked up 16 at a time, and 0 where a column is not among them.
        (local.set $asked (v128.load (i32.add (local.get $column) (local.get $question))))
        (local.set $bin
          (v128.or
            (v128.or
              (i8x16.swizzle (local.get $bins0) (local.get $asked))
              (i8x16.swizzle (local.get $bins1)
                (i8x16.sub (local.get $asked) (i8x16.splat (i32.const 16)))))
            (i8x16.swizzle (local.get $bins2)
              (i8x16.sub (local.get $asked) (i8x16.splat (i32.const 32))))))
        (local.set $start (i32.const 48))
        (block $all
          (loop $columns
            (br_if $all (i32.ge_u (local.get $start) (local.get $n_columns)))
            (local.set $bin
              (v128.or (local.get $bin)
                (i8x16.swizzle
                  (v128.load offset=512 (local.get $start))
                  (i8x16.sub (local.get $asked) (i8x16.splat (local.get $start))))))
            (local.set $start (i32.add (local.get $start) (i32.const 16)))
            (br $columns)))
        ;; A bin above its rank leaves something of a difference that stops at 0.
        (local.set $leaf
          (i8x16.add
            (i8x16.add (local.get $leaf) (local.get $leaf))
            (i8x16.min_u
              (i8x16.sub_sat_u
                (local.get $bin)
                (v128.load (i32.add (local.get $rank) (local.get $question))))
              (i8x16.splat (i32.const 1)))))
        (local.set $question (i32.add (local.get $question) (local.get $n_padded)))
        (br_if $levels (local.tee $level (i32.sub (local.get $level) (i32.const 1)))))
      (v128.store offset=768 (i32.const 0) (local.get $leaf))
      (local.set $i (i32.const 0))
      (loop $each
        (local.set $sum
          (i32.add (local.get $sum)
            (i32.load16_s
              (i32.add (local.get $leaves)
                (i32.shl (i32.load8_u offset=768 (local.get $i)) (i32.const 1))))))
        (local.set $leaves (i32.add (local.get $leaves) (local.get $stride)))
        (br_if $each
          (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 16))))
      (br_if $trees
        (i32.lt_u
          (local.tee $tree (i32.add (local.get $tree) (i32.const 16)))
          (local.get $n_trees))))
    (local.get $sum)))
