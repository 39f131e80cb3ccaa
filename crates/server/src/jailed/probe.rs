//! What a jail must hold, tried out by the very Python that will run the jobs, before the first one.

use serde_json::Value;

/// Each attempt that works is printed. `ARGV`: a file of the server's, a port that somebody listens on outside, the relay's port.
pub const SCRIPT: &str = r#"
import ctypes, json, os, socket, sys
secret, outside, relay = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
worked = []
def attempt(name, act):
    try:
        act()
        worked.append(name)
    except Exception:
        pass
def connect(port, host="127.0.0.1"):
    with socket.create_connection((host, port), timeout=3):
        pass
def datagram():
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).close()
def unix():
    socket.socket(socket.AF_UNIX, socket.SOCK_STREAM).close()
def namespace():
    if ctypes.CDLL(None, use_errno=True).unshare(0x10000000) != 0:
        raise OSError
attempt("read a file of the server", lambda: open(secret).close())
attempt("read /etc/shadow", lambda: open("/etc/shadow").close())
attempt("list the server's folder", lambda: os.listdir(os.path.dirname(secret)))
attempt("write outside of its folder", lambda: open("/var/tmp/strongroom-probe", "w").close())
attempt("change a file of the server", lambda: os.utime(secret))
attempt("reach another port", lambda: connect(outside))
attempt("send datagrams", datagram)
attempt("reach local sockets", unix)
attempt("send datagrams to local sockets", lambda: socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM))
attempt("make a namespace", namespace)
attempt("send signals to others", lambda: os.kill(os.getppid(), 0) if os.getppid() > 1 else 1 / 0)
wanted = []
try:
    connect(relay)
except Exception as error:
    wanted.append("reach the server: %s" % error)
try:
    open("probe", "w").close()
except Exception as error:
    wanted.append("write its folder: %s" % error)
print(json.dumps({"worked": worked, "wanted": wanted}))
"#;

/// Why the jail does not hold, or does not let through what it must; none if all is well.
pub fn judge(output: &str) -> Option<String> {
    let line = output.lines().rev().find(|line| line.starts_with('{'));
    let Some(said) = line.and_then(|line| serde_json::from_str::<Value>(line).ok()) else {
        let end: String = output.chars().rev().take(400).collect::<Vec<_>>().into_iter().rev().collect();
        return Some(format!("the probe did not run: {end}"));
    };
    let list = |name: &str| -> Vec<String> {
        let texts = said.get(name).and_then(Value::as_array).into_iter().flatten();
        texts.filter_map(Value::as_str).map(str::to_owned).collect()
    };
    let (worked, wanted) = (list("worked"), list("wanted"));
    let mut faults = Vec::new();
    if !worked.is_empty() {
        faults.push(format!("a job could {}", worked.join(", ")));
    }
    if !wanted.is_empty() {
        faults.push(format!("a job could not {}", wanted.join(", ")));
    }
    (!faults.is_empty()).then(|| faults.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_is_not_a_clean_answer_is_a_fault() {
        assert_eq!(judge("noise\n{\"worked\": [], \"wanted\": []}\n"), None);
        for bad in
            ["", "Traceback", "{\"worked\": [\"read /etc/shadow\"], \"wanted\": []}", "{\"worked\": [], \"wanted\": [\"x\"]}"]
        {
            assert!(judge(bad).is_some(), "{bad}");
        }
    }
}
