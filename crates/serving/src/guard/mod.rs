//! What stands between a caller and a model once the policy let the request through.

mod quota;

pub(crate) use quota::Quotas;
