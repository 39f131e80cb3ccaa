//! INVARIANT of the gate: nobody but the gate makes a permit, and nobody but the gate runs a verb.

#[test]
fn a_permit_cannot_be_forged() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}
