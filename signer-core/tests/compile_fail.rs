//! What the types rule out: each file must fail to compile, for the reason in its `.stderr`.

#[test]
fn fro_015_misuse_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
