mod assess;
mod crud;
mod foreign;
mod search;
mod spans;
mod support;
