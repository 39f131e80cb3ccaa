//! Which (module, name) pairs a pickle may import, and how each may be used. The lists are data with their origin.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::rules::{RULES, RULES_VERSION};

/// The shipped lists; each file's header says from which library and version it was made, and how.
const LISTS: &[(&str, &str)] = &[
    ("python", include_str!("../allow/python.txt")),
    ("numpy", include_str!("../allow/numpy.txt")),
    ("scipy", include_str!("../allow/scipy.txt")),
    ("pandas", include_str!("../allow/pandas.txt")),
    ("pyarrow", include_str!("../allow/pyarrow.txt")),
    ("polars", include_str!("../allow/polars.txt")),
    ("pytz", include_str!("../allow/pytz.txt")),
    ("joblib", include_str!("../allow/joblib.txt")),
    ("scikit-learn", include_str!("../allow/scikit-learn.txt")),
    ("imbalanced-learn", include_str!("../allow/imbalanced-learn.txt")),
    ("statsmodels", include_str!("../allow/statsmodels.txt")),
    ("xgboost", include_str!("../allow/xgboost.txt")),
    ("lightgbm", include_str!("../allow/lightgbm.txt")),
    ("catboost", include_str!("../allow/catboost.txt")),
    ("torch", include_str!("../allow/torch.txt")),
];

/// Methods that may be referred to, by class.
const METHODS: &str = include_str!("../allow/methods.txt");
/// Methods that SciPy's distributions keep vectorized.
pub(crate) const DISTRIBUTION_METHODS: [&str; 9] = [
    "_entropy",
    "_cdf_single",
    "_ppf_single",
    "_ppfvec_single",
    "_mom0_sc",
    "_mom1_sc",
    "_mom_integ0",
    "_mom_integ1",
    "_generic_moment",
];

/// How an allowed name may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mode {
    /// In any way: it is harmless with any arguments that are themselves allowed.
    Any,
    /// As a value only; it may not be called while loading.
    Reference,
    /// `_codecs.encode(text, "latin1")`, as pickle writes bytes before protocol 3.
    Latin1,
    /// Calls its first argument, which must be an allowed class: `copyreg._reconstructor`.
    ClassFirst,
    /// Makes a NumPy dtype, whose size is followed because joblib's arrays depend on it.
    Dtype,
    /// A class of arrays. Called itself, it takes the bytes of a buffer for pointers to objects, so nothing else may call it.
    ArrayClass,
    /// Makes an empty array of a class of arrays.
    ArrayMaker,
    /// Makes one item of an array.
    ArrayScalar,
    /// Makes something over bytes, which must be written in the file: over an array of objects, it would show their pointers.
    BytesFirst,
    /// Makes one of Arrow's arrays of its buffers, unchecked: they must be as long, and point where, their type says.
    ArrowArray,
    /// A class whose state is a stream of Arrow's, which its reader checks, but for pointers to objects.
    ArrowStream,
    /// joblib's stand-in for an array, whose bytes follow in the stream.
    JoblibArray,
    /// A SciPy distribution: its state holds a text that is executed, which must be SciPy's own.
    Distribution,
    /// Loads a torch file from bytes, which are scanned.
    TorchBytes,
    /// Calls a function of torch's that rebuilds tensors.
    TorchRebuild,
    /// `getattr` of a SciPy distribution, as its vectorized methods are written, and of the methods on the list.
    DistributionMethod,
    /// Makes a generator of random numbers: by the name of its kind, by its class, or of one that is made.
    RandomGenerator,
    /// A class that may only be made empty, and whose state is then set: its constructor has not been looked at.
    Empty,
    /// As `Empty`; but its state may not ask for a formula to be evaluated.
    FormulaData,
    /// cloudpickle's look-up of a type of Python's own: only of bound methods and plain namespaces.
    BuiltinType,
    /// `type` of `None`, and of nothing else.
    TypeOfNone,
    /// Made of texts only.
    Texts,
}

impl Mode {
    fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "" => Self::Any,
            "reference" => Self::Reference,
            "latin1" => Self::Latin1,
            "class-first" => Self::ClassFirst,
            "dtype" => Self::Dtype,
            "array-class" => Self::ArrayClass,
            "array-maker" => Self::ArrayMaker,
            "array-scalar" => Self::ArrayScalar,
            "bytes-first" => Self::BytesFirst,
            "arrow-array" => Self::ArrowArray,
            "arrow-stream" => Self::ArrowStream,
            "joblib-array" => Self::JoblibArray,
            "distribution" => Self::Distribution,
            "torch-bytes" => Self::TorchBytes,
            "torch-rebuild" => Self::TorchRebuild,
            "distribution-method" => Self::DistributionMethod,
            "random-generator" => Self::RandomGenerator,
            "empty" => Self::Empty,
            "formula-data" => Self::FormulaData,
            "builtin-type" => Self::BuiltinType,
            "type-of-none" => Self::TypeOfNone,
            "texts" => Self::Texts,
            _ => return None,
        })
    }

    /// Whether it is a class of which picklers make an empty object, so that nothing of its constructor runs.
    pub fn is_made_empty(self) -> bool {
        matches!(self, Self::Distribution | Self::JoblibArray | Self::Empty | Self::FormulaData | Self::ArrowStream)
    }

    /// Whether the name is harmless wherever it stands. All others are so only where they are called in the file itself, with
    /// arguments that are seen: as a value, something unseen could call them.
    pub fn is_value(self) -> bool {
        matches!(self, Self::Any | Self::Reference)
    }
}

/// The allow-lists that a scanner judges by.
#[derive(Debug)]
pub(crate) struct AllowList {
    names: HashMap<Box<str>, HashMap<Box<str>, Mode>>,
    /// `module Class.method` of methods that may be referred to.
    methods: HashSet<(Box<str>, Box<str>)>,
    digest: Sha256,
}

impl AllowList {
    /// The shipped lists.
    ///
    /// # Errors
    /// If one of them is malformed, which a test excludes.
    pub fn shipped() -> Result<Self, String> {
        let mut list = Self { names: HashMap::new(), methods: HashSet::new(), digest: Sha256::new() };
        list.digest.update(RULES_VERSION.as_bytes());
        for rule in RULES {
            list.digest.update(format!("{} {:?}\n", rule.id, rule.effect).as_bytes());
        }
        for (name, text) in LISTS {
            list.extend(name, text)?;
        }
        list.add_methods(METHODS)?;
        Ok(list)
    }

    fn add_methods(&mut self, text: &str) -> Result<(), String> {
        for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [module, class, names @ ..] = words.as_slice() else { return Err(format!("`{line}` names no methods")) };
            self.methods.extend(names.iter().map(|name| ((*module).into(), format!("{class}.{name}").into())));
        }
        self.digest.update(text.as_bytes());
        Ok(())
    }

    /// Whether a method of a class may be referred to. It may not be called while loading.
    pub fn has_method(&self, module: &str, class: &str, method: &str) -> bool {
        let (module, class) = match (module, class) {
            ("__builtin__", "unicode") => ("builtins", "str"),
            ("__builtin__", class) => ("builtins", class),
            other => other,
        };
        let listed = self.methods.contains(&(module.into(), format!("{class}.{method}").into()));
        listed || (self.exact(module, class) == Some(Mode::Distribution) && DISTRIBUTION_METHODS.contains(&method))
    }

    /// Adds lines of `module name [use]`; `#` begins a comment.
    ///
    /// # Errors
    /// If a line is not such.
    pub fn extend(&mut self, origin: &str, text: &str) -> Result<(), String> {
        for (index, line) in text.lines().enumerate() {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            let (module, name, mode) = match words.as_slice() {
                [module, name] => (module, name, Mode::Any),
                [module, name, word] => match Mode::parse(word) {
                    Some(mode) => (module, name, mode),
                    None => return Err(format!("`{origin}` line {}: `{word}` is no kind of use", index + 1)),
                },
                _ => return Err(format!("`{origin}` line {}: want `module name`, found `{line}`", index + 1)),
            };
            self.names.entry((*module).into()).or_default().insert((*name).into(), mode);
        }
        self.digest.update(text.as_bytes());
        Ok(())
    }

    /// How a name may be used, if it may at all. Names of Python 2 stand for what Python 3 makes of them.
    pub fn mode(&self, module: &str, name: &str) -> Option<Mode> {
        if let Some(mode) = self.exact(module, name) {
            return Some(mode);
        }
        if let Some((class, method)) = name.split_once('.') {
            return self.has_method(module, class, method).then_some(Mode::Reference);
        }
        // `pickle` renames these for protocols below 3. No module of Python 3 has the old names, so asking for them in a
        // later protocol imports nothing.
        match (module, name) {
            ("__builtin__", "long") => self.exact("builtins", "int"),
            ("__builtin__", "unicode") => self.exact("builtins", "str"),
            ("__builtin__", "xrange") => self.exact("builtins", "range"),
            ("__builtin__", name) => self.exact("builtins", name),
            ("copy_reg", "_reconstructor") => self.exact("copyreg", name),
            _ => None,
        }
    }

    fn exact(&self, module: &str, name: &str) -> Option<Mode> {
        self.names.get(module)?.get(name).copied()
    }

    /// How a name that is given as one dotted text, `module.name`, may be used.
    pub fn dotted_mode(&self, dotted: &str) -> Option<Mode> {
        let (module, name) = dotted.rsplit_once('.')?;
        self.exact(module, name)
    }

    /// SHA-256 over the rules and the lists.
    pub fn digest(&self) -> String {
        let digest = self.digest.clone().finalize();
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[cfg(test)]
    pub fn all(&self) -> impl Iterator<Item = (&str, &str, Mode)> {
        self.names.iter().flat_map(|(module, names)| names.iter().map(move |(name, mode)| (&**module, &**name, *mode)))
    }
}

/// What a known dangerous name does, where the module alone tells.
pub(crate) fn danger(module: &str, name: &str) -> Option<&'static str> {
    let top = module.split('.').next().unwrap_or(module);
    let last = name.rsplit('.').next().unwrap_or(name);
    Some(match (top, last) {
        ("os" | "nt" | "posix" | "_posixsubprocess" | "subprocess" | "commands" | "pty" | "popen2" | "_winapi", _) => {
            "starts programs or changes files"
        }
        ("builtins" | "__builtin__", "eval" | "exec" | "execfile" | "compile" | "__import__" | "open" | "file" | "input") => {
            "runs code or opens files"
        }
        ("builtins" | "__builtin__", "getattr" | "setattr" | "delattr" | "apply" | "globals" | "vars" | "breakpoint" | "map") => {
            "reaches any attribute of any object, and so any code"
        }
        ("operator" | "_operator", "attrgetter" | "methodcaller" | "call") => "reaches or calls any attribute of any object",
        (
            "runpy" | "code" | "codeop" | "pdb" | "bdb" | "timeit" | "trace" | "profile" | "cProfile" | "doctest" | "idlelib",
            _,
        ) => "runs code that is given as text",
        ("importlib" | "imp" | "pkgutil" | "pydoc" | "zipimport" | "zipapp" | "modulefinder" | "site", _) => {
            "imports any module or looks up any name"
        }
        ("pip" | "setuptools" | "distutils" | "ensurepip" | "venv" | "lib2to3", _) => "installs packages or builds programs",
        ("socket" | "ssl" | "http" | "urllib" | "ftplib" | "smtplib" | "imaplib" | "requests" | "httpx" | "asyncio", _) => {
            "opens network connections"
        }
        ("ctypes" | "_ctypes" | "cffi" | "mmap", _) => "calls native code or reaches raw memory",
        ("shutil" | "tempfile" | "pathlib" | "glob" | "io" | "_io" | "codecs" | "fileinput" | "logging", _) => {
            "opens or changes files"
        }
        ("sys" | "types" | "inspect" | "gc" | "marshal" | "dis" | "ast", _) => "reaches the interpreter itself",
        ("pickle" | "_pickle" | "cPickle" | "dill" | "cloudpickle" | "shelve" | "torch" | "joblib", name)
            if name.contains("load") || name.contains("Unpickler") =>
        {
            "loads another pickle from text, bytes or a file"
        }
        ("dill" | "cloudpickle", _) => "makes functions from code that is in the file",
        ("multiprocessing" | "concurrent" | "threading" | "_thread" | "signal" | "webbrowser" | "uuid" | "platform", _) => {
            "starts processes or threads"
        }
        ("numpy", "runstring" | "f2py") | ("numpy", "load" | "fromfile" | "memmap" | "exec_command") => {
            "runs code or opens files"
        }
        ("numpy", _) if module.starts_with("numpy.f2py") || module.starts_with("numpy.testing") => "runs code given as text",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_lists_are_sound_and_hold_nothing_dangerous() {
        let list = AllowList::shipped().unwrap();
        let mut count = 0;
        for (module, name, mode) in list.all() {
            count += 1;
            // What is known as dangerous is listed only with a guard of its own.
            let guarded = !matches!(mode, Mode::Any | Mode::Reference);
            assert!(danger(module, name).is_none() || guarded, "{module} {name} is allowed and dangerous");
            assert!(!name.contains('.'), "{module} {name}: attributes of allowed names are not allowed by a list");
        }
        assert!(count > 20, "{count}");
    }

    #[test]
    fn names_are_exact() {
        let list = AllowList::shipped().unwrap();
        for (module, name, wanted) in [
            ("collections", "OrderedDict", true),
            ("collections", "OrderedDict.fromkeys", false),
            ("collections.abc", "OrderedDict", false),
            ("builtins", "eval", false),
            ("__builtin__", "bytes", true),
            ("builtins", "set", true),
            ("__builtin__", "set", true),
            ("__builtin__", "eval", false),
            ("os", "system", false),
            ("", "", false),
        ] {
            assert_eq!(list.mode(module, name).is_some(), wanted, "{module} {name}");
        }
    }

    #[test]
    fn a_list_of_the_user_is_added_or_refused_whole() {
        let mut list = AllowList::shipped().unwrap();
        let before = list.digest();
        list.extend("mine", "# comment\nmy.module Class\nmy.module function reference # why\n").unwrap();
        assert_eq!(list.mode("my.module", "function"), Some(Mode::Reference));
        assert_ne!(list.digest(), before);
        assert!(list.extend("mine", "one").unwrap_err().contains("line 1"));
        assert!(list.extend("mine", "a b strange").unwrap_err().contains("strange"));
    }
}
