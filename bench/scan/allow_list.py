"""Makes `crates/scan/allow/*.txt` from the libraries that are installed: their classes by introspection, their helpers by
pickling fitted models in every protocol. Run it again when a library has a new version:

    python bench/scan/allow_list.py [--add] [LIBRARY…]

With `--add`, run in an environment with an older version, a list gets what that version has beyond the versions already on it,
under a heading of its own. The files of models outlive the library that wrote them.

A name gets on a list only if making an object of it, with any arguments that are themselves allowed, has no effect outside
of that object. What is left out on purpose stands in DENIED, with the reason.
"""

import importlib
import importlib.metadata
import inspect
import pathlib
import pkgutil
import sys
import warnings

warnings.simplefilter("ignore")
ADD = "--add" in sys.argv
FOLDER = pathlib.Path(__file__).resolve().parents[2] / "crates" / "scan" / "allow"

# Harmless-looking names with effects: they open files, run what they are given, or look names up.
DENIED = {
    "numpy.memmap": "opens or makes a file",
    "numpy._core._ufunc_reconstruct": "imports any module and takes any name from it",
    "numpy.core._ufunc_reconstruct": "imports any module and takes any name from it",
    "sklearn.utils.parallel.Parallel": "calls what it is given",
    "sklearn.utils.parallel._FuncWrapper": "calls what it is given, in another thread or process",
}
DENIED_PARTS = (
    "._testing", ".testing", ".tests", ".conftest", ".estimator_checks", ".externals", ".datasets", "._mocking", "._build",
    ".fixes", "._show_versions", ".parallel", "._joblib", ".discovery", ".setup", ".__check_build", "._metadata_requests",
    ".deprecation", ".frozen.tests", "._repr_html", "._plotting", "._array_api", "._pprint", ".callback", "._pairwise_distances_reduction", "._reingold_tilford",
)


def modules(package, parts=DENIED_PARTS):
    """The package and its modules, those that can be imported and are no tests."""
    root = importlib.import_module(package)
    yield root
    for found in pkgutil.walk_packages(root.__path__, package + ".", onerror=lambda name: None):
        if any(part in found.name for part in parts):
            continue
        try:
            yield importlib.import_module(found.name)
        except Exception:
            continue


def classes(package, wanted, parts=DENIED_PARTS):
    names = set()
    for module in modules(package, parts):
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__.startswith(package) and value.__qualname__ == value.__name__:
                if any(part in value.__module__ for part in parts):
                    continue
                if getattr(sys.modules.get(value.__module__), value.__name__, None) is value and wanted(value):
                    names.add((value.__module__, value.__name__))
    return names


def functions(*module_names):
    """Public functions of modules that only compute."""
    names = set()
    for module_name in module_names:
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            continue
        for name, value in vars(module).items():
            home = getattr(value, "__module__", None)
            if callable(value) and not inspect.isclass(value) and home == module_name and not name.startswith("_"):
                if getattr(value, "__qualname__", name) == name:
                    names.add((module_name, name, "reference"))
    return names


# What loading calls of an object's own, apart from its constructor.
HOOKS = ("__new__", "__setstate__", "__setattr__", "__reduce__", "__reduce_ex__", "__init_subclass__", "__set_name__", "__del__")


def is_plain(value):
    """Whether nothing of a class runs when an empty object of it is made and its state is set."""
    written = (one for one in value.__mro__ if one.__module__ not in ("builtins", "abc", "typing", "collections"))
    return type(value).__module__ in ("builtins", "abc") and not any(hook in vars(one) for one in written for hook in HOOKS)


def is_exception(value):
    return issubclass(value, BaseException)


def write(name, package, how, names):
    names = {tuple(entry) for entry in names if f"{entry[0]}.{entry[1]}" not in DENIED}
    # The same name in two uses: the guarded one counts.
    by_name = {}
    for entry in sorted(names):
        by_name[entry[:2]] = entry if len(entry) > 2 else by_name.get(entry[:2], entry)
    version = importlib.metadata.version(package) if package else sys.modules[name].__version__
    path = FOLDER / f"{name}.txt"
    if ADD:
        listed = {tuple(line.split()[:2]) for line in path.read_text().splitlines() if not line.startswith("#")}
        lines = [" ".join(by_name[key]) for key in sorted(by_name) if key not in listed]
        if lines:
            path.write_text("\n".join([path.read_text().rstrip(), f"# Names of {name} {version} that no version above has.", *lines]) + "\n")
        print(f"{name}: {len(lines)} names that only {version} has")
        return
    lines = [
        f"# Names of {name} {version} that pickles of models may import.",
        f"# How: {how}",
        "# Made by `python bench/scan/allow_list.py`; names are facts and under no licence of the library's.",
    ]
    lines += [" ".join(by_name[key]) for key in sorted(by_name)]
    path.write_text("\n".join(lines) + "\n")
    print(f"{name}: {len(by_name)} names of {version}")


def numpy():
    import numpy as np

    names = set()
    # Module names changed with NumPy 2: `numpy.core` before, `numpy._core` since. Files of both are read.
    for core in ("numpy.core", "numpy._core"):
        names |= {
            (f"{core}.multiarray", "_reconstruct", "array-maker"), (f"{core}.multiarray", "scalar", "array-scalar"),
            (f"{core}.numeric", "_frombuffer", "bytes-first"), (f"{core}", "_DType_reconstruct"),
        }
    names |= {("numpy", "dtype", "dtype"), ("numpy", "ndarray"), ("numpy", "matrix"), ("numpy", "recarray"), ("numpy", "poly1d"), ("numpy", "vectorize")}
    for entry in ("recarray", "record", "matrix", "poly1d"):
        value = getattr(np, entry)
        names.add((value.__module__, value.__name__))
    names |= {("numpy.core.records", "recarray"), ("numpy.rec", "recarray"), ("numpy.rec", "record"), ("numpy", "record")}
    names |= {("numpy.ma.core", "_mareconstruct", "array-maker"), ("numpy.ma.core", "MaskedArray"), ("numpy.ma", "MaskedArray"),
              ("numpy.char", "chararray"), ("numpy", "chararray"), ("numpy.ma.core", "MaskedConstant")}
    for name, value in vars(np).items():
        if inspect.isclass(value) and issubclass(value, np.generic):
            names |= {("numpy", name), ("numpy", value.__name__)}
        if isinstance(value, np.ufunc):
            names |= {("numpy", name, "reference"), ("numpy._core._multiarray_umath", value.__name__, "reference"),
                      ("numpy.core._multiarray_umath", value.__name__, "reference")}
    for name in ("mean", "median", "sum", "max", "min", "std", "var", "prod", "ravel", "asarray", "array", "abs", "clip", "round",
                 "nan_to_num", "argmax", "argmin", "average", "percentile", "quantile", "nanmean", "nanmedian", "amax", "amin",
                 "reshape", "column_stack", "hstack", "vstack", "stack", "concatenate", "transpose", "squeeze", "expand_dims", "diff",
                 "cumsum", "cumprod", "where", "nansum", "nanstd", "nanvar", "nanmax", "nanmin", "nanprod", "ptp", "digitize", "interp",
                 "unique", "sort", "argsort", "tile", "repeat", "flip", "roll", "zeros_like", "ones_like", "full_like", "real", "imag",
                 "angle", "dot", "atleast_1d", "atleast_2d", "asanyarray", "ascontiguousarray", "count_nonzero", "swapaxes", "histogram", "polyval"):
        value = getattr(np, name)
        names |= {("numpy", name, "reference"), (getattr(value, "__module__", "numpy"), value.__name__, "reference")}
    for name in vars(np.dtypes) if hasattr(np, "dtypes") else ():
        if inspect.isclass(getattr(np.dtypes, name)):
            names.add(("numpy.dtypes", name))
    # They call what they are given.
    names |= {("numpy.random._pickle", f"__{entry}_ctor", "random-generator") for entry in ("randomstate", "generator", "bit_generator")}
    for entry in ("MT19937", "PCG64", "PCG64DXSM", "Philox", "SFC64"):
        names.add((f"numpy.random._{entry.lower().removesuffix('dxsm')}", entry))
    names |= {("numpy.random.bit_generator", "SeedSequence"), ("numpy.random.bit_generator", "__pyx_unpickle_SeedSequence")}
    names |= {("numpy.random.mtrand", "RandomState"), ("numpy.random._generator", "Generator")}
    # Arrays are made by `_reconstruct`. Called themselves, they take the bytes of a buffer for pointers to objects.
    arrays = {entry[:2] for entry in names if entry[1] in ("ndarray", "recarray", "matrix", "MaskedArray", "chararray")}
    names = {entry for entry in names if entry[:2] not in arrays} | {(*entry, "array-class") for entry in arrays}
    # Called itself, it makes a text of bytes in any encoding, which nobody has looked at.
    names |= {("numpy", name, "reference") for name in ("str_", "unicode_") if hasattr(np, name)}
    names.add(("numpy.linalg", "norm", "reference"))
    for kind in ("chebyshev.Chebyshev", "hermite.Hermite", "hermite_e.HermiteE", "laguerre.Laguerre", "legendre.Legendre", "polynomial.Polynomial"):
        names.add(tuple(f"numpy.polynomial.{kind}".rsplit(".", 1)))
    if hasattr(np.dtypes, "StringDType"):
        names.add(("numpy._core._internal", "_convert_to_stringdtype_kwargs"))
    write("numpy", "numpy", "array and scalar reconstructors by hand; scalar types, dtypes and ufuncs by introspection", names)


def scipy():
    import scipy.interpolate
    import numpy as np
    import scipy.optimize
    import scipy.sparse
    import scipy.spatial.distance
    import scipy.special
    import scipy.stats
    from scipy.stats import _continuous_distns, _discrete_distns, _distn_infrastructure, _levy_stable

    names = classes("scipy.sparse", lambda value: "matrix" in value.__name__ or "array" in value.__name__, DENIED_PARTS + (".linalg", ".csgraph"))
    old = {(module.replace("._", "."), name) for module, name in names}
    names |= {entry for entry in old if hasattr(sys.modules.get(entry[0]), entry[1])}
    names |= classes("scipy.interpolate", lambda value: not is_exception(value))
    names |= {("scipy.spatial._ckdtree", "cKDTree"), ("scipy.spatial._kdtree", "KDTree"), ("scipy.spatial.ckdtree", "cKDTree"),
              ("scipy.spatial.transform._rotation", "Rotation")}
    for module in (_continuous_distns, _discrete_distns, _levy_stable):
        for name, value in vars(module).items():
            if inspect.isclass(value) and issubclass(value, _distn_infrastructure.rv_generic) and value.__module__ == module.__name__:
                names.add((module.__name__, name, "distribution"))
    names.add(("scipy.stats._distn_infrastructure", "rv_sample", "distribution"))
    for module in (scipy.stats._multivariate, scipy.stats._covariance):
        for name, value in vars(module).items():
            if inspect.isclass(value) and value.__module__ == module.__name__ and is_plain(value) and not is_exception(value):
                names.add((module.__name__, name, "empty"))
    # Its attributes are its items.
    names |= {("scipy.optimize._optimize", "OptimizeResult", "empty"), ("scipy.optimize._constraints", "Bounds", "empty")}
    # Its own `__new__` only looks at the class. Results of exponential smoothing hold one.
    names.add(("scipy.optimize._lbfgsb_py", "LbfgsInvHessProduct", "empty"))
    names |= functions("scipy.spatial.distance")
    for module in (scipy.special, scipy.special._ufuncs, getattr(scipy.special, "_special_ufuncs", None)):
        for name, value in vars(module).items() if module else ():
            if isinstance(value, np.ufunc):
                names.add((module.__name__, value.__name__, "reference"))
    for entry in ("rv_frozen", "rv_continuous_frozen", "rv_discrete_frozen"):
        names.add(("scipy.stats._distn_infrastructure", entry))
    names.add(("scipy._lib.array_api_compat.numpy._aliases", "asarray", "reference"))
    # `rv_histogram` and kernel densities hold arrays only.
    names |= {("scipy.stats._kde", "gaussian_kde"), ("scipy.special._ufuncs", "expit", "reference"), ("scipy.special._ufuncs", "logit", "reference")}
    write("scipy", "scipy", "sparse arrays, interpolators, trees and distributions by introspection", names)


def pandas():
    import pandas as pd

    names = {
        ("pandas._libs.internals", "_unpickle_block"), ("pandas.core.internals.managers", "BlockManager"),
        ("pandas.core.internals.managers", "SingleBlockManager"), ("pandas._libs.internals", "BlockManager"),
        ("pandas.core.indexes.base", "_new_Index", "class-first"), ("pandas.core.indexes.datetimes", "_new_DatetimeIndex", "class-first"),
        ("pandas.core.indexes.period", "_new_PeriodIndex", "class-first"), ("pandas.core.indexes.numeric", "Int64Index"),
        ("pandas.core.indexes.numeric", "Float64Index"), ("pandas.core.indexes.numeric", "UInt64Index"),
        ("pandas.core.indexes.frozen", "FrozenList"), ("pandas._libs.arrays", "__pyx_unpickle_NDArrayBacked"),
        ("pandas._libs.tslibs.nattype", "_nat_unpickle"), ("pandas._libs.tslibs.nattype", "__nat_unpickle"), ("pandas._libs.tslibs.timestamps", "_unpickle_timestamp"),
        ("pandas._libs.tslibs.timedeltas", "_timedelta_unpickle"), ("pandas._libs.missing", "NA"),
        ("pandas._libs.missing", "NAType"), ("pandas._libs.tslibs.offsets", "Day"), ("pandas", "NA", "reference"),
        ("pandas.core.indexes.interval", "_new_IntervalIndex", "class-first"),
        ("pandas.core.indexes.timedeltas", "_new_TimedeltaIndex", "class-first"), ("pandas._libs.interval", "__pyx_unpickle_IntervalMixin"),
        # What a `DateOffset` holds.
        ("dateutil.relativedelta", "relativedelta", "empty"), ("pandas._libs.interval", "Interval"),
        ("pandas", "Interval"), ("pandas._libs.tslibs.period", "Period"), ("pandas", "Period"), ("pandas._libs.sparse", "IntIndex"),
        ("pandas._libs.sparse", "BlockIndex"),
    }
    for module in ("pandas.core.arrays", "pandas.core.indexes", "pandas.core.dtypes.dtypes", "pandas._libs.tslibs.offsets"):
        root = importlib.import_module(module)
        found = modules(module) if hasattr(root, "__path__") else [root]
        for one in found:
            for name, value in vars(one).items():
                if inspect.isclass(value) and value.__module__.startswith("pandas") and not is_exception(value):
                    kinds = (pd.api.extensions.ExtensionArray, pd.api.extensions.ExtensionDtype, pd.Index, pd.tseries.offsets.BaseOffset)
                    if issubclass(value, kinds):
                        # pandas 3 gives public classes the name of the package; both names are written.
                        names |= {(value.__module__, value.__name__), (one.__name__, value.__name__)}
    for value in (pd.DataFrame, pd.Series):
        names |= {(value.__module__, value.__name__), ("pandas", value.__name__)}
    names |= {("pandas.core.frame", "DataFrame"), ("pandas.core.series", "Series")}
    for entry in pd.__all__:
        value = getattr(pd, entry)
        if inspect.isclass(value) and issubclass(value, (pd.Index, pd.api.extensions.ExtensionDtype)):
            names.add(("pandas", entry))
    for entry in ("to_numeric", "to_datetime", "to_timedelta", "get_dummies", "isna", "notna", "cut", "qcut"):
        names.add((getattr(pd, entry).__module__, entry, "reference"))
    write("pandas", "pandas", "frames, indexes, extension arrays and dtypes by introspection", names)


def pyarrow():
    import pyarrow.lib

    names = {("pyarrow.lib", "_restore_array", "arrow-array"), ("pyarrow.lib", "py_buffer", "bytes-first")}
    makers = (
        "type_for_alias", "timestamp", "decimal32", "decimal64", "decimal128", "decimal256", "binary", "dictionary", "list_", "large_list",
        "struct", "map_", "field", "schema", "chunked_array", "scalar", "KeyValueMetadata", "_reconstruct_table", "_reconstruct_record_batch",
    )
    names |= {("pyarrow.lib", name) for name in makers if hasattr(pyarrow.lib, name)}
    write("pyarrow", "pyarrow", "by hand; not `Expression`, nor types of one's own, which name functions and classes", names)


def polars():
    import polars.datatypes.classes as kinds

    names = {("polars.dataframe.frame", "DataFrame", "arrow-stream"), ("polars.series.series", "Series", "arrow-stream"),
             ("polars.datatypes.classes", "Field"), ("polars.schema", "Schema")}
    for name, value in vars(kinds).items():
        if inspect.isclass(value) and issubclass(value, kinds.DataType) and not hasattr(value, "__setstate__") and not name.startswith("_"):
            if name not in ("Categorical", "Enum"):
                names.add((value.__module__, name))
    write("polars", "polars", "frames and series by hand, types by introspection; not `Expr` and `LazyFrame`, which hold pickled functions", names)


def sklearn():
    import sklearn.base
    from sklearn.gaussian_process.kernels import Kernel

    pieces = (
        "sklearn._loss", "sklearn.tree._", "sklearn.ensemble._hist_gradient_boosting", "sklearn.ensemble._gb", "sklearn.neighbors._",
        "sklearn.metrics._dist_metrics", "sklearn.metrics._scorer", "sklearn.linear_model._sgd_fast", "sklearn.model_selection._split",
        "sklearn.cluster._hierarchical_fast", "sklearn.cluster._bisect_k_means", "sklearn.cluster._birch", "sklearn.compose",
        "sklearn.utils._bunch", "sklearn.preprocessing", "sklearn.feature_extraction", "sklearn.calibration", "sklearn.isotonic",
        "sklearn.linear_model._linear_loss", "sklearn.linear_model._glm", "sklearn.decomposition", "sklearn.cross_decomposition",
        "sklearn.manifold", "sklearn.svm", "sklearn.neural_network", "sklearn.naive_bayes", "sklearn.mixture", "sklearn.multiclass",
        "sklearn.utils._tags", "sklearn.utils._random", "sklearn.utils._typedefs", "sklearn.utils._weight_vector",
        "sklearn.inspection._plot", "sklearn.utils._metadata_requests", "sklearn.model_selection._search", "sklearn._callbacks",
    )

    def wanted(value):
        if is_exception(value):
            return False
        if issubclass(value, (sklearn.base.BaseEstimator, Kernel)):
            return True
        return value.__module__.startswith(pieces) or not value.__module__.startswith("sklearn.utils")

    names = classes("sklearn", wanted)
    names |= {("sklearn.utils._bunch", "Bunch"), ("sklearn.utils", "Bunch"), ("sklearn.neighbors._ball_tree", "newObj", "class-first"),
              ("sklearn.neighbors._kd_tree", "newObj", "class-first"), ("sklearn.metrics._dist_metrics", "newObj", "class-first"),
              ("sklearn.utils._metadata_requests", "MetadataRequest"), ("sklearn.utils._metadata_requests", "MethodMetadataRequest"),
              ("sklearn.utils.metadata_routing", "MetadataRequest"), ("sklearn.base", "_BaseEstimator")} - {("sklearn.base", "_BaseEstimator")}
    # Cython's own reconstructors of these classes.
    for module_name in sorted({entry[0] for entry in names}):
        try:
            module = importlib.import_module(module_name)
        except ImportError:
            # One of those by hand, which older versions do not have.
            names = {entry for entry in names if entry[0] != module_name}
            continue
        for name in vars(module):
            if name.startswith("__pyx_unpickle_") and "Enum" not in name:
                names.add((module_name, name))
    # Up to 1.8 the compiled module of the losses calls itself by its last name only.
    for name, value in vars(importlib.import_module("sklearn._loss._loss")).items():
        if inspect.isclass(value) and value.__module__ == "_loss":
            names |= {("_loss", name), ("_loss", f"__pyx_unpickle_{name}")}
    names |= functions(
        "sklearn.feature_selection._univariate_selection", "sklearn.feature_selection._mutual_info", "sklearn.metrics._classification",
        "sklearn.metrics._regression", "sklearn.metrics._ranking", "sklearn.metrics.pairwise", "sklearn.preprocessing._data",
        "sklearn.covariance._empirical_covariance", "sklearn.utils.extmath",
    )
    if hasattr(sys.modules["sklearn.metrics._scorer"], "_passthrough_scorer"):
        names.add(("sklearn.metrics._scorer", "_passthrough_scorer", "reference"))
    names.add(("sklearn.utils.validation", "check_array", "reference"))
    names |= {("sklearn.cluster._kmeans", f"_kmeans_single_{name}", "reference") for name in ("lloyd", "elkan")}
    write("scikit-learn", "scikit-learn", "estimators, kernels, losses, trees, splitters and scorers by introspection; scoring functions as values", names)


def imbalanced_learn():
    import sklearn.base

    left_out = DENIED_PARTS + (".keras", ".tensorflow", ".utils")
    names = classes("imblearn", lambda value: issubclass(value, sklearn.base.BaseEstimator), left_out)
    write("imbalanced-learn", "imbalanced-learn", "samplers, pipelines and ensembles by introspection", names)


def statsmodels():
    left_out = DENIED_PARTS + (".sandbox", ".examples", ".compat", ".x13", ".imputation", ".parallel", ".formula", ".iolib", ".graphics")
    plain = classes("statsmodels", lambda value: is_plain(value) and not is_exception(value), left_out)
    names = {(*entry, "empty") for entry in plain}
    # Both set the state as it is, the data also by evaluating the formula that it names.
    wrapper = importlib.import_module("statsmodels.base.wrapper").ResultsWrapper
    data = importlib.import_module("statsmodels.base.data").ModelData
    names |= {(*entry, "empty") for entry in classes("statsmodels", lambda value: issubclass(value, wrapper), left_out)}
    names |= {(*entry, "formula-data") for entry in classes("statsmodels", lambda value: issubclass(value, data), left_out)}
    names.add(("statsmodels.tools.tools", "Bunch", "empty"))
    # Its own `__setstate__` sets the state as it is and then looks up its own methods.
    names.add(("statsmodels.discrete.discrete_model", "NegativeBinomial", "empty"))
    # Not here: the compiled state-space models and smoothers. They believe the sizes that their state tells, and write beyond
    # their arrays when they are used if those are wrong.
    write("statsmodels", "statsmodels", "classes without methods of their own for pickling, made empty, by introspection", names)


def xgboost():
    import xgboost
    import xgboost.sklearn

    # Called with a path, it reads that file.
    names = {("xgboost.core", "Booster", "empty")}
    for name, value in vars(xgboost.sklearn).items():
        if inspect.isclass(value) and value.__module__ == "xgboost.sklearn" and "XGB" in name:
            names.add(("xgboost.sklearn", name))
    names |= {("xgboost.callback", "EarlyStopping")}
    write("xgboost", "xgboost", "the booster and the estimators by introspection", names)


def lightgbm():
    import lightgbm
    import lightgbm.sklearn

    # Called with a path, it reads that file.
    names = {("lightgbm.basic", "Booster", "empty")}
    for name, value in vars(lightgbm.sklearn).items():
        if inspect.isclass(value) and value.__module__ == "lightgbm.sklearn" and name.startswith("LGBM"):
            names.add(("lightgbm.sklearn", name))
    write("lightgbm", "lightgbm", "the booster and the estimators by introspection", names)


def catboost():
    import catboost

    names = set()
    for name in ("CatBoost", "CatBoostClassifier", "CatBoostRegressor", "CatBoostRanker", "Pool"):
        if name != "Pool":
            names.add((getattr(catboost, name).__module__, name))
    names |= {("catboost.core", "_CatBoostBase")} - {("catboost.core", "_CatBoostBase")}
    write("catboost", "catboost", "the estimators by hand; not `Pool`, which reads files", names)


def joblib():
    names = {("joblib.numpy_pickle", "NumpyArrayWrapper", "joblib-array")}
    write("joblib", "joblib", "by hand; the old `NDArrayWrapper` and `ZNDArrayWrapper` read other files and are left out", names)


# Names that torch got after the version that Debian has, from its own list for `weights_only` and its documentation.
TORCH_LATER = """
torch._utils _rebuild_parameter_with_state
torch._utils _rebuild_tensor_v3
torch._utils _rebuild_wrapper_subclass
torch._utils _rebuild_device_tensor_from_numpy
torch._utils _rebuild_device_tensor_from_cpu_tensor
torch._utils _rebuild_nested_tensor
torch.nn.modules.activation GELU
torch.nn.modules.normalization RMSNorm
torch.nn.modules.padding CircularPad1d
torch.nn.modules.padding CircularPad2d
torch.nn.modules.padding CircularPad3d
torch.nn.modules.padding ReflectionPad3d
torch.nn.modules.padding ZeroPad1d
torch.nn.modules.padding ZeroPad3d
torch.nn.modules.linear NonDynamicallyQuantizableLinear
torch.nn.parameter Buffer
torch uint16
torch uint32
torch uint64
torch float8_e4m3fn
torch float8_e4m3fnuz
torch float8_e5m2
torch float8_e5m2fnuz
torch float8_e8m0fnu
torch.torch_version TorchVersion
"""


def torch():
    """Run this one with a Python that has torch, for instance Debian's `python3-torch`."""
    import torch
    import torch.nn

    names = {tuple(line.split()) for line in TORCH_LATER.strip().splitlines()}
    names |= classes("torch.nn.modules", lambda value: issubclass(value, torch.nn.Module), ())
    for value in vars(torch).values():
        if isinstance(value, (torch.dtype, torch.layout, torch.memory_format, torch.qscheme)):
            names.add(tuple(str(value).rsplit(".", 1)))
    for value in torch._storage_classes | torch._tensor_classes:
        names.add((value.__module__, value.__name__))
    names |= {
        ("torch", "Tensor"), ("torch", "Size"), ("torch", "device"), ("torch", "Generator"), ("torch._tensor", "Tensor"),
        ("torch.nn.parameter", "Parameter"), ("torch.serialization", "_get_layout"), ("torch.storage", "TypedStorage"),
        ("torch.storage", "UntypedStorage"), ("torch.storage", "_TypedStorage"), ("torch.storage", "_UntypedStorage"),
        ("torch._tensor", "_rebuild_from_type_v2", "torch-rebuild"), ("torch.storage", "_load_from_bytes", "torch-bytes"),
    }
    for entry in ("_rebuild_tensor", "_rebuild_tensor_v2", "_rebuild_parameter", "_rebuild_sparse_tensor",
                  "_rebuild_sparse_csr_tensor", "_rebuild_qtensor", "_rebuild_meta_tensor_no_storage"):
        names.add(("torch._utils", entry))
    for entry in ("relu", "gelu", "silu", "tanh", "sigmoid", "softmax", "leaky_relu", "elu", "selu", "cross_entropy", "mse_loss"):
        names.add(("torch.nn.functional", entry, "reference"))
    names |= {("torch._C._nn", "gelu", "reference"), ("torch", "relu", "reference"), ("torch", "tanh", "reference"),
              ("torch", "sigmoid", "reference")}
    write("torch", None, f"torch {torch.__version__} by introspection: tensors, storages, dtypes, nn.Module classes; later ones by hand", names)


CALLING_OPERATIONS = {"AssociativeScan", "Cond", "ForiLoop", "JVP", "Map", "Scan", "Switch", "VectorizedMap", "WhileLoop"}


def keras():
    """Layers and their parts that a configuration may name; functions only where they are activations, losses or metrics."""
    import keras

    left_out = {"Lambda", "TFSMLayer", "JaxLayer", "TorchModuleWrapper", "FlaxLayer"}
    names = {("keras", "Sequential"), ("keras", "Model"), ("keras", "Functional"), ("keras.models", "Sequential"), ("keras.models", "Model"),
             ("keras.models", "Functional"), ("keras.src.models.functional", "Functional"), ("keras.src.models.sequential", "Sequential"),
             ("keras", "InputLayer"), ("keras", "KerasTensor"), ("keras", "DTypePolicy"), ("keras", "Variable")} - {("keras", "Variable")}
    for part in ("layers", "initializers", "optimizers", "losses", "metrics", "regularizers", "constraints", "activations",
                 "dtype_policies", "quantizers", "optimizers.schedules"):
        holder = keras
        for piece in part.split("."):
            holder = getattr(holder, piece, None)
        for name, value in vars(holder).items() if holder else ():
            if name in left_out or name.startswith("_") or not callable(value):
                continue
            if inspect.isclass(value) or part in ("activations", "losses", "metrics"):
                if name not in ("deserialize", "serialize", "get"):
                    names.add((f"keras.{part}", name))
                    names.add((value.__module__, value.__name__))
    # Arithmetic on symbolic tensors becomes operations of a functional model; those that call a function are left out.
    for part in ("core", "image", "linalg", "math", "nn", "numpy"):
        module = importlib.import_module(f"keras.src.ops.{part}")
        for name, value in vars(module).items():
            own = inspect.isclass(value) and issubclass(value, keras.Operation) and value.__module__ == module.__name__
            if own and name not in CALLING_OPERATIONS:
                names.add((module.__name__, name))
    write("keras", "keras", "layers, initializers, optimizers, losses, metrics, activations and operations by introspection", names)


LIBRARIES = {
    "numpy": numpy, "scipy": scipy, "pandas": pandas, "scikit-learn": sklearn, "xgboost": xgboost, "lightgbm": lightgbm,
    "catboost": catboost, "joblib": joblib, "imbalanced-learn": imbalanced_learn, "statsmodels": statsmodels,
    "pyarrow": pyarrow, "polars": polars,
}

if __name__ == "__main__":
    for library in [word for word in sys.argv[1:] if word != "--add"] or LIBRARIES:
        {**LIBRARIES, "torch": torch, "keras": keras}[library]()
