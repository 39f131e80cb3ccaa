"""The code that the tests have trained: written out as files, as a data scientist would log them beside a run."""

# A training script as anybody would write it; it knows of the server only what its environment says.
TRAIN = """
import argparse, io, json, os

import mlflow
import pandas
import requests
from sklearn.linear_model import LogisticRegression

parser = argparse.ArgumentParser()
parser.add_argument("--penalty", type=float, default=1.0)
arguments = parser.parse_args()
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["MLFLOW_TRACKING_TOKEN"]
files = json.loads(os.environ["STRONGROOM_DATA_FILES"])
frames = []
for path, address in sorted(files.items()):
    answer = session.get(address, timeout=30)
    answer.raise_for_status()
    frames.append(pandas.read_csv(io.BytesIO(answer.content)))
table = pandas.concat(frames)
features, label = table[["size"]], table["churned"]
with mlflow.start_run():
    mlflow.log_params({"penalty": arguments.penalty, **json.loads(os.environ["STRONGROOM_PARAMETERS"]), "rows": len(table)})
    model = LogisticRegression(C=1 / arguments.penalty).fit(features, label)
    mlflow.log_metric("accuracy", model.score(features, label))
    mlflow.sklearn.log_model(model, name="model", pip_requirements=["scikit-learn"])
print("trained on", len(table), "rows with penalty", arguments.penalty)
"""

# What a hostile job would try. Each attempt that works is printed.
PROBE = """
import glob, json, os, socket, subprocess, sys, urllib.request

worked, what = [], {}
def attempt(name, act):
    try:
        act()
        worked.append(name)
    except Exception as error:
        what[name] = repr(error)[:120]
data, outside, token = os.environ["STRONGROOM_PARAMETERS"], 0, os.environ["MLFLOW_TRACKING_TOKEN"]
given = json.loads(data)
attempt("shadow", lambda: open("/etc/shadow").read())
attempt("passwd", lambda: open("/etc/passwd").read())
attempt("data_folder", lambda: os.listdir(given["folder"]))
attempt("data_key", lambda: open(given["folder"] + "/keys/root.key").read())
attempt("database", lambda: open(given["folder"] + "/db/strongroom.db", "rb").read(1))
attempt("other_jobs", lambda: os.listdir(given["folder"] + "/retrain"))
attempt("tmp", lambda: os.listdir("/tmp"))
attempt("write_code", lambda: open(sys.argv[0], "a").close())
attempt("write_usr", lambda: open("/usr/x", "w").close())
attempt("other_port", lambda: socket.create_connection(("127.0.0.1", int(given["port"])), timeout=3).close())
for host in given["hosts"].split():
    attempt("host " + host, lambda: socket.create_connection((host, int(given["port"])), timeout=3).close())
attempt("internet", lambda: socket.create_connection(("1.1.1.1", 443), timeout=3).close())
attempt("name", lambda: socket.getaddrinfo("example.org", 80))
attempt("datagram", lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
attempt("unix", lambda: socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
attempt("netlink", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("datagram_pair", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
# What is no reading and no writing: none of it would change anything if it worked.
attempt("mode_of_data", lambda: os.chmod(given["folder"], 0o700))
attempt("mode_of_key", lambda: os.chmod(given["folder"] + "/keys/root.key", 0o600))
attempt("times_of_database", lambda: os.utime(given["folder"] + "/db/strongroom.db"))
attempt("attributes", lambda: os.setxattr(given["folder"], "user.probe", b"x"))
attempt("bind", lambda: socket.create_server(("127.0.0.1", 0)).close())
attempt("kill_server", lambda: os.kill(int(given["pid"]), 0))
attempt("processes", lambda: 1 / len([p for p in glob.glob("/proc/[0-9]*/cmdline") if b"serve" in open(p, "rb").read()]))
attempt("unshare", lambda: subprocess.run(["unshare", "-r", "true"], check=True, capture_output=True))
attempt("environment", lambda: [][0] if not [n for n in os.environ if "SECRET" in n] else None)
def other(path):
    request = urllib.request.Request(os.environ["MLFLOW_TRACKING_URI"] + path, headers={"Authorization": "Bearer " + token})
    urllib.request.urlopen(request, timeout=10).read()
attempt("other_data", lambda: other(given["other_data"]))
attempt("models", lambda: other("/api/2.0/mlflow/registered-models/search"))
attempt("tokens", lambda: other("/api/strongroom/v1/tokens"))
attempt("experiments", lambda: other("/api/2.0/mlflow/experiments/search?max_results=1"))
open("allowed.txt", "w").write("x")
print("PROBE " + json.dumps({"worked": worked, "what": what, "user": os.getuid(), "processes": os.cpu_count()}))
print("TOKEN " + token)
"""

# Never ends by itself.
SLEEP = """
import subprocess, sys, time
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)"], start_new_session=True)
print("sleeps", flush=True)
time.sleep(3600)
"""

HOARD = """
import os, time
block = bytes(1 << 20)
for number in range(64):
    with open(f"{number}.bin", "wb") as out:
        out.write(block)
time.sleep(60)
"""

# The same in files that have no name any more, and in room beyond the end of one.
NAMELESS = """
import os, time
block, kept = bytes(1 << 20), []
for number in range(64):
    kept.append(open(f"{number}.bin", "wb"))
    os.remove(f"{number}.bin")
    kept[-1].write(block)
    kept[-1].flush()
time.sleep(60)
"""

BEYOND = """
import ctypes, time
with open("beyond.bin", "wb") as out:
    keep_size = 1
    assert ctypes.CDLL(None).fallocate(out.fileno(), keep_size, ctypes.c_long(0), ctypes.c_long(64 << 20)) == 0
time.sleep(60)
"""

MEMORY = """
blocks = []
while True:
    blocks.append(bytearray(64 << 20))
    print(len(blocks) * 64, "MiB", flush=True)
"""
