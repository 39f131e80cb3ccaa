//! Settings to copy for the clients that people have: mlflow, boto3, the command line of aws, tritonclient. They hold this server's addresses and, where
//! it has one of its own, its certificate authority, so that each works as it stands.

/// Where Debian keeps the authorities that everybody believes: our commands are told by whom a server's certificate was signed.
const KNOWN_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// How programs reach this server beside its pages.
#[derive(Clone, Debug, Default)]
pub struct Clients {
    /// Where S3 is spoken; none where it is not.
    pub s3: Option<S3Place>,
    /// The server's own certificate authority, as PEM; none where somebody else's signed its certificate.
    pub authority: Option<String>,
}

/// Where S3 is spoken. The host is the one that somebody came to.
#[derive(Clone, Debug)]
pub struct S3Place {
    /// The port of its listener.
    pub port: u16,
    /// The region that signatures are for.
    pub region: String,
}

/// Settings for one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Its name.
    pub client: &'static str,
    /// What is to be said before; empty for nothing.
    pub words: &'static str,
    /// The lines.
    pub code: String,
}

impl Clients {
    /// Settings for all of them, for whoever came to this address and has this token.
    #[must_use]
    pub fn settings(&self, origin: &str, token: &str) -> Vec<Settings> {
        let mut all = Vec::new();
        all.extend(self.authority_settings());
        all.push(self.mlflow(origin, token));
        all.extend(self.s3_settings(origin, token));
        all.push(self.triton(origin, token));
        all
    }

    /// What tells a command of ours which server it is for.
    #[must_use]
    pub fn command_options(&self, origin: &str) -> String {
        let authority = if self.authority.is_some() { "ca.pem" } else { KNOWN_AUTHORITIES };
        format!("--url {origin} --ca {authority}")
    }

    fn authority_settings(&self) -> Option<Settings> {
        let pem = self.authority.as_ref()?.trim_end();
        Some(Settings {
            client: "This server's certificate authority",
            words: "Save it as ca.pem in the folder that you work in: what is below names it.",
            code: format!("cat > ca.pem <<'END'\n{pem}\nEND"),
        })
    }

    fn mlflow(&self, origin: &str, token: &str) -> Settings {
        let mut code = format!("export MLFLOW_TRACKING_URI={origin}\nexport MLFLOW_TRACKING_TOKEN={token}");
        if self.authority.is_some() {
            code.push_str("\nexport MLFLOW_TRACKING_SERVER_CERT_PATH=$PWD/ca.pem");
        }
        Settings { client: "mlflow", words: "", code }
    }

    fn s3_settings(&self, origin: &str, token: &str) -> Vec<Settings> {
        let Some(S3Place { port, region }) = &self.s3 else {
            let words = "S3 is not spoken here: whoever runs this server sets it in its configuration.";
            let code = "[s3]\nlisten = \"0.0.0.0:8444\"".to_owned();
            return vec![Settings { client: "boto3 and other clients of S3", words, code }];
        };
        let (verify, bundle) =
            if self.authority.is_some() { (", verify=\"ca.pem\"", "export AWS_CA_BUNDLE=$PWD/ca.pem\n") } else { ("", "") };
        let (s3, options) = (s3_address(origin, *port), self.command_options(origin));
        let boto3 = format!(
            "import boto3, requests\n\
             headers = {{\"Authorization\": \"Bearer {token}\"}}\n\
             keys = requests.post(\"{origin}/api/strongroom/v1/access-key\", headers=headers, json={{}}{verify}).json()\n\
             s3 = boto3.client(\n    \"s3\", endpoint_url=\"{s3}\", region_name=\"{region}\"{verify},\n    \
             aws_access_key_id=keys[\"access_key_id\"], aws_secret_access_key=keys[\"secret_access_key\"],\n)\n\
             print(s3.list_buckets()[\"Buckets\"])"
        );
        let aws = format!(
            "(umask 077; echo '{token}' > my.token)\n\
             eval \"$(strongroom token access-key {options} --token-file my.token)\"\n\
             {bundle}export AWS_DEFAULT_REGION={region}\n\
             aws --endpoint-url {s3} s3 ls"
        );
        let words = "The access key of your token may do what the token may, and ends with it.";
        vec![
            Settings { client: "boto3", words, code: boto3 },
            Settings { client: "aws", words: "The command line of aws; `strongroom` is this server's.", code: aws },
        ]
    }

    fn triton(&self, origin: &str, token: &str) -> Settings {
        let host = origin.strip_prefix("https://").unwrap_or(origin);
        let authority = if self.authority.is_some() { "cafile=\"ca.pem\"" } else { "" };
        let code = format!(
            "import gevent.ssl, numpy, tritonclient.http\n\
             context = gevent.ssl.create_default_context({authority})\n\
             client = tritonclient.http.InferenceServerClient(\n    \"{host}\", ssl=True, ssl_context_factory=lambda: context, insecure=False,\n)\n\
             headers = {{\"Authorization\": \"Bearer {token}\"}}\n\
             rows = numpy.array([[5.1, 3.5, 1.4, 0.2]])\n\
             given = tritonclient.http.InferInput(\"input\", rows.shape, \"FP64\")\n\
             given.set_data_from_numpy(rows)\n\
             print(client.infer(\"churn\", [given], headers=headers).get_response())"
        );
        Settings {
            client: "tritonclient",
            words: "The Open Inference Protocol: put your endpoint's name for churn, and rows of its model.",
            code,
        }
    }
}

/// The same host at another port.
fn s3_address(origin: &str, port: u16) -> String {
    let without_port = match origin.rsplit_once(':') {
        Some((host, digits)) if digits.bytes().all(|byte| byte.is_ascii_digit()) && host.contains("//") => host,
        _ => origin,
    };
    format!("{without_port}:{port}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s3_is_at_the_host_that_somebody_came_to() {
        for (origin, there) in [
            ("https://ml.example:8443", "https://ml.example:8444"),
            ("https://ml.example", "https://ml.example:8444"),
            ("https://[::1]:8443", "https://[::1]:8444"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]:8444"),
        ] {
            assert_eq!(s3_address(origin, 8_444), there);
        }
    }

    #[test]
    fn no_line_names_what_there_is_not() {
        let bare = Clients::default().settings("https://ml.example", "sr_pat_x");
        let all: String = bare.iter().map(|one| one.code.as_str()).collect();
        assert!(!all.contains("ca.pem") && !all.contains("aws") && all.contains("listen"), "{all}");
        let options = Clients::default().command_options("https://ml.example");
        assert_eq!(options, "--url https://ml.example --ca /etc/ssl/certs/ca-certificates.crt");
        let s3 = Some(S3Place { port: 8_444, region: "eu-north-1".to_owned() });
        let whole = Clients { s3, authority: Some("-----BEGIN CERTIFICATE-----\n".to_owned()) };
        let whole = whole.settings("https://ml.example:8443", "sr_pat_x");
        assert_eq!(whole.iter().map(|one| one.client).collect::<Vec<_>>()[1..], ["mlflow", "boto3", "aws", "tritonclient"]);
        for one in &whole[1..] {
            assert!(one.code.contains("ml.example") && one.code.contains("ca.pem") && one.code.contains("sr_pat_x"), "{one:?}");
        }
    }
}
