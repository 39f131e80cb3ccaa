//! `strongroom serve`, `config check` and `routes`.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::Problem;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::client::Connection;
use crate::{boot, config, folder, listen, telemetry, tls};

/// Answer requests until told to stop (SIGINT or SIGTERM).
#[derive(Args)]
#[command(
    after_help = "The first line on stdout is `listening https://HOST:PORT`, the second, where S3 is spoken, `s3 https://HOST:PORT`; logs go to stderr. Clients trust DIR/tls/ca.pem.
Examples:
  strongroom serve --data ./data
  strongroom serve --data ./data --listen 0.0.0.0:8443 --config ./strongroom.toml"
)]
pub struct Serve {
    /// The data folder that `strongroom init` made.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// Address and port, instead of `server.listen`; port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// A configuration file, instead of DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl Serve {
    pub(super) async fn run(self) -> Result<(), Problem> {
        log_to_stderr();
        folder::check_folder(&self.data)?;
        let config = config::load(&self.data, self.config.as_deref())?;
        if let Some(file) = self.config.as_deref().filter(|file| config::is_another(&self.data, file)) {
            let (file, own) = (file.display(), self.data.join(config::FILE_NAME));
            tracing::warn!(
                "commands on the folder read `{}`, not `{file}`, while no server runs: copy it there, or give them --config too",
                own.display()
            );
        }
        let address = self.listen.as_ref().unwrap_or(&config.server.listen);
        let listener = listen::bind(address).await?;
        let bound = listener.local_addr().map_err(|e| Problem::internal("the listener has no address", e))?;
        let names = folder::host_names(&config, Some(bound));
        let s3 = match &config.s3.listen {
            Some(address) => Some(listen::bind(address).await?),
            None => None,
        };
        let s3_bound = s3.as_ref().and_then(|listener| listener.local_addr().ok());
        let way = boot::Way { bound: Some(bound), s3_bound, ..boot::Way::default() };
        let app = boot::open_as(&self.data, &config, way).await?;
        let tls = tls::server_config(&self.data, &config.tls, &names, Some(app.rooms.devices.authority()))?;
        let url = format!("https://{bound}");
        tls::show_certificate(&self.data, &config.tls)?;
        if let Some(bound) = s3_bound {
            folder::announce_s3(&self.data, bound)?;
        }
        folder::announce(&self.data, bound)?;
        let stopping = boot::stop_signal()?;
        {
            let mut stdout = std::io::stdout().lock();
            // Whoever started us may have closed our stdout; that is no reason not to serve.
            drop(writeln!(stdout, "listening {url}"));
            if let Some(bound) = s3_bound {
                drop(writeln!(stdout, "s3 https://{bound}"));
            }
            drop(stdout.flush());
        }
        tracing::info!(%url, "listening");
        let (stop_s3, stopped) = tokio::sync::oneshot::channel::<()>();
        let s3 = s3.map(|listener| {
            let ended = async {
                drop(stopped.await);
            };
            tokio::spawn(listen::serve(listener, std::sync::Arc::clone(&tls), app.s3_router.clone(), ended))
        });
        listen::serve(listener, tls, app.router.clone(), stopping).await;
        drop(stop_s3);
        if let Some(s3) = s3 {
            drop(s3.await);
        }
        folder::withdraw(&self.data);
        app.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("STRONGROOM_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Without the last word a message that cannot be written (a full disk) would end the thread that has something to say.
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).log_internal_errors(false);
    tracing_subscriber::registry().with(filter).with(lines).with(telemetry::LogLayer).init();
}

/// Look at the configuration.
#[derive(Subcommand)]
pub enum ConfigVerb {
    /// Check the configuration and print what is in force, with secrets hidden.
    Check(ConfigCheck),
}

/// Options of `config check`.
#[derive(Args)]
#[command(after_help = "It reads what `serve` would read, and prints every setting that is in force.
Example:
  strongroom config check --data ./data --config ./strongroom.toml")]
pub struct ConfigCheck {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// A configuration file, instead of DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl ConfigVerb {
    pub(super) fn run(self) -> Result<(), Problem> {
        let Self::Check(check) = self;
        let config = config::load(&check.data, check.config.as_deref())?;
        if config.tls.certificate.is_some() {
            // Reads the files; without them nothing is looked at, for a certificate would be made.
            tls::server_config(&check.data, &config.tls, &[], None)?;
        }
        config.server.mlflow_ui_dir.as_deref().map(crate::ui::list_page).transpose()?;
        let text = toml::to_string(&config).map_err(|e| Problem::internal("the configuration cannot be printed", e))?;
        crate::say!("{text}");
        Ok(())
    }
}

/// List every route and the verb behind it.
#[derive(Args)]
pub struct Routes {
    #[command(flatten)]
    connection: Connection,
}

impl Routes {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.get("/api/strongroom/v1/routes").await?;
        let routes = answer.get("routes").and_then(serde_json::Value::as_array).cloned().unwrap_or_default();
        if client.json {
            crate::say!("{}", serde_json::Value::Array(routes));
        } else {
            crate::say!("{}", super::table::render(&routes, &["method", "path", "action"]));
        }
        Ok(())
    }
}
