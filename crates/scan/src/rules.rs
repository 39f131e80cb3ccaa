//! The rules: what each is called, what it does to the verdict, and what the thing found would do.

use serde::Serialize;

/// The version of the rules; it changes with them, so that what was judged by old rules can be judged again.
pub const RULES_VERSION: &str = "2026.11.6";

/// What a finding does to the verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Effect {
    /// Worth knowing; the verdict stays.
    Note,
    /// The scanner cannot tell.
    Unknown,
    /// The file must not be loaded.
    Block,
}

/// One rule.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Rule {
    /// Its stable name.
    pub id: &'static str,
    /// What it does to the verdict.
    pub effect: Effect,
    /// What loading the file would do, or why it cannot be trusted.
    pub consequence: &'static str,
}

macro_rules! rules {
    ($($name:ident = $id:literal $effect:ident $consequence:literal;)*) => {
        $(pub(crate) const $name: &Rule = &Rule { id: $id, effect: Effect::$effect, consequence: $consequence };)*
        /// All rules, in the order of the table.
        pub const RULES: &[&Rule] = &[$($name),*];
    };
}

rules! {
    GLOBAL_DANGEROUS = "pickle.dangerous_global" Block
        "loading imports this and can run any code with the rights of whoever loads it";
    GLOBAL_UNKNOWN = "pickle.unknown_global" Block
        "loading imports a name that stands on no allow-list; what it does is not known";
    GLOBAL_COMPUTED = "pickle.computed_global" Block
        "the name that loading imports is made while loading, so it cannot be known beforehand";
    GLOBAL_MISUSED = "pickle.misused_global" Block
        "a name is used in a way, or with arguments, in which it has not been found harmless";
    CALL_COMPUTED = "pickle.computed_call" Block
        "loading calls a value that is made while loading";
    BUILD_TARGET = "pickle.build_target" Block
        "loading sets the attributes of something that is not a fresh object, such as a class or a function";
    EXTENSION = "pickle.extension_code" Block
        "loading imports whatever the extension registry of the reading process has under this number";
    FRAME = "pickle.frame" Block
        "frames do not lie on the borders of instructions: readers disagree on what the file says";
    MALFORMED = "pickle.malformed" Block
        "the stream breaks off or is not a pickle from some point on; what stands before it runs when it is loaded";
    PICKLE_LIMIT = "pickle.limit" Block
        "the pickle is larger or deeper than the scanner follows";
    PICKLE_TRAILING = "pickle.trailing_bytes" Unknown
        "bytes follow the pickle that are not a pickle; other readers may take them for something";
    PERSISTENT = "pickle.persistent_id" Unknown
        "the pickle asks its reader for objects by a name; what they are depends on the reader";
    OUT_OF_BAND = "pickle.out_of_band_buffer" Unknown
        "the pickle needs buffers that are not in the file";
    NESTED = "pickle.nested_global" Block
        "a text or bytes value holds another pickle that imports names which are not allowed";
    JOBLIB = "joblib.array" Block
        "an array of joblib's is not as joblib writes it; readers disagree on where it ends";
    JOBLIB_OLD = "joblib.unaligned_array" Unknown
        "an array as old versions of joblib wrote it; its bytes could also be read as a pickle";
    ARCHIVE_HEADERS = "zip.headers_disagree" Block
        "the archive's two directories disagree; one reader sees other files than another";
    ARCHIVE_REPEATED = "archive.repeated_name" Block
        "two members have the same name; readers differ in which of them they load";
    ARCHIVE_NAME = "archive.unsafe_name" Block
        "a member's name leads out of the folder, or means different things on different systems";
    ARCHIVE_LINK = "archive.link" Block
        "a member is a link or a device: unpacking can write or read outside of the folder";
    ARCHIVE_ENCRYPTED = "zip.encrypted" Block
        "a member is marked as encrypted; readers that ignore the mark load what others cannot see";
    ARCHIVE_CHECKSUM = "archive.checksum" Block
        "a checksum is wrong: strict readers refuse what lenient ones load";
    ARCHIVE_HIDDEN = "archive.hidden_bytes" Block
        "bytes before, between or after the members belong to none; other readers may find something in them";
    ARCHIVE_MALFORMED = "archive.malformed" Block
        "the archive does not follow its format; readers guess in different ways";
    ARCHIVE_METHOD = "zip.method" Unknown
        "a member is compressed in a way that the scanner does not read";
    POLYGLOT = "file.polyglot" Block
        "the file is of two formats at once; what is loaded depends on the reader";
    LIMIT = "file.limit" Unknown
        "the file is larger or deeper than the scanner follows";
    BOMB = "file.decompression_bomb" Block
        "a few bytes become very many when decompressed";
    COMPRESSION = "file.compression" Block
        "the compressed data is damaged; what was decompressed before would be loaded";
    UNRECOGNISED = "file.unrecognised" Unknown
        "the scanner does not know this format";
    CODE = "file.code" Unknown
        "the file is a program; whoever loads the model may run it";
    FORMAT_MALFORMED = "file.malformed" Block
        "the file breaks the rules of its format";
    NPY_HEADER = "numpy.header" Block
        "the header of the array is not the plain literal that NumPy writes";
    TORCH_MALFORMED = "torch.malformed" Block
        "the archive does not have the parts that torch writes";
    TORCHSCRIPT = "torch.script" Block
        "the archive holds TorchScript: a program that runs when the model is loaded or used";
    TORCH_UNREFERENCED = "torch.unreferenced_member" Unknown
        "a member belongs to no tensor; other readers may load it";
    WEIGHTS_PATH = "config.weights_path" Block
        "the index of the tensors names a file outside of the model's folder, which is loaded with it";
    ONNX_PATH = "onnx.external_path" Block
        "the tensors' external file lies outside of the model's folder";
    ONNX_MISSING = "onnx.external_missing" Unknown
        "the tensors' external file is not among the files that were scanned";
    ONNX_OPERATOR = "onnx.operator" Block
        "the graph uses operators that run Python or native code of the model's author";
    ONNX_DOMAIN = "onnx.custom_domain" Unknown
        "the graph uses operators that only a custom library can run";
    KERAS_LAYER = "keras.unsafe_layer" Block
        "building this layer runs code from the file or loads another model";
    KERAS_MODULE = "keras.module" Block
        "building the model imports a module that is not Keras' own";
    KERAS_CLASS = "keras.unknown_class" Unknown
        "the model uses classes that must be registered by code outside of the file";
    HDF5_LINK = "hdf5.external_link" Block
        "the file leads to data in other files";
    HDF5_UNREAD = "hdf5.unread" Unknown
        "a part of the file is stored in a way that the scanner does not read";
    SAVED_MODEL_OPERATOR = "tensorflow.operator" Block
        "the graph reads or writes files, or runs Python, when the model is used";
    SAVED_MODEL_UNKNOWN = "tensorflow.unknown_operator" Unknown
        "the graph uses operators that are on no list";
    SKOPS_TYPE = "skops.untrusted_type" Block
        "loading makes an object of a type that is on no allow-list";
    OPENS_FILES = "sklearn.opens_files" Unknown
        "used as it is, the model opens any file that a caller names, and answers by what is in it";
    CHAT_TEMPLATE = "gguf.chat_template" Note
        "the chat template is a Jinja program of the model's author that the reader runs";
    TEMPLATE_UNSAFE = "gguf.unsafe_template" Block
        "the chat template reaches for Python's internals: template injection";
    TEMPLATE_UNREAD = "gguf.unread_template" Unknown
        "the chat template is written so that it cannot be known beforehand what it reaches for";
    MODEL_LOADER = "mlmodel.loader" Block
        "loading the model imports a module of the author's choice";
    MODEL_CODE = "mlmodel.code" Unknown
        "the model brings its own code, which runs when it is loaded";
    MODEL_FLAVOR = "mlmodel.flavor" Unknown
        "the model is of a kind that the scanner does not know";
    REQUIREMENT_SOURCE = "environment.source" Block
        "setting up the environment installs from an address, a repository or a path of the author's choice";
    REQUIREMENT_OPTION = "environment.index_option" Block
        "setting up the environment changes where packages come from or how they are verified";
    REQUIREMENT_UNREAD = "environment.unread" Unknown
        "a line of the environment could not be understood";
    MODULE_REFERENCE = "config.module" Block
        "a configuration names code that is to be run on loading";
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn rules_have_names_of_their_own_and_say_what_would_happen() {
        let names: BTreeSet<_> = RULES.iter().map(|rule| rule.id).collect();
        assert_eq!(names.len(), RULES.len());
        for rule in RULES {
            assert!(rule.id.contains('.') && rule.consequence.len() > 20, "{rule:?}");
        }
    }
}
