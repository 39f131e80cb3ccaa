"""Makes one file or more of every way to get past a scanner: `malicious.py FOLDER`. Nothing in them does harm: where a program
is named at all it is `true`. They are made at run time and never committed. Each must be blocked; what stands in the folder
`never-clean` is not dangerous by itself but must not be called clean.
"""

import bz2
import gzip
import io
import json
import lzma
import pathlib
import pickle
import struct
import sys
import tarfile
import zipfile
import zlib

HARMLESS = "true"


def text(value):
    raw = value.encode()
    return b"\x8c" + bytes([len(raw)]) + raw


def call(module, name, argument=HARMLESS):
    return b"\x80\x04" + text(module) + text(name) + b"\x93" + text(argument) + b"\x85R."


def frame(length):
    return b"\x95" + struct.pack("<Q", length)


SYSTEM = call("os", "system")

GADGETS = """
os system|posix system|nt system|subprocess Popen|subprocess check_output|subprocess getoutput|os popen|os execv|os spawnlp|pty spawn
builtins eval|builtins exec|builtins compile|builtins __import__|builtins open|builtins getattr|builtins setattr|builtins map
__builtin__ eval|__builtin__ apply|__builtin__ execfile|commands getoutput
operator methodcaller|operator attrgetter|_operator methodcaller|_operator attrgetter|functools reduce
pip main|pip._internal main|pydoc locate|pydoc pipepager|pkgutil resolve_name|importlib import_module|runpy run_path|runpy _run_code
codeop compile_command|code InteractiveInterpreter|types FunctionType|types CodeType|cProfile run|cProfile runctx|profile run|profile Profile.run
trace Trace|trace Trace.runctx|timeit timeit|timeit main|doctest debug_script|bdb Bdb.run|pdb run|pdb Pdb|test.support.script_helper assert_python_ok
idlelib.pyshell ModifiedInterpreter|idlelib.run Executive|idlelib.debugobj ObjectTreeItem|idlelib.autocomplete AutoComplete
lib2to3.pgen2.grammar Grammar.loads|lib2to3.pgen2.pgen ParserGenerator.make_label
numpy.f2py.crackfortran myeval|numpy.f2py.crackfortran getlincoef|numpy.f2py.crackfortran _eval_length|numpy.f2py.diagnose run
numpy.testing._private.utils runstring|numpy load|numpy fromfile|numpy memmap|numpy.core._multiarray_umath _load_from_filelike
numpy._core._ufunc_reconstruct x|numpy._core _ufunc_reconstruct|numpy.distutils.exec_command exec_command|numpy.lib.npyio load
asyncio.unix_events _UnixSubprocessTransport._start|asyncio subprocess|multiprocessing.util spawnv_passfds|uuid _get_command_stdout
_osx_support _read_output|_aix_support _read_cmd_output|_pyrepl.pager pipe_pager|imaplib IMAP4_stream|platform popen|ctypes CDLL|ctypes.util find_library
logging FileHandler|logging.config listen|logging.handlers SocketHandler|distutils.file_util write_file|shutil rmtree|shutil copy|tempfile mktemp
socket create_connection|urllib.request urlopen|urllib.request urlretrieve|http.client HTTPConnection|ftplib FTP|smtplib SMTP|webbrowser open
pathlib Path.write_text|pathlib Path|io open|io FileIO|codecs open|fileinput input|glob glob|zipimport zipimporter|marshal loads|sys exit|sys modules
pickle loads|_pickle loads|pickle load|pickle.Unpickler load|dill loads|cloudpickle loads|joblib load|joblib.numpy_pickle load|shelve open|sqlite3 connect
torch load|torch.serialization load|torch.hub load|torch.jit load|torch.jit.unsupported_tensor_ops execWrapper|torch.storage _load_from_bytes
torch.utils.data.datapipes.utils.decoder basichandlers|torch.utils.collect_env run|torch.utils._config_module load_config|torch._dynamo.guards GuardBuilder.get
torch._inductor.codecache compile_file|torch.utils.bottleneck.__main__ run_cprofile|torch.fx.experimental.symbolic_shapes ShapeEnv.evaluate_guards_expression
sklearn.utils._testing raises|sklearn.datasets load_files|sklearn.datasets fetch_openml|pandas read_pickle|pandas.io.pickle read_pickle|pandas eval|pandas.core.computation.eval eval
scipy.io loadmat|venv create|ensurepip bootstrap|site main|linecache getline|ast literal_eval|bdb run|sysconfig main|unittest.mock _importer|antigravity geohash
keras.utils get_file|tensorflow.io write_file|tensorflow.keras.models load_model|xgboost.core _load_lib|mlflow.pyfunc load_model|matplotlib.pyplot savefig
""".strip().replace("\n", "|").split("|")


def gadgets(put):
    for index, line in enumerate(GADGETS):
        module, name = line.split(" ")
        put("unknown-gadget", f"{index:03}-{module}.{name}.pkl", call(module, name))


def submodules(put):
    for module in ("os.path", "asyncio.base_subprocess", "subprocess.x", "builtins.x", "xml.etree.ElementTree", "collections.abc", "numpy.x"):
        put("submodule", f"{module}.pkl", call(module, "system"))
    put("submodule", "dotted.pkl", call("collections", "OrderedDict.fromkeys"))
    put("submodule", "dotted-deep.pkl", call("sklearn.base", "os.system"))


def extensions(put):
    for name in ("model.txt", "README.md", "weights.bin", "config.json", "model.safetensors", "model.pt", "model.h5", "data", "x.png", "model.onnx"):
        put("extension", name, SYSTEM)
    put("extension", "protocol0.md", b"cos\nsystem\n(S'true'\ntR.")


def virtual_machine(put):
    name = "pickle-machine"
    put(name, "inst.pkl", b"(S'true'\nios\nsystem\n.")
    put(name, "obj.pkl", b"(cos\nsystem\nS'true'\no.")
    put(name, "obj-popped.pkl", b"\x80\x04(cos\nsystem\nS'true'\no0N.")
    put(name, "newobj.pkl", b"\x80\x04csubprocess\nPopen\nS'true'\n\x85\x81.")
    put(name, "newobj-ex.pkl", b"\x80\x04csubprocess\nPopen\nS'true'\n\x85}\x92.")
    put(name, "popped.pkl", b"\x80\x04cos\nsystem\nS'true'\n\x85R0N.")
    put(name, "pop-mark.pkl", b"\x80\x04(cos\nsystem\nS'true'\n\x85R1N.")
    put(name, "memoize.pkl", b"\x80\x04" + text("os") + b"\x940" + text("system") + b"\x940h\x00h\x01\x93" + text(HARMLESS) + b"\x85R.")
    put(name, "memo-desync.pkl", b"\x80\x04" + text("x") + b"q\x000" + text("os") + b"q\x000" + text("system") + b"\x940h\x00h\x01\x93" + text(HARMLESS) + b"\x85R.")
    put(name, "memo-far.pkl", b"\x80\x04" + text("os") + b"r\xff\xff\x00\x00" + text("system") + b"\x94j\xff\xff\x00\x000h\x01\x93.")
    put(name, "memo-text.pkl", b"\x80\x04" + text("os") + b"p +1_0\n0g10\n" + text("system") + b"\x93" + text(HARMLESS) + b"\x85R.")
    put(name, "put-after.pkl", b"\x80\x04cos\nsystem\nq\x010h\x01" + text(HARMLESS) + b"\x85R.")
    for code, number in ((b"\x82", b"\x01"), (b"\x83", b"\x01\x00"), (b"\x84", b"\x01\x00\x00\x00")):
        put(name, f"extension-{code.hex()}.pkl", b"\x80\x02" + code + number + b")R.")
    put(name, "add-extension.pkl", b"\x80\x04ccopyreg\nadd_extension\n(" + text("os") + text("system") + b"K\x01tR0\x82\x01" + text(HARMLESS) + b"\x85R.")
    put(name, "escaped.pkl", b"\x80\x04S'\\x6fs'\nV\\u0073ystem\n\x93S'true'\n\x85R.")
    put(name, "binstring.pkl", b"\x80\x04U\x02osU\x06system\x93U\x04true\x85R.")
    put(name, "computed-name.pkl", b"\x80\x04cbuiltins\nstr\n" + text("os") + b"\x85R" + text("system") + b"\x93" + text(HARMLESS) + b"\x85R.")
    put(name, "computed-bytes.pkl", b"\x80\x02c_codecs\nencode\nX\x02\x00\x00\x00osX\x05\x00\x00\x00rot13\x86R.")
    put(name, "dup.pkl", b"\x80\x04cos\nsystem\n2" + text(HARMLESS) + b"\x85R.")
    put(name, "dictionary.pkl", b"\x80\x04(" + text("a") + b"cos\nsystem\nd.")
    put(name, "truncated.pkl", SYSTEM[:-1])
    put(name, "invalid-after.pkl", SYSTEM[:-1] + b"\xff\xfe")
    put(name, "underflow-after.pkl", SYSTEM[:-1] + b"0000000.")
    put(name, "protocol-after.pkl", SYSTEM[:-1] + b"\x80\x09.")
    put(name, "second.pkl", pickle.dumps({"a": 1}) + SYSTEM)
    put(name, "seventh.pkl", pickle.dumps(1) * 6 + SYSTEM)
    put(name, "newline.pkl", b"cos\r\nsystem\r\n(S'true'\ntR.")
    put(name, "newline-name.pkl", b"c os\nsystem \n(S'true'\ntR.")
    put(name, "protocol0.pkl", b"cos\nsystem\np0\n(S'true'\np1\ntp2\nRp3\n.")
    put(name, "no-protocol.pkl", SYSTEM[2:])
    put(name, "changing-protocol.pkl", b"\x80\x02" + SYSTEM)
    put(name, "build-class.pkl", b"\x80\x04csklearn.linear_model._logistic\nLogisticRegression\nN}" + text("fit") + b"cos\nsystem\ns\x86b.")
    put(name, "build-class-allowed.pkl", b"\x80\x04csklearn.linear_model._logistic\nLogisticRegression\n}" + text("fit") + b"cnumpy\nlog1p\nsb.")
    put(name, "setstate.pkl", b"\x80\x04cscipy.stats._continuous_distns\nnorm_gen\n)\x81}" + text("_parse_arg_template") + text("import os") + b"sb.")
    put(name, "setstate-hidden.pkl", b"\x80\x04csklearn.neighbors._kd_tree\nnewObj\ncscipy.stats._continuous_distns\nnorm_gen\n\x85R}"
        + text("_parse_arg_template") + text("import os") + b"sb.")
    handed_on(put, name)
    put("never-clean", "persistent.pkl", b"\x80\x04" + text("x") + b"Q.")
    put(name, "partial.pkl", b"\x80\x04cfunctools\npartial\ncos\nsystem\n" + text(HARMLESS) + b"\x86R)R.")
    put(name, "partial-allowed.pkl", b"\x80\x04cfunctools\npartial\ncbuiltins\nlist\n\x85R)R.")
    put(name, "string-call.pkl", b"\x80\x04" + text("os.system") + b")R.")


def handed_on(put, name):
    """Names that are harmless only where they are called with known arguments, given to what calls them unseen; and NumPy's types
    that lie about where pointers are."""
    tree, norm = b"csklearn.neighbors._kd_tree\nnewObj\n", b"cscipy.stats._continuous_distns\nnorm_gen\n"
    state = b"}" + text("_parse_arg_template") + text("import os") + b"sb."
    put(name, "handed-on-tuple.pkl", b"\x80\x04" + tree + b"cbuiltins\ntuple\n]" + norm + b"a\x85RR" + state)
    put(name, "handed-on-size.pkl", b"\x80\x04" + tree + b"ctorch\nSize\n]" + norm + b"a\x85RR" + state)
    put(name, "handed-on-list.pkl", b"\x80\x04" + tree + b"(" + norm + b"l\x85R" + state)
    put(name, "handed-on-full.pkl", b"\x80\x04" + b"NNN\x870" * (3 << 20) + tree + norm + b"\x85R" + state)
    load, inner = b"ctorch.storage\n_load_from_bytes\n", b"B" + struct.pack("<I", len(SYSTEM)) + SYSTEM
    partial = b"cfunctools\npartial\n" + load + inner + b"\x86R"
    put(name, "handed-on-maker.pkl", b"\x80\x04cnumpy.random._pickle\n__randomstate_ctor\n" + inner + load + b"\x86R.")
    put(name, "handed-on-partial.pkl", b"\x80\x04" + norm + b")\x81}" + text("_attach_methods") + partial + b"sb.")
    put(name, "handed-on-method.pkl", b"\x80\x04" + norm + b")\x81}" + text("_attach_methods") + b"cbuiltins\ndict\nsb.")
    flags = b"(K\x03" + text("|") + b"NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    objects = b"cnumpy\ndtype\n" + text("O8") + b"\x89\x88\x87R"
    fields = b"cnumpy\ndtype\n" + text("V8") + b"\x89\x88\x87R(K\x03" + text("|") + b"N" + text("a") + b"\x85}" + text("a") + objects
    buffer = lambda dtype: b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(C\x08AAAAAA\0\0" + dtype + b"K\x01\x85" + text("C") + b"tR."
    put(name, "pointers-flags.pkl", buffer(objects + flags))
    put(name, "pointers-field.pkl", buffer(fields + b"K\x00\x86sK\x08K\x01K\x00tb"))
    put(name, "pointers-array.pkl", b"\x80\x04cnumpy\nndarray\nK\x01\x85" + objects + b"C\x08AAAAAA\0\0\x87R.")
    put(name, "formula.pkl", b"\x80\x04cstatsmodels.base.data\nPandasData\n)\x81}" + text("restore_model_spec") + b"\x88s"
        + text("formula") + text("a ~ exit()") + b"sb.")


def memory(put):
    """Names that are all harmless by themselves, put together so that loading reads or writes memory that the file chooses."""
    name = "memory"
    dtype = lambda code: b"cnumpy\ndtype\n" + text(code) + b"\x89\x88\x87R"
    array = lambda code, count, content: (b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R(K\x01K"
        + bytes([count]) + b"\x85" + dtype(code) + b"\x89" + content + b"tb")
    namespace = b"ctypes\nSimpleNamespace\n)\x81}"
    interface = (b"}" + text("shape") + b"K\x01\x85s" + text("typestr") + text("|O8") + b"s" + text("data") + b"J\x40\x41\x41\x41\x89\x86s"
        + text("version") + b"K\x03s")
    attribute = lambda key: b"\x80\x04cnumpy\npoly1d\n" + namespace + key + interface + b"sb\x85R."
    put(name, "array-interface.pkl", attribute(text("__array_interface__")))
    put(name, "array-interface-escaped.pkl", attribute(b"V__arra\\u0079_interface__\n"))
    letters = "__array_interface__".encode("utf-32-le")
    put(name, "array-interface-made.pkl", attribute(b"cnumpy._core.multiarray\nscalar\n" + dtype("U19") + b"C" + bytes([len(letters)]) + letters + b"\x86R"))
    put(name, "array-interface-encoded.pkl", attribute(b"cbuiltins\nstr\nC\x26" + "__array_interface__".encode("utf-16-le") + text("utf-16-le") + b"\x86R"))
    put(name, "array-interface-item.pkl", b"\x80\x04cnumpy\npoly1d\ncsklearn.utils._bunch\nBunch\n)\x81" + text("__array_interface__") + interface + b"s\x85R.")
    forged = b"cfunctools\npartial\n(cnumpy\nndarray\nK\x01\x85" + dtype("O8") + b"C\x08AAAAAA\x00\x00tR"
    put(name, "array-called.pkl", b"\x80\x04cbuiltins\ndict\n" + namespace + text("keys") + forged + b"sb\x85R.")
    pointers = array("O8", 1, b"](Ne") + dtype("u1") + b"K\x08\x85" + text("C")
    put(name, "pointers-shown.pkl", b"\x80\x04cnumpy._core.numeric\n_frombuffer\n(" + pointers + b"tRK\x00K\x41s.")
    put(name, "pointers-buffer.pkl", b"\x80\x04cpyarrow.lib\npy_buffer\n" + array("O8", 1, b"](Ne") + b"\x85R.")
    load, changed = b"ctorch.storage\n_load_from_bytes\n", SYSTEM[2:]
    put(name, "bytes-changed.pkl", b"\x80\x05" + load + b"\x96" + struct.pack("<Q", 4) + b"\x80\x04N." + b"K\x03K\x30s("
        + b"".join(b"K" + bytes([byte]) for byte in changed) + b"e\x85R.")
    size = 4_000
    state = b"(K\x01M" + struct.pack("<H", size) + b"\x85" + dtype("u1") + b"\x89h\x00tb"
    put(name, "bytes-shared.pkl", b"\x80\x04B" + struct.pack("<I", size) + b"\x80\x04N." + bytes(size - 4) + b"\x940"
        + b"cnumpy._core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85C\x01b\x87R" + state
        + b"".join(b"K" + bytes([at]) + b"K" + bytes([byte]) + b"s" for at, byte in enumerate(SYSTEM)) + b"0" + load + b"h\x00\x85R.")

    def arrow(kind, length, missing, *buffers, after=b""):
        made = b"".join(b"N" if one is None else b"cpyarrow.lib\npy_buffer\n" + one + b"\x85R" for one in buffers)
        return (b"\x80\x05cpyarrow.lib\n_restore_array\n(cpyarrow.lib\ntype_for_alias\n" + text(kind) + b"\x85R" + b"J" + struct.pack("<i", length)
            + b"J" + struct.pack("<i", missing) + b"K\x00](" + made + b"e]Nt\x85R" + after + b".")

    short, ends = b"C\x08" + bytes(8), lambda *ends: b"C" + bytes([4 * len(ends)]) + struct.pack(f"<{len(ends)}I", *ends)
    put(name, "arrow-short.pkl", arrow("int64", 1 << 20, 0, None, short))
    put(name, "arrow-missing.pkl", arrow("int64", 1, 1, None, short))
    put(name, "arrow-missing-more.pkl", arrow("int8", 8, 7, b"C\x01\xff", short))
    put(name, "arrow-offsets.pkl", arrow("string", 1, 0, None, ends(0, 1 << 30), b"C\x01a"))
    put(name, "arrow-offsets-back.pkl", arrow("string", 2, 0, None, ends(0, 1 << 30, 1), b"C\x01a"))
    put(name, "arrow-view.pkl", arrow("string_view", 1, 0, None, b"C\x10" + struct.pack("<IIII", 100, 0, 7, 0)))
    put(name, "arrow-changed.pkl", arrow("string", 1, 0, None, b"\x96" + struct.pack("<QII", 8, 0, 1) + b"\x94", b"C\x01a",
        after=b"0cnumpy._core.numeric\n_frombuffer\n(h\x00" + dtype("u1") + b"K\x08\x85" + text("C") + b"tRK\x07K\x7fs"))
    stream = b"\xff\xff\xff\xff\x14\x00\x00\x00ARROW:extension:name\x00\x00\x00\x15\x00\x00\x00POLARS_EXTENSION_TYPE"
    put(name, "polars-objects.pkl", b"\x80\x04cpolars.series.series\nSeries\n)\x81C" + bytes([len(stream)]) + stream + b"b.")
    put(name, "polars-plan.pkl", b"\x80\x04cpolars.lazyframe.frame\nLazyFrame\n)\x81C\x07PLPYUDFb.")
    put(name, "polars-expression.pkl", b"\x80\x04cpolars.expr.expr\nExpr\n)\x81C\x07PLPYUDFb.")
    put(name, "arrow-expression.pkl", b"\x80\x04cpyarrow._compute\nExpression._deserialize\ncpyarrow.lib\npy_buffer\nC\x01a\x85R\x85R.")
    put(name, "memory-cache.pkl", b"\x80\x04cjoblib.memory\nMemory\n)\x81}" + text("location") + text("/tmp/elsewhere") + b"sb.")
    put(name, "state-space.pkl", b"\x80\x04cstatsmodels.tsa.statespace._kalman_filter\ndKalmanFilter\n)R}b.")


def boosters(put):
    """Called with a path, they read that file."""
    for module in ("xgboost.core", "lightgbm.basic"):
        name = text(module) + text("Booster") + b"\x93"
        path = b"NN" + text("model.txt")
        put("boosters", f"{module}-called.pkl", b"\x80\x04" + name + path + b"\x87R.")
        put("boosters", f"{module}-object.pkl", b"\x80\x04(" + name + path + b"o.")
        put("boosters", f"{module}-named.pkl", b"\x80\x04" + name + b")}" + text("model_file") + text("model.txt") + b"s\x92.")
        appended = text("sklearn.dummy") + text("DummyClassifier") + b"\x93)\x81}" + text("append") + name + b"sb" + text("model.txt") + b"a."
        put("boosters", f"{module}-appended.pkl", b"\x80\x04" + appended)


def frames(put):
    name = "frames"
    # A text across the border: one reader sees a text, another a call.
    body = b"N0\x8c\x18" + b"." * 2
    put(name, "straddle-text.pkl", b"\x80\x04" + frame(len(body)) + body + b"cos\nsystem\n(S'true'\ntR...")
    put(name, "straddle-line.pkl", b"\x80\x04" + frame(6) + b"N0V" + b"abc" + b"\ncos\nsystem\n(S'true'\ntR.")
    put(name, "straddle-line-drop.pkl", b"\x80\x04" + frame(4) + b"N0Vx" + b"\ncos\nsystem\n(S'true'\ntR.")
    put(name, "nested.pkl", b"\x80\x04" + frame(30) + frame(3) + b"N0N.cos\nsystem\n(S'true'\ntR.")
    put(name, "after-stop.pkl", b"\x80\x04" + frame(10) + b"N." + b"." * 8 + b"cos\nsystem\n(S'true'\ntR.")
    put(name, "too-long.pkl", b"\x80\x04" + frame(1 << 20) + SYSTEM[2:])
    put(name, "long-hidden.pkl", b"\x80\x04" + frame(200_000) + b"N0B" + struct.pack("<I", 300_000) + b"x" * 300_000 + b"0cos\nsystem\n(S'true'\ntR.")


def nested(put):
    wrap = lambda raw: b"\x80\x04B" + struct.pack("<I", len(raw)) + raw + b"."
    put("nested", "bytes.pkl", wrap(SYSTEM))
    put("nested", "bytes-loads.pkl", b"\x80\x04cpickle\nloads\nB" + struct.pack("<I", len(SYSTEM)) + SYSTEM + b"\x85R.")
    put("nested", "twice.pkl", wrap(wrap(wrap(SYSTEM))))
    put("nested", "text.pkl", b"\x80\x04" + text("cos\nsystem\n(S'true'\ntR.") + b".")
    put("nested", "latin1.pkl", pickle.dumps(SYSTEM, 2))
    put("nested", "bytearray.pkl", pickle.dumps(bytearray(SYSTEM), 5))
    put("nested", "torch-bytes.pkl", b"\x80\x04ctorch.storage\n_load_from_bytes\nB" + struct.pack("<I", len(SYSTEM)) + SYSTEM + b"\x85R.")


def compressed(put):
    for kind, raw in {"zlib": zlib.compress(SYSTEM), "gzip": gzip.compress(SYSTEM), "bz2": bz2.compress(SYSTEM), "xz": lzma.compress(SYSTEM),
                      "lzma": lzma.compress(SYSTEM, lzma.FORMAT_ALONE), "gzip-twice": gzip.compress(gzip.compress(SYSTEM)),
                      "gzip-then": gzip.compress(pickle.dumps(1)) + gzip.compress(SYSTEM),
                      "lzma-then": lzma.compress(pickle.dumps(1), lzma.FORMAT_ALONE) + lzma.compress(SYSTEM, lzma.FORMAT_ALONE), "zlib-cut": zlib.compress(SYSTEM)[:-4]}.items():
        put("compressed", f"{kind}.joblib", raw)
    try:
        import lz4.frame
        put("compressed", "lz4.joblib", lz4.frame.compress(SYSTEM))
    except ImportError:
        pass


def joblib_arrays(put):
    import joblib
    import numpy as np

    out = io.BytesIO()
    joblib.dump({"a": np.zeros(4), "b": 1}, out)
    raw = out.getvalue()
    put("joblib", "after.joblib", raw + SYSTEM)
    put("joblib", "instead.joblib", raw[:-1] + SYSTEM[2:])
    objects = io.BytesIO()
    joblib.dump(np.array([1, "x"], dtype=object), objects)
    put("joblib", "objects.joblib", objects.getvalue().replace(pickle.dumps("x", 2)[2:5], b"cos\nsystem\n")[:400] + SYSTEM)


def zips(put):
    def archive(members, flags=None, comment=b"", rename=None, damage=False, method=zipfile.ZIP_STORED):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", method) as zipped:
            import warnings
            warnings.simplefilter("ignore")
            for name, content in members:
                zipped.writestr(zipfile.ZipInfo(name), content, method)
            zipped.comment = comment
        raw = bytearray(out.getvalue())
        central = raw.find(b"PK\x01\x02")
        if flags:
            raw[central + 8:central + 10] = struct.pack("<H", flags)
            raw[6:8] = struct.pack("<H", flags)
        if rename:
            raw[30:30 + len(rename)] = rename
        if damage:
            raw[central + 16] ^= 1
            raw[14] ^= 1
        return bytes(raw)

    benign, name = pickle.dumps({"a": 1}, 2), "zip"
    put(name, "plain.zip", archive([("data.pkl", SYSTEM)]))
    put(name, "torch.pt", archive([("archive/data.pkl", SYSTEM), ("archive/version", b"3\n")]))
    put(name, "deflated.zip", archive([("data.pkl", SYSTEM)], method=zipfile.ZIP_DEFLATED))
    put(name, "flag-encrypted.pt", archive([("archive/data.pkl", SYSTEM)], flags=1))
    put(name, "flag-reserved.pt", archive([("archive/data.pkl", SYSTEM)], flags=1 << 7))
    put(name, "renamed.pt", archive([("archive/data.pkl", SYSTEM)], rename=b"archive/data.pkl"))
    put(name, "checksum.pt", archive([("archive/data.pkl", SYSTEM)], damage=True))
    put(name, "repeated.pt", archive([("archive/data.pkl", SYSTEM), ("archive/data.pkl", benign)]))
    put(name, "repeated-benign.pt", archive([("archive/data.pkl", benign), ("archive/data.pkl", benign)]))
    put(name, "case.pt", archive([("archive/data.pkl", benign), ("archive/DATA.pkl", benign)]))
    put(name, "prefix.pt", b"x" * 40 + archive([("archive/data.pkl", benign)]))
    put(name, "suffix.pt", archive([("archive/data.pkl", benign)]) + SYSTEM)
    put(name, "comment.pt", archive([("archive/data.pkl", benign)], comment=archive([("archive/data.pkl", SYSTEM)])))
    put(name, "two.pt", archive([("archive/data.pkl", SYSTEM)]) + archive([("archive/data.pkl", benign)]))
    put(name, "hidden-member.pt", archive([("archive/data.pkl", benign), ("archive/evil.pkl", SYSTEM)]))
    put(name, "as-tensor.pt", archive([("archive/data.pkl", benign), ("archive/data/0", SYSTEM)]))
    for bad in ("../evil.pkl", "/evil.pkl", "a\\..\\evil.pkl", "C:evil.pkl", "a/./evil.pkl", "a//evil.pkl"):
        put(name, f"name-{abs(hash(bad)) % 1000}.zip", archive([(bad, benign)]))
    put(name, "zip-in-zip.zip", archive([("inner.zip", archive([("data.pkl", SYSTEM)]))]))
    put(name, "script.pt", archive([("archive/data.pkl", benign), ("archive/code/__torch__.py", b"def forward(self): pass")]))
    put(name, "two-ends.zip", two_ends(archive([("data.pkl", benign)]), archive([("evil.pkl", SYSTEM)])))
    npz = io.BytesIO()
    import numpy as np
    np.savez(npz, a=np.array([1], dtype=object))
    put(name, "objects.npz", npz.getvalue().replace(b"cnumpy", b"cnumpx", 1) if b"cnumpy" in npz.getvalue() else archive([("a.npy", npy(SYSTEM))]))


def two_ends(first, second):
    """A zip with two larger end records: the locator names the first, Python takes the one before the locator."""
    def body(raw, shift):
        start = raw.find(b"PK\x01\x02")
        central = bytearray(raw[start:-22])
        central[42:46] = struct.pack("<I", shift)
        record = struct.pack("<4sQHHIIQQQQ", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(central), shift + start)
        return raw[:start] + bytes(central) + record

    named = body(first, 0)
    whole = named + body(second, len(named))
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, len(named) - 56, 1)
    return whole + locator + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, 0xFFFFFFFF, 0xFFFFFFFF, 0)


def npy(payload):
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + payload


def others(put):
    put("numpy", "objects.npy", npy(SYSTEM))
    put("numpy", "header.npy", b"\x93NUMPY\x01\x00" + struct.pack("<H", 40) + b"__import__('os').system('true')".ljust(39) + b"\n")
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        info = tarfile.TarInfo("data.pkl")
        info.size = len(SYSTEM)
        tar.addfile(info, io.BytesIO(SYSTEM))
    put("tar", "plain.tar", out.getvalue())
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        link = tarfile.TarInfo("x")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    put("tar", "link.tar.gz", out.getvalue())
    zipped = io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as archive:
        archive.writestr("data.pkl", pickle.dumps(1))
    put("polyglot", "pickle-zip.pkl", SYSTEM + zipped.getvalue())
    header = json.dumps({"__metadata__": {}}).encode()
    put("polyglot", "safetensors-zip.safetensors", struct.pack("<Q", len(header)) + header + zipped.getvalue())
    put("polyglot", "benign-pickle-zip.pkl", pickle.dumps({"a": 1}) + zipped.getvalue())

    def keras(layer):
        out = io.BytesIO()
        config = {"module": "keras", "class_name": "Sequential", "config": {"layers": [layer]}, "registered_name": "Sequential"}
        with zipfile.ZipFile(out, "w") as archive:
            archive.writestr("metadata.json", "{}")
            archive.writestr("config.json", json.dumps(config).replace("Lambda", "L\\u0061mbda"))
        return out.getvalue()

    layers = {
        "lambda": {"module": "keras.layers", "class_name": "Lambda", "config": {}}, "tfsm": {"module": "keras.layers", "class_name": "TFSMLayer", "config": {}},
        "module": {"module": "subprocess", "class_name": "function", "config": "run"},
        "get-file": {"module": "keras.utils", "class_name": "function", "config": "get_file"},
        "builtin": {"module": "builtins", "class_name": "function", "config": "eval"},
    }
    for name, layer in layers.items():
        put("keras", f"{name}.keras", keras(layer))
    try:
        import h5py

        path = pathlib.Path(sys.argv[1]) / "keras"
        path.mkdir(parents=True, exist_ok=True)
        with h5py.File(path / "lambda.h5", "w") as file:
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": {"layers": [{"class_name": "Lambda", "config": {}}]}})
        with h5py.File(path / "link.h5", "w") as file:
            file["x"] = h5py.ExternalLink("other.h5", "/x")
    except ImportError:
        pass
    try:
        import onnx
        from onnx import TensorProto, helper

        def model(location, domain="", operator="Add"):
            weight = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
            if location:
                weight.ClearField("float_data")
                weight.data_location = TensorProto.EXTERNAL
                entry = weight.external_data.add()
                entry.key, entry.value = "location", location
            value = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, [2])
            graph = helper.make_graph([helper.make_node(operator, ["x", "w"], ["y"], domain=domain)], "g", [value("x")], [value("y")], [weight])
            return helper.make_model(graph).SerializeToString()

        for index, location in enumerate(("../../etc/passwd", "/etc/passwd", "a/../../x")):
            put("onnx", f"external-{index}.onnx", model(location))
        put("never-clean", "missing.onnx", model("missing.bin"))
        put("never-clean", "domain.onnx", model("", "evil.domain"))
        put("onnx", "python.onnx", model("", "ai.onnx.contrib", "PyOp"))
    except ImportError:
        pass
    varint = lambda field, raw: bytes([field << 3 | 2]) + bytes([len(raw)]) + raw
    node = varint(1, b"n") + varint(2, b"WriteFile")
    put("tensorflow", "saved_model.pb", b"\x08\x01" + varint(2, varint(2, varint(1, node))))
    template = b"{{ ''.__class__.__mro__ }}"
    key = b"tokenizer.chat_template"
    put("gguf", "template.gguf", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key + struct.pack("<IQ", 8, len(template)) + template)
    put("gguf", "count.gguf", b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1 << 60))
    put("safetensors", "overlap.safetensors", safetensors({"a": ("F32", [2], 0, 8), "b": ("F32", [2], 4, 12)}, 12))
    put("safetensors", "gap.safetensors", safetensors({"a": ("F32", [2], 8, 16)}, 16))
    put("safetensors", "tail.safetensors", safetensors({"a": ("F32", [2], 0, 8)}, 8) + SYSTEM)
    put("skops", "type.skops", archive_of({"schema.json": json.dumps({"__class__": "system", "__module__": "os", "__loader__": "TypeNode",
        "content": {"__class__": "system", "__module__": "os"}, "protocol": 2})}))
    put("skops", "function.skops", archive_of({"schema.json": json.dumps({"__class__": "function", "__module__": "builtins",
        "__loader__": "FunctionNode", "content": {"module_path": "os", "function": "system"}})}))
    for loader in ("TypeNode", "FunctionNode"):
        # The types of a dictionary's keys are called with their texts.
        key = {"__class__": "system", "__module__": "os", "__loader__": loader, "content": {"module_path": "numpy", "function": "add"}}
        keys = {"__class__": "list", "__module__": "builtins", "__loader__": "ListNode", "content": [key]}
        value = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": "1"}
        put("skops", f"keys-{loader}.skops", archive_of({"schema.json": json.dumps({"__class__": "dict", "__module__": "builtins",
            "__loader__": "DictNode", "key_types": keys, "content": {HARMLESS: value}, "protocol": 2})}))
    put("weights", "model.safetensors.index.json", json.dumps({"weight_map": {"a": "../../elsewhere.bin"}}).encode())
    put("mlflow", "MLmodel", b"flavors:\n  python_function:\n    loader_module: os\n    code: code\n")
    put("mlflow", "python-tag/conda.yaml", b"dependencies: !!python/object/apply:os.system [true]\n")
    put("mlflow", "index/requirements.txt", b"--extra-index-url https://example.org/simple\nmlflow\n")
    put("mlflow", "source/requirements.txt", b"mlflow @ git+https://example.org/mlflow\n")


def archive_of(members):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def safetensors(tensors, size):
    header = json.dumps({name: {"dtype": kind, "shape": shape, "data_offsets": [start, end]} for name, (kind, shape, start, end) in tensors.items()}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(size)


def main():
    folder = pathlib.Path(sys.argv[1])

    def put(group, name, content):
        path = folder / group / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)

    for make in (gadgets, submodules, extensions, virtual_machine, memory, boosters, frames, nested, compressed, joblib_arrays, zips, others):
        make(put)
    print(sum(1 for path in folder.rglob("*") if path.is_file()))


if __name__ == "__main__":
    main()
