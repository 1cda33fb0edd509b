/* Types and tables that both files of this module use. */
#pragma once
#include <lightcone/module.h>

LC_ENUM(Color, Red, Green, Blue)
LC_STRUCT(Point, (f32, x), (f64, y))
LC_ARRAY(Point)
LC_OPTION(Point)
LC_SUM(Shape, (f32, Circle), (Point, Dot), (string, Label), (unit, Nothing), (array_u32, Poly))
LC_OPTION(Shape)
LC_OPTION(array_string)
LC_ARRAY(opt_u32)
LC_OPTION(opt_u8)

/* every type there is */
LC_STRUCT(Everything, (u64, id), (bool, b), (i8, i8_), (u8, u8_), (i16, i16_), (u16, u16_),
          (i32, i32_), (u32, u32_), (i64, i64_), (i128, i128_), (u128, u128_), (i256, i256_),
          (u256, u256_), (f32, f32_), (f64, f64_), (string, s), (bytes, raw), (identity, who),
          (connection_id, conn), (timestamp, at), (duration, dur), (uuid, uid), (schedule_at, plan),
          (Color, color), (Point, point), (Shape, shape), (opt_string, os), (opt_Shape, oshape),
          (opt_array_string, oas), (array_i64, ai), (array_string, as), (array_Point, ap),
          (array_opt_u32, aou), (opt_opt_u8, oou), (array_bytes, ab), (unit, u))
LC_TABLE(everything, Everything, PUBLIC, (primary_key, id))

LC_STRUCT(Pair, (u32, a), (string, b), (i32, n))
LC_TABLE(pair, Pair, PRIVATE, (index_on, by_abn, a, b, n), (unique_on, bn, b, n),
         (hash_on, ab, a, b), (index, n))
