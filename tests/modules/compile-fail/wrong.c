/* Programs that must not compile. Read by tests/integration/run_module_sdk.mjs. */
/* clang-format off */
#include <lightcone/module.h>

LC_ENUM(Color, Red, Green)
LC_ENUM(Mood, Good, Bad)
LC_STRUCT(User, (u32, id), (string, name), (Color, color))
LC_STRUCT(Item, (u64, id), (u32, owner), (f32, weight))
LC_STRUCT(Timer, (u64, id), (schedule_at, at))
LC_TABLE(user, User, PUBLIC, (primary_key, id), (unique, name, hash), (index, color))
LC_TABLE(item, Item, PRIVATE, (primary_key, id, auto_inc), (index_on, by_owner, owner, id))

LC_REDUCER(fine, (u32, id), (string, name))
{
    User u = { .id = id, .name = name };
    LC_TRY(user_insert(&u));
    return LC_OK;
}

// case: a row of another table is inserted => incompatible pointer types
LC_REDUCER(f) { Item i = { 0 }; LC_TRY(user_insert(&i)); return LC_OK; }

// case: a row of another table is updated => incompatible pointer types
LC_REDUCER(f) { Item i = { 0 }; LC_TRY(user_update(&i)); return LC_OK; }

// case: a row of another table is filled by find => incompatible pointer types
LC_REDUCER(f) { Item i; user_find_id(1, &i); return LC_OK; }

// case: a row of another table is filled by next => incompatible pointer types
LC_REDUCER(f) { user_iter it = user_scan(); Item i; user_next(&it, &i); return LC_OK; }

// case: an iterator of another table => incompatible pointer types
LC_REDUCER(f) { item_iter it = item_scan(); User u; user_next(&it, &u); return LC_OK; }

// case: an iterator of another table is assigned => incompatible type
LC_REDUCER(f) { user_iter it = item_scan(); user_close(&it); return LC_OK; }

// case: LC_FOR over another table => incompatible type
LC_REDUCER(f) { LC_FOR(user, u, item_scan()) { (void)u; } return LC_OK; }

// case: text as key of a number => incompatible type
LC_REDUCER(f) { user_find_id(LC_S("x"), nullptr); return LC_OK; }

// case: a C string as key of text => incompatible type
LC_REDUCER(f) { user_find_name("x", nullptr); return LC_OK; }

// case: a number as key of text => incompatible type
LC_REDUCER(f) { user_find_name(5, nullptr); return LC_OK; }

// case: a pointer as key of a number => incompatible pointer to integer
LC_REDUCER(f) { user_find_id("x", nullptr); return LC_OK; }

// case: a 64-bit key for 32 bits => implicit conversion loses integer precision
LC_REDUCER(f, (u64, id)) { user_find_id(id, nullptr); return LC_OK; }

// case: a fraction as key => implicit conversion turns floating-point number into integer
LC_REDUCER(f, (f64, x)) { user_find_id(x, nullptr); return LC_OK; }

// case: another enum as key => implicit conversion from enumeration type
LC_REDUCER(f) { Mood m = Mood_Good; user_delete_by_color(m); return LC_OK; }

// case: another enum in a row => implicit conversion from enumeration type
LC_REDUCER(f) { User u = { .color = Mood_Bad }; LC_TRY(user_insert(&u)); return LC_OK; }

// case: a 64-bit number in a column of 32 => implicit conversion loses integer precision
LC_REDUCER(f, (u64, id)) { User u = { .id = id }; LC_TRY(user_insert(&u)); return LC_OK; }

// case: a constant that does not fit => implicit conversion from 'int' to
LC_STRUCT(Small, (u8, n))
LC_TABLE(small, Small, PUBLIC)
LC_REDUCER(f) { LC_TRY(small_insert(&(Small){ .n = 300 })); return LC_OK; }

// case: a C string in a column of text => incompatible type
LC_REDUCER(f) { User u = { 0 }; u.name = "x"; LC_TRY(user_insert(&u)); return LC_OK; }

// case: an unknown column in a row => does not refer to any field
LC_REDUCER(f) { User u = { .nmae = LC_S("x") }; LC_TRY(user_insert(&u)); return LC_OK; }

// case: an unknown column in an attribute => no member named 'nmae' in 'User'
LC_TABLE(user2, User, PUBLIC, (unique, nmae))

// case: an unknown column in an index on several => no member named 'nmae' in 'User'
LC_TABLE(user2, User, PUBLIC, (index_on, ix, id, nmae))

// case: an unknown type of a column => unknown type name 'lc_t_u31'
LC_STRUCT(Bad, (u31, id))

// case: an unknown type of an argument => unknown type name 'lc_t_text'
LC_REDUCER(f, (text, x)) { return LC_OK; }

// case: an unknown row type => unknown type name 'Usr'|undeclared identifier 'Usr'
LC_TABLE(user2, Usr, PUBLIC)

// case: an unknown attribute => undeclared identifier 'LC_X_R_primary'
LC_TABLE(user2, User, PUBLIC, (primary, id))

// case: an unknown flag => LC_X_FLAG_autoinc
LC_TABLE(user2, User, PUBLIC, (primary_key, id, autoinc))

// case: neither public nor private => LC_X_Public
LC_TABLE(user2, User, Public)

// case: a lookup by a column without index => undeclared (function|identifier) 'item_find_owner'
LC_REDUCER(f) { item_find_owner(1, nullptr); return LC_OK; }

// case: a lookup of one row by an index that is not unique => undeclared (function|identifier) 'user_find_color'
LC_REDUCER(f) { user_find_color(Color_Red, nullptr); return LC_OK; }

// case: an update of a table without key => undeclared (function|identifier) 'plain_update'
LC_TABLE(plain, User, PUBLIC)
LC_REDUCER(f) { User u = { 0 }; LC_TRY(plain_update(&u)); return LC_OK; }

// case: a range of a hash index => a hash index has no order
LC_REDUCER(f) { user_range_name(LC_START, LC_S(""), LC_END, LC_S("")); return LC_OK; }

// case: the bounds of a range exchanged => implicit conversion from enumeration type
LC_REDUCER(f) { user_range_id(LC_BELOW, 1, LC_FROM, 2); return LC_OK; }

// case: too few columns for an index on several => too few arguments
LC_REDUCER(f) { item_by_by_owner(1); return LC_OK; }

// case: the key of another index => incompatible type
LC_TABLE(item2, Item, PUBLIC, (index_on, by_owner, owner, id))
LC_REDUCER(f) { item_prefix_by_owner(1, (item2_by_owner_key){ 0 }); return LC_OK; }

// case: auto_inc of text => auto_inc needs a column of integers
LC_TABLE(user2, User, PUBLIC, (auto_inc, name))

// case: a key with auto_inc of a fraction => auto_inc needs a column of integers
LC_TABLE(item2, Item, PUBLIC, (unique, weight, auto_inc))

// case: a direct index of text => a direct index needs
LC_TABLE(user2, User, PUBLIC, (index, name, direct))

// case: a default of another type => incompatible type
LC_TABLE(user2, User, PUBLIC, (default, name, 5))

// case: a default of another enum => implicit conversion from enumeration type
LC_TABLE(user2, User, PUBLIC, (default, color, Mood_Good))

// case: appointments in a column that is no time => schedule needs a column of type schedule_at
LC_TABLE(timer, Timer, PUBLIC, (primary_key, id), (schedule, id, tick))

// case: appointments for a reducer that takes something else => conflicting types for 'tick'
LC_TABLE(timer, Timer, PUBLIC, (primary_key, id), (schedule, at, tick))
LC_REDUCER(tick, (u64, id)) { return LC_OK; }

// case: a reducer without an answer => does not return a value
LC_REDUCER(f) { }

// case: a number as answer => incompatible result type
LC_REDUCER(f) { return 0; }

// case: an errno as answer => incompatible result type
LC_REDUCER(f) { User u = { 0 }; return user_insert(&u); }

// case: a reducer is called with another argument => incompatible type
LC_REDUCER(f) { LC_TRY(fine(ctx, 1, 2)); return LC_OK; }

// case: LC_TRY of something that is no outcome => not compatible with any generic association
LC_REDUCER(f) { LC_TRY(user_count()); return LC_OK; }

// case: an outcome is dropped, with -Werror => ignoring return value
#pragma clang diagnostic error "-Wunused-result"
LC_REDUCER(f) { User u = { 0 }; user_insert(&u); return LC_OK; }

// case: a format that does not fit => format specifies type
LC_REDUCER(f, (u64, id)) { return LC_ERR("no %d", id); }

// case: a text where the format wants a C string => format specifies type
LC_REDUCER(f, (string, s)) { lc_info("%s", s); return LC_OK; }

// case: an option of another type => incompatible type|initializing
LC_STRUCT(Opt, (opt_string, s))
LC_REDUCER(f) { Opt o = { .s = lc_some(u32, 5) }; (void)o; return LC_OK; }

// case: a variant that does not exist => undeclared identifier 'Color_Blue'
LC_REDUCER(f) { User u = { .color = Color_Blue }; LC_TRY(user_insert(&u)); return LC_OK; }

// case: the same reducer twice => redefinition of 'fine'
LC_REDUCER(fine, (u32, id), (string, name)) { return LC_OK; }
