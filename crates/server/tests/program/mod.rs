//! The binary, run on a folder of its own.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// A folder for one test.
pub struct Place {
    folder: tempfile::TempDir,
    /// Variables that the program sees.
    pub variables: Vec<(&'static str, String)>,
}

/// What a command did.
#[derive(Debug)]
pub struct Done {
    pub ok: bool,
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Place {
    /// Without a data folder.
    pub fn empty() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), variables: Vec::new() }
    }

    /// With one, made with the defaults.
    pub fn made() -> Self {
        let place = Self::empty();
        place.make(&[]);
        place
    }

    /// Runs `init`.
    pub fn make(&self, options: &[&str]) {
        let token_file = self.path("token");
        let made = self.run(&[&["init", "--admin-token-file", token_file.to_str().unwrap()], options].concat());
        assert!(made.ok, "{made:?}");
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn data(&self) -> PathBuf {
        self.path("data")
    }

    /// The first administrator's token.
    pub fn token(&self) -> String {
        fs::read_to_string(self.path("token")).unwrap().trim().to_owned()
    }

    /// Runs a command on the data folder, with the token if there is one.
    pub fn run(&self, words: &[&str]) -> Done {
        let output = self.command(words).stdin(Stdio::null()).output().unwrap();
        Done {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_strongroom"));
        command.args(words).env_remove("STRONGROOM_TOKEN").env("STRONGROOM_DATA", self.data());
        if self.path("token").is_file() {
            command.env("STRONGROOM_TOKEN", self.token());
        }
        command.envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }
}

/// A running server; it ends with this.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Server {
    pub fn start(place: &Place, options: &[&str]) -> Self {
        let listen: &[&str] = if options.contains(&"--listen") { &[] } else { &["--listen", "127.0.0.1:0"] };
        let mut command = place.command(&[&["serve"], listen, options].concat());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        Self { port: port.unwrap_or_else(|| panic!("the server said `{line}`")), child }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One HTTP/1.1 request over a connection of its own; the whole answer as text.
pub async fn ask(place: &Place, server: &Server, method: &str, path: &str, headers: &str, body: &str) -> String {
    let stream = tokio::net::TcpStream::connect(("127.0.0.1", server.port)).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    let secured =
        tokio_rustls::TlsConnector::from(trusting(&place.data().join("tls/ca.pem"))).connect(name, stream).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(secured);
    let head = format!(
        "{method} {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n{headers}\r\n{body}",
        body.len()
    );
    // The server may answer and hang up before it has read all.
    let writing = tokio::spawn(async move {
        drop(writer.write_all(head.as_bytes()).await);
        drop(writer.flush().await);
        writer
    });
    let mut answer = Vec::new();
    let mut piece = [0; 16 * 1024];
    while let Ok(count) = reader.read(&mut piece).await {
        if count == 0 {
            break;
        }
        answer.extend_from_slice(piece.get(..count).unwrap());
    }
    drop(writing.await);
    String::from_utf8_lossy(&answer).into_owned()
}

fn trusting(ca: &Path) -> Arc<rustls::ClientConfig> {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(ca).unwrap() {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
}
