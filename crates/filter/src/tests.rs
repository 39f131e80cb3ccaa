//! Tables of the grammar: what is taken, and with which words the rest is refused.
