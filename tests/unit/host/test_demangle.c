/* Names of Rust functions in backtraces. */
#include "lc_test.h"

#include "host/wasm/wasm_internal.h"

static void assert_demangles(const char *name, const char *want)
{
    lc_buf out = LC_BUF_INIT;
    lc_buf_put_str(&out, ">");
    lc_demangle(lc_span_of_str(name), &out);
    assert_span_text(LC_SPAN(out.ptr + 1, out.len - 1), want);
    lc_buf_deinit(&out);
}

LC_TEST(older_scheme)
{
    assert_demangles("_ZN4core6option13expect_failed17h0123456789abcdefE",
                     "core::option::expect_failed::h0123456789abcdef");
    assert_demangles("_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$"
                     "3barE",
                     "<Test + 'static as foo::Bar<Test>>::bar");
    assert_demangles("_ZN4$RP$E", ")");
    assert_demangles("_ZN12test$BP$test4foobE", "test*test::foob");
    assert_demangles("_ZN3fooE.llvm.9D1C9369", "foo");
}

LC_TEST(v0_scheme)
{
    assert_demangles("_RNvCsfgHYwM92fyn_7___rustc12___rust_abort",
                     "__rustc[b1da763420d39311]::__rust_abort");
    assert_demangles("_RNvNtCskExjUMDtJbY_4core9panicking9panic_fmt",
                     "core[f09163c50fc616a4]::panicking::panic_fmt");
    assert_demangles("_RNvC6_123foo3bar", "123foo::bar");
    assert_demangles("_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_",
                     "cc[4d6468d6c9fd4bb3]::spawn::{closure#0}::{closure#0}");
    assert_demangles("_RNvXs_C5crateNtB4_4TypeNtB4_5Trait3fun",
                     "<crate::Type as crate::Trait>::fun");
    assert_demangles("_RINvNtC3std3mem8align_ofjdE", "std::mem::align_of::<usize, f64>");
    assert_demangles("_RINvNtC3std3mem8align_ofNtNtC3std3mem12DiscriminantE",
                     "std::mem::align_of::<std::mem::Discriminant>");
    assert_demangles("_RINvC3foo3barKj7b_E", "foo::bar::<123usize>");
    assert_demangles("_RINvC3foo3barKanb_E", "foo::bar::<-11i8>");
    assert_demangles("_RINvC3foo3barKb1_Kc41_E", "foo::bar::<true, 'A'>");
    assert_demangles("_RINvC3foo3barTRhQShPtOAjj3_EE",
                     "foo::bar::<(&u8, &mut [u8], *const u16, *mut [usize; 3usize])>");
    assert_demangles("_RINvC3foo3barTzEE", "foo::bar::<(!,)>");
    assert_demangles("_RINvC3foo3barFUKCmEuE", "foo::bar::<unsafe extern \"C\" fn(u32)>");
    assert_demangles("_RINvC3foo3barFG_RL0_hEhE", "foo::bar::<for<'a> fn(&'a u8) -> u8>");
    assert_demangles("_RINvC3foo3barDNtC3foo5TraitEL_E", "foo::bar::<dyn foo::Trait>");
    assert_demangles("_RINvC3foo3barDINtC3foo2FnTEEp6OutputuEL_E",
                     "foo::bar::<dyn foo::Fn<(), Output = ()>>");
}

/* Whatever is not understood stays; nothing runs away. */
LC_TEST(other_names_stay)
{
    static const char *const names[] = {"main",
                                        "",
                                        "_",
                                        "_ZN",
                                        "_ZN3fo",
                                        "_ZN9foo3barE",
                                        "_R",
                                        "_RNv",
                                        "_RNvC3foo",
                                        "_RB_",
                                        "_RNvB_3foo",
                                        "_ZN3fooEv",
                                        "_RNvC99999999999999999999993foo3bar"};
    for (size_t i = 0; i < LC_ARRAY_LEN(names); i++) assert_demangles(names[i], names[i]);

    /* Doubling by back references ends at the limit. */
    lc_buf name = LC_BUF_INIT, out = LC_BUF_INIT;
    lc_buf_put_str(&name, "_RINvC1a1b");
    for (int i = 0; i < 40; i++) lc_buf_put_str(&name, "TB0_B1_E");
    lc_buf_put_str(&name, "E");
    lc_demangle(lc_buf_span(&name), &out);
    assert_true(out.len < 100000);
    lc_buf_reset(&name);
    lc_buf_put_str(&name, "_RINvC1a1b");
    for (int i = 0; i < 100000; i++) lc_buf_put_str(&name, "R");
    lc_demangle(lc_buf_span(&name), &out);
    lc_buf_deinit(&name);
    lc_buf_deinit(&out);
}

/* Every cut and every changed byte of good names: no crash, and something comes out. */
LC_TEST(damaged_names)
{
    static const char *const names[] = {
        "_RNvXs_C5crateNtB4_4TypeNtB4_5Trait3fun", "_RINvC3foo3barDINtC3foo2FnTEEp6OutputuEL_E",
        "_RINvC3foo3barTRhQShPtOAjj3_EE", "_ZN71_$LT$Test$u20$$GT$3barE",
        "_RINvC3foo3barFG_RL0_hEhE"};
    uint64_t state = 1;
    for (size_t i = 0; i < LC_ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i]);
        for (int n = 0; n < 20000; n++) {
            char *text = lc_memdup(names[i], len);
            text[lc_test_random(&state) % len] = (char)(lc_test_random(&state) % 128);
            lc_buf out = LC_BUF_INIT;
            lc_demangle(LC_SPAN(text, lc_test_random(&state) % (len + 1)), &out);
            lc_buf_deinit(&out);
            lc_free(text);
        }
    }
}

int main(void)
{
    return LC_TEST_RUN(cmocka_unit_test(older_scheme), cmocka_unit_test(v0_scheme),
                       cmocka_unit_test(other_names_stay), cmocka_unit_test(damaged_names));
}
