//! Every limit of the scanner, with its unit last.

/// Values on the stack of one pickle.
pub(crate) const STACK_VALUES_MAX: usize = 4 << 20;
/// Values in the memo of one pickle.
pub(crate) const MEMO_VALUES_MAX: usize = 16 << 20;
/// Memo entries far beyond the others.
pub(crate) const MEMO_SPARSE_MAX: usize = 1 << 16;
/// Items of tuples that are remembered; later tuples are values that nothing is known of.
pub(crate) const TUPLE_ITEMS_MAX: usize = 8 << 20;
/// Tuples longer than this are not remembered.
pub(crate) const TUPLE_LENGTH_MAX: usize = 512;
/// Texts of one pickle that are read back, to know a name or what a guard asks for.
pub(crate) const TEXTS_READ_MAX: u32 = 2 << 20;
/// Arguments of a call that are looked at; none that a guard knows has more.
pub(crate) const ARGUMENTS_MAX: u32 = 64;
/// Entries of a state that are looked at; none that a guard knows has more.
pub(crate) const STATE_ENTRIES_MAX: usize = 64;
/// Lists whose items are remembered.
pub(crate) const LISTS_MAX: usize = 1 << 18;
/// Items that are remembered of one list; none that a guard knows has more.
pub(crate) const LIST_ITEMS_MAX: usize = 8;
/// Values that more than one other may refer to; beyond it, all are taken for such.
pub(crate) const SHARED_VALUES_MAX: usize = 1 << 20;
/// Dictionaries whose entries are remembered.
pub(crate) const DICTIONARIES_MAX: usize = 1 << 20;
/// Entries that are remembered of one dictionary.
pub(crate) const DICTIONARY_ENTRIES_MAX: usize = 512;
/// Entries that are remembered of all dictionaries of one pickle.
pub(crate) const ENTRIES_MAX: usize = 8 << 20;
/// Names of one file.
pub(crate) const GLOBALS_MAX: usize = 10_000;
/// Bytes of a module's or a global's name.
pub(crate) const NAME_BYTES_MAX: u64 = 4_096;
/// Bytes of one line operand.
pub(crate) const LINE_BYTES_MAX: u64 = 64 << 20;
/// Pickles one after the other in one file.
pub(crate) const PICKLES_MAX: usize = 10_000;
/// Extra readings of a stream that readers take in different ways.
pub(crate) const DIVERGENCES_MAX: usize = 16;
/// Pickles in operands of pickles.
pub(crate) const NESTED_PICKLE_DEPTH_MAX: usize = 6;
/// Containers in containers.
pub(crate) const DEPTH_MAX: usize = 8;
/// Findings of one file; the verdict counts those that are not kept too.
pub(crate) const FINDINGS_MAX: usize = 200;
/// Members of one archive.
pub(crate) const MEMBERS_MAX: usize = 65_536;
/// Bytes of the central directory of one zip.
pub(crate) const CENTRAL_BYTES_MAX: u64 = 64 << 20;
/// Bytes that one file may become when everything in it is decompressed.
pub(crate) const DECOMPRESSED_BYTES_MAX: u64 = 512 << 20;
/// Decompressed bytes per compressed byte, beyond `RATIO_FREE_BYTES`.
pub(crate) const RATIO_MAX: u64 = 1_100;
/// Decompressed bytes for which no ratio counts.
pub(crate) const RATIO_FREE_BYTES: u64 = 16 << 20;
/// Bytes of a text format (JSON, YAML, requirements) that are parsed whole.
pub(crate) const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Nesting of JSON-like values.
pub(crate) const VALUE_DEPTH_MAX: usize = 120;
/// Bytes of a safetensors header.
pub(crate) const SAFETENSORS_HEADER_BYTES_MAX: u64 = 100_000_000;
/// Bytes of an `.npy` header.
pub(crate) const NPY_HEADER_BYTES_MAX: u64 = 1 << 20;
