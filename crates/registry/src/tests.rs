//! Tests of the verbs, through an open gate.
