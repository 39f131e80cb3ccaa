//! The room of data sets: versions, their inspection and admission.
